/* optim.c: a step of an optimizer, over a whole list of parameters in one call. What it is not: the
 * arithmetic of a step stands in optim.inc; param groups and schedules are Python's. */
#include "optim_list.h"

#include <math.h>

static const int states_of[] = {
#define RNN_RULE_(NAME, states) [RNN_RULE_##NAME] = states,
    RNN_OPTIM_RULES(RNN_RULE_)
#undef RNN_RULE_
};

enum {
    H_LR,
    H_DECAY,
    H_MAXIMIZE,
    H_OWN
}; /* the options that all rules have, then each one's own */

static void sgd(rnn_optim_numbers *a, const double *h, double step) {
    (void)step;
    a->c[0] = h[0];
    a->c[1] = 1 - h[1];
    if (h[2] != 0) a->flags |= RNN_SGD_NESTEROV;
}

/* h: beta1, beta2, eps, decoupled, amsgrad */
static void adam(rnn_optim_numbers *a, const double *h, double step) {
    a->c[0] = 1 - h[0];
    a->c[1] = h[1];
    a->c[2] = 1 - h[1];
    a->c[3] = sqrt(1 - pow(h[1], step));
    a->c[4] = h[2];
    a->lr /= 1 - pow(h[0], step);
    a->flags = h[4] != 0 ? RNN_ADAM_AMSGRAD : 0;
}

/* h: alpha, eps, centered, momentum */
static void rmsprop(rnn_optim_numbers *a, const double *h, double step) {
    (void)step;
    a->c[0] = h[0];
    a->c[1] = 1 - h[0];
    a->c[2] = h[1];
    a->c[3] = h[3];
    a->flags = (h[2] != 0 ? RNN_RMSPROP_CENTERED : 0) | (h[3] > 0 ? RNN_RMSPROP_MOMENTUM : 0);
}

/* h: lr_decay, eps */
static void adagrad(rnn_optim_numbers *a, const double *h, double step) {
    a->lr /= 1 + (step - 1) * h[0];
    a->c[0] = h[1];
}

/* h: rho, eps */
static void adadelta(rnn_optim_numbers *a, const double *h, double step) {
    (void)step;
    a->c[0] = h[0];
    a->c[1] = 1 - h[0];
    a->c[2] = h[1];
}

/* h: beta1, beta2, eps */
static void adamax(rnn_optim_numbers *a, const double *h, double step) {
    a->c[0] = 1 - h[0];
    a->c[1] = h[1];
    a->c[2] = h[2];
    a->lr /= 1 - pow(h[0], step);
}

static double number_of(rnn_engine *e, rnn_ref t) { return rnn_item(e, t, 0); }

static void set_number(rnn_engine *e, rnn_ref t, double x) {
    void *data = rnn_data(e, t);
    if (rnn_dtype(t) == RNN_F64) *(double *)data = x;
    else *(float *)data = (float)x;
}

/* h: beta1, beta2, eps, decoupled, momentum_decay; mu_product: the momenta so far, multiplied */
static void nadam(rnn_engine *e, rnn_optim_numbers *a, const double *h, double step,
                  rnn_ref mu_product) {
    const double mu = h[0] * (1 - 0.5 * pow(0.96, step * h[4]));
    const double next = h[0] * (1 - 0.5 * pow(0.96, (step + 1) * h[4]));
    const double factor = rnn_dtype(mu_product) == RNN_F64 ? mu : (float)mu;
    set_number(e, mu_product, number_of(e, mu_product) * factor);
    const double product = number_of(e, mu_product); /* rounded as PyTorch's is */
    a->c[0] = 1 - h[0];
    a->c[1] = h[1];
    a->c[2] = 1 - h[1];
    a->c[3] = 1 - pow(h[1], step);
    a->c[4] = h[2];
    a->c[5] = a->lr * (1 - mu) / (1 - product);
    a->c[6] = a->lr * next / (1 - product * next);
}

/* h: beta1, beta2, eps, decoupled */
static void radam(rnn_optim_numbers *a, const double *h, double step) {
    const double power = pow(h[1], step), end = 2 / (1 - h[1]) - 1,
                 now = end - 2 * step * power / (1 - power);
    a->c[0] = 1 - h[0];
    a->c[1] = h[1];
    a->c[2] = 1 - h[1];
    a->c[3] = 0;
    a->c[4] = h[2];
    a->lr /= 1 - pow(h[0], step);
    if (now > 5)
        a->c[3] =
            sqrt(1 - power) * sqrt((now - 4) * (now - 2) * end / ((end - 4) * (end - 2) * now));
}

