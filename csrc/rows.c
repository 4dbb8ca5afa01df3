/* rows.c: lists of rows that an index names, and rows moved between memory that they are rows of
 * and memory that has one after the other. What it is not: an operation; gather.c and scatter.c
 * are. */
#include "rows.h"

#include <string.h>

/* ---- lists of rows --------------------------------------------------------------------------- */

void rnn_index_along(const rnn_view *a, int dim, rnn_index *at) {
    at->outer = at->inner = 1;
    at->length = a->ndim ? a->shape[dim] : 1;
    for (int d = 0; d < a->ndim; d++)
        if (d != dim) *(d < dim ? &at->outer : &at->inner) *= a->shape[d];
}

rnn_index rnn_index_rows(const rnn_view *a, const int64_t *index, int64_t count, int64_t inner) {
    const int64_t n = rnn_numel(a->ndim, a->shape);
    return (rnn_index){index, 1, inner > 0 ? n / inner : 0, inner, count, false};
}

bool rnn_rows_find(const search *s, int64_t begin, int64_t end) {
    const rnn_index *at = s->at;
    const bool lanes = at->each && at->inner > 1;
    const int64_t run = lanes ? at->inner : at->count; /* rows that are in one slice */
    bool wrong = false;
    while (begin < end) {
        const int64_t slice = begin / run, from = begin % run;
        const int64_t n = run - from < end - begin ? run - from : end - begin;
        const uint64_t first = (uint64_t)((lanes ? slice / at->count : slice) * at->length);
        const uint64_t *index = (const uint64_t *)at->index + (at->each ? begin : from);
        uint64_t *to = (uint64_t *)s->rows + begin;
        const uint64_t step = lanes ? (uint64_t)at->inner : 1, lane = (uint64_t)from;
        for (int64_t i = 0; i < n; i++) {
            const uint64_t k = index[i]; /* once: another thread may write there */
            wrong |= k >= (uint64_t)at->length;
            to[i] = lanes ? (first + k) * step + lane + (uint64_t)i : first + k;
        }
        begin += n;
    }
    return !wrong;
}

static void find_task(void *ctx, int64_t begin, int64_t end) {
    search *s = ctx;
    if (!rnn_rows_find(s, begin, end)) atomic_store(&s->wrong, true);
}

