/* optim.c: what is done to a whole list of parameters in one call: an optimizer's step, norms,
 * clipping, clearing. What it is not: the arithmetic of a step stands in optim.inc; param groups
 * and schedules are Python's.
 *
 * Each parameter becomes one *item*: contiguous runs of the parameter, its gradient and its states.
 * What is not contiguous is packed into memory of its own first and written back after. Large lists
 * are cut into blocks of BLOCK elements, which threads share. */
#include "internal.h"
#include "isa.h"
#include "optim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK = 16384,
    SERIAL = 32768,
    STATES = 3,
    RUNS = 2 + STATES
}; /* runs: parameter, gradient, states */

/* A contiguous copy of a view, which follows it in memory. */
typedef struct {
    rnn_view view;
    double data[];
} copy;

typedef struct {
    void *run[RUNS];
    copy *packed[RUNS]; /* to be written back and freed */
    int64_t n;
    int dtype;
    uint32_t span;
    int64_t index; /* in the caller's list */
    rnn_optim_numbers numbers;
} item;

typedef struct {
    rnn_engine *e;
    const rnn_optim_kernels *k;
    item *items;
    int64_t count, blocks, total;
    int64_t *first; /* the number of each item's first block */
    void (*work)(void *list, const item *it, int64_t begin, int64_t end, int64_t block);
    int rule;
    double a, b;
    double *partial; /* a result of each block */
} list;

/* ---- lists of items -------------------------------------------------------------------------- */

static void *at(const item *it, int run, int64_t i) {
    return it->run[run] ? (char *)it->run[run] + i * (int64_t)rnn_itemsize(it->dtype) : NULL;
}

static void drop_list(list *l) {
    for (int64_t i = 0; i < l->count; i++)
        for (int k = 0; k < RUNS; k++) free(l->items[i].packed[k]);
    free(l->items);
    free(l->first);
    free(l->partial);
}

static int make_list(rnn_engine *e, list *l, int count) {
    *l = (list){.e = e, .k = RNN_ISA_PICK(rnn_optim_kernels, e->isa)};
    if (count < 0) return rnn_fail(e, RNN_EVALUE, "a list cannot have %d tensors", count);
    l->items = rnn_malloc(e, (size_t)count * sizeof *l->items);
    return l->items ? 0 : rnn_fail(e, RNN_EMEMORY, "no memory for a list of %d tensors", count);
}

/* A run of the item: the memory of `view`, whose first element is at `data`. */
static int add_run(rnn_engine *e, item *it, int run, const rnn_view *view, void *data) {
    it->run[run] = data;
    if (rnn_view_is_contiguous(view)) return 0;
    copy *c = rnn_malloc(e, sizeof *c + (size_t)it->n * rnn_itemsize(view->dtype));
    if (!c) return rnn_fail(e, RNN_EMEMORY, "no memory for a contiguous copy of a parameter");
    c->view = *view;
    it->packed[run] = c;
    it->run[run] = c->data;
    rnn_accumulate_job job = {.ndim = view->ndim,
                              .dtype = view->dtype,
                              .dst = c->data,
                              .src = data,
                              .scale = 1,
                              .overwrite = true};
    memcpy(job.shape, view->shape, sizeof job.shape);
    memcpy(job.src_stride, view->stride, sizeof job.src_stride);
    rnn_contiguous_strides(view->ndim, view->shape, job.dst_stride);
    return rnn_accumulate(e, &job);
}

/* The tensor t joins the list: its values, and its gradient if there is one and it is asked for. 1:
 * it joined. */
static int add_item(list *l, rnn_ref t, int64_t index, bool values, bool grad) {
    rnn_engine *e = l->e;
    if (t <= 0) return 0;
    item *it = &l->items[l->count];
    memset(it, 0, sizeof *it);
    rnn_view view;
    rnn_view_of(e, t, &view);
    const rnn_span *s = rnn_at(e, view.span);
    if (grad && (!rnn_span_has_grad(s) || rnn_tensor_of(t)->flags & RNN_T_DETACHED)) return 0;
    it->n = rnn_numel(view.ndim, view.shape);
    it->dtype = view.dtype;
    it->span = view.span;
    it->index = index;
    l->count++;
    int failed = values ? add_run(e, it, 0, &view, rnn_view_data(e, &view)) : 0;
    if (failed || !grad) return failed ? failed : 1;
    char *g = rnn_span_grad(e, view.span);
    failed = add_run(e, it, 1, &view, g + view.offset * (int64_t)rnn_itemsize(view.dtype));
    return failed ? failed : 1;
}

