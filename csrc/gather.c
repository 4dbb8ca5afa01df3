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

void rnn_index_along(const rnn_view *a, int dim, rnn_index *at) {
    at->outer = at->inner = 1;
    at->length = a->ndim ? a->shape[dim] : 1;
    for (int d = 0; d < a->ndim; d++)
        if (d != dim) *(d < dim ? &at->outer : &at->inner) *= a->shape[d];
}

static rnn_index rows_index(const rnn_view *a, const int64_t *index, int64_t count, int64_t inner) {
    const int64_t n = rnn_numel(a->ndim, a->shape);
    return (rnn_index){index, 1, inner > 0 ? n / inner : 0, inner, count, false};
}

/* What a span keeps is a list of rows, in ip: how many, of how many elements, and how they stand.
 * Those of different groups (of as many in a row), and in one group those of different lanes (side
 * by side), never mean the same row: so threads may share them. */
enum { COUNT, INNER, GROUPS, LANES };

typedef struct {
    const rnn_index *at;
    int64_t *rows;
    atomic_bool wrong; /* one is out of range */
} index_job;

/* Rows [begin, end) of the list; false where an index is out of range. */
static bool find_rows(const index_job *j, int64_t begin, int64_t end) {
    const rnn_index *at = j->at;
    const bool lanes = at->each && at->inner > 1;
    const int64_t run = lanes ? at->inner : at->count; /* rows that are in one slice */
    bool wrong = false;
    while (begin < end) {
        const int64_t slice = begin / run, from = begin % run;
        const int64_t n = run - from < end - begin ? run - from : end - begin;
        const uint64_t first = (uint64_t)((lanes ? slice / at->count : slice) * at->length);
        const uint64_t *index = (const uint64_t *)at->index + (at->each ? begin : from);
        uint64_t *to = (uint64_t *)j->rows + begin;
        const uint64_t step = lanes ? (uint64_t)at->inner : 1, lane = (uint64_t)from;
        for (int64_t i = 0; i < n; i++) wrong |= index[i] >= (uint64_t)at->length;
        if (lanes)
            for (int64_t i = 0; i < n; i++) to[i] = (first + index[i]) * step + lane + (uint64_t)i;
        else
            for (int64_t i = 0; i < n; i++) to[i] = first + index[i];
        begin += n;
    }
    return !wrong;
}

static void index_task(void *ctx, int64_t begin, int64_t end) {
    index_job *j = ctx;
    if (!find_rows(j, begin, end)) atomic_store(&j->wrong, true);
}

/* Room for the list of rows that an index means in `a`. */
static int begin_index(rnn_engine *e, const rnn_view *a, const rnn_index *at, rnn_build *b) {
    const int64_t n = rnn_numel(a->ndim, a->shape);
    if (at->inner < 0 || at->count < 0 || at->outer * at->length * at->inner != n)
        return rnn_fail(e, RNN_EVALUE, "%s: rows of %lld elements do not divide %lld",
                        rnn_ops[b->op].name, (long long)at->inner, (long long)n);
    uint64_t count;
    if (!rnn_mul_size((uint64_t)(at->outer * (at->each ? at->inner : 1)), (uint64_t)at->count,
                      &count) ||
        count > INT64_MAX / 8)
        count = INT64_MAX / 8; /* more than there is memory for */
    const int failed = rnn_save(e, b, (int64_t)count, sizeof(int64_t));
    b->ip[COUNT] = (int64_t)count;
    b->ip[INNER] = at->each ? 1 : at->inner;
    b->ip[GROUPS] = at->outer;
    b->ip[LANES] = at->each ? at->inner : 1;
    return failed;
}

static int out_of_range(rnn_engine *e, const rnn_index *at, int64_t count) {
    int64_t i = 0;
    while (i < count && at->index[i] >= 0 && at->index[i] < at->length) i++;
    return rnn_fail(e, RNN_EINDEX, "index %lld is out of bounds for dimension 0 with size %lld",
                    (long long)at->index[i], (long long)at->length);
}