int rnn_rows_room(rnn_engine *e, const rnn_view *a, const rnn_index *at, rnn_build *b) {
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

int rnn_rows_wrong(rnn_engine *e, const rnn_index *at) {
    const int64_t count = at->each ? at->outer * at->count * at->inner : at->count;
    for (int64_t i = 0; i < count; i++)
        if (at->index[i] < 0 || at->index[i] >= at->length)
            return rnn_fail(e, RNN_EINDEX,
                            "index %lld is out of bounds for dimension 0 with size %lld",
                            (long long)at->index[i], (long long)at->length);
    return rnn_fail(e, RNN_ERUNTIME, "the index was written meanwhile");
}

int rnn_rows_take(rnn_engine *e, const rnn_view *a, const rnn_index *at, rnn_build *b) {
    int failed = rnn_rows_room(e, a, at, b);
    if (failed) return failed;
    search s = {at, b->saved, false};
    rnn_parallel_for(e->pool, b->ip[COUNT], 1 << 14, find_task, &s);
    if (!s.wrong) return 0;
    rnn_unsave(e, b);
    return rnn_rows_wrong(e, at);
}

/* ---- rows picked ----------------------------------------------------------------------------- */

moved rnn_rows_of(rnn_engine *e, int dtype, const void *index, const int64_t *ip) {
    return (moved){.k = e->k,
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
        const T *src = (const T *)(const void *)m->src; \
        T *dst = (T *)(void *)m->dst; \
        for (int64_t i = (begin); i < (end); i++) dst[to] operator from; \
    } while (0)

void rnn_rows_pick(const moved *m, int64_t begin, int64_t end) {
    const size_t row = (size_t)m->inner * rnn_itemsize(m->dtype);
    if (m->inner != 1)
        for (int64_t i = begin; i < end; i++)
            memcpy(m->dst + (size_t)i * row, m->src + (size_t)m->index[i] * row, row);
    else if (m->dtype == RNN_F32) SINGLES(float, i, =, src[m->index[i]], begin, end);
    else SINGLES(double, i, =, src[m->index[i]], begin, end);
}

int64_t rnn_rows_grain(int64_t inner) { return 16384 / (inner > 0 ? inner : 1) + 1; }

/* ---- rows written ---------------------------------------------------------------------------- */

typedef void (*write_loop)(const moved *m, int64_t begin, int64_t end, int64_t low, int64_t high);

/* Rows [begin, end) of the list, their elements [low, high) */
static void add_rows(const moved *m, int64_t begin, int64_t end, int64_t low, int64_t high) {
    const size_t size = rnn_itemsize(m->dtype), row = (size_t)m->inner * size;
    if (m->inner == 1 && m->dtype == RNN_F32) SINGLES(float, m->index[i], +=, src[i], begin, end);
    else if (m->inner == 1) SINGLES(double, m->index[i], +=, src[i], begin, end);
    else
        for (int64_t i = begin; i < end; i++)
            m->k->add_scaled[m->dtype](high - low,
                                       m->dst + (size_t)m->index[i] * row + (size_t)low * size,
                                       m->src + (size_t)i * row + (size_t)low * size, 1);
}

static void put_rows(const moved *m, int64_t begin, int64_t end, int64_t low, int64_t high) {
    const size_t size = rnn_itemsize(m->dtype), row = (size_t)m->inner * size;
    if (m->inner == 1 && m->dtype == RNN_F32) SINGLES(float, m->index[i], =, src[i], begin, end);
    else if (m->inner == 1) SINGLES(double, m->index[i], =, src[i], begin, end);
    else
        for (int64_t i = begin; i < end; i++)
            memcpy(m->dst + (size_t)m->index[i] * row + (size_t)low * size,
                   m->src + (size_t)i * row + (size_t)low * size, (size_t)(high - low) * size);
}

static void zero_rows(const moved *m, int64_t begin, int64_t end, int64_t low, int64_t high) {
    const size_t size = rnn_itemsize(m->dtype), row = (size_t)m->inner * size;
    if (m->inner == 1 && m->dtype == RNN_F32)
        for (int64_t i = begin; i < end; i++) ((float *)(void *)m->dst)[m->index[i]] = 0;
    else if (m->inner == 1)
        for (int64_t i = begin; i < end; i++) ((double *)(void *)m->dst)[m->index[i]] = 0;
    else
        for (int64_t i = begin; i < end; i++)
            memset(m->dst + (size_t)m->index[i] * row + (size_t)low * size, 0,
                   (size_t)(high - low) * size);
}

static void name_rows(const moved *m, int64_t begin, int64_t end, int64_t low, int64_t high) {
    (void)low, (void)high;
    int64_t *winner = (int64_t *)(void *)m->dst;
    for (int64_t i = begin; i < end; i++) winner[m->index[i]] = i;
}

static const write_loop loops[] = {
    [ADD] = add_rows, [PUT] = put_rows, [ZERO] = zero_rows, [WINNER] = name_rows};

typedef struct {
    const moved *rows;
    write_loop loop;
    int64_t parts; /* of a group */
} write_job;

static void write_task(void *ctx, int64_t begin, int64_t end) {
    const write_job *w = ctx;
    const moved *m = w->rows;
    const int64_t per = m->count / m->groups / m->lanes;
    for (int64_t part = begin; part < end; part++) {
        const int64_t first = part / w->parts * per, low = part % w->parts * m->width;
        const int64_t all = m->lanes > 1 ? m->lanes : m->inner;
        const int64_t high = all - low < m->width ? all : low + m->width;
        if (m->lanes == 1) w->loop(m, first, first + per, low, high);
        else
            for (int64_t k = first; k < first + per; k++)
                w->loop(m, k * m->lanes + low, k * m->lanes + high, 0, 1);
    }
}

enum { PART = 128 };

void rnn_rows_write(rnn_engine *e, moved *m, int how) {
    if (m->count == 0 || m->inner == 0) return;
    const bool whole = m->groups >= 16 || (m->lanes == 1 && how == WINNER);
    const int64_t all = m->lanes > 1 ? m->lanes : m->inner;
    m->width = whole || all < 2 * PART ? all : PART;
    write_job w = {m, loops[how], (all + m->width - 1) / m->width};
    const int64_t parts = w.parts * m->groups, each = m->count * m->inner / parts;
    rnn_parallel_for(e->pool, parts, 16384 / (each + 1) + 1, write_task, &w);
}
