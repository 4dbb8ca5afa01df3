/* copies.c: the operations that only move values: clone and cast, and views written into others.
 * What it is not: recorded writing in place, which assign.c has, and joining, which cat.c has. */
#include "internal.h"

#include <string.h>

/* dst = src, both views of one shape and dtype */
void rnn_write_view(rnn_engine *e, const rnn_view *dst, void *dst_data, const rnn_view *src) {
    rnn_accumulate_job job = {.ndim = dst->ndim,
                              .dtype = dst->dtype,
                              .dst = dst_data,
                              .src = rnn_view_data(e, src),
                              .scale = 1,
                              .overwrite = true};
    memcpy(job.shape, dst->shape, sizeof job.shape);
    memcpy(job.dst_stride, dst->stride, sizeof job.dst_stride);
    memcpy(job.src_stride, src->stride, sizeof job.src_stride);
    rnn_accumulate(e, &job);
}

typedef struct {
    int from;
    const void *src;
    void *dst;
} conversion;

static void convert_task(void *ctx, int64_t begin, int64_t end) {
    const conversion *c = ctx;
    if (c->from == RNN_F64)
        for (int64_t i = begin; i < end; i++)
            ((float *)c->dst)[i] = (float)((const double *)c->src)[i];
    else
        for (int64_t i = begin; i < end; i++) ((double *)c->dst)[i] = ((const float *)c->src)[i];
}

static void convert(rnn_engine *e, int64_t n, int from, const void *src, void *dst) {
    enum { GRAIN = 16384 };
    conversion c = {from, src, dst};
    rnn_parallel_for(e->pool, n, GRAIN, convert_task, &c);
}

static rnn_ref copy(rnn_engine *e, rnn_ref ref, int op, int dtype) {
    rnn_view a;
    if (rnn_view_of(e, ref, &a)) return RNN_ETYPE;
    rnn_build b = {.op = op, .dtype = dtype, .ndim = a.ndim, .count = 1, .in = &a};
    memcpy(b.shape, a.shape, sizeof b.shape);
    int failed = rnn_build_begin(e, &b);
    if (failed) return failed;
    if (dtype == a.dtype) {
        rnn_pack_view(e, &a, b.out);
        return rnn_build_finish(e, &b);
    }
    rnn_block *temp;
    const char *src;
    if ((failed = rnn_packed(e, "cast", &a, &src, &temp))) {
        rnn_build_abort(e, &b);
        return failed;
    }
    convert(e, b.n, a.dtype, src, b.out);
    rnn_drop_block(e, temp);
    return rnn_build_finish(e, &b);
}

rnn_ref rnn_clone(rnn_engine *e, rnn_ref a) { return copy(e, a, RNN_OP_CLONE, rnn_dtype(a)); }

rnn_ref rnn_contiguous(rnn_engine *e, rnn_ref a) {
    return rnn_is_contiguous(e, a) ? rnn_alias(e, a) : rnn_clone(e, a);
}

rnn_ref rnn_cast(rnn_engine *e, rnn_ref a, int dtype) {
    if (dtype != RNN_F32 && dtype != RNN_F64)
        return rnn_fail(e, RNN_ETYPE, "nodes are float32 or float64");
    return copy(e, a, RNN_OP_CAST, dtype);
}

int rnn_copy_backward(rnn_engine *e, uint32_t id) {
    const rnn_span *s = rnn_at(e, id);
    rnn_target t;
    int failed = rnn_target_begin(e, id, 0, s->ext->n, &t);
    if (failed || !t.wanted) return failed;
    if (t.v.dtype == s->dtype) return rnn_target_add(e, &t, s->dtype, rnn_span_grad(e, id));
    rnn_block *temp = rnn_block_new(e, "cast backward", s->ext->n, t.v.dtype);
    if (!temp) return RNN_EMEMORY;
    convert(e, s->ext->n, s->dtype, rnn_span_grad(e, id), temp->data);
    failed = rnn_target_add(e, &t, t.v.dtype, temp->data);
    rnn_drop_block(e, temp);
    return failed;
}

int rnn_copy_edges(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out) {
    rnn_view a;
    rnn_operand_view(e, id, 0, &a);
    rnn_push_edge(e, out, &a, rnn_flat_to_offset(&a, node), 1);
    return 0;
}
