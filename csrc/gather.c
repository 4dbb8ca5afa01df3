/* gather.c: rows picked by index and put back by index. All of fancy indexing, embedding, take,
 * index_add and their gradients stand on these. */
#include "internal.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* ---- index lists ----------------------------------------------------------------------------- */

/* The operand's elements in row-major order: where they lie if that is how they lie, else a packed
 * copy in *temp. */
static const void *flat_data(rnn_engine *e, const char *what, const rnn_view *v, rnn_block **temp) {
    *temp = NULL;
    if (rnn_view_is_contiguous(v)) return rnn_view_data(e, v);
    *temp = rnn_block_new(e, what, rnn_numel(v->ndim, v->shape), v->dtype);
    if (!*temp) return NULL;
    rnn_pack_view(e, v, (*temp)->data);
    return (*temp)->data;
}

typedef struct {
    const int64_t *from;
    int64_t *to;
    uint64_t rows;
    atomic_bool wrong; /* one is out of range */
} index_job;

static void index_task(void *ctx, int64_t begin, int64_t end) {
    index_job *j = ctx;
    bool wrong = false;
    for (int64_t i = begin; i < end; i++) {
        j->to[i] = j->from[i];
        wrong |= (uint64_t)j->from[i] >= j->rows;
    }
    if (wrong) atomic_store(&j->wrong, true);
}

/* A checked copy of the index: of rows of `inner` elements, of which `a` has so many. */
static int take_index(rnn_engine *e, const rnn_view *a, const int64_t *index, int64_t count,
                      int64_t inner, rnn_build *b) {
    const int64_t n = rnn_numel(a->ndim, a->shape), rows = inner > 0 ? n / inner : 0;
    uint64_t bytes;
    if (inner < 0 || count < 0 || (inner > 0 && n % inner))
        return rnn_fail(e, RNN_EVALUE, "%s: rows of %lld elements do not divide %lld",
                        rnn_ops[b->op].name, (long long)inner, (long long)n);
    if (!rnn_mul_size((uint64_t)count, sizeof(int64_t), &bytes) ||
        !(b->saved = rnn_malloc(e, bytes)))
        return rnn_fail(e, RNN_EMEMORY, "%s: no memory for %lld indices", rnn_ops[b->op].name,
                        (long long)count);
    b->saved_bytes = bytes;
    index_job j = {index, b->saved, (uint64_t)rows, false};
    rnn_parallel_for(e->pool, count, 1 << 15, index_task, &j);
    for (int64_t i = 0; j.wrong && i < count; i++) {
        if (index[i] >= 0 && index[i] < rows) continue;
        free(b->saved);
        return rnn_fail(e, RNN_EINDEX, "index %lld is out of bounds for dimension 0 with size %lld",
                        (long long)index[i], (long long)rows);
    }
    b->ip[0] = count;
    b->ip[1] = inner;
    return 0;
}

typedef struct {
    const rnn_kernels *k;
    int dtype;
    const int64_t *index;
    int64_t inner;
    char *dst;
    const char *src;
} rows_job;

/* Rows of one element: dst[..] = or += src[..], one of them through the index. */
#define SINGLES(T, to, operator, from, begin, end) \
    do { \
        const T *src = (const T *)(const void *)j->src; \
        T *dst = (T *)(void *)j->dst; \
        for (int64_t i = (begin); i < (end); i++) dst[to] operator src[from]; \
    } while (0)

static void pick_task(void *ctx, int64_t begin, int64_t end) {
    const rows_job *j = ctx;
    const size_t row = (size_t)j->inner * rnn_itemsize(j->dtype);
    if (j->inner != 1)
        for (int64_t i = begin; i < end; i++)
            memcpy(j->dst + (size_t)i * row, j->src + (size_t)j->index[i] * row, row);
    else if (j->dtype == RNN_F32) SINGLES(float, i, =, j->index[i], begin, end);
    else SINGLES(double, i, =, j->index[i], begin, end);
}