/* Values that were packed go back to where they came from: parameter and states, or the gradient
 * alone. */
static void write_back(list *l, bool grad) {
    for (int64_t i = 0; i < l->count; i++) {
        item *it = &l->items[i];
        for (int k = 0; k < RUNS; k++) {
            if (!it->packed[k] || (k == 1) != grad) continue;
            const rnn_view *v = &it->packed[k]->view;
            char *base = k == 1 ? rnn_span_grad(l->e, v->span) : rnn_span_data(l->e, v->span);
            rnn_accumulate_job job = {.ndim = v->ndim,
                                      .dtype = v->dtype,
                                      .src = it->packed[k]->data,
                                      .scale = 1,
                                      .dst = base + v->offset * (int64_t)rnn_itemsize(v->dtype),
                                      .overwrite = true};
            memcpy(job.shape, v->shape, sizeof job.shape);
            memcpy(job.dst_stride, v->stride, sizeof job.dst_stride);
            rnn_contiguous_strides(v->ndim, v->shape, job.src_stride);
            rnn_accumulate(l->e, &job);
        }
    }
}

/* ---- sharing the work ------------------------------------------------------------------------ */

static void run_block(void *ctx, int64_t begin, int64_t end) {
    list *l = ctx;
    for (int64_t block = begin; block < end; block++) {
        int64_t lo = 0, hi = l->count;
        while (hi - lo > 1) { /* the last item whose first block is not after this one */
            int64_t middle = (lo + hi) / 2;
            *(l->first[middle] <= block ? &lo : &hi) = middle;
        }
        const item *it = &l->items[lo];
        int64_t from = (block - l->first[lo]) * BLOCK,
                to = it->n - from < BLOCK ? it->n : from + BLOCK;
        l->work(l, it, from, to, block);
    }
}

/* Cuts the list into blocks. `results`: one of each block is wanted in l->partial. */
static int plan_list(list *l, bool results) {
    l->blocks = l->total = 0;
    l->first = rnn_malloc(l->e, (size_t)l->count * sizeof *l->first);
    if (!l->first)
        return rnn_fail(l->e, RNN_EMEMORY, "no memory for a list of %lld tensors",
                        (long long)l->count);
    for (int64_t i = 0; i < l->count; i++) {
        l->first[i] = l->blocks;
        l->blocks += l->items[i].n > BLOCK ? (l->items[i].n + BLOCK - 1) / BLOCK : 1;
        l->total += l->items[i].n;
    }
    if (results) {
        l->partial = rnn_malloc(l->e, (size_t)l->blocks * sizeof *l->partial);
        if (!l->partial) return rnn_fail(l->e, RNN_EMEMORY, "no memory for the results of a list");
    }
    return 0;
}

/* Runs l->work over everything. */
static void run_list(list *l) {
    if (l->total <= SERIAL) run_block(l, 0, l->blocks);
    else rnn_parallel_for(l->e->pool, l->blocks, 1, run_block, l);
}

/* ---- a step ---------------------------------------------------------------------------------- */

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
    return add_run(l->e, it, 2 + k, &v, rnn_view_data(l->e, &v));
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
        int joined = add_item(l, params[i], i, true, true);
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
    int failed = make_list(e, &l, count);
    if (failed) return failed;
    const rnn_ref *states[STATES] = {s0, s1, s2};
    l.rule = rule;
    l.work = step_work;
    failed = gather_step(&l, count, params, steps, states, options);
    if (!failed) failed = plan_list(&l, false);
    const int stepped = (int)l.count;
    if (!failed) {
        count_steps(&l, options, steps, s2);
        run_list(&l);
        write_back(&l, false);
        for (int64_t i = 0; i < l.count; i++) rnn_span_stamp(e, l.items[i].span);
    }
    drop_list(&l);
    return failed ? failed : stepped;
}

