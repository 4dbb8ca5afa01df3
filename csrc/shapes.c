/* shapes.c: shapes and strides as numbers: counting, checking, text, what is contiguous, reshaping
 * and broadcasting. What it is not: handles (tensors.c) and their views (views.c). */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t rnn_numel(int ndim, const int64_t *shape) {
    int64_t n = 1;
    for (int d = 0; d < ndim; d++) n *= shape[d];
    return n;
}

/* "[2, 3]" */
const char *rnn_shape_text(int ndim, const int64_t *shape, char *buffer, size_t size) {
    size_t used = (size_t)snprintf(buffer, size, "[");
    for (int d = 0; d < ndim && used < size; d++)
        used += (size_t)snprintf(buffer + used, size - used, d ? ", %lld" : "%lld",
                                 (long long)shape[d]);
    if (used < size) snprintf(buffer + used, size - used, "]");
    return buffer;
}

/* Sizes that are negative, too many or whose product overflows are refused here, for every
 * operation. */
int rnn_check_shape(rnn_engine *e, const char *what, int ndim, const int64_t *shape, int64_t *n) {
    char text[512];
    if (ndim < 0 || ndim > RNN_MAX_DIMS)
        return rnn_fail(e, RNN_EVALUE, "%s: a tensor has at most %d dimensions, not %d", what,
                        RNN_MAX_DIMS, ndim);
    bool overflow = false, zero = false;
    int64_t product = 1;
    for (int d = 0; d < ndim; d++) {
        if (shape[d] < 0)
            return rnn_fail(e, RNN_EVALUE, "%s: negative dimension %lld in shape %s", what,
                            (long long)shape[d], rnn_shape_text(ndim, shape, text, sizeof text));
        zero |= shape[d] == 0;
        overflow |= __builtin_mul_overflow(product, shape[d] ? shape[d] : 1, &product);
    }
    if (overflow || product > ((int64_t)1 << 60))
        return rnn_fail(e, RNN_EVALUE, "%s: shape %s has more elements than can be counted", what,
                        rnn_shape_text(ndim, shape, text, sizeof text));
    *n = zero ? 0 : product;
    return 0;
}

void rnn_contiguous_strides(int ndim, const int64_t *shape, int64_t *stride) {
    int64_t step = 1;
    for (int d = ndim - 1; d >= 0; d--) {
        stride[d] = step;
        step *= shape[d] > 1 ? shape[d] : 1;
    }
}

bool rnn_is_packed(int ndim, const int64_t *shape, const int64_t *stride) {
    int64_t step = 1;
    bool packed = true;
    for (int d = ndim - 1; d >= 0; d--) {
        if (shape[d] == 0) return true;
        packed &= shape[d] == 1 || stride[d] == step;
        step *= shape[d];
    }
    return packed;
}

bool rnn_view_is_contiguous(const rnn_view *v) {
    return rnn_is_packed(v->ndim, v->shape, v->stride);
}

/* No two positions are one place. Sorting by stride, each must step over all that the smaller ones
 * span. */
bool rnn_is_injective(int ndim, const int64_t *shape, const int64_t *stride) {
    int order[RNN_MAX_DIMS], count = 0;
    for (int d = 0; d < ndim; d++) {
        if (shape[d] == 0) return true;
        if (shape[d] == 1) continue;
        int at = count++;
        for (; at > 0 && llabs(stride[order[at - 1]]) > llabs(stride[d]); at--)
            order[at] = order[at - 1];
        order[at] = d;
    }
    int64_t reach = 0;
    for (int i = 0; i < count; i++) {
        const int64_t step = llabs(stride[order[i]]);
        if (step <= reach) return false;
        reach += (shape[order[i]] - 1) * step;
    }
    return true;
}

bool rnn_view_is_injective(const rnn_view *v) {
    return rnn_is_injective(v->ndim, v->shape, v->stride);
}

/* ---- another shape of the same nodes --------------------------------------------------------- */

