/* views.c: views of views: other offsets, shapes and strides over the same nodes. They make no
 * nodes. What it is not: no value is read or written here. */
#include "internal.h"

/* Views made under no_grad are constants, as in PyTorch. */
static rnn_ref derive(rnn_engine *e, rnn_ref from, int view_op, int64_t offset, int ndim,
                      const int64_t *shape, const int64_t *stride) {
    rnn_tensor *t = rnn_tensor_of(from);
    int flags = t->flags & (RNN_T_DETACHED | RNN_T_UNSTAMPED | RNN_T_NO_GRAD);
    const bool cut = !rnn_grad_mode() && !flags;
    if (cut) flags = RNN_T_DETACHED | RNN_T_NO_GRAD;
    rnn_ref out =
        rnn_tensor_new(e, t->store, t->dtype, flags, view_op, offset, ndim, shape, stride);
    if (out > 0 && flags) rnn_tensor_of(out)->site = cut ? rnn_site(e) : t->site;
    return out;
}

rnn_ref rnn_alias(rnn_engine *e, rnn_ref ref) {
    rnn_tensor *t = rnn_tensor_of(ref);
    return derive(e, ref, t->view_op, t->offset, t->ndim, t->dims, rnn_strides_of(t));
}

rnn_ref rnn_detach(rnn_engine *e, rnn_ref ref, int unstamped) {
    rnn_tensor *t = rnn_tensor_of(ref);
    int flags = t->flags | RNN_T_DETACHED | (unstamped ? RNN_T_UNSTAMPED : 0);
    rnn_ref out = rnn_tensor_new(e, t->store, t->dtype, flags, 0, t->offset, t->ndim, t->dims,
                                 rnn_strides_of(t));
    if (out > 0) rnn_tensor_of(out)->site = t->flags & RNN_T_DETACHED ? t->site : rnn_site(e);
    return out;
}

rnn_ref rnn_as_view(rnn_engine *e, rnn_ref ref, int view_op, int64_t offset, int ndim,
                    const int64_t *shape, const int64_t *stride) {
    int64_t n, low = offset, high = offset, nodes = rnn_span_size(rnn_at(e, rnn_span_of(ref)));
    int failed = rnn_check_shape(e, "view", ndim, shape, &n);
    if (failed) return failed;
    for (int d = 0; d < ndim && n > 0; d++) {
        int64_t reach;
        if (__builtin_mul_overflow(shape[d] - 1, stride[d], &reach) ||
            __builtin_add_overflow(reach < 0 ? low : high, reach, reach < 0 ? &low : &high))
            return rnn_fail(e, RNN_EVALUE, "view: strides reach beyond what can be counted");
    }
    if (n > 0 && (low < 0 || high >= nodes))
        return rnn_fail(
            e, RNN_ERUNTIME,
            "view: offset and strides reach node %lld to %lld of a storage of %lld elements",
            (long long)low, (long long)high, (long long)nodes);
    return derive(e, ref, view_op, offset, ndim, shape, stride);
}

static int64_t wrap_dim(rnn_engine *e, int64_t dim, int ndim) {
    int64_t low = ndim ? -ndim : -1, high = ndim ? ndim - 1 : 0;
    if (dim < low || dim > high)
        return rnn_fail(
            e, RNN_EINDEX,
            "Dimension out of range (expected to be in range of [%lld, %lld], but got %lld)",
            (long long)low, (long long)high, (long long)dim);
    return dim < 0 ? dim + (ndim ? ndim : 1) : dim;
}

rnn_ref rnn_reshape(rnn_engine *e, rnn_ref ref, int ndim, const int64_t *wanted, int must_be_view) {
    rnn_tensor *t = rnn_tensor_of(ref);
    int64_t shape[RNN_MAX_DIMS], stride[RNN_MAX_DIMS];
    int failed = rnn_infer_shape(e, rnn_numel(t->ndim, t->dims), ndim, wanted, shape);
    if (failed) return failed;
    if (rnn_view_strides(t, ndim, shape, stride))
        return derive(e, ref, RNN_V_VIEW, t->offset, ndim, shape, stride);
    if (must_be_view)
        return rnn_fail(
            e, RNN_ERUNTIME,
            "view size is not compatible with input tensor's size and stride (at least one dimension "
            "spans across two contiguous subspaces). Use .reshape(...) instead.");
    rnn_ref copy = rnn_clone(e, ref);
    if (copy < 0) return copy;
    rnn_ref out = rnn_reshape(e, copy, ndim, shape, 1);
    if (out > 0) rnn_tensor_of(out)->view_op = RNN_V_UNSAFE_VIEW;
    rnn_release(e, copy);
    return out;
}

