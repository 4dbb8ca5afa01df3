/* gather.c: rows picked by index. Reading by fancy index, embedding and take stand on it. */
#include "rows.h"

#include <string.h>

/* ---- forward --------------------------------------------------------------------------------- */

typedef struct {
    search found;
    moved rows;
} gather_job;

/* While its rows are in the cache. */
static void gather_task(void *ctx, int64_t begin, int64_t end) {
    gather_job *j = ctx;
    if (rnn_rows_find(&j->found, begin, end)) rnn_rows_pick(&j->rows, begin, end);
    else atomic_store(&j->found.wrong, true);
}

/* Room for the list of rows, whose elements fill the result. */
static int begin_list(rnn_engine *e, const rnn_view *a, const rnn_index *at, rnn_build *b) {
    int64_t n;
    uint64_t elements;
    int failed = rnn_check_shape(e, "gather", b->ndim, b->shape, &n);
    if (!failed) failed = rnn_rows_room(e, a, at, b);
    if (failed) return failed;
    if (rnn_mul_size((uint64_t)b->ip[COUNT], (uint64_t)b->ip[INNER], &elements) &&
        elements == (uint64_t)n)
        return 0;
    rnn_unsave(e, b);
    return rnn_fail(e, RNN_EVALUE, "gather: %lld rows of %lld do not fill the shape",
                    (long long)b->ip[COUNT], (long long)b->ip[INNER]);
}

rnn_ref rnn_gather_as(rnn_engine *e, int op, const rnn_view *a, const rnn_index *at, int ndim,
                      const int64_t *out_shape) {
    rnn_build b = {.op = op, .dtype = a->dtype, .ndim = ndim, .count = 1, .in = a};
    if (ndim > 0 && ndim <= RNN_MAX_DIMS)
        memcpy(b.shape, out_shape, (size_t)ndim * sizeof(int64_t));
    int failed = begin_list(e, a, at, &b);
    if (!failed) failed = rnn_build_begin(e, &b);
    if (failed) return failed;
    rnn_block *temp;
    gather_job j = {{at, b.saved, false}, rnn_rows_of(e, a->dtype, b.saved, b.ip)};
    j.rows.dst = b.out;
    failed = rnn_packed(e, "gather", a, &j.rows.src, &temp);
    if (!failed)
        rnn_parallel_for(e->pool, b.ip[COUNT], rnn_rows_grain(b.ip[INNER]), gather_task, &j);
    rnn_drop_block(e, temp);
    if (!failed && j.found.wrong) failed = rnn_rows_wrong(e, at);
    if (!failed) return rnn_build_finish(e, &b);
    rnn_build_abort(e, &b);
    return failed;
}

rnn_ref rnn_gather(rnn_engine *e, rnn_ref ref, const int64_t *index, int64_t count, int64_t inner,
                   int ndim, const int64_t *out_shape) {
    rnn_view a;
    if (rnn_view_of(e, ref, &a)) return RNN_ETYPE;
    const rnn_index at = rnn_index_rows(&a, index, count, inner);
    return rnn_gather_as(e, RNN_OP_GATHER, &a, &at, ndim, out_shape);
}

rnn_ref rnn_index_select(rnn_engine *e, rnn_ref ref, int64_t dim, const int64_t *index,
                         int64_t count) {
    rnn_view a;
    if (rnn_view_of(e, ref, &a)) return RNN_ETYPE;
    const int failed = rnn_dim_of(e, a.ndim, &dim);
    if (failed) return failed;
    rnn_index at = {.index = index, .count = count};
    rnn_index_along(&a, (int)dim, &at);
    int64_t shape[RNN_MAX_DIMS];
    memcpy(shape, a.shape, sizeof shape);
    if (a.ndim) shape[dim] = count;
    return rnn_gather_as(e, RNN_OP_GATHER, &a, &at, a.ndim, shape);
}

/* ---- backward -------------------------------------------------------------------------------- */

int rnn_gather_backward(rnn_engine *e, uint32_t id) {
    const rnn_span *s = rnn_at(e, id);
    const rnn_ext *x = s->ext;
    rnn_target t;
    int failed = rnn_target_zero(e, id, 0, &t);
    if (failed || !t.wanted) return failed;
    moved m = rnn_rows_of(e, s->dtype, x->saved, x->ip);
    m.dst = t.grad;
    m.src = rnn_span_grad(e, id);
    if (rnn_view_is_contiguous(&t.v)) {
        rnn_rows_write(e, &m, ADD);
        return 0;
    }
    const int64_t n = rnn_numel(t.v.ndim, t.v.shape);
    rnn_block *temp = rnn_block_new(e, "gather backward", n, s->dtype);
    if (!temp) return RNN_EMEMORY;
    memset(temp->data, 0, (size_t)n * rnn_itemsize(s->dtype));
    m.dst = temp->data;
    rnn_rows_write(e, &m, ADD);
    failed = rnn_target_add(e, &t, s->dtype, temp->data);
    rnn_drop_block(e, temp);
    return failed;
}

/* ---- edges ----------------------------------------------------------------------------------- */

int rnn_gather_edges(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out) {
    const rnn_ext *x = rnn_at(e, id)->ext;
    const int64_t *index = x->saved, inner = x->ip[INNER];
    rnn_view a;
    rnn_operand_view(e, id, 0, &a);
    rnn_push_edge(e, out, &a, rnn_flat_to_offset(&a, index[node / inner] * inner + node % inner),
                  1);
    return 0;
}

int rnn_gather_uses(rnn_engine *e, uint32_t id, int k, int64_t node, rnn_use_list *out) {
    const rnn_ext *x = rnn_at(e, id)->ext;
    const int64_t *index = x->saved, inner = x->ip[INNER];
    rnn_view v;
    rnn_places p;
    rnn_operand_view(e, id, k, &v);
    for (rnn_places_begin(&p, &v, node); rnn_places_next(&p);) {
        const int64_t flat = rnn_place_flat(&p);
        for (int64_t i = 0; i < x->n / inner; i++)
            if (index[i] == flat / inner) rnn_push_use(out, i * inner + flat % inner, 1);
    }
    return 0;
}