static int take_index(rnn_engine *e, const rnn_view *a, const rnn_index *at, rnn_build *b) {
    int failed = begin_index(e, a, at, b);
    if (failed) return failed;
    index_job j = {at, b->saved, false};
    rnn_parallel_for(e->pool, b->ip[COUNT], 1 << 14, index_task, &j);
    if (!j.wrong) return 0;
    rnn_unsave(e, b);
    return out_of_range(e, at, at->each ? b->ip[COUNT] : at->count);
}

/* Rows of a list, between row-major memory that they are rows of, and memory that has one after the
 * other. */
typedef struct {
    const rnn_kernels *k;
    int dtype;
    const int64_t *index;
    int64_t inner, count, groups, lanes;
    char *dst;
    const char *src;
    int64_t width; /* of a part: lanes, or elements of a row */
} rows_job;

static rows_job rows_of(rnn_engine *e, int dtype, const void *index, const int64_t *ip) {
    return (rows_job){.k = e->k,
                      .dtype = dtype,
                      .index = index,
                      .inner = ip[INNER],
                      .count = ip[COUNT],
                      .groups = ip[GROUPS],
                      .lanes = ip[LANES]};
}

/* Rows of one element: dst[..] = or += src[..], one of them through the index. */
#define SINGLES(T, to, operator, from, begin, end) \
    do { \
        const T *src = (const T *)(const void *)j->src; \
        T *dst = (T *)(void *)j->dst; \
        for (int64_t i = (begin); i < (end); i++) dst[to] operator from; \
    } while (0)

static void pick_task(void *ctx, int64_t begin, int64_t end) {
    const rows_job *j = ctx;
    const size_t row = (size_t)j->inner * rnn_itemsize(j->dtype);
    if (j->inner != 1)
        for (int64_t i = begin; i < end; i++)
            memcpy(j->dst + (size_t)i * row, j->src + (size_t)j->index[i] * row, row);
    else if (j->dtype == RNN_F32) SINGLES(float, i, =, src[j->index[i]], begin, end);
    else SINGLES(double, i, =, src[j->index[i]], begin, end);
}

static int64_t row_grain(int64_t inner) { return 16384 / (inner > 0 ? inner : 1) + 1; }

/* ---- rows added and put: one after the other, as an index may occur twice -------------------- */

typedef void (*put_loop)(const rows_job *j, int64_t begin, int64_t end, int64_t low, int64_t high);

/* Rows [begin, end) of the list, their elements [low, high) */
static void add_rows(const rows_job *j, int64_t begin, int64_t end, int64_t low, int64_t high) {
    const size_t size = rnn_itemsize(j->dtype), row = (size_t)j->inner * size;
    if (j->inner == 1 && j->dtype == RNN_F32) SINGLES(float, j->index[i], +=, src[i], begin, end);
    else if (j->inner == 1) SINGLES(double, j->index[i], +=, src[i], begin, end);
    else
        for (int64_t i = begin; i < end; i++)
            j->k->add_scaled[j->dtype](high - low,
                                       j->dst + (size_t)j->index[i] * row + (size_t)low * size,
                                       j->src + (size_t)i * row + (size_t)low * size, 1);
}

static void put_rows(const rows_job *j, int64_t begin, int64_t end, int64_t low, int64_t high) {
    const size_t size = rnn_itemsize(j->dtype), row = (size_t)j->inner * size;
    if (j->inner == 1 && j->dtype == RNN_F32) SINGLES(float, j->index[i], =, src[i], begin, end);
    else if (j->inner == 1) SINGLES(double, j->index[i], =, src[i], begin, end);
    else
        for (int64_t i = begin; i < end; i++)
            memcpy(j->dst + (size_t)j->index[i] * row + (size_t)low * size,
                   j->src + (size_t)i * row + (size_t)low * size, (size_t)(high - low) * size);
}

