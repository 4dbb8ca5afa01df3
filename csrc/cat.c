/* cat.c: tensors joined along a dimension, an old one (cat) or a new one (stack). */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

/* A vector without elements joins anything, as in PyTorch. */
static bool is_nothing(const rnn_view *v) { return v->ndim == 1 && v->shape[0] == 0; }

static int first_part(int count, const rnn_view *v) {
    for (int k = 0; k < count; k++)
        if (!is_nothing(&v[k])) return k;
    return 0;
}

static int cat_shape(rnn_engine *e, int count, const rnn_view *v, int dim, int64_t *shape) {
    const rnn_view *first = &v[first_part(count, v)];
    memcpy(shape, first->shape, sizeof first->shape);
    shape[dim] = 0;
    for (int k = 0; k < count; k++) {
        if (v[k].dtype != v[0].dtype) return RNN_EDTYPE;
        if (is_nothing(&v[k])) continue;
        int wrong = -1;
        if (v[k].ndim != first->ndim)
            return rnn_fail(e, RNN_ERUNTIME,
                            "Tensors must have same number of dimensions: got %d and %d",
                            first->ndim, v[k].ndim);
        for (int d = 0; wrong < 0 && d < first->ndim; d++)
            if (d != dim && v[k].shape[d] != first->shape[d]) wrong = d;
        if (wrong >= 0)
            return rnn_fail(
                e, RNN_ERUNTIME,
                "Sizes of tensors must match except in dimension %d. Expected size %lld but got size %lld "
                "for tensor number %d in the list.",
                dim, (long long)first->shape[wrong], (long long)v[k].shape[wrong], k);
        if (__builtin_add_overflow(shape[dim], v[k].shape[dim], &shape[dim]))
            return rnn_fail(e, RNN_EVALUE, "cat: more elements than can be counted");
    }
    return 0;
}

static rnn_ref cat_views(rnn_engine *e, int op, int count, const rnn_view *v, int dim) {
    int64_t stride[RNN_MAX_DIMS];
    rnn_build b = {.op = op,
                   .dtype = v[0].dtype,
                   .ndim = v[first_part(count, v)].ndim,
                   .count = count,
                   .in = v,
                   .ip = {dim}};
    int failed = cat_shape(e, count, v, dim, b.shape);
    if (!failed) failed = rnn_build_begin(e, &b);
    if (failed) return failed;
    rnn_contiguous_strides(b.ndim, b.shape, stride);
    int64_t offset = 0;
    for (int k = 0; k < count; k++) {
        if (is_nothing(&v[k])) continue;
        rnn_view part = v[k];
        memcpy(part.stride, stride, sizeof part.stride);
        rnn_write_view(e, &part, (char *)b.out + offset * (int64_t)rnn_itemsize(b.dtype), &v[k]);
        offset += v[k].shape[dim] * stride[dim];
    }
    return rnn_build_finish(e, &b);
}

/* The view with a dimension of size 1 at `dim`. */
static void insert_dim(rnn_view *v, int dim) {
    for (int d = v->ndim; d > dim; d--) {
        v->shape[d] = v->shape[d - 1];
        v->stride[d] = v->stride[d - 1];
    }
    v->shape[dim] = 1;
    v->stride[dim] = 1;
    v->ndim++;
}

static int take_parts(rnn_engine *e, int count, const rnn_ref *parts, rnn_view *v, int stack) {
    char want[256], have[256];
    for (int k = 0; k < count; k++) {
        if (rnn_view_of(e, parts[k], &v[k])) return RNN_ETYPE;
        if (!stack && v[k].ndim == 0)
            return rnn_fail(e, RNN_ERUNTIME,
                            "zero-dimensional tensor (at position %d) cannot be concatenated", k);
        if (stack && (v[k].ndim != v[0].ndim ||
                      memcmp(v[k].shape, v[0].shape, (size_t)v[0].ndim * sizeof(int64_t))))
            return rnn_fail(
                e, RNN_ERUNTIME,
                "stack expects each tensor to be equal size, but got %s at entry 0 and %s "
                "at entry %d",
                rnn_shape_text(v[0].ndim, v[0].shape, want, sizeof want),
                rnn_shape_text(v[k].ndim, v[k].shape, have, sizeof have), k);
    }
    if (v[0].ndim + stack > RNN_MAX_DIMS)
        return rnn_fail(e, RNN_EVALUE, "a tensor has at most %d dimensions", RNN_MAX_DIMS);
    return 0;
}