rnn_ref rnn_permute(rnn_engine *e, rnn_ref ref, int ndim, const int64_t *order) {
    rnn_tensor *t = rnn_tensor_of(ref);
    int64_t shape[RNN_MAX_DIMS], stride[RNN_MAX_DIMS];
    uint32_t seen = 0;
    if (ndim != t->ndim)
        return rnn_fail(
            e, RNN_ERUNTIME,
            "permute(sparse_coo): number of dimensions in the tensor input does not match the length of "
            "the desired ordering of dimensions i.e. input.dim() = %d is not equal to len(dims) = %d",
            t->ndim, ndim);
    for (int d = 0; d < ndim; d++) {
        int64_t from = wrap_dim(e, order[d], ndim);
        if (from < 0) return from;
        if (seen >> from & 1)
            return rnn_fail(e, RNN_ERUNTIME, "permute(): duplicate dims are not allowed.");
        seen |= 1u << from;
        shape[d] = t->dims[from];
        stride[d] = rnn_strides_of(t)[from];
    }
    return derive(e, ref, RNN_V_PERMUTE, t->offset, ndim, shape, stride);
}

rnn_ref rnn_transpose(rnn_engine *e, rnn_ref ref, int64_t dim0, int64_t dim1) {
    rnn_tensor *t = rnn_tensor_of(ref);
    int64_t order[RNN_MAX_DIMS];
    if ((dim0 = wrap_dim(e, dim0, t->ndim)) < 0) return dim0;
    if ((dim1 = wrap_dim(e, dim1, t->ndim)) < 0) return dim1;
    if (t->ndim == 0) return rnn_alias(e, ref);
    for (int d = 0; d < t->ndim; d++) order[d] = d == dim0 ? dim1 : d == dim1 ? dim0 : d;
    rnn_ref out = rnn_permute(e, ref, t->ndim, order);
    if (out > 0) rnn_tensor_of(out)->view_op = RNN_V_TRANSPOSE;
    return out;
}

rnn_ref rnn_t(rnn_engine *e, rnn_ref ref) {
    const int ndim = rnn_tensor_of(ref)->ndim;
    if (ndim > 2)
        return rnn_fail(e, RNN_ERUNTIME,
                        "t() expects a tensor with <= 2 dimensions, but self is %dD", ndim);
    rnn_ref out = rnn_transpose(e, ref, 0, ndim ? ndim - 1 : 0);
    if (out > 0) rnn_tensor_of(out)->view_op = RNN_V_T;
    return out;
}

rnn_ref rnn_expand(rnn_engine *e, rnn_ref ref, int ndim, const int64_t *wanted) {
    rnn_tensor *t = rnn_tensor_of(ref);
    int64_t shape[RNN_MAX_DIMS], stride[RNN_MAX_DIMS], n;
    char a[256], b[256];
    if (ndim > RNN_MAX_DIMS)
        return rnn_fail(e, RNN_EVALUE, "a tensor has at most %d dimensions, not %d", RNN_MAX_DIMS,
                        ndim);
    if (ndim < t->ndim)
        return rnn_fail(
            e, RNN_ERUNTIME,
            "expand(rnn.%sTensor{%s}, size=%s): the number of sizes provided (%d) must be greater or "
            "equal to the number of dimensions in the tensor (%d)",
            t->dtype == RNN_F64 ? "Double" : "Float", rnn_shape_text(t->ndim, t->dims, b, sizeof b),
            rnn_shape_text(ndim, wanted, a, sizeof a), ndim, t->ndim);
    for (int d = ndim - 1; d >= 0; d--) {
        int from = d - (ndim - t->ndim);
        int64_t have = from >= 0 ? t->dims[from] : 1;
        shape[d] = wanted[d] == -1 && from >= 0 ? have : wanted[d];
        stride[d] = from >= 0 && have == shape[d] ? rnn_strides_of(t)[from] : 0;
        if (shape[d] < 0 && from < 0)
            return rnn_fail(
                e, RNN_ERUNTIME,
                "The expanded size of the tensor (%lld) isn't allowed in a leading, non-existing dimension "
                "%d",
                (long long)wanted[d], d);
        if (shape[d] < 0 || (have != 1 && have != shape[d]))
            return rnn_fail(
                e, RNN_ERUNTIME,
                "The expanded size of the tensor (%lld) must match the existing size (%lld) at "
                "non-singleton dimension %d.  Target sizes: %s.  Tensor sizes: %s",
                (long long)wanted[d], (long long)have, d, rnn_shape_text(ndim, wanted, a, sizeof a),
                rnn_shape_text(t->ndim, t->dims, b, sizeof b));
    }
    int failed = rnn_check_shape(e, "expand", ndim, shape, &n);
    if (failed) return failed;
    return derive(e, ref, RNN_V_EXPAND, t->offset, ndim, shape, stride);
}

/* The view without dimension `dim`. */
static rnn_ref drop_dim(rnn_engine *e, rnn_ref ref, int view_op, int64_t offset, uint32_t drop) {
    rnn_tensor *t = rnn_tensor_of(ref);
    int64_t shape[RNN_MAX_DIMS], stride[RNN_MAX_DIMS];
    int ndim = 0;
    for (int d = 0; d < t->ndim; d++) {
        if (drop >> d & 1) continue;
        shape[ndim] = t->dims[d];
        stride[ndim++] = rnn_strides_of(t)[d];
    }
    return derive(e, ref, view_op, offset, ndim, shape, stride);
}

