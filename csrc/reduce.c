/* reduce.c: sums over dimensions, and cumulative sums. */
#include "internal.h"

#include <string.h>

/* ---- sum and mean ---------------------------------------------------------------------------------- */

static int dims_mask(rnn_engine *e, int ndim, int count, const int64_t *dims, uint32_t *mask) {
    *mask = count ? 0 : (1u << ndim) - 1;
    for (int i = 0; i < count; i++) {
        int64_t low = ndim ? -ndim : -1, high = ndim ? ndim - 1 : 0, d = dims[i];
        if (d < low || d > high)
            return rnn_fail(e, RNN_EINDEX,
                            "Dimension out of range (expected to be in range of [%lld, %lld], but got %lld)",
                            (long long)low, (long long)high, (long long)d);
        if (d < 0) d += ndim ? ndim : 1;
        if (*mask >> d & 1)
            return rnn_fail(e, RNN_ERUNTIME, "dim %lld appears multiple times in the list of dims", (long long)d);
        *mask |= 1u << d;
    }
    return 0;
}

/* Strides that lay the reduced result over the operand's shape: 0 where it was summed. */
static void reduced_strides(int ndim, const int64_t *shape, uint32_t mask, int64_t *stride) {
    int64_t step = 1;
    for (int d = ndim - 1; d >= 0; d--) {
        const bool summed = mask >> d & 1;
        stride[d] = summed ? 0 : step;
        if (!summed) step *= shape[d];
    }
}

rnn_ref rnn_sum(rnn_engine *e, rnn_ref ref, int count, const int64_t *dims, int keepdim, int mean) {
    rnn_view a;
    uint32_t mask;
    const int op = mean ? RNN_OP_MEAN : RNN_OP_SUM;
    if (rnn_view_of(e, ref, &a)) return RNN_ETYPE;
    int failed = dims_mask(e, a.ndim, count, dims, &mask);
    if (failed) return failed;
    if (rnn_resolution()) return RNN_COMPOSE;
    rnn_build b = {.op = op, .dtype = a.dtype, .count = 1, .in = &a, .ip = {mask}};
    int64_t summed = 1;
    for (int d = 0; d < a.ndim; d++) {
        if (mask >> d & 1) summed *= a.shape[d];
        if (!(mask >> d & 1)) b.shape[b.ndim++] = a.shape[d];
        else if (keepdim) b.shape[b.ndim++] = 1;
    }
    b.p[0] = mean ? 1 / (double)summed : 1;
    if ((failed = rnn_build_begin(e, &b))) return failed;
    rnn_accumulate_job job = {.ndim = a.ndim, .dtype = a.dtype, .dst = b.out, .src = rnn_view_data(e, &a), .scale = 1};
    memcpy(job.shape, a.shape, sizeof job.shape);
    memcpy(job.src_stride, a.stride, sizeof job.src_stride);
    reduced_strides(a.ndim, a.shape, mask, job.dst_stride);
    memset(b.out, 0, (size_t)b.n * rnn_itemsize(a.dtype));
    rnn_accumulate(e, &job);
    const double divisor[4] = {(double)summed};
    if (mean) e->k->forward[a.dtype][RNN_OP_DIV_SCALAR](b.n, b.out, NULL, b.out, divisor);
    return rnn_build_finish(e, &b);
}

int rnn_sum_backward(rnn_engine *e, uint32_t id) {
    const rnn_span *s = rnn_at(e, id);
    rnn_target t;
    rnn_operand_view(e, id, 0, &t.v);
    int failed = rnn_target_begin(e, id, 0, rnn_numel(t.v.ndim, t.v.shape), &t);
    if (failed || !t.wanted) return failed;
    rnn_accumulate_job job = {.ndim = t.v.ndim, .dtype = s->dtype, .dst = t.grad, .src = rnn_span_grad(e, id),
                              .scale = s->ext->p[0], .overwrite = t.fresh};
    memcpy(job.shape, t.v.shape, sizeof job.shape);
    memcpy(job.dst_stride, t.v.stride, sizeof job.dst_stride);
    reduced_strides(t.v.ndim, t.v.shape, (uint32_t)s->ext->ip[0], job.src_stride);
    return rnn_accumulate(e, &job);
}

int rnn_sum_edges(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out) {
    const rnn_ext *x = rnn_at(e, id)->ext;
    const uint32_t mask = (uint32_t)x->ip[0];
    rnn_view a, inner = {0};
    rnn_operand_view(e, id, 0, &a);
    int64_t at = a.offset, rest = node;
    for (int d = a.ndim - 1; d >= 0; d--) {
        if (mask >> d & 1) continue;
        at += rest % a.shape[d] * a.stride[d];
        rest /= a.shape[d];
    }
    for (int d = 0; d < a.ndim; d++) {
        if (!(mask >> d & 1)) continue;
        inner.shape[inner.ndim] = a.shape[d];
        inner.stride[inner.ndim++] = a.stride[d];
    }
    const int64_t count = rnn_numel(inner.ndim, inner.shape);
    for (int64_t i = 0; i < count; i++) rnn_push_edge(e, out, &a, at + rnn_flat_to_offset(&inner, i), x->p[0]);
    return 0;
}

/* ---- cumulative sum -------------------------------------------------------------------------------- */

typedef struct {
    const rnn_kernels *k;
    int dtype;
    int64_t length, inner; /* (outer, length, inner) */
    char *out;
    const char *in; /* contiguous; may be out */
} scan;