static void step_numbers(list *l, item *it, const double *options, double step,
                         rnn_ref mu_product) {
    rnn_optim_numbers *a = &it->numbers;
    const int rule = l->rule;
    const double *h = options + H_OWN;
    const bool decoupled =
        (rule == RNN_RULE_ADAM || rule == RNN_RULE_NADAM || rule == RNN_RULE_RADAM) && h[3] != 0;
    a->sign = options[H_MAXIMIZE] != 0 ? -1 : 1;
    a->decay = decoupled ? 0 : options[H_DECAY];
    a->lr = options[H_LR];
    a->shrink = decoupled ? 1 - options[H_LR] * options[H_DECAY] : 1;
    switch (rule) {
    case RNN_RULE_SGD:
        sgd(a, h, step);
        break;
    case RNN_RULE_ADAM:
        adam(a, h, step);
        break;
    case RNN_RULE_RMSPROP:
        rmsprop(a, h, step);
        break;
    case RNN_RULE_ADAGRAD:
        adagrad(a, h, step);
        break;
    case RNN_RULE_ADADELTA:
        adadelta(a, h, step);
        break;
    case RNN_RULE_ADAMAX:
        adamax(a, h, step);
        break;
    case RNN_RULE_NADAM:
        nadam(l->e, a, h, step, mu_product);
        break;
    default:
        radam(a, h, step);
        break;
    }
}

static int add_state(list *l, item *it, int k, rnn_ref t) {
    rnn_view v;
    if (t < 0) { /* a momentum buffer that holds nothing yet */
        t = -t;
        it->numbers.flags |= RNN_SGD_FIRST;
    }
    if (t == 0) return 0;
    rnn_view_of(l->e, t, &v);
    if (v.dtype != it->dtype || rnn_numel(v.ndim, v.shape) != it->n)
        return rnn_fail(
            l->e, RNN_ERUNTIME,
            "the state of parameter %lld has another dtype or size than the parameter: make the optimizer "
            "after the model has its dtype, or load its state anew",
            (long long)it->index);
    return rnn_list_add_run(l->e, it, 2 + k, &v, rnn_view_data(l->e, &v));
}

static void step_work(void *ctx, const item *it, int64_t begin, int64_t end, int64_t block) {
    list *l = ctx;
    void *state[STATES];
    (void)block;
    for (int k = 0; k < STATES; k++) state[k] = at(it, 2 + k, begin);
    l->k->step[it->dtype][l->rule](end - begin, at(it, 0, begin), at(it, 1, begin), state,
                                   &it->numbers);
}

/* Does the rule need state k with these options? */
static bool needs_state(int rule, int k, const double *h) {
    if (rule == RNN_RULE_SGD) return h[0] != 0;
    if (rule == RNN_RULE_ADAM && k == 2) return h[4] != 0;
    if (rule == RNN_RULE_RMSPROP && k > 0) return k == 1 ? h[2] != 0 : h[3] > 0;
    return true;
}

/* Everything that can fail happens here: nothing has changed then. */
static int gather_step(list *l, int count, const rnn_ref *params, const rnn_ref *steps,
                       const rnn_ref *const *states, const double *options) {
    for (int i = 0; i < count; i++) {
        int joined = rnn_list_add(l, params[i], i, true, true);
        if (joined < 0) return joined;
        if (joined == 0) continue;
        bool whole = (!steps || steps[i] > 0) &&
                     (l->rule != RNN_RULE_NADAM || (states[2] && states[2][i] > 0));
        for (int k = 0; whole && k < states_of[l->rule]; k++) {
            if (!needs_state(l->rule, k, options + H_OWN)) continue;
            whole = states[k] && states[k][i];
            int failed = whole ? add_state(l, &l->items[l->count - 1], k, states[k][i]) : 0;
            if (failed) return failed;
        }
        if (!whole)
            return rnn_fail(l->e, RNN_ERUNTIME,
                            "the optimizer's state of parameter %d lacks what its options need", i);
    }
    return 0;
}

/* Steps are counted, and what follows from them is worked out. */
static void count_steps(list *l, const double *options, const rnn_ref *steps, const rnn_ref *s2) {
    for (int64_t i = 0; i < l->count; i++) {
        item *it = &l->items[i];
        double step = 0;
        if (steps) {
            step = number_of(l->e, steps[it->index]) + 1;
            set_number(l->e, steps[it->index], step);
        }
        step_numbers(l, it, options, step, s2 ? s2[it->index] : 0);
    }
}

int rnn_step(rnn_engine *e, int rule, int count, const rnn_ref *params, const rnn_ref *steps,
             const rnn_ref *s0, const rnn_ref *s1, const rnn_ref *s2, const double *options) {
    list l;
    if (rule < 0 || rule >= RNN_RULE_COUNT)
        return rnn_fail(e, RNN_EVALUE, "there is no optimizer %d", rule);
    int failed = rnn_list_make(e, &l, count);
    if (failed) return failed;
    const rnn_ref *states[STATES] = {s0, s1, s2};
    l.rule = rule;
    l.work = step_work;
    failed = gather_step(&l, count, params, steps, states, options);
    if (!failed) failed = rnn_list_plan(&l, false);
    const int stepped = (int)l.count;
    if (!failed) {
        count_steps(&l, options, steps, s2);
        rnn_list_run(&l);
        rnn_list_write_back(&l, false);
        for (int64_t i = 0; i < l.count; i++) rnn_span_stamp(e, l.items[i].span);
    }
    rnn_list_drop(&l);
    return failed ? failed : stepped;
}
