/* scatter.c: rows put back by index, or added. Writing by fancy index, put_ and index_add stand on
 * it. */
#include "rows.h"

#include <string.h>

/* ---- forward --------------------------------------------------------------------------------- */

static rnn_ref scatter(rnn_engine *e, const rnn_view *in, const rnn_index *at, bool add) {
    rnn_build b = {.op = add ? RNN_OP_SCATTER_ADD : RNN_OP_SCATTER,
                   .dtype = in[0].dtype,
                   .ndim = in[0].ndim,
                   .count = 2,
                   .in = in};
    int failed = rnn_rows_take(e, &in[0], at, &b);
    if (failed) return failed;
    memcpy(b.shape, in[0].shape, sizeof b.shape);
    if ((failed = rnn_build_begin(e, &b))) return failed;
    rnn_block *temp;
    moved m = rnn_rows_of(e, b.dtype, b.saved, b.ip);
    m.dst = b.out;
    if ((failed = rnn_packed(e, "scatter", &in[1], &m.src, &temp))) {
        rnn_build_abort(e, &b);
        return failed;
    }
    rnn_pack_view(e, &in[0], b.out);
    rnn_rows_write(e, &m, add ? ADD : PUT);
    rnn_drop_block(e, temp);
    return rnn_build_finish(e, &b);
}

/* The operands of a scatter, of one type, the second with as many elements as the index names. */
static int scatter_operands(rnn_engine *e, const rnn_view *in, const rnn_index *at) {
    if (in[0].dtype != in[1].dtype) return RNN_EDTYPE;
    const int64_t n = rnn_numel(in[1].ndim, in[1].shape);
    uint64_t rows, named;
    if (!rnn_mul_size((uint64_t)at->outer, (uint64_t)at->count, &rows) ||
        !rnn_mul_size(rows, (uint64_t)at->inner, &named))
        return rnn_fail(e, RNN_EVALUE,
                        "scatter: the index names more elements than can be counted");
    if (named == (uint64_t)n) return 0;
    return rnn_fail(e, RNN_EVALUE, "scatter: the source has %lld elements, not %lld rows of %lld",
                    (long long)n, (long long)rows, (long long)at->inner);
}

rnn_ref rnn_scatter(rnn_engine *e, rnn_ref ref, const int64_t *index, int64_t count, int64_t inner,
                    rnn_ref src_ref, int add) {
    rnn_view in[2];
    if (rnn_view_of(e, ref, &in[0]) || rnn_view_of(e, src_ref, &in[1])) return RNN_ETYPE;
    const rnn_index at = rnn_index_rows(&in[0], index, count, inner);
    const int failed = scatter_operands(e, in, &at);
    return failed ? failed : scatter(e, in, &at, add);
}

/* Without a record, into contiguous memory: the rows alone are written. */
static int scatter_directly(rnn_engine *e, rnn_ref ref, const rnn_view *in, const rnn_index *at,
                            bool add) {
    rnn_build b = {.op = RNN_OP_SCATTER};
    int failed = rnn_rows_take(e, &in[0], at, &b);
    if (failed) return failed;
    rnn_block *temp;
    moved m = rnn_rows_of(e, in[0].dtype, b.saved, b.ip);
    m.dst = rnn_view_data(e, &in[0]);
    failed = rnn_packed(e, "scatter", &in[1], &m.src, &temp);
    if (!failed) rnn_rows_write(e, &m, add ? ADD : PUT);
    rnn_unsave(e, &b);
    rnn_drop_block(e, temp);
    return failed ? failed : rnn_touch(e, ref);
}

static int scatter_into(rnn_engine *e, rnn_ref ref, const rnn_view *in, const rnn_index *at,
                        rnn_ref src_ref, bool add) {
    int failed = rnn_check_inplace(e, ref);
    if (!failed) failed = scatter_operands(e, in, at);
    if (failed) return failed;
    const bool record = rnn_grad_mode() && (in[0].needs_grad || in[1].needs_grad);
    if (!record && rnn_view_is_contiguous(&in[0]) && !rnn_same_memory(e, ref, src_ref))
        return scatter_directly(e, ref, in, at, add);
    rnn_ref made = scatter(e, in, at, add);
    return made < 0 ? (int)made : rnn_take_over(e, ref, made);
}

