/* tensors.c: tensor handles, each a span seen through an offset, a shape and strides: made, let go
 * and asked. */
#include "internal.h"

#include <stdlib.h>

rnn_tensor *rnn_tensor_of(rnn_ref t) { return (rnn_tensor *)(intptr_t)t; }

/* ---- making and letting go ------------------------------------------------------------------- */

rnn_ref rnn_tensor_new(rnn_engine *e, rnn_store *store, int dtype, int flags, int view_op,
                       int64_t offset, int ndim, const int64_t *shape, const int64_t *stride) {
    rnn_tensor *t = rnn_malloc(e, sizeof *t + 2 * (size_t)ndim * sizeof(int64_t));
    if (!t) return rnn_fail(e, RNN_EMEMORY, "no memory for a view");
    *t = (rnn_tensor){
        store, offset, (uint8_t)ndim, (uint8_t)dtype, (uint8_t)flags, (uint8_t)view_op, 0};
    for (int d = 0; d < ndim; d++) {
        t->dims[d] = shape[d];
        t->dims[ndim + d] = stride[d];
    }
    rnn_lock(e);
    store->refs++;
    rnn_unlock(e);
    return (rnn_ref)(intptr_t)t;
}

/* A handle for a whole span, whose reference it takes over (given back where there is no
 * memory). */
rnn_ref rnn_tensor_wrap(rnn_engine *e, uint32_t span) {
    rnn_span *s = rnn_at(e, span);
    int64_t stride[RNN_MAX_DIMS];
    int ndim = s->flags & RNN_S_SCALAR ? 0 : s->ext->ndim;
    if (ndim) rnn_contiguous_strides(ndim, s->ext->shape, stride);
    rnn_store *store = rnn_malloc(e, sizeof *store);
    rnn_ref t = RNN_EMEMORY;
    if (store) {
        *store = (rnn_store){0, span};
        t = rnn_tensor_new(e, store, s->dtype, 0, 0, 0, ndim, ndim ? s->ext->shape : NULL, stride);
    }
    if (t > 0) return t;
    free(store);
    rnn_lock(e);
    rnn_span_unref(e, span);
    rnn_unlock(e);
    return rnn_fail(e, RNN_EMEMORY, "no memory for a handle");
}

void rnn_release(rnn_engine *e, rnn_ref ref) {
    if (ref <= 0) return;
    rnn_tensor *t = rnn_tensor_of(ref);
    rnn_lock(e);
    bool last = --t->store->refs == 0;
    if (last) rnn_span_unref(e, t->store->span);
    rnn_unlock(e);
    if (last) free(t->store);
    free(t);
}

int rnn_view_of(rnn_engine *e, rnn_ref ref, rnn_view *v) {
    if (ref <= 0) return rnn_fail(e, RNN_ETYPE, "not a floating-point tensor");
    rnn_tensor *t = rnn_tensor_of(ref);
    v->span = t->store->span;
    v->ndim = t->ndim;
    v->dtype = t->dtype;
    v->offset = t->offset;
    v->needs_grad = rnn_tensor_needs_grad(e, t);
    v->view_op = t->view_op;
    v->lost = (uint8_t)rnn_tensor_lost(t);
    v->site = t->site;
    for (int d = 0; d < t->ndim; d++) {
        v->shape[d] = t->dims[d];
        v->stride[d] = t->dims[t->ndim + d];
    }
    return 0;
}

bool rnn_tensor_needs_grad(rnn_engine *e, const rnn_tensor *t) {
    return !(t->flags & RNN_T_DETACHED) && rnn_at(e, t->store->span)->flags & RNN_S_NEEDS_GRAD;
}

int rnn_tensor_lost(const rnn_tensor *t) {
    if (!(t->flags & RNN_T_DETACHED)) return RNN_L_NONE;
    if (t->flags & RNN_T_UNSTAMPED) return RNN_L_DATA;
    return t->flags & RNN_T_NO_GRAD ? RNN_L_NO_GRAD : RNN_L_DETACH;
}

int rnn_ndim(rnn_ref t) { return rnn_tensor_of(t)->ndim; }
int rnn_dtype(rnn_ref t) { return rnn_tensor_of(t)->dtype; }
int rnn_view_op(rnn_ref t) { return rnn_tensor_of(t)->view_op; }
void rnn_set_view_op(rnn_ref t, int view_op) { rnn_tensor_of(t)->view_op = (uint8_t)view_op; }
int64_t rnn_storage_nodes(rnn_engine *e, rnn_ref t) {
    return rnn_span_size(rnn_at(e, rnn_span_of(t)));
}