static void zero_rows(const rows_job *j, int64_t begin, int64_t end, int64_t low, int64_t high) {
    const size_t size = rnn_itemsize(j->dtype), row = (size_t)j->inner * size;
    if (j->inner == 1 && j->dtype == RNN_F32)
        for (int64_t i = begin; i < end; i++) ((float *)(void *)j->dst)[j->index[i]] = 0;
    else if (j->inner == 1)
        for (int64_t i = begin; i < end; i++) ((double *)(void *)j->dst)[j->index[i]] = 0;
    else
        for (int64_t i = begin; i < end; i++)
            memset(j->dst + (size_t)j->index[i] * row + (size_t)low * size, 0,
                   (size_t)(high - low) * size);
}

/* dst[row]: which of the list wrote that row last; what none wrote is left as it was */
static void win_rows(const rows_job *j, int64_t begin, int64_t end, int64_t low, int64_t high) {
    (void)low, (void)high;
    int64_t *winner = (int64_t *)(void *)j->dst;
    for (int64_t i = begin; i < end; i++) winner[j->index[i]] = i;
}

typedef struct {
    const rows_job *rows;
    put_loop loop;
    int64_t parts; /* of a group */
} put_job;

static void put_task(void *ctx, int64_t begin, int64_t end) {
    const put_job *p = ctx;
    const rows_job *j = p->rows;
    const int64_t per = j->count / j->groups / j->lanes;
    for (int64_t part = begin; part < end; part++) {
        const int64_t first = part / p->parts * per, low = part % p->parts * j->width;
        const int64_t all = j->lanes > 1 ? j->lanes : j->inner;
        const int64_t high = all - low < j->width ? all : low + j->width;
        if (j->lanes == 1) p->loop(j, first, first + per, low, high);
        else
            for (int64_t k = first; k < first + per; k++)
                p->loop(j, k * j->lanes + low, k * j->lanes + high, 0, 1);
    }
}

enum { PART = 128 };

static void put_all(rnn_engine *e, rows_job *j, put_loop loop) {
    if (j->count == 0 || j->inner == 0) return;
    const bool whole = j->groups >= 16 || (j->lanes == 1 && loop == win_rows);
    const int64_t all = j->lanes > 1 ? j->lanes : j->inner;
    j->width = whole || all < 2 * PART ? all : PART;
    put_job p = {j, loop, (all + j->width - 1) / j->width};
    const int64_t parts = p.parts * j->groups, each = j->count * j->inner / parts;
    rnn_parallel_for(e->pool, parts, 16384 / (each + 1) + 1, put_task, &p);
}

/* ---- gather ---------------------------------------------------------------------------------- */

typedef struct {
    index_job index;
    rows_job rows;
} gather_job;

/* While its rows are in the cache. */
static void gather_task(void *ctx, int64_t begin, int64_t end) {
    gather_job *j = ctx;
    if (find_rows(&j->index, begin, end)) pick_task(&j->rows, begin, end);
    else atomic_store(&j->index.wrong, true);
}

rnn_ref rnn_gather_as(rnn_engine *e, int op, const rnn_view *a, const rnn_index *at, int ndim,
                      const int64_t *out_shape) {
    rnn_build b = {.op = op, .dtype = a->dtype, .ndim = ndim, .count = 1, .in = a};
    int64_t n;
    int failed = rnn_check_shape(e, "gather", ndim, out_shape, &n);
    if (!failed) failed = begin_index(e, a, at, &b);
    if (!failed && n != b.ip[COUNT] * b.ip[INNER]) {
        rnn_unsave(e, &b);
        failed = rnn_fail(e, RNN_EVALUE, "gather: %lld rows of %lld do not fill the shape",
                          (long long)b.ip[COUNT], (long long)b.ip[INNER]);
    }
    if (failed) return failed;
    if (ndim) memcpy(b.shape, out_shape, (size_t)ndim * sizeof(int64_t));
    if ((failed = rnn_build_begin(e, &b))) return failed;
    rnn_block *temp;
    gather_job j = {{at, b.saved, false}, rows_of(e, a->dtype, b.saved, b.ip)};
    j.rows.dst = b.out;
    j.rows.src = flat_data(e, "gather", a, &temp);
    if (j.rows.src) rnn_parallel_for(e->pool, b.ip[COUNT], row_grain(b.ip[INNER]), gather_task, &j);
    rnn_drop_block(e, temp);
    if (j.rows.src && !j.index.wrong) return rnn_build_finish(e, &b);
    rnn_build_abort(e, &b);
    return j.rows.src ? out_of_range(e, at, at->each ? b.ip[COUNT] : at->count) : RNN_EMEMORY;
}

