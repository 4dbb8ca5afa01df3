/* values.c: one operation on one node: what Python's Value does, in a few tens of nanoseconds.
 *
 * The arithmetic is that of ops.h without fused multiply-add, so the digits are those of Python's
 * own floats. */
#include "internal.h"

#if defined(__clang__)
#pragma clang fp contract(off)
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif

#include "mathfn.h"

static uint32_t no_memory(rnn_engine *e, const char *what) {
    rnn_fail(e, RNN_EMEMORY,
             "%s: 1 node needs %zu bytes, but %llu of the memory limit of %llu are in use", what,
             sizeof(rnn_span) + RNN_SCALAR_BYTES, (unsigned long long)e->live,
             (unsigned long long)e->limit);
    return 0;
}

/* Under the lock. */
static uint32_t new_scalar(rnn_engine *e, int op, int dtype, int flags, rnn_origin origin) {
    uint32_t id = rnn_span_new(e, RNN_SCALAR_BYTES);
    if (!id) return 0;
    rnn_span *s = rnn_at(e, id);
    s->op = (uint8_t)op;
    s->dtype = (uint8_t)dtype;
    s->flags = (uint8_t)(flags | RNN_S_SCALAR);
    s->refs = 1;
    s->first = e->counter++;
    rnn_scalar_origin(e, id, origin);
    return id;
}

uint32_t rnn_value_leaf(rnn_engine *e, int dtype, double x, bool requires_grad) {
    const rnn_origin here = rnn_here(e);
    rnn_lock(e);
    uint32_t id = new_scalar(e, RNN_OP_LEAF, dtype,
                             RNN_S_LEAF | (requires_grad ? RNN_S_NEEDS_GRAD : 0), here);
    rnn_unlock(e);
    if (!id) return no_memory(e, "Value");
    rnn_node_set(e, id, 0, x);
    return id;
}

/* ---- the formulas of ops.h, on one element --------------------------------------------------- */

#define FORWARD_UNARY(NAME, name, torch, needs, forward, derivative) \
    case RNN_OP_##NAME: \
        return (T)(forward);
#define FORWARD_BINARY(NAME, name, torch, needs, forward, derivative_a, derivative_b) \
    case RNN_OP_##NAME: \
        return (T)(forward);
#define BACKWARD_UNARY(NAME, name, torch, needs, forward, derivative) \
    case RNN_OP_##NAME: \
        d[0] = (T)(derivative); \
        break;
#define BACKWARD_BINARY(NAME, name, torch, needs, forward, derivative_a, derivative_b) \
    case RNN_OP_##NAME: \
        if (wants & 1) d[0] = (T)(derivative_a); \
        if (wants & 2) d[1] = (T)(derivative_b); \
        break;

#define T double
#define F(name) f64_##name
static double forward_f64(int op, T a, T b, T p0) {
    const T p1 = 0;
    switch (op) {
        RNN_UNARY_OPS(FORWARD_UNARY) RNN_BINARY_OPS(FORWARD_BINARY) default : return (T)0 * p1;
    }
}
static void backward_f64(int op, int wants, T a, T b, T z, T dz, T p0, double *d) {
    const T p1 = 0;
    switch (op) {
        RNN_UNARY_OPS(BACKWARD_UNARY) RNN_BINARY_OPS(BACKWARD_BINARY) default : d[0] = p1;
    }
}
#undef T
#undef F
#define T float
#define F(name) f32_##name
static double forward_f32(int op, T a, T b, T p0) {
    const T p1 = 0;
    switch (op) {
        RNN_UNARY_OPS(FORWARD_UNARY) RNN_BINARY_OPS(FORWARD_BINARY) default : return (T)0 * p1;
    }
}
static void backward_f32(int op, int wants, T a, T b, T z, T dz, T p0, double *d) {
    const T p1 = 0;
    switch (op) {
        RNN_UNARY_OPS(BACKWARD_UNARY) RNN_BINARY_OPS(BACKWARD_BINARY) default : d[0] = p1;
    }
}
#undef T
#undef F

static double compute(int dtype, int op, double a, double b, double p0) {
    return dtype == RNN_F64 ? forward_f64(op, a, b, p0)
                            : forward_f32(op, (float)a, (float)b, (float)p0);
}

static bool wanted(rnn_engine *e, rnn_node a) {
    return rnn_at(e, a.span)->flags & RNN_S_NEEDS_GRAD;
}