void rnn_name_result(rnn_engine *e, rnn_ref ref, int name) {
    rnn_tensor *t = rnn_tensor_of(ref);
    rnn_span *s = rnn_at(e, t->store->span);
    if (t->store->refs != 1 || s->refs != 1 || s->flags & (RNN_S_SCALAR | RNN_S_LEAF) ||
        name > UINT16_MAX)
        return;
    s->ext->shown = (uint16_t)name;
    t->view_op = RNN_V_NONE;
}

const char *rnn_view_name(int view_op) {
    static const char *const names[] = {
        "",
        "ViewBackward0",
        "TransposeBackward0",
        "PermuteBackward0",
        "ExpandBackward0",
        "SelectBackward0",
        "SliceBackward0",
        "UnsqueezeBackward0",
        "SqueezeBackward0",
        "AliasBackward0",
        "AsStridedBackward0",
        "TBackward0",
        "UnbindBackward0",
        "SplitBackward0",
        "DiagonalBackward0",
        "UnfoldBackward0",
        "SqueezeBackward1",
        "SqueezeBackward2",
        "UnsafeViewBackward0",
    };
    return view_op < 0 || view_op > RNN_V_UNSAFE_VIEW ? "" : names[view_op];
}

uint32_t rnn_span_of(rnn_ref t) { return rnn_tensor_of(t)->store->span; }

int64_t rnn_dims(rnn_ref ref, int64_t *shape, int64_t *stride) {
    rnn_tensor *t = rnn_tensor_of(ref);
    for (int d = 0; d < t->ndim; d++) {
        shape[d] = t->dims[d];
        stride[d] = t->dims[t->ndim + d];
    }
    return t->offset;
}

int64_t rnn_offset(rnn_ref t) { return rnn_tensor_of(t)->offset; }

int64_t rnn_count(rnn_ref ref) {
    const rnn_tensor *t = rnn_tensor_of(ref);
    return rnn_numel(t->ndim, t->dims);
}

void *rnn_view_data(rnn_engine *e, const rnn_view *v) {
    return (char *)rnn_span_data(e, v->span) + v->offset * (int64_t)rnn_itemsize(v->dtype);
}

void *rnn_data(rnn_engine *e, rnn_ref ref) {
    const rnn_tensor *t = rnn_tensor_of(ref);
    return (char *)rnn_span_data(e, t->store->span) + t->offset * (int64_t)rnn_itemsize(t->dtype);
}

int rnn_is_contiguous(rnn_engine *e, rnn_ref ref) {
    (void)e;
    rnn_tensor *t = rnn_tensor_of(ref);
    return rnn_is_packed(t->ndim, t->dims, rnn_strides_of(t));
}

int rnn_requires_grad(rnn_engine *e, rnn_ref t) {
    return rnn_tensor_needs_grad(e, rnn_tensor_of(t));
}

int rnn_is_leaf(rnn_engine *e, rnn_ref ref) {
    const rnn_tensor *t = rnn_tensor_of(ref);
    if (!rnn_tensor_needs_grad(e, t)) return 1;
    return (rnn_at(e, t->store->span)->flags & RNN_S_LEAF) && !t->view_op;
}

int rnn_same_memory(rnn_engine *e, rnn_ref a, rnn_ref b) {
    const rnn_span *s = rnn_at(e, rnn_span_of(a)), *u = rnn_at(e, rnn_span_of(b));
    if (s == u) return 1;
    if ((s->flags | u->flags) & RNN_S_SCALAR) return 0;
    return s->ext->data == u->ext->data;
}

int64_t rnn_flat_to_offset(const rnn_view *v, int64_t flat) {
    int64_t offset = v->offset;
    for (int d = v->ndim - 1; d >= 0; d--) {
        offset += flat % v->shape[d] * v->stride[d];
        flat /= v->shape[d];
    }
    return offset;
}

double rnn_item(rnn_engine *e, rnn_ref t, int64_t position) {
    rnn_view v;
    rnn_view_of(e, t, &v);
    const char *data = rnn_span_data(e, v.span);
    int64_t at = rnn_flat_to_offset(&v, position);
    return v.dtype == RNN_F64 ? ((const double *)(const void *)data)[at]
                              : ((const float *)(const void *)data)[at];
}