rnn_ref rnn_select(rnn_engine *e, rnn_ref ref, int64_t dim, int64_t index) {
    rnn_tensor *t = rnn_tensor_of(ref);
    char text[256];
    if (t->ndim == 0)
        return rnn_fail(e, RNN_EINDEX, "select() cannot be applied to a 0-dim tensor.");
    if ((dim = wrap_dim(e, dim, t->ndim)) < 0) return dim;
    int64_t size = t->dims[dim];
    if (index < -size || index >= size)
        return rnn_fail(e, RNN_EINDEX,
                        "select(): index %lld out of range for tensor of size %s at dimension %lld",
                        (long long)index, rnn_shape_text(t->ndim, t->dims, text, sizeof text),
                        (long long)dim);
    if (index < 0) index += size;
    return drop_dim(e, ref, RNN_V_SELECT, t->offset + index * rnn_strides_of(t)[dim], 1u << dim);
}

/* t[i, j, ...]: the first `count` dimensions selected. */
rnn_ref rnn_select_leading(rnn_engine *e, rnn_ref ref, int count, const int64_t *index) {
    rnn_tensor *t = rnn_tensor_of(ref);
    int64_t offset = t->offset;
    if (count > t->ndim)
        return rnn_fail(e, RNN_EINDEX, "too many indices for tensor of dimension %d", t->ndim);
    for (int d = 0; d < count; d++) {
        const int64_t size = t->dims[d], i = index[d] < 0 ? index[d] + size : index[d];
        if (i < 0 || i >= size)
            return rnn_fail(e, RNN_EINDEX,
                            "index %lld is out of bounds for dimension %d with size %lld",
                            (long long)index[d], d, (long long)size);
        offset += i * rnn_strides_of(t)[d];
    }
    return drop_dim(e, ref, RNN_V_SELECT, offset, (1u << count) - 1);
}

rnn_ref rnn_slice(rnn_engine *e, rnn_ref ref, int64_t dim, int64_t start, int64_t stop,
                  int64_t step) {
    rnn_tensor *t = rnn_tensor_of(ref);
    int64_t shape[RNN_MAX_DIMS], stride[RNN_MAX_DIMS];
    if (t->ndim == 0)
        return rnn_fail(e, RNN_EINDEX, "slice() cannot be applied to a 0-dim tensor.");
    if (step <= 0) return rnn_fail(e, RNN_EVALUE, "step must be greater than zero");
    if ((dim = wrap_dim(e, dim, t->ndim)) < 0) return dim;
    int64_t size = t->dims[dim];
    start = start < 0 ? (start + size < 0 ? 0 : start + size) : start > size ? size : start;
    stop = stop < 0 ? (stop + size < 0 ? 0 : stop + size) : stop > size ? size : stop;
    if (stop < start) stop = start;
    for (int d = 0; d < t->ndim; d++) {
        shape[d] = t->dims[d];
        stride[d] = rnn_strides_of(t)[d];
    }
    shape[dim] = (stop - start) / step + ((stop - start) % step != 0);
    int64_t offset = t->offset + start * stride[dim];
    /* one element: any stride is right */
    if (__builtin_mul_overflow(stride[dim], step, &stride[dim])) stride[dim] = 1;
    return derive(e, ref, RNN_V_SLICE, offset, t->ndim, shape, stride);
}

rnn_ref rnn_unsqueeze(rnn_engine *e, rnn_ref ref, int64_t dim) {
    rnn_tensor *t = rnn_tensor_of(ref);
    int64_t shape[RNN_MAX_DIMS], stride[RNN_MAX_DIMS];
    if (t->ndim >= RNN_MAX_DIMS)
        return rnn_fail(e, RNN_EVALUE, "a tensor has at most %d dimensions", RNN_MAX_DIMS);
    if ((dim = wrap_dim(e, dim, t->ndim + 1)) < 0) return dim;
    for (int d = 0; d <= t->ndim; d++) {
        int from = d - (d > dim);
        shape[d] = d == dim ? 1 : t->dims[from];
        stride[d] = d == dim ? (d < t->ndim ? t->dims[d] * rnn_strides_of(t)[d] : 1)
                             : rnn_strides_of(t)[from];
    }
    return derive(e, ref, RNN_V_UNSQUEEZE, t->offset, t->ndim + 1, shape, stride);
}

rnn_ref rnn_squeeze(rnn_engine *e, rnn_ref ref, int64_t dim, int all) {
    rnn_tensor *t = rnn_tensor_of(ref);
    uint32_t drop = 0;
    if (all) {
        for (int d = 0; d < t->ndim; d++) drop |= (uint32_t)(t->dims[d] == 1) << d;
    } else {
        if ((dim = wrap_dim(e, dim, t->ndim)) < 0) return dim;
        if (t->ndim && t->dims[dim] == 1) drop = 1u << dim;
    }
    return drop_dim(e, ref, all ? RNN_V_SQUEEZE : RNN_V_SQUEEZE_DIM, t->offset, drop);
}