uint32_t rnn_value_unary(rnn_engine *e, int op, rnn_node a, double param, bool has_param) {
    const bool record = rnn_grad_mode() && wanted(e, a);
    const int dtype = rnn_at(e, a.span)->dtype;
    const rnn_origin here = rnn_here(e);
    rnn_lock(e);
    uint32_t id =
        new_scalar(e, record ? op : RNN_OP_LEAF, dtype,
                   record ? RNN_S_NEEDS_GRAD | (has_param ? RNN_S_PARAM : 0) : RNN_S_LEAF, here);
    if (id && record) {
        rnn_span *s = rnn_at(e, id);
        s->in[0] = (rnn_arg){a.span, (uint32_t)a.node};
        if (has_param) s->param = param;
        rnn_span_ref(e, a.span);
    } else if (id) {
        rnn_scalar_cut(e, id, op, here.site, 1, &a.span);
    }
    rnn_unlock(e);
    if (!id) return no_memory(e, rnn_ops[op].name);
    rnn_node_set(e, id, 0,
                 compute(dtype, op, rnn_node_value(e, a.span, a.node), 0, has_param ? param : 1));
    return rnn_check_value(e, op, id, 1, &a);
}

uint32_t rnn_value_binary(rnn_engine *e, int op, rnn_node a, rnn_node b) {
    const bool record = rnn_grad_mode() && (wanted(e, a) || wanted(e, b));
    const int dtype = rnn_at(e, a.span)->dtype | rnn_at(e, b.span)->dtype;
    const rnn_origin here = rnn_here(e);
    rnn_lock(e);
    uint32_t id = new_scalar(e, record ? op : RNN_OP_LEAF, dtype,
                             record ? RNN_S_NEEDS_GRAD : RNN_S_LEAF, here);
    if (id && record) {
        rnn_span *s = rnn_at(e, id);
        s->in[0] = (rnn_arg){a.span, (uint32_t)a.node};
        s->in[1] = (rnn_arg){b.span, (uint32_t)b.node};
        rnn_span_ref(e, a.span);
        rnn_span_ref(e, b.span);
    } else if (id) {
        rnn_scalar_cut(e, id, op, here.site, 2, (const uint32_t[]){a.span, b.span});
    }
    rnn_unlock(e);
    if (!id) return no_memory(e, rnn_ops[op].name);
    rnn_node_set(e, id, 0,
                 compute(dtype, op, rnn_node_value(e, a.span, a.node),
                         rnn_node_value(e, b.span, b.node), 1));
    return rnn_check_value(e, op, id, 2, (const rnn_node[]){a, b});
}

/* ---- backward -------------------------------------------------------------------------------- */

static int add_to(rnn_engine *e, rnn_arg operand, double d) {
    rnn_span *s = rnn_at(e, operand.span);
    if ((s->flags & RNN_S_SCALAR) == 0 || s->dtype != RNN_F64)
        return rnn_node_add_grad(e, operand.span, operand.offset, d);
    e->grad[operand.span] = (s->state & RNN_G_HAS ? e->grad[operand.span] : 0) + d;
    rnn_state_set(s, 0xff, RNN_G_HAS);
    return 0;
}

int rnn_value_backward(rnn_engine *e, uint32_t id) {
    const rnn_span *s = rnn_at(e, id);
    const int count = rnn_span_operands(s), dtype = s->dtype;
    const double p0 = s->flags & RNN_S_PARAM ? s->param : 1;
    double v[2] = {0, 0}, d[2] = {0, 0};
    int wants = 0;
    for (int k = 0; k < count; k++) {
        const rnn_span *o = rnn_at(e, s->in[k].span);
        v[k] = o->flags & RNN_S_SCALAR && o->dtype == RNN_F64
                   ? e->data[s->in[k].span]
                   : rnn_node_value(e, s->in[k].span, s->in[k].offset);
        if (o->flags & RNN_S_NEEDS_GRAD && !(o->state & RNN_G_SKIP)) wants |= 1 << k;
    }
    const double z = rnn_node_value(e, id, 0), dz = rnn_node_grad(e, id, 0);
    if (dtype == RNN_F64) backward_f64(s->op, wants, v[0], v[1], z, dz, p0, d);
    else backward_f32(s->op, wants, (float)v[0], (float)v[1], (float)z, (float)dz, (float)p0, d);
    for (int k = 0; k < count; k++) {
        int failed = wants >> k & 1 ? add_to(e, s->in[k], d[k]) : 0;
        if (failed) return failed;
    }
    return 0;
}
