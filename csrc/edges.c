/* edges.c: the graph, one scalar at a time: for one node, its operand nodes and the local
 * derivatives.
 *
 * This is the slow, plain definition of every operation, which inspection prints and which the
 * tests hold the fast kernels to. The edges of the elementwise operations are here; the others
 * stand beside their kernels. */
#include "internal.h"

#include <math.h>
#include <string.h>

void rnn_push_edge(rnn_engine *e, rnn_edge_list *out, const rnn_view *operand, int64_t node,
                   double local) {
    const int64_t at = out->count - out->skip;
    if (at >= 0 && at < out->capacity) {
        out->spans[at] = operand->span;
        out->nodes[at] = node;
        out->locals[at] = local;
        out->flows[at] =
            operand->needs_grad && rnn_at(e, operand->span)->flags & RNN_S_NEEDS_GRAD ? 1 : 0;
    }
    out->count++;
}

void rnn_result_index(const rnn_ext *x, int64_t node, int64_t *index) {
    for (int d = x->ndim - 1; d >= 0; d--) {
        index[d] = node % x->shape[d];
        node /= x->shape[d];
    }
}

/* The local derivative is the backward loop on one element with dz = 1, in double. */
static double local_derivative(const rnn_span *s, int k, const double *v, double z,
                               const double *p) {
    const double one = 1;
    double d;
    rnn_kernels_base.backward[RNN_F64][k][s->op](1, &v[0], &v[1], &z, &one, &d, p);
    return d;
}

int rnn_elementwise_edges(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out) {
    const rnn_span *s = rnn_at(e, id);
    rnn_view in[2];
    int64_t at[2], index[RNN_MAX_DIMS];
    double v[2] = {0, 0};
    rnn_result_index(s->ext, node, index);
    for (int k = 0; k < s->ext->count; k++) {
        rnn_operand_view(e, id, k, &in[k]);
        rnn_expand_view(&in[k], s->ext->ndim, s->ext->shape);
        at[k] = in[k].offset;
        for (int d = 0; d < in[k].ndim; d++) at[k] += index[d] * in[k].stride[d];
        v[k] = rnn_node_value(e, in[k].span, at[k]);
    }
    const double z = rnn_node_value(e, id, node);
    for (int k = 0; k < s->ext->count; k++)
        rnn_push_edge(e, out, &in[k], at[k], local_derivative(s, k, v, z, s->ext->p));
    return 0;
}

static int scalar_edges(rnn_engine *e, uint32_t id, rnn_edge_list *out) {
    const rnn_span *s = rnn_at(e, id);
    const int count = rnn_span_operands(s);
    double v[2] = {0, 0}, p[4] = {s->flags & RNN_S_PARAM ? s->param : 1, 0, 0, 0};
    for (int k = 0; k < count; k++) v[k] = rnn_node_value(e, s->in[k].span, s->in[k].offset);
    for (int k = 0; k < count; k++) {
        rnn_view operand = {.span = s->in[k].span, .needs_grad = true};
        rnn_push_edge(e, out, &operand, s->in[k].offset,
                      local_derivative(s, k, v, rnn_node_value(e, id, 0), p));
    }
    return 0;
}

static bool valid(rnn_engine *e, uint32_t span) {
    return span > 0 && span < e->span_top &&
           (rnn_at(e, span)->refs > 0 || rnn_at(e, span)->state & RNN_G_SEEN);
}

int rnn_check_node(rnn_engine *e, uint32_t span, int64_t node) {
    if (!valid(e, span)) return rnn_fail(e, RNN_EINDEX, "there is no span %u", span);
    const int64_t n = rnn_span_size(rnn_at(e, span));
    if (node >= 0 && node < (n > 0 ? n : 1)) return 0;
    return rnn_fail(e, RNN_EINDEX, "node %lld is outside its span of %lld nodes", (long long)node,
                    (long long)n);
}

int rnn_check_graph(rnn_engine *e, uint32_t span) {
    const rnn_span *s = rnn_at(e, span);
    if ((s->flags & (RNN_S_PASSED | RNN_S_LEAF)) != RNN_S_PASSED) return 0;
    return rnn_fail(
        e, RNN_ERUNTIME,
        "the graph behind this %s was freed by backward(); call backward(retain_graph=True) to keep it",
        rnn_ops[s->op].name);
}

int64_t rnn_edges(rnn_engine *e, uint32_t span, int64_t node, int64_t capacity, uint32_t *spans,
                  int64_t *nodes, double *locals, uint8_t *flows) {
    return rnn_edges_but(e, span, node, 0, capacity, spans, nodes, locals, flows);
}

int64_t rnn_edges_but(rnn_engine *e, uint32_t span, int64_t node, int unwanted, int64_t capacity,
                      uint32_t *spans, int64_t *nodes, double *locals, uint8_t *flows) {
    int failed = rnn_check_node(e, span, node);
    if (failed) return failed;
    const rnn_span *s = rnn_at(e, span);
    if (s->flags & RNN_S_LEAF || !rnn_span_size(s)) return 0;
    if ((failed = rnn_check_graph(e, span))) return failed;
    rnn_edge_list out = {capacity, 0, spans, nodes, locals, flows, 0, unwanted};
    failed = s->flags & RNN_S_SCALAR ? scalar_edges(e, span, &out)
                                     : rnn_ops[s->op].edges(e, span, node, &out);
    return failed ? failed : out.count;
}