/* ---- gradients ------------------------------------------------------------------------------- */

int rnn_zero_grads(rnn_engine *e, int count, const rnn_ref *params, int to_none) {
    rnn_turn_take(e, -1);
    for (int i = 0; i < count; i++) {
        if (params[i] <= 0 || rnn_tensor_of(params[i])->flags & RNN_T_DETACHED) continue;
        const uint32_t id = rnn_span_of(params[i]);
        rnn_span *s = rnn_at(e, id);
        if (!rnn_span_has_grad(s)) continue;
        if (to_none) {
            rnn_lock(e);
            rnn_span_clear_grad(e, id);
            rnn_unlock(e);
        } else {
            memset(rnn_span_grad(e, id), 0, (size_t)rnn_span_size(s) * rnn_itemsize(s->dtype));
        }
    }
    rnn_turn_give(e);
    return 0;
}

static void norm_work(void *ctx, const item *it, int64_t begin, int64_t end, int64_t block) {
    list *l = ctx;
    const void *x = at(it, it->run[1] ? 1 : 0, begin);
    const int64_t n = end - begin;
    double total = 0;
    if (l->a == INFINITY) {
        total = l->k->largest[it->dtype](n, x);
    } else if (l->a == 2) {
        total = l->e->k->dot[it->dtype](n, x, x);
    } else {
        for (int64_t i = 0; i < n; i++) {
            const double size =
                fabs(it->dtype == RNN_F64 ? ((const double *)x)[i] : ((const float *)x)[i]);
            if (l->a == 0) total += size != 0;
            else if (l->a == -INFINITY)
                total = i == 0 || size < total || size != size ? size : total;
            else total += l->a == 1 ? size : pow(size, l->a);
        }
    }
    l->partial[block] = total;
}

static double join(double a, double b, double order) {
    if (order == INFINITY) return b > a || b != b ? b : a;
    if (order == -INFINITY) return b < a || b != b ? b : a;
    return a + b;
}

int rnn_norms(rnn_engine *e, int count, const rnn_ref *tensors, int of_grads, double order,
              double *out) {
    list l;
    int failed = make_list(e, &l, count);
    for (int i = 0; !failed && i < count; i++) {
        int joined = add_item(&l, tensors[i], i, !of_grads, of_grads != 0);
        failed = joined < 0 ? joined : 0;
    }
    l.work = norm_work;
    l.a = order;
    if (!failed) failed = plan_list(&l, true);
    if (!failed) run_list(&l);
    for (int64_t i = 0; !failed && i < l.count; i++) {
        const int64_t end = i + 1 < l.count ? l.first[i + 1] : l.blocks;
        double total = l.partial[l.first[i]];
        for (int64_t b = l.first[i] + 1; b < end; b++) total = join(total, l.partial[b], order);
        out[i] = order == 2                                 ? sqrt(total)
                 : order == 1 || order == 0 || isinf(order) ? total
                                                            : pow(total, 1 / order);
    }
    const int found = (int)l.count;
    drop_list(&l);
    return failed ? failed : found;
}

static void scale_work(void *ctx, const item *it, int64_t begin, int64_t end, int64_t block) {
    list *l = ctx;
    (void)block;
    l->e->k->copy_scaled[it->dtype](end - begin, at(it, 1, begin), at(it, 1, begin), l->a);
}

static void clamp_work(void *ctx, const item *it, int64_t begin, int64_t end, int64_t block) {
    list *l = ctx;
    (void)block;
    l->k->clamp[it->dtype](end - begin, at(it, 1, begin), l->a, l->b);
}

int rnn_change_grads(rnn_engine *e, int count, const rnn_ref *params, int clamp, double a,
                     double b) {
    list l;
    int failed = make_list(e, &l, count);
    for (int i = 0; !failed && i < count; i++) {
        int joined = add_item(&l, params[i], i, false, true);
        failed = joined < 0 ? joined : 0;
    }
    l.work = clamp ? clamp_work : scale_work;
    l.a = a;
    l.b = b;
    if (!failed) failed = plan_list(&l, false);
    if (!failed) {
        run_list(&l);
        write_back(&l, true);
    }
    drop_list(&l);
    return failed;
}