rnn_ref rnn_cat(rnn_engine *e, int count, const rnn_ref *parts, int64_t dim, int stack) {
    if (count <= 0) return rnn_fail(e, RNN_ERUNTIME, "expected a non-empty list of Tensors");
    rnn_view *v = rnn_malloc(e, (size_t)count * sizeof *v);
    if (!v) return rnn_fail(e, RNN_EMEMORY, "cat: no memory for %d operands", count);
    rnn_ref out = take_parts(e, count, parts, v, stack);
    const int ndim = out < 0 ? 0 : stack ? v[0].ndim + 1 : v[first_part(count, v)].ndim;
    if (out >= 0 && (dim < -ndim || dim >= ndim))
        out = rnn_fail(e, RNN_EINDEX,
                       "Dimension out of range (expected to be in range of [%d, %d], but got %lld)",
                       -ndim, ndim - 1, (long long)dim);
    if (out >= 0 && dim < 0) dim += ndim;
    for (int k = 0; out >= 0 && stack && k < count; k++) insert_dim(&v[k], (int)dim);
    if (out >= 0) out = cat_views(e, stack ? RNN_OP_STACK : RNN_OP_CAT, count, v, (int)dim);
    free(v);
    return out;
}

int rnn_cat_backward(rnn_engine *e, uint32_t id) {
    const rnn_span *s = rnn_at(e, id);
    const rnn_ext *x = s->ext;
    int64_t stride[RNN_MAX_DIMS], offset = 0;
    const int dim = (int)x->ip[0];
    rnn_contiguous_strides(x->ndim, x->shape, stride);
    for (int k = 0; k < x->count; k++) {
        rnn_target t;
        rnn_operand_view(e, id, k, &t.v);
        int failed = rnn_target_begin(e, id, k, rnn_numel(t.v.ndim, t.v.shape), &t);
        if (failed) return failed;
        if (is_nothing(&t.v)) continue;
        if (t.wanted) {
            rnn_accumulate_job job = {.ndim = t.v.ndim,
                                      .dtype = s->dtype,
                                      .dst = t.grad,
                                      .scale = 1,
                                      .overwrite = t.fresh,
                                      .src = (char *)rnn_span_grad(e, id) +
                                             offset * (int64_t)rnn_itemsize(s->dtype)};
            memcpy(job.shape, t.v.shape, sizeof job.shape);
            memcpy(job.dst_stride, t.v.stride, sizeof job.dst_stride);
            memcpy(job.src_stride, stride, sizeof job.src_stride);
            rnn_accumulate(e, &job);
        }
        offset += t.v.shape[dim] * stride[dim];
    }
    return 0;
}

int rnn_cat_edges(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out) {
    const rnn_ext *x = rnn_at(e, id)->ext;
    const int dim = (int)x->ip[0];
    int64_t index[RNN_MAX_DIMS];
    rnn_result_index(x, node, index);
    for (int k = 0; k < x->count; k++) {
        rnn_view v;
        rnn_operand_view(e, id, k, &v);
        if (is_nothing(&v)) continue;
        if (index[dim] >= v.shape[dim]) {
            index[dim] -= v.shape[dim];
            continue;
        }
        int64_t at = v.offset;
        for (int d = 0; d < v.ndim; d++) at += index[d] * v.stride[d];
        rnn_push_edge(e, out, &v, at, 1);
        return 0;
    }
    return 0;
}

int rnn_cat_uses(rnn_engine *e, uint32_t id, int k, int64_t node, rnn_use_list *out) {
    const rnn_ext *x = rnn_at(e, id)->ext;
    const int dim = (int)x->ip[0];
    rnn_view v;
    rnn_places p;
    int64_t before = 0;
    for (int i = 0; i < k; i++) {
        rnn_operand_view(e, id, i, &v);
        if (!is_nothing(&v)) before += v.shape[dim];
    }
    rnn_operand_view(e, id, k, &v);
    for (rnn_places_begin(&p, &v, node); rnn_places_next(&p);) {
        int64_t at = 0;
        for (int d = 0; d < x->ndim; d++)
            at = at * x->shape[d] + p.index[d] + (d == dim ? before : 0);
        rnn_push_use(out, at, 1);
    }
    return 0;
}