/* Rows added one after the other: an index may occur twice. */
static void add_rows(const rows_job *j, int64_t count) {
    const size_t row = (size_t)j->inner * rnn_itemsize(j->dtype);
    if (j->inner == 1 && j->dtype == RNN_F32) SINGLES(float, j->index[i], +=, i, 0, count);
    else if (j->inner == 1) SINGLES(double, j->index[i], +=, i, 0, count);
    else
        for (int64_t i = 0; i < count; i++)
            j->k->add_scaled[j->dtype](j->inner, j->dst + (size_t)j->index[i] * row,
                                       j->src + (size_t)i * row, 1);
}

static int64_t row_grain(int64_t inner) { return 16384 / (inner > 0 ? inner : 1) + 1; }

/* ---- gather ---------------------------------------------------------------------------------- */

rnn_ref rnn_gather_as(rnn_engine *e, int op, rnn_ref ref, const int64_t *index, int64_t count,
                      int64_t inner, int ndim, const int64_t *out_shape) {
    rnn_view a;
    if (rnn_view_of(e, ref, &a)) return RNN_ETYPE;
    rnn_build b = {.op = op, .dtype = a.dtype, .ndim = ndim, .count = 1, .in = &a};
    int64_t n;
    int failed = rnn_check_shape(e, "gather", ndim, out_shape, &n);
    if (!failed && n != count * inner)
        failed = rnn_fail(e, RNN_EVALUE, "gather: %lld rows of %lld do not fill the shape",
                          (long long)count, (long long)inner);
    if (!failed) failed = take_index(e, &a, index, count, inner, &b);
    if (failed) return failed;
    if (ndim) memcpy(b.shape, out_shape, (size_t)ndim * sizeof(int64_t));
    if ((failed = rnn_build_begin(e, &b))) return failed;
    rnn_block *temp;
    rows_job j = {e->k, a.dtype, b.saved, inner, b.out, flat_data(e, "gather", &a, &temp)};
    if (!j.src) {
        rnn_build_abort(e, &b);
        return RNN_EMEMORY;
    }
    rnn_parallel_for(e->pool, count, row_grain(inner), pick_task, &j);
    rnn_drop_block(e, temp);
    return rnn_build_finish(e, &b);
}

rnn_ref rnn_gather(rnn_engine *e, rnn_ref a, const int64_t *index, int64_t count, int64_t inner,
                   int ndim, const int64_t *out_shape) {
    return rnn_gather_as(e, RNN_OP_GATHER, a, index, count, inner, ndim, out_shape);
}

int rnn_gather_backward(rnn_engine *e, uint32_t id) {
    const rnn_span *s = rnn_at(e, id);
    const rnn_ext *x = s->ext;
    rnn_target t;
    int failed = rnn_target_zero(e, id, 0, &t);
    if (failed || !t.wanted) return failed;
    rows_job j = {e->k, s->dtype, x->saved, x->ip[1], t.grad, rnn_span_grad(e, id)};
    if (rnn_view_is_contiguous(&t.v)) {
        add_rows(&j, x->ip[0]);
        return 0;
    }
    const int64_t n = rnn_numel(t.v.ndim, t.v.shape);
    rnn_block *temp = rnn_block_new(e, "gather backward", n, s->dtype);
    if (!temp) return RNN_EMEMORY;
    memset(temp->data, 0, (size_t)n * rnn_itemsize(s->dtype));
    j.dst = temp->data;
    add_rows(&j, x->ip[0]);
    failed = rnn_target_add(e, &t, s->dtype, temp->data);
    rnn_drop_block(e, temp);
    return failed;
}

int rnn_gather_edges(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out) {
    const rnn_ext *x = rnn_at(e, id)->ext;
    const int64_t *index = x->saved, inner = x->ip[1];
    rnn_view a;
    rnn_operand_view(e, id, 0, &a);
    rnn_push_edge(e, out, &a, rnn_flat_to_offset(&a, index[node / inner] * inner + node % inner),
                  1);
    return 0;
}

/* ---- scatter --------------------------------------------------------------------------------- */