rnn_ref rnn_gather(rnn_engine *e, rnn_ref ref, const int64_t *index, int64_t count, int64_t inner,
                   int ndim, const int64_t *out_shape) {
    rnn_view a;
    if (rnn_view_of(e, ref, &a)) return RNN_ETYPE;
    const rnn_index at = rows_index(&a, index, count, inner);
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

int rnn_gather_backward(rnn_engine *e, uint32_t id) {
    const rnn_span *s = rnn_at(e, id);
    const rnn_ext *x = s->ext;
    rnn_target t;
    int failed = rnn_target_zero(e, id, 0, &t);
    if (failed || !t.wanted) return failed;
    rows_job j = rows_of(e, s->dtype, x->saved, x->ip);
    j.dst = t.grad;
    j.src = rnn_span_grad(e, id);
    if (rnn_view_is_contiguous(&t.v)) {
        put_all(e, &j, add_rows);
        return 0;
    }
    const int64_t n = rnn_numel(t.v.ndim, t.v.shape);
    rnn_block *temp = rnn_block_new(e, "gather backward", n, s->dtype);
    if (!temp) return RNN_EMEMORY;
    memset(temp->data, 0, (size_t)n * rnn_itemsize(s->dtype));
    j.dst = temp->data;
    put_all(e, &j, add_rows);
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

static rnn_ref scatter(rnn_engine *e, const rnn_view *in, const rnn_index *at, bool add) {
    rnn_build b = {.op = add ? RNN_OP_SCATTER_ADD : RNN_OP_SCATTER,
                   .dtype = in[0].dtype,
                   .ndim = in[0].ndim,
                   .count = 2,
                   .in = in};
    int failed = take_index(e, &in[0], at, &b);
    if (failed) return failed;
    memcpy(b.shape, in[0].shape, sizeof b.shape);
    if ((failed = rnn_build_begin(e, &b))) return failed;
    rnn_block *temp;
    rows_job j = rows_of(e, b.dtype, b.saved, b.ip);
    j.dst = b.out;
    j.src = flat_data(e, "scatter", &in[1], &temp);
    if (!j.src) {
        rnn_build_abort(e, &b);
        return RNN_EMEMORY;
    }
    rnn_pack_view(e, &in[0], b.out);
    put_all(e, &j, add ? add_rows : put_rows);
    rnn_drop_block(e, temp);
    return rnn_build_finish(e, &b);
}

/* The operands of a scatter, of one type, the second with as many elements as the index names. */
static int scatter_operands(rnn_engine *e, const rnn_view *in, const rnn_index *at) {
    if (in[0].dtype != in[1].dtype) return RNN_EDTYPE;
    const int64_t n = rnn_numel(in[1].ndim, in[1].shape);
    if (n == at->outer * at->count * at->inner) return 0;
    return rnn_fail(e, RNN_EVALUE, "scatter: the source has %lld elements, not %lld rows of %lld",
                    (long long)n, (long long)(at->outer * at->count), (long long)at->inner);
}

rnn_ref rnn_scatter(rnn_engine *e, rnn_ref ref, const int64_t *index, int64_t count, int64_t inner,
                    rnn_ref src_ref, int add) {
    rnn_view in[2];
    if (rnn_view_of(e, ref, &in[0]) || rnn_view_of(e, src_ref, &in[1])) return RNN_ETYPE;
    const rnn_index at = rows_index(&in[0], index, count, inner);
    const int failed = scatter_operands(e, in, &at);
    return failed ? failed : scatter(e, in, &at, add);
}

/* Without a record, into contiguous memory: the rows alone are written. */
static int scatter_directly(rnn_engine *e, rnn_ref ref, const rnn_view *in, const rnn_index *at,
                            bool add) {
    rnn_build b = {.op = RNN_OP_SCATTER};
    int failed = take_index(e, &in[0], at, &b);
    if (failed) return failed;
    rnn_block *temp;
    rows_job j = rows_of(e, in[0].dtype, b.saved, b.ip);
    j.dst = rnn_view_data(e, &in[0]);
    j.src = flat_data(e, "scatter", &in[1], &temp);
    if (j.src) put_all(e, &j, add ? add_rows : put_rows);
    rnn_unsave(e, &b);
    rnn_drop_block(e, temp);
    return j.src ? rnn_touch(e, ref) : RNN_EMEMORY;
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
    const rnn_index at = rows_index(&in[0], index, count, inner);
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

/* Which of the list wrote a row last, for the rows that were written; NULL: no memory. */
static rnn_block *winners(rnn_engine *e, const rnn_span *s) {
    const rnn_ext *x = s->ext;
    const int64_t rows = x->ip[INNER] > 0 ? x->n / x->ip[INNER] : 0;
    rnn_block *winner = rnn_block_new(e, "scatter backward", rows, RNN_F64);
    rows_job j = rows_of(e, s->dtype, x->saved, x->ip);
    if (!winner) return NULL;
    j.dst = winner->data;
    put_all(e, &j, win_rows);
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
    rows_job j = rows_of(e, s->dtype, x->saved, x->ip);
    j.dst = t.grad;
    if (direct) {
        put_all(e, &j, zero_rows);
        return 0;
    }
    rnn_block *rest = rnn_block_new(e, "scatter backward", x->n, s->dtype);
    if (!rest) return RNN_EMEMORY;
    j.dst = memcpy(rest->data, rnn_span_grad(e, id), (size_t)x->n * rnn_itemsize(s->dtype));
    put_all(e, &j, zero_rows);
    failed = rnn_target_add(e, &t, s->dtype, rest->data);
    rnn_drop_block(e, rest);
    return failed;
}

typedef struct {
    rows_job rows;
    const int64_t *winner; /* NULL: all are */
} won_job;

/* Rows of one element, chosen without a branch: which won is as good as random. */
#define WON(T, name) \
    static void name(const rows_job *j, const int64_t *winner, int64_t begin, int64_t end) { \
        const T *src = (const T *)(const void *)j->src; \
        T choice[2] = {0}, *dst = (T *)(void *)j->dst; \
        for (int64_t i = begin; i < end; i++) { \
            choice[1] = src[j->index[i]]; \
            dst[i] = choice[winner[j->index[i]] == i]; \
        } \
    }
WON(float, won_f32)
WON(double, won_f64)
#undef WON

/* pick_task, but zeros for what another row was written over */
static void won_task(void *ctx, int64_t begin, int64_t end) {
    won_job *w = ctx;
    const rows_job *j = &w->rows;
    const int64_t *winner = w->winner;
    if (!winner) pick_task(&w->rows, begin, end);
    else if (j->inner == 1 && j->dtype == RNN_F32) won_f32(j, winner, begin, end);
    else if (j->inner == 1) won_f64(j, winner, begin, end);
    else {
        const size_t row = (size_t)j->inner * rnn_itemsize(j->dtype);
        pick_task(&w->rows, begin, end);
        for (int64_t i = begin; i < end; i++)
            if (winner[j->index[i]] != i) memset(j->dst + (size_t)i * row, 0, row);
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
        won_job w = {rows_of(e, s->dtype, x->saved, x->ip), winner ? winner->data : NULL};
        w.rows.dst = direct ? t.grad : picked->data;
        w.rows.src = rnn_span_grad(e, id);
        rnn_parallel_for(e->pool, x->ip[COUNT], row_grain(x->ip[INNER]), won_task, &w);
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
