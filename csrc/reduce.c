/* reduce.c: sums and means over dimensions, and what all reductions share: which dimensions go, and
 * what shape is left. The other reductions are statistics.c's, their loops fold.c's. */
#include "internal.h"

#include <string.h>

/* ---- dimensions ------------------------------------------------------------------------------ */

int rnn_dim_of(rnn_engine *e, int ndim, int64_t *dim) {
    const int64_t span = ndim ? ndim : 1;
    if (*dim < -span || *dim >= span)
        return rnn_fail(
            e, RNN_EINDEX,
            "Dimension out of range (expected to be in range of [%lld, %lld], but got %lld)",
            (long long)-span, (long long)span - 1, (long long)*dim);
    if (*dim < 0) *dim += span;
    return 0;
}

int rnn_reduced_dims(rnn_engine *e, int ndim, int count, const int64_t *dims, uint32_t *mask) {
    *mask = count ? 0 : (1u << ndim) - 1;
    for (int i = 0; i < count; i++) {
        int64_t d = dims[i];
        const int failed = rnn_dim_of(e, ndim, &d);
        if (failed) return failed;
        if (*mask >> d & 1)
            return rnn_fail(e, RNN_ERUNTIME, "dim %lld appears multiple times in the list of dims",
                            (long long)d);
        *mask |= 1u << d;
    }
    return 0;
}

void rnn_reduced_shape(rnn_build *b, const rnn_view *a, uint32_t mask, bool keep) {
    b->ndim = 0;
    for (int d = 0; d < a->ndim; d++) {
        if (!(mask >> d & 1)) b->shape[b->ndim++] = a->shape[d];
        else if (keep) b->shape[b->ndim++] = 1;
    }
}

void rnn_reduced_view(const rnn_view *a, uint32_t mask, rnn_view *result) {
    int64_t step = 1;
    *result = *a;
    for (int d = a->ndim - 1; d >= 0; d--) {
        const bool reduced = mask >> d & 1;
        result->stride[d] = reduced ? 0 : step;
        if (!reduced) step *= a->shape[d];
    }
}

void rnn_reduced_inner(const rnn_view *a, uint32_t mask, int64_t node, rnn_view *inner) {
    *inner = *a;
    inner->ndim = 0;
    for (int d = a->ndim - 1; d >= 0; d--) {
        if (mask >> d & 1) continue;
        inner->offset += node % a->shape[d] * a->stride[d];
        node /= a->shape[d];
    }
    for (int d = 0; d < a->ndim; d++) {
        if (!(mask >> d & 1)) continue;
        inner->shape[inner->ndim] = a->shape[d];
        inner->stride[inner->ndim++] = a->stride[d];
    }
}

/* ---- sum and mean ---------------------------------------------------------------------------- */

rnn_ref rnn_sum(rnn_engine *e, rnn_ref a, int count, const int64_t *dims, int keepdim, int mean) {
    const int op = count  ? (mean ? RNN_OP_MEAN_DIM : RNN_OP_SUM_DIM)
                   : mean ? RNN_OP_MEAN
                          : RNN_OP_SUM;
    return rnn_reduce(e, op, a, count, dims, keepdim, 0);
}

int rnn_sum_backward(rnn_engine *e, uint32_t id) {
    const rnn_span *s = rnn_at(e, id);
    rnn_target t;
    rnn_view z;
    rnn_operand_view(e, id, 0, &t.v);
    int failed = rnn_target_begin(e, id, 0, rnn_numel(t.v.ndim, t.v.shape), &t);
    if (failed || !t.wanted) return failed;
    rnn_accumulate_job job = {.ndim = t.v.ndim,
                              .dtype = s->dtype,
                              .dst = t.grad,
                              .src = rnn_span_grad(e, id),
                              .scale = s->ext->p[0],
                              .overwrite = t.fresh};
    rnn_reduced_view(&t.v, (uint32_t)s->ext->ip[0], &z);
    memcpy(job.shape, t.v.shape, sizeof job.shape);
    memcpy(job.dst_stride, t.v.stride, sizeof job.dst_stride);
    memcpy(job.src_stride, z.stride, sizeof job.src_stride);
    return rnn_accumulate(e, &job);
}

int rnn_sum_edges(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out) {
    const rnn_ext *x = rnn_at(e, id)->ext;
    rnn_view a, inner;
    rnn_operand_view(e, id, 0, &a);
    rnn_reduced_inner(&a, (uint32_t)x->ip[0], node, &inner);
    const int64_t count = rnn_numel(inner.ndim, inner.shape);
    for (int64_t i = 0; i < count; i++)
        rnn_push_edge(e, out, &a, rnn_flat_to_offset(&inner, i), x->p[0]);
    return 0;
}

int rnn_sum_uses(rnn_engine *e, uint32_t id, int k, int64_t node, rnn_use_list *out) {
    const rnn_ext *x = rnn_at(e, id)->ext;
    rnn_view a, z;
    rnn_places p;
    rnn_operand_view(e, id, k, &a);
    rnn_reduced_view(&a, (uint32_t)x->ip[0], &z);
    for (rnn_places_begin(&p, &a, node); rnn_places_next(&p);) {
        int64_t at = 0;
        for (int d = 0; d < a.ndim; d++) at += p.index[d] * z.stride[d];
        rnn_push_use(out, at, x->p[0]);
    }
    return 0;
}

void rnn_name_reduction(rnn_engine *e, rnn_ref t, int op) {
    const rnn_span *s = rnn_at(e, rnn_span_of(t));
    if (s->op == RNN_OP_SUM || s->op == RNN_OP_MEAN) s->ext->p[3] = op;
}