static void put_rows(const rows_job *j, int64_t count) {
    const size_t row = (size_t)j->inner * rnn_itemsize(j->dtype);
    if (j->inner == 1 && j->dtype == RNN_F32) SINGLES(float, j->index[i], =, i, 0, count);
    else if (j->inner == 1) SINGLES(double, j->index[i], =, i, 0, count);
    else
        for (int64_t i = 0; i < count; i++)
            memcpy(j->dst + (size_t)j->index[i] * row, j->src + (size_t)i * row, row);
}

rnn_ref rnn_scatter(rnn_engine *e, rnn_ref ref, const int64_t *index, int64_t count, int64_t inner,
                    rnn_ref src_ref, int add) {
    rnn_view in[2];
    if (rnn_view_of(e, ref, &in[0]) || rnn_view_of(e, src_ref, &in[1])) return RNN_ETYPE;
    if (in[0].dtype != in[1].dtype) return RNN_EDTYPE;
    rnn_build b = {.op = add ? RNN_OP_SCATTER_ADD : RNN_OP_SCATTER,
                   .dtype = in[0].dtype,
                   .ndim = in[0].ndim,
                   .count = 2,
                   .in = in};
    if (rnn_numel(in[1].ndim, in[1].shape) != count * inner)
        return rnn_fail(
            e, RNN_EVALUE, "scatter: the source has %lld elements, not %lld rows of %lld",
            (long long)rnn_numel(in[1].ndim, in[1].shape), (long long)count, (long long)inner);
    int failed = take_index(e, &in[0], index, count, inner, &b);
    if (failed) return failed;
    memcpy(b.shape, in[0].shape, sizeof b.shape);
    if ((failed = rnn_build_begin(e, &b))) return failed;
    rnn_block *temp;
    rows_job j = {e->k, b.dtype, b.saved, inner, b.out, flat_data(e, "scatter", &in[1], &temp)};
    if (!j.src) {
        rnn_build_abort(e, &b);
        return RNN_EMEMORY;
    }
    rnn_pack_view(e, &in[0], b.out);
    if (add) add_rows(&j, count);
    else put_rows(&j, count);
    rnn_drop_block(e, temp);
    return rnn_build_finish(e, &b);
}

/* Without a record, into contiguous memory: the rows alone are written. */
static int scatter_directly(rnn_engine *e, rnn_ref ref, const rnn_view *dst, const int64_t *index,
                            int64_t count, int64_t inner, const rnn_view *src, bool add) {
    rnn_build b = {.op = RNN_OP_SCATTER};
    int failed = take_index(e, dst, index, count, inner, &b);
    if (failed) return failed;
    rnn_block *temp;
    rows_job j = {e->k,
                  dst->dtype,
                  b.saved,
                  inner,
                  rnn_view_data(e, dst),
                  flat_data(e, "scatter", src, &temp)};
    if (j.src && add) add_rows(&j, count);
    else if (j.src) put_rows(&j, count);
    free(b.saved);
    rnn_drop_block(e, temp);
    return j.src ? rnn_touch(e, ref) : RNN_EMEMORY;
}

int rnn_scatter_into(rnn_engine *e, rnn_ref ref, const int64_t *index, int64_t count, int64_t inner,
                     rnn_ref src_ref, int add) {
    rnn_view dst, src;
    if (rnn_view_of(e, ref, &dst) || rnn_view_of(e, src_ref, &src)) return RNN_ETYPE;
    int failed = rnn_check_inplace(e, ref);
    if (failed) return failed;
    const bool record = rnn_grad_mode() && (dst.needs_grad || src.needs_grad);
    if (!record && dst.dtype == src.dtype && rnn_view_is_contiguous(&dst) &&
        !rnn_same_memory(e, ref, src_ref) && rnn_numel(src.ndim, src.shape) == count * inner)
        return scatter_directly(e, ref, &dst, index, count, inner, &src, add);
    rnn_ref made = rnn_scatter(e, ref, index, count, inner, src_ref, add);
    return made < 0 ? (int)made : rnn_take_over(e, ref, made);
}

