/* values.c: one operation on one node: what Python's Value does, in a few tens of nanoseconds.
 *
 * The arithmetic is the base kernels' (ops.h, no fused multiply-add), so the digits are those of Python's own floats. */
#include "internal.h"

static uint32_t no_memory(rnn_engine *e, const char *what) {
    rnn_fail(e, RNN_EMEMORY, "%s: 1 node needs %zu bytes, but %llu of the memory limit of %llu are in use", what,
             sizeof(rnn_span) + RNN_SCALAR_BYTES, (unsigned long long)e->live, (unsigned long long)e->limit);
    return 0;
}

/* Under the lock. */
static uint32_t new_scalar(rnn_engine *e, int op, int dtype, int flags) {
    uint32_t id = rnn_span_new(e, RNN_SCALAR_BYTES);
    if (!id) return 0;
    rnn_span *s = rnn_at(e, id);
    s->op = (uint8_t)op;
    s->dtype = (uint8_t)dtype;
    s->flags = (uint8_t)(flags | RNN_S_SCALAR);
    s->refs = 1;
    s->first = e->counter++;
    return id;
}

uint32_t rnn_value_leaf(rnn_engine *e, int dtype, double x, bool requires_grad) {
    rnn_lock(e);
    uint32_t id = new_scalar(e, RNN_OP_LEAF, dtype, RNN_S_LEAF | (requires_grad ? RNN_S_NEEDS_GRAD : 0));
    rnn_unlock(e);
    if (!id) return no_memory(e, "Value");
    rnn_node_set(e, id, 0, x);
    return id;
}

static double compute(int dtype, int op, double a, double b, const double *p) {
    double z;
    if (dtype == RNN_F64) {
        rnn_kernels_base.forward[1][op](1, &a, &b, &z, p);
        return z;
    }
    const float af = (float)a, bf = (float)b;
    float zf;
    rnn_kernels_base.forward[0][op](1, &af, &bf, &zf, p);
    return zf;
}

static bool wanted(rnn_engine *e, rnn_node a) { return rnn_at(e, a.span)->flags & RNN_S_NEEDS_GRAD; }

uint32_t rnn_value_unary(rnn_engine *e, int op, rnn_node a, double param, bool has_param) {
    const double p[4] = {has_param ? param : 1, 0, 0, 0};
    const bool record = rnn_grad_mode() && wanted(e, a);
    const int dtype = rnn_at(e, a.span)->dtype;
    rnn_lock(e);
    uint32_t id = new_scalar(e, record ? op : RNN_OP_LEAF, dtype,
                             record ? RNN_S_NEEDS_GRAD | (has_param ? RNN_S_PARAM : 0) : RNN_S_LEAF);
    if (id && record) {
        rnn_span *s = rnn_at(e, id);
        s->in[0] = (rnn_arg){a.span, (uint32_t)a.node};
        if (has_param) s->param = param;
        rnn_span_ref(e, a.span);
    }
    rnn_unlock(e);
    if (!id) return no_memory(e, rnn_ops[op].name);
    rnn_node_set(e, id, 0, compute(dtype, op, rnn_node_value(e, a.span, a.node), 0, p));
    return id;
}

uint32_t rnn_value_binary(rnn_engine *e, int op, rnn_node a, rnn_node b) {
    const double p[4] = {1, 0, 0, 0};
    const bool record = rnn_grad_mode() && (wanted(e, a) || wanted(e, b));
    const int dtype = rnn_at(e, a.span)->dtype | rnn_at(e, b.span)->dtype;
    rnn_lock(e);
    uint32_t id = new_scalar(e, record ? op : RNN_OP_LEAF, dtype, record ? RNN_S_NEEDS_GRAD : RNN_S_LEAF);
    if (id && record) {
        rnn_span *s = rnn_at(e, id);
        s->in[0] = (rnn_arg){a.span, (uint32_t)a.node};
        s->in[1] = (rnn_arg){b.span, (uint32_t)b.node};
        rnn_span_ref(e, a.span);
        rnn_span_ref(e, b.span);
    }
    rnn_unlock(e);
    if (!id) return no_memory(e, rnn_ops[op].name);
    rnn_node_set(e, id, 0,
                 compute(dtype, op, rnn_node_value(e, a.span, a.node), rnn_node_value(e, b.span, b.node), p));
    return id;
}