int rnn_scatter_into(rnn_engine *e, rnn_ref ref, const int64_t *index, int64_t count, int64_t inner,
                     rnn_ref src_ref, int add) {
    rnn_view in[2];
    if (rnn_view_of(e, ref, &in[0]) || rnn_view_of(e, src_ref, &in[1])) return RNN_ETYPE;
    const rnn_index at = rnn_index_rows(&in[0], index, count, inner);
    return scatter_into(e, ref, in, &at, src_ref, add);
}

int rnn_scatter_along(rnn_engine *e, rnn_ref ref, int64_t dim, const int64_t *index, int64_t count,
                      int each, rnn_ref src_ref, int add) {
    rnn_view in[2];
    if (rnn_view_of(e, ref, &in[0]) || rnn_view_of(e, src_ref, &in[1])) return RNN_ETYPE;
    const int failed = rnn_dim_of(e, in[0].ndim, &dim);
    if (failed) return failed;
    rnn_index at = {.index = index, .count = count, .each = each};
    rnn_index_along(&in[0], (int)dim, &at);
    return scatter_into(e, ref, in, &at, src_ref, add);
}

/* ---- backward -------------------------------------------------------------------------------- */

/* Which of the list wrote a row last, for the rows that were written; NULL: no memory. */
static rnn_block *winners(rnn_engine *e, const rnn_span *s) {
    const rnn_ext *x = s->ext;
    const int64_t rows = x->ip[INNER] > 0 ? x->n / x->ip[INNER] : 0;
    rnn_block *winner = rnn_block_new(e, "scatter backward", rows, RNN_F64);
    moved m = rnn_rows_of(e, s->dtype, x->saved, x->ip);
    if (!winner) return NULL;
    m.dst = winner->data;
    rnn_rows_write(e, &m, WINNER);
    return winner;
}

/* What the rows were written over gets no gradient. */
static int scatter_base(rnn_engine *e, uint32_t id, bool add) {
    const rnn_span *s = rnn_at(e, id);
    const rnn_ext *x = s->ext;
    rnn_target t;
    int failed = rnn_target_begin(e, id, 0, x->n, &t);
    if (failed || !t.wanted) return failed;
    const bool direct = t.fresh && rnn_view_is_contiguous(&t.v);
    if (add || direct) failed = rnn_target_add(e, &t, s->dtype, rnn_span_grad(e, id));
    if (add || failed) return failed;
    moved m = rnn_rows_of(e, s->dtype, x->saved, x->ip);
    m.dst = t.grad;
    if (direct) {
        rnn_rows_write(e, &m, ZERO);
        return 0;
    }
    rnn_block *rest = rnn_block_new(e, "scatter backward", x->n, s->dtype);
    if (!rest) return RNN_EMEMORY;
    m.dst = memcpy(rest->data, rnn_span_grad(e, id), (size_t)x->n * rnn_itemsize(s->dtype));
    rnn_rows_write(e, &m, ZERO);
    failed = rnn_target_add(e, &t, s->dtype, rest->data);
    rnn_drop_block(e, rest);
    return failed;
}

typedef struct {
    moved rows;
    const int64_t *winner; /* NULL: all are */
} won_job;

/* Rows of one element, chosen without a branch: which won is as good as random. */
#define WON(T, name) \
    static void name(const moved *m, const int64_t *winner, int64_t begin, int64_t end) { \
        const T *src = (const T *)(const void *)m->src; \
        T choice[2] = {0}, *dst = (T *)(void *)m->dst; \
        for (int64_t i = begin; i < end; i++) { \
            choice[1] = src[m->index[i]]; \
            dst[i] = choice[winner[m->index[i]] == i]; \
        } \
    }
WON(float, won_f32)
WON(double, won_f64)
#undef WON

/* rnn_rows_pick, but zeros for what another row was written over */
static void won_task(void *ctx, int64_t begin, int64_t end) {
    const won_job *w = ctx;
    const moved *m = &w->rows;
    const int64_t *winner = w->winner;
    if (!winner) rnn_rows_pick(m, begin, end);
    else if (m->inner == 1 && m->dtype == RNN_F32) won_f32(m, winner, begin, end);
    else if (m->inner == 1) won_f64(m, winner, begin, end);
    else {
        const size_t row = (size_t)m->inner * rnn_itemsize(m->dtype);
        rnn_rows_pick(m, begin, end);
        for (int64_t i = begin; i < end; i++)
            if (winner[m->index[i]] != i) memset(m->dst + (size_t)i * row, 0, row);
    }
}