/* winner[row]: which of the index list wrote that row last; -1: none did. */
static int64_t *winners(rnn_engine *e, const rnn_ext *x) {
    const int64_t rows = x->ip[1] > 0 ? x->n / x->ip[1] : 0, *index = x->saved;
    int64_t *winner = rnn_malloc(e, (size_t)rows * sizeof *winner);
    if (!winner) {
        rnn_fail(e, RNN_EMEMORY, "scatter backward: no memory for %lld rows", (long long)rows);
        return NULL;
    }
    for (int64_t i = 0; i < rows; i++) winner[i] = -1;
    for (int64_t i = 0; i < x->ip[0]; i++) winner[index[i]] = i;
    return winner;
}

static int scatter_base(rnn_engine *e, uint32_t id, const int64_t *winner) {
    const rnn_span *s = rnn_at(e, id);
    const rnn_ext *x = s->ext;
    rnn_target t;
    int failed = rnn_target_begin(e, id, 0, x->n, &t);
    if (failed || !t.wanted) return failed;
    if (!winner) return rnn_target_add(e, &t, s->dtype, rnn_span_grad(e, id));
    rnn_block *rest = rnn_block_new(e, "scatter backward", x->n, s->dtype);
    if (!rest) return RNN_EMEMORY;
    const size_t row = (size_t)x->ip[1] * rnn_itemsize(s->dtype);
    memcpy(rest->data, rnn_span_grad(e, id), (size_t)x->n * rnn_itemsize(s->dtype));
    const int64_t *index = x->saved;
    for (int64_t i = 0; i < x->ip[0]; i++)
        memset((char *)rest->data + (size_t)index[i] * row, 0, row);
    failed = rnn_target_add(e, &t, s->dtype, rest->data);
    rnn_drop_block(e, rest);
    return failed;
}

static int scatter_source(rnn_engine *e, uint32_t id, const int64_t *winner) {
    const rnn_span *s = rnn_at(e, id);
    const rnn_ext *x = s->ext;
    const int64_t *index = x->saved, count = x->ip[0];
    rnn_target t;
    int failed = rnn_target_begin(e, id, 1, count * x->ip[1], &t);
    if (failed || !t.wanted) return failed;
    rnn_block *picked = rnn_block_new(e, "scatter backward", count * x->ip[1], s->dtype);
    if (!picked) return RNN_EMEMORY;
    rows_job j = {e->k, s->dtype, index, x->ip[1], picked->data, rnn_span_grad(e, id)};
    pick_task(&j, 0, count);
    const size_t row = (size_t)x->ip[1] * rnn_itemsize(s->dtype);
    for (int64_t i = 0; winner && i < count; i++)
        if (winner[index[i]] != i) memset((char *)picked->data + (size_t)i * row, 0, row);
    failed = rnn_target_add(e, &t, s->dtype, picked->data);
    rnn_drop_block(e, picked);
    return failed;
}

int rnn_scatter_backward(rnn_engine *e, uint32_t id) {
    const bool add = rnn_at(e, id)->op == RNN_OP_SCATTER_ADD;
    int64_t *winner = add ? NULL : winners(e, rnn_at(e, id)->ext);
    if (!add && !winner) return RNN_EMEMORY;
    int failed = scatter_base(e, id, winner);
    if (!failed) failed = scatter_source(e, id, winner);
    free(winner);
    return failed;
}

int rnn_scatter_edges(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out) {
    const rnn_span *s = rnn_at(e, id);
    const rnn_ext *x = s->ext;
    const int64_t *index = x->saved, inner = x->ip[1], row = node / inner;
    const bool add = s->op == RNN_OP_SCATTER_ADD;
    rnn_view a, src;
    int64_t last = -1;
    rnn_operand_view(e, id, 0, &a);
    rnn_operand_view(e, id, 1, &src);
    for (int64_t i = 0; i < x->ip[0]; i++) {
        if (index[i] != row) continue;
        last = i;
        if (add) rnn_push_edge(e, out, &src, rnn_flat_to_offset(&src, i * inner + node % inner), 1);
    }
    if (!add && last >= 0)
        rnn_push_edge(e, out, &src, rnn_flat_to_offset(&src, last * inner + node % inner), 1);
    if (add || last < 0) rnn_push_edge(e, out, &a, rnn_flat_to_offset(&a, node), 1);
    return 0;
}
