/* check.c: detect_anomaly: the first NaN stops the program, where it is made: in the result of an
 * operation, or in a gradient that an operation's backward has just added to. What it was made from
 * is then still there for Python to look at (rnn/inspect/anomaly.py).
 *
 * Infinities pass: masks are made of them. Operations that only move values pass too: their NaN was
 * there before, and whoever computes with it is stopped. */
#include <math.h>
#include <string.h>

#include "pass.h"

int rnn_checking(void) { return rnn_thread_state()->check; }

int rnn_set_checking(int on) {
    rnn_thread *me = rnn_thread_state();
    const int was = me->check;
    me->check = on != 0;
    return was;
}

void rnn_take_anomaly(rnn_anomaly *out) {
    rnn_thread *me = rnn_thread_state();
    *out = me->anomaly;
    memset(&me->anomaly, 0, sizeof me->anomaly);
}

static void forget(rnn_engine *e) {
    rnn_anomaly old;
    rnn_take_anomaly(&old);
    rnn_release(e, old.made);
    for (int k = 0; k < RNN_SHOWN; k++) rnn_release(e, old.read[k]);
}

static int stop(rnn_engine *e, const rnn_anomaly *found) {
    forget(e);
    rnn_thread_state()->anomaly = *found;
    return rnn_fail(e, RNN_EANOMALY, "%s made a NaN", rnn_ops[found->op].name);
}

static bool only_moves(int op) {
    return op == RNN_OP_LEAF || (op >= RNN_OP_CLONE && op <= RNN_OP_STACK) ||
           (op >= RNN_OP_GATHER && op <= RNN_OP_SCATTER) || op == RNN_OP_WHERE ||
           op == RNN_OP_MASKED_FILL;
}

/* The first NaN in row-major order, as a node of the span; -1: there is none. */
static int64_t first_nan(rnn_engine *e, const rnn_view *v, const void *nodes) {
    const size_t size = rnn_itemsize(v->dtype);
    const char *base = nodes;
    const int64_t n = rnn_numel(v->ndim, v->shape);
    if (rnn_view_is_contiguous(v)) {
        const int64_t at = e->k->first_nan[v->dtype](n, base + v->offset * (int64_t)size);
        return at < n ? v->offset + at : -1;
    }
    /* The smallest stretch of nodes that holds the view, where it holds little else. */
    int64_t low = v->offset, high = v->offset;
    for (int d = 0; d < v->ndim && n; d++) {
        const int64_t reach = (v->shape[d] - 1) * v->stride[d];
        if (reach < 0) low += reach;
        else high += reach;
    }
    if (n && high - low < 4 * n) {
        const int64_t all = high - low + 1;
        if (e->k->first_nan[v->dtype](all, base + low * (int64_t)size) == all) return -1;
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = rnn_flat_to_offset(v, i);
        const double x = v->dtype == RNN_F64 ? ((const double *)(const void *)base)[at]
                                             : (double)((const float *)(const void *)base)[at];
        if (isnan(x)) return at;
    }
    return -1;
}

/* A result: `made` (which is taken over where there is one in it) of `op` on the operands. */
rnn_ref rnn_check_result(rnn_engine *e, int op, rnn_ref made, int count, const rnn_view *in) {
    rnn_view v;
    if (only_moves(op) || rnn_view_of(e, made, &v)) return made;
    const int64_t at = first_nan(e, &v, rnn_span_data(e, v.span));
    if (at < 0) return made;
    rnn_anomaly found = {
        .made = made, .node = at, .op = op, .operands = count, .site = rnn_site(e)};
    for (int k = 0; k < count && k < RNN_SHOWN; k++) {
        const rnn_ref operand = rnn_look_at(e, &in[k], 0);
        found.read[k] = operand > 0 ? operand : 0;
    }
    return stop(e, &found);
}

/* A Value's: 0 where the span, which is then taken over, is a NaN. */
uint32_t rnn_check_value(rnn_engine *e, int op, uint32_t id, int count, const rnn_node *in) {
    if (!id || !rnn_thread_state()->check || !isnan(rnn_node_value(e, id, 0))) return id;
    rnn_anomaly found = {.made = rnn_tensor_wrap(e, id), .op = op, .operands = count};
    if (found.made < 0) found.made = 0;
    for (int k = 0; k < count; k++) {
        const rnn_view v = {
            .span = in[k].span, .dtype = rnn_at(e, in[k].span)->dtype, .offset = in[k].node};
        const rnn_ref operand = rnn_look_at(e, &v, 0);
        found.read[k] = operand > 0 ? operand : 0;
    }
    stop(e, &found);
    return 0;
}

/* After the backward of span `id`: the gradients that it has added to. */
int rnn_check_gradients(rnn_engine *e, uint32_t id) {
    const rnn_span *s = rnn_at(e, id);
    for (int k = 0; k < rnn_span_operands(s); k++) {
        rnn_view v = {.needs_grad = true};
        if (s->flags & RNN_S_SCALAR) {
            v.span = s->in[k].span;
            v.offset = s->in[k].offset;
            v.dtype = rnn_at(e, v.span)->dtype;
        } else {
            rnn_operand_view(e, id, k, &v);
        }
        const rnn_span *o = rnn_at(e, v.span);
        if (!v.needs_grad || !rnn_span_has_grad(o) || o->state & RNN_G_SKIP) continue;
        for (int d = 0; d < v.ndim; d++)
            if (v.stride[d] == 0 && v.shape[d] > 1) v.shape[d] = 1;
        const int64_t at = first_nan(e, &v, rnn_span_grad(e, v.span));
        if (at < 0) continue;
        const rnn_anomaly found = {.node = at, .op = s->op, .user = id, .span = v.span};
        return stop(e, &found);
    }
    return 0;
}

void rnn_graph_pass(rnn_engine *e, const rnn_graph *g) {
    rnn_lock(e);
    for (int64_t i = 0; i < g->count; i++) rnn_span_pass(e, g->spans[i]);
    rnn_unlock(e);
}
