/* optim_grads.c: what is done to the gradients of a whole list of parameters in one call: clearing,
 * norms, clipping. */
#include "optim_list.h"

#include <math.h>
#include <string.h>

static bool has_gradient(rnn_engine *e, rnn_ref param) {
    return param > 0 && !(rnn_tensor_of(param)->flags & RNN_T_DETACHED) &&
           rnn_span_has_grad(rnn_at(e, rnn_span_of(param)));
}

int rnn_zero_grads(rnn_engine *e, int count, const rnn_ref *params, int to_none) {
    int failed = 0;
    rnn_turn_take(e, -1);
    for (int i = 0; i < count && !failed && !to_none; i++)
        if (has_gradient(e, params[i])) failed = rnn_span_grad_unlink(e, rnn_span_of(params[i]));
    for (int i = 0; i < count && !failed; i++) {
        if (!has_gradient(e, params[i])) continue;
        const uint32_t id = rnn_span_of(params[i]);
        const rnn_span *s = rnn_at(e, id);
        if (to_none) {
            rnn_lock(e);
            rnn_span_clear_grad(e, id);
            rnn_unlock(e);
        } else {
            memset(rnn_span_grad(e, id), 0, (size_t)rnn_span_size(s) * rnn_itemsize(s->dtype));
        }
    }
    rnn_turn_give(e);
    return failed;
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
    int failed = rnn_list_make(e, &l, count);
    for (int i = 0; !failed && i < count; i++) {
        int joined = rnn_list_add(&l, tensors[i], i, !of_grads, of_grads != 0);
        failed = joined < 0 ? joined : 0;
    }
    l.work = norm_work;
    l.a = order;
    if (!failed) failed = rnn_list_plan(&l, true);
    if (!failed) rnn_list_run(&l);
    for (int64_t i = 0; !failed && i < l.count; i++) {
        const int64_t end = i + 1 < l.count ? l.first[i + 1] : l.blocks;
        double total = l.partial[l.first[i]];
        for (int64_t b = l.first[i] + 1; b < end; b++) total = join(total, l.partial[b], order);
        out[i] = order == 2                                 ? sqrt(total)
                 : order == 1 || order == 0 || isinf(order) ? total
                                                            : pow(total, 1 / order);
    }
    const int found = (int)l.count;
    rnn_list_drop(&l);
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
    int failed = rnn_list_make(e, &l, count);
    for (int i = 0; !failed && i < count; i++) {
        if (params[i] > 0) failed = rnn_span_grad_unlink(e, rnn_span_of(params[i]));
        if (failed) break;
        int joined = rnn_list_add(&l, params[i], i, false, true);
        failed = joined < 0 ? joined : 0;
    }
    l.work = clamp ? clamp_work : scale_work;
    l.a = a;
    l.b = b;
    if (!failed) failed = rnn_list_plan(&l, false);
    if (!failed) {
        rnn_list_run(&l);
        rnn_list_write_back(&l, true);
    }
    rnn_list_drop(&l);
    return failed;
}