/* Replaces the one -1 of a wanted shape. */
int rnn_infer_shape(rnn_engine *e, int64_t numel, int ndim, const int64_t *wanted, int64_t *shape) {
    char text[512];
    int64_t known = 1;
    int hole = -1;
    if (ndim > RNN_MAX_DIMS)
        return rnn_fail(e, RNN_EVALUE, "a tensor has at most %d dimensions, not %d", RNN_MAX_DIMS,
                        ndim);
    for (int d = 0; d < ndim; d++) {
        shape[d] = wanted[d];
        if (wanted[d] == -1) {
            if (hole >= 0) return rnn_fail(e, RNN_ERUNTIME, "only one dimension can be inferred");
            hole = d;
        } else if (wanted[d] < 0) {
            return rnn_fail(e, RNN_ERUNTIME, "invalid shape dimension %lld at index %d of shape %s",
                            (long long)wanted[d], d,
                            rnn_shape_text(ndim, wanted, text, sizeof text));
        } else if (__builtin_mul_overflow(known, wanted[d], &known)) {
            return rnn_fail(e, RNN_EVALUE, "shape '%s' has more elements than can be counted",
                            rnn_shape_text(ndim, wanted, text, sizeof text));
        }
    }
    if (hole >= 0 && known == 0 && numel == 0)
        return rnn_fail(
            e, RNN_ERUNTIME,
            "cannot reshape tensor of 0 elements into shape %s because the unspecified dimension size -1 "
            "can be any value and is ambiguous",
            rnn_shape_text(ndim, wanted, text, sizeof text));
    if (hole >= 0 ? known == 0 || numel % known : known != numel)
        return rnn_fail(e, RNN_ERUNTIME, "shape '%s' is invalid for input of size %lld",
                        rnn_shape_text(ndim, wanted, text, sizeof text), (long long)numel);
    if (hole >= 0) shape[hole] = numel / known;
    return 0;
}

/* Strides of `shape` over the same nodes, where they exist: each new dimension must lie within one
 * run of old ones whose strides follow from each other. */
bool rnn_view_strides(const rnn_tensor *t, int ndim, const int64_t *shape, int64_t *stride) {
    const int64_t *old = t->dims, *old_stride = t->dims + t->ndim;
    int64_t numel = rnn_numel(t->ndim, old);
    if (numel == 0) {
        rnn_contiguous_strides(ndim, shape, stride);
        return true;
    }
    int at = ndim - 1;
    int64_t run = 1, base = t->ndim ? old_stride[t->ndim - 1] : 1;
    for (int d = t->ndim - 1; d >= 0; d--) {
        run *= old[d];
        if (d > 0 && (old[d - 1] == 1 || old_stride[d - 1] == run * base)) continue;
        int64_t filled = 1;
        while (at >= 0 && (filled < run || shape[at] == 1)) {
            stride[at] = filled * base;
            filled *= shape[at];
            at--;
        }
        if (filled != run) return false;
        if (d > 0) {
            base = old_stride[d - 1];
            run = 1;
        }
    }
    for (; at >= 0; at--) stride[at] = 1;
    return true;
}

/* ---- broadcasting ---------------------------------------------------------------------------- */

int rnn_broadcast(rnn_engine *e, const char *what, const rnn_view *a, const rnn_view *b, int *ndim,
                  int64_t *shape) {
    (void)what;
    *ndim = a->ndim > b->ndim ? a->ndim : b->ndim;
    for (int d = *ndim - 1; d >= 0; d--) { /* PyTorch complains of the last that does not fit */
        int i = d - (*ndim - a->ndim), j = d - (*ndim - b->ndim);
        int64_t m = i >= 0 ? a->shape[i] : 1, n = j >= 0 ? b->shape[j] : 1;
        if (m != n && m != 1 && n != 1)
            return rnn_fail(
                e, RNN_ERUNTIME,
                "The size of tensor a (%lld) must match the size of tensor b (%lld) at non-singleton "
                "dimension %d",
                (long long)m, (long long)n, d);
        shape[d] = m == 1 ? n : m;
    }
    return 0;
}

/* The view, seen with a shape that it broadcasts to. */
void rnn_expand_view(rnn_view *v, int ndim, const int64_t *shape) {
    int shift = ndim - v->ndim;
    for (int d = ndim - 1; d >= 0; d--) {
        int from = d - shift;
        bool keep = from >= 0 && v->shape[from] == shape[d];
        v->stride[d] = keep ? v->stride[from] : 0;
        v->shape[d] = shape[d];
    }
    v->ndim = (int16_t)ndim;
}