int rnn_look(rnn_engine *e, uint32_t span, int64_t node, double *value, double *grad) {
    int failed = rnn_check_node(e, span, node);
    if (failed) return failed;
    const rnn_span *s = rnn_at(e, span);
    if (!rnn_span_size(s)) return rnn_fail(e, RNN_EINDEX, "span %u has no nodes", span);
    *value = rnn_node_value(e, span, node);
    *grad = rnn_node_grad(e, span, node);
    return rnn_span_has_grad(s) ? 1 : 0;
}

int rnn_describe(rnn_engine *e, uint32_t span, rnn_span_info *out) {
    if (!valid(e, span)) return rnn_fail(e, RNN_EINDEX, "there is no span %u", span);
    const rnn_span *s = rnn_at(e, span);
    memset(out, 0, sizeof *out);
    out->first = (int64_t)s->first;
    out->nodes = rnn_span_size(s);
    out->version = (int64_t)rnn_span_written(e, span);
    out->op = s->op;
    out->dtype = s->dtype;
    out->operands = rnn_span_operands(s);
    out->requires_grad = s->flags & RNN_S_NEEDS_GRAD ? 1 : 0;
    out->is_leaf = s->flags & RNN_S_LEAF ? 1 : 0;
    out->has_grad = rnn_span_has_grad(s);
    out->passed = s->flags & RNN_S_PASSED && !(s->flags & RNN_S_LEAF) ? 1 : 0;
    rnn_describe_origin(e, span, out);
    if (s->flags & RNN_S_SCALAR) {
        out->p[0] = s->flags & RNN_S_PARAM ? s->param : 1;
        return 0;
    }
    out->ndim = s->ext->ndim;
    if (s->ext->ndim) memcpy(out->shape, s->ext->shape, (size_t)s->ext->ndim * sizeof(int64_t));
    memcpy(out->p, s->ext->p, sizeof out->p);
    if (s->op == RNN_OP_CUSTOM) out->name = s->ext->ip[0];
    out->shown = s->ext->shown;
    out->key = s->ext->function ? (int64_t)(intptr_t)s->ext->function->object : 0;
    return 0;
}

int64_t rnn_span_numbers(rnn_engine *e, uint32_t span, int64_t capacity, int64_t *out) {
    if (!valid(e, span)) return rnn_fail(e, RNN_EINDEX, "there is no span %u", span);
    const rnn_span *s = rnn_at(e, span);
    const int failed = rnn_check_graph(e, span);
    if (failed || s->flags & (RNN_S_SCALAR | RNN_S_LEAF)) return failed;
    if (s->op == RNN_OP_CONV2D) return rnn_conv2d_numbers(s->ext, capacity, out);
    if (s->op == RNN_OP_BATCH_NORM) return rnn_batch_norm_numbers(s->ext, capacity, out);
    if (s->op >= RNN_OP_RNN_TANH && s->op <= RNN_OP_GRU)
        return rnn_recurrent_numbers(s->ext, capacity, out);
    return rnn_copy_numbers(4, s->ext->ip, capacity, out);
}

int64_t rnn_copy_numbers(int64_t count, const int64_t *from, int64_t capacity, int64_t *out) {
    for (int64_t i = 0; i < count && i < capacity; i++) out[i] = from[i];
    return count;
}

/* A handle for a view of a live span. */
rnn_ref rnn_look_at(rnn_engine *e, const rnn_view *v, int flags) {
    rnn_lock(e);
    rnn_span_ref(e, v->span);
    rnn_unlock(e);
    rnn_ref whole = rnn_tensor_wrap(e, v->span);
    if (whole < 0) return whole;
    rnn_ref out = rnn_tensor_new(e, rnn_tensor_of(whole)->store, v->dtype, flags, v->view_op,
                                 v->offset, v->ndim, v->shape, v->stride);
    rnn_release(e, whole);
    return out;
}

rnn_ref rnn_pinned(rnn_engine *e, rnn_ref ref) {
    rnn_view v;
    if (rnn_view_of(e, ref, &v)) return RNN_ETYPE;
    return rnn_look_at(e, &v, rnn_tensor_of(ref)->flags);
}

rnn_ref rnn_operand_tensor(rnn_engine *e, uint32_t span, int k) {
    if (!valid(e, span)) return rnn_fail(e, RNN_EINDEX, "there is no span %u", span);
    const rnn_span *s = rnn_at(e, span);
    if (k < 0 || k >= rnn_span_operands(s))
        return rnn_fail(e, RNN_EINDEX, "a %s has %d operands: there is no operand %d",
                        rnn_ops[s->op].name, rnn_span_operands(s), k);
    rnn_view v = {.needs_grad = true};
    if (s->flags & RNN_S_SCALAR) {
        v.span = s->in[k].span;
        v.offset = s->in[k].offset;
        v.dtype = rnn_at(e, v.span)->dtype;
    } else {
        rnn_operand_view(e, span, k, &v);
    }
    return rnn_look_at(e, &v, v.needs_grad ? 0 : RNN_T_DETACHED);
}

rnn_ref rnn_span_tensor(rnn_engine *e, uint32_t span, int grad) {
    if (!valid(e, span)) return rnn_fail(e, RNN_EINDEX, "there is no span %u", span);
    const rnn_span *s = rnn_at(e, span);
    rnn_view v = {
        .span = span, .ndim = 1, .dtype = s->dtype, .shape = {rnn_span_size(s)}, .stride = {1}};
    rnn_ref whole = rnn_look_at(e, &v, 0);
    if (whole < 0 || !grad) return whole;
    rnn_ref out = rnn_grad(e, whole);
    rnn_release(e, whole);
    return out;
}