/* Blocks [begin, end) of columns: a column is one (outer, inner) pair; a block stays within one outer index. */
static void scan_columns(const scan *s, int64_t outer, int64_t from, int64_t to) {
    const int64_t size = (int64_t)rnn_itemsize(s->dtype), row = s->inner * size;
    char *out = s->out + (outer * s->length * s->inner + from) * size;
    const char *in = s->in + (outer * s->length * s->inner + from) * size;
    const double one[4] = {1};
    if (in != out) memcpy(out, in, (size_t)((to - from) * size));
    for (int64_t i = 1; i < s->length; i++)
        s->k->forward[s->dtype][RNN_OP_ADD](to - from, out + (i - 1) * row, in + i * row, out + i * row, one);
}

static void scan_one(const scan *s, int64_t outer) {
    const int64_t at = outer * s->length;
    if (s->dtype == RNN_F64) {
        const double *in = (const double *)s->in + at;
        double *out = (double *)s->out + at, total = 0;
        for (int64_t i = 0; i < s->length; i++) out[i] = total = i ? total + in[i] : in[i];
    } else {
        const float *in = (const float *)s->in + at;
        float *out = (float *)s->out + at, total = 0;
        for (int64_t i = 0; i < s->length; i++) out[i] = total = i ? total + in[i] : in[i];
    }
}

static void scan_task(void *ctx, int64_t begin, int64_t end) {
    const scan *s = ctx;
    if (s->inner == 1) {
        for (int64_t outer = begin; outer < end; outer++) scan_one(s, outer);
        return;
    }
    while (begin < end) {
        int64_t outer = begin / s->inner, from = begin % s->inner;
        int64_t to = s->inner < from + (end - begin) ? s->inner : from + (end - begin);
        scan_columns(s, outer, from, to);
        begin += to - from;
    }
}

static void scan_shape(scan *s, int ndim, const int64_t *shape, int dim, int64_t *columns) {
    s->length = ndim ? shape[dim] : 1;
    s->inner = 1;
    for (int d = dim + 1; d < ndim; d++) s->inner *= shape[d];
    *columns = s->length ? rnn_numel(ndim, shape) / s->length : 0;
}

static int64_t scan_grain(const scan *s) {
    int64_t grain = 16384 / (s->length ? s->length : 1);
    return s->inner == 1 ? grain + 1 : grain < 256 ? 256 : grain;
}

rnn_ref rnn_cumsum(rnn_engine *e, rnn_ref ref, int64_t dim) {
    rnn_view a;
    if (rnn_view_of(e, ref, &a)) return RNN_ETYPE;
    const int64_t low = a.ndim ? -a.ndim : -1, high = a.ndim ? a.ndim - 1 : 0;
    if (dim < low || dim > high)
        return rnn_fail(e, RNN_EINDEX, "Dimension out of range (expected to be in range of [%lld, %lld], but got %lld)",
                        (long long)low, (long long)high, (long long)dim);
    if (dim < 0) dim += a.ndim ? a.ndim : 1;
    rnn_build b = {.op = RNN_OP_CUMSUM, .dtype = a.dtype, .ndim = a.ndim, .count = 1, .in = &a, .ip = {dim}};
    memcpy(b.shape, a.shape, sizeof b.shape);
    int failed = rnn_build_begin(e, &b);
    if (failed) return failed;
    scan s = {.k = e->k, .dtype = a.dtype, .out = b.out, .in = rnn_view_data(e, &a)};
    int64_t columns;
    if (!rnn_view_is_contiguous(&a)) {
        rnn_pack_view(e, &a, b.out);
        s.in = b.out;
    }
    scan_shape(&s, a.ndim, a.shape, (int)dim, &columns);
    rnn_parallel_for(e->pool, columns, scan_grain(&s), scan_task, &s);
    return rnn_build_finish(e, &b);
}

/* In reverse and in place: node k's gradient gains that of node k + 1, which was made from it. */
static void reverse_task(void *ctx, int64_t begin, int64_t end) {
    const scan *s = ctx;
    const int64_t size = (int64_t)rnn_itemsize(s->dtype), row = s->inner * size;
    while (begin < end) {
        int64_t outer = begin / s->inner, from = begin % s->inner;
        int64_t to = s->inner < from + (end - begin) ? s->inner : from + (end - begin);
        char *g = s->out + (outer * s->length * s->inner + from) * size;
        if (s->inner == 1 && s->dtype == RNN_F32) {
            float *at = (float *)(void *)g;
            for (int64_t i = s->length - 2; i >= 0; i--) at[i] += at[i + 1];
        } else {
            for (int64_t i = s->length - 2; i >= 0; i--)
                s->k->add_scaled[s->dtype](to - from, g + i * row, g + (i + 1) * row, 1);
        }
        begin += to - from;
    }
}

int rnn_cumsum_backward(rnn_engine *e, uint32_t id) {
    const rnn_span *s = rnn_at(e, id);
    const rnn_ext *x = s->ext;
    scan c = {.k = e->k, .dtype = s->dtype, .out = rnn_span_grad(e, id)};
    int64_t columns;
    scan_shape(&c, x->ndim, x->shape, (int)x->ip[0], &columns);
    rnn_target t;
    int failed = rnn_target_begin(e, id, 0, x->n, &t);
    if (failed) return failed;
    rnn_parallel_for(e->pool, columns, scan_grain(&c), reverse_task, &c);
    return t.wanted ? rnn_target_add(e, &t, s->dtype, c.out) : 0;
}

int rnn_cumsum_edges(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out) {
    const rnn_ext *x = rnn_at(e, id)->ext;
    scan s = {0};
    int64_t columns;
    rnn_view a, self = {.span = id, .needs_grad = true};
    scan_shape(&s, x->ndim, x->shape, (int)x->ip[0], &columns);
    rnn_operand_view(e, id, 0, &a);
    if (node / s.inner % s.length > 0) rnn_push_edge(e, out, &self, node - s.inner, 1);
    rnn_push_edge(e, out, &a, rnn_flat_to_offset(&a, node), 1);
    return 0;
}