static int scatter_source(rnn_engine *e, uint32_t id, bool add) {
    const rnn_span *s = rnn_at(e, id);
    const rnn_ext *x = s->ext;
    const int64_t n = x->ip[COUNT] * x->ip[INNER];
    rnn_target t;
    int failed = rnn_target_begin(e, id, 1, n, &t);
    if (failed || !t.wanted) return failed;
    const bool direct =
        t.fresh && rnn_view_is_contiguous(&t.v) && rnn_numel(t.v.ndim, t.v.shape) == n;
    rnn_block *winner = add ? NULL : winners(e, s), *picked = NULL;
    if (!direct) picked = rnn_block_new(e, "scatter backward", n, s->dtype);
    if ((add || winner) && (direct || picked)) {
        won_job w = {rnn_rows_of(e, s->dtype, x->saved, x->ip), winner ? winner->data : NULL};
        w.rows.dst = direct ? t.grad : picked->data;
        w.rows.src = rnn_span_grad(e, id);
        rnn_parallel_for(e->pool, x->ip[COUNT], rnn_rows_grain(x->ip[INNER]), won_task, &w);
        if (!direct) failed = rnn_target_add(e, &t, s->dtype, picked->data);
    } else {
        failed = RNN_EMEMORY;
    }
    rnn_drop_block(e, winner);
    rnn_drop_block(e, picked);
    return failed;
}

int rnn_scatter_backward(rnn_engine *e, uint32_t id) {
    const bool add = rnn_at(e, id)->op == RNN_OP_SCATTER_ADD;
    const int failed = scatter_base(e, id, add);
    return failed ? failed : scatter_source(e, id, add);
}

/* ---- edges ----------------------------------------------------------------------------------- */

int rnn_scatter_edges(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out) {
    const rnn_span *s = rnn_at(e, id);
    const rnn_ext *x = s->ext;
    const int64_t *index = x->saved, inner = x->ip[INNER], row = node / inner;
    const bool add = s->op == RNN_OP_SCATTER_ADD;
    rnn_view a, src;
    int64_t last = -1;
    rnn_operand_view(e, id, 0, &a);
    rnn_operand_view(e, id, 1, &src);
    for (int64_t i = 0; i < x->ip[COUNT]; i++) {
        if (index[i] != row) continue;
        last = i;
        if (add) rnn_push_edge(e, out, &src, rnn_flat_to_offset(&src, i * inner + node % inner), 1);
    }
    if (!add && last >= 0)
        rnn_push_edge(e, out, &src, rnn_flat_to_offset(&src, last * inner + node % inner), 1);
    if (add || last < 0) rnn_push_edge(e, out, &a, rnn_flat_to_offset(&a, node), 1);
    return 0;
}

/* The last of `count` places in `index` that is `row`; -1: none. */
static int64_t last_of(const int64_t *index, int64_t count, int64_t row) {
    while (--count >= 0 && index[count] != row) {
    }
    return count;
}

int rnn_scatter_uses(rnn_engine *e, uint32_t id, int k, int64_t node, rnn_use_list *out) {
    const rnn_span *s = rnn_at(e, id);
    const rnn_ext *x = s->ext;
    const int64_t *index = x->saved, inner = x->ip[INNER], count = x->ip[COUNT];
    const bool add = s->op == RNN_OP_SCATTER_ADD;
    rnn_view v;
    rnn_places p;
    rnn_operand_view(e, id, k, &v);
    for (rnn_places_begin(&p, &v, node); rnn_places_next(&p);) {
        const int64_t flat = rnn_place_flat(&p), row = k ? index[flat / inner] : flat / inner;
        const int64_t last = add ? -1 : last_of(index, count, row);
        if (add || last == (k ? flat / inner : -1))
            rnn_push_use(out, row * inner + flat % inner, 1);
    }
    return 0;
}
