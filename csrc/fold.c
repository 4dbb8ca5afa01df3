/* fold.c: folds of whole tensors: which elements go through the loops of fold.inc, on which thread,
 * and how what they give is merged.
 *
 * Two ways to feed 16 lanes:
 *   - columns: the last reduced dimension and the last kept one make a contiguous block of C (1 to
 *     16) columns. Memory is read as it lies; lane l belongs to column l % C. Rows of a matrix that
 *     lie one after the other are the case C = 1.
 *   - else 16 rows go side by side, through a tile that is gathered by two lists of offsets.
 * A row that is long, where there are few, is cut into pieces for the threads. */
#include "internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LANES = RNN_FOLD_LANES, TILE = 128, CALL = 16384, PIECE = 32768, FIND = 2048 };
enum { KEPT, REDUCED }; /* the places of rnn_fold's shapes */

/* ---- the shape ------------------------------------------------------------------------------- */

static void add_dimension(rnn_fold *f, int group, int64_t size, int64_t stride) {
    const int last = f->ndim[group] - 1;
    if (size == 1) return;
    if (last >= 0 && f->stride[group][last] == stride * size) {
        f->shape[group][last] *= size;
        f->stride[group][last] = stride;
        return;
    }
    f->shape[group][last + 1] = size;
    f->stride[group][last + 1] = stride;
    f->ndim[group]++;
}

void rnn_fold_begin(rnn_fold *f, int ndim, const int64_t *shape, const int64_t *stride,
                    uint32_t reduced) {
    memset(f, 0, sizeof *f);
    f->rows = f->length = 1;
    for (int d = 0; d < ndim; d++) {
        const int group = reduced >> d & 1 ? REDUCED : KEPT;
        *(group == KEPT ? &f->rows : &f->length) *= shape[d];
        add_dimension(f, group, shape[d], stride[d]);
    }
}

/* Where element `flat` of the kept or the reduced dimensions lies, relative to the first. */
static int64_t place(const rnn_fold *f, int group, int64_t flat) {
    const int last = f->ndim[group] - 1;
    int64_t offset = 0;
    for (int d = last; d > 0; d--) {
        offset += flat % f->shape[group][d] * f->stride[group][d];
        flat /= f->shape[group][d];
    }
    return last < 0 ? 0 : offset + flat * f->stride[group][0];
}

/* How many columns make a contiguous block with the last reduced dimension; 0: none. */
static int64_t block_columns(const rnn_fold *f) {
    const int r = f->ndim[REDUCED] - 1, k = f->ndim[KEPT] - 1;
    if (r < 0 || f->shape[REDUCED][r] < LANES) return 0;
    const int64_t step = f->stride[REDUCED][r];
    if (step == 1) return 1;
    return k >= 0 && f->stride[KEPT][k] == 1 && f->shape[KEPT][k] == step && step <= LANES ? step
                                                                                           : 0;
}

static double load(const void *data, int dtype, int64_t at) {
    return dtype == RNN_F64 ? ((const double *)data)[at] : (double)((const float *)data)[at];
}

/* ---- states ---------------------------------------------------------------------------------- */

/* What no elements fold into. */
static rnn_fold_state nothing(int kind) {
    rnn_fold_state s = {0};
    if (kind == RNN_FOLD_PROD || kind == RNN_FOLD_NONZERO) s.a = 1;
    if (kind == RNN_FOLD_MAX || kind == RNN_FOLD_LOGSUMEXP) s.a = -INFINITY;
    if (kind == RNN_FOLD_MIN) s.a = INFINITY;
    if (kind == RNN_FOLD_MOMENTS) s.a = s.b = NAN;
    return s;
}

static double base_of(double top) { return isinf(top) ? 0 : top; }

static void merge_moments(rnn_fold_state *s, double mean, double squares, int64_t n) {
    const double delta = mean - s->a;
    if (delta != 0) { /* Chan's formula */
        const double share = (double)n / (double)(s->n + n);
        s->a += delta * share;
        s->b += delta * delta * share * (double)s->n;
    }
    s->b += squares;
}

static void merge_logsumexp(rnn_fold_state *s, double top, double total) {
    const double was = base_of(s->a);
    if (top > s->a || top != top) s->a = top;
    const double now = base_of(s->a);
    if (was != now) s->b *= exp(was - now);
    s->b += base_of(top) == now ? total : total * exp(base_of(top) - now);
}

/* s gains what n more elements fold into. */
static void merge(const rnn_fold *f, rnn_fold_state *s, double a, double b, int64_t n) {
    const bool better = f->kind == RNN_FOLD_MAX ? a > s->a : a < s->a;
    if (s->n == 0) {
        *s = (rnn_fold_state){a, b, n};
        return;
    }
    switch (f->kind) {
    case RNN_FOLD_MAX:
    case RNN_FOLD_MIN:
        if (better || (a != a && s->a == s->a)) s->a = a, s->b = b;
        break;
    case RNN_FOLD_PROD:
    case RNN_FOLD_NONZERO:
        s->a *= a;
        break;
    case RNN_FOLD_MOMENTS:
        merge_moments(s, a, b, n);
        break;
    case RNN_FOLD_LOGSUMEXP:
        merge_logsumexp(s, a, b);
        break;
    default:
        s->a += a;
    }
    s->n += n;
}

double rnn_fold_logsumexp(const rnn_fold_state *s) { return base_of(s->a) + log(s->b); }

double rnn_fold_logsumexp_rest(const rnn_fold_state *s, double z) {
    return isfinite(z) ? base_of(s->a) - z + log(s->b) : 0;
}

/* ---- columns --------------------------------------------------------------------------------- */

/* What the lanes are told: see fold.h. Lane j belongs to row first + (from + j) % columns. */
static void lane_numbers(const rnn_fold *f, int64_t first, int64_t from, int64_t columns,
                         double *c) {
    for (int j = 0; j < LANES && f->kind >= RNN_FOLD_NORMP; j++)
        c[j] = f->kind == RNN_FOLD_NORMP ? f->power
                                         : load(f->equal, f->dtype, first + (from + j) % columns);
}

/* `count` contiguous elements, of rows `first`, first + 1, ... in turn; `at`: the first's place
 * in its row. */
static void fold_block(const rnn_fold *f, const char *x, int64_t first, int64_t count, int64_t at,
                       rnn_fold_state *states) {
    const int64_t columns = f->columns, width = LANES * columns,
                  r = columns == 1 ? count / LANES : count / width;
    double a[LANES], b[LANES], c[LANES];
    for (int64_t from = 0; from < width; from += LANES) {
        int64_t rest = count - r * width - from;
        rest = rest < 0 ? 0 : rest > LANES ? LANES : rest;
        lane_numbers(f, first, from, columns, c);
        if (r || rest)
            f->loop(r, width, (int)rest, x + from * (int64_t)rnn_itemsize(f->dtype), c,
                    columns == 1, a, b);
        if (columns == 1) merge(f, states, a[0], f->find ? (double)at : b[0], count);
        for (int j = 0; columns > 1 && j < (r ? LANES : rest); j++)
            merge(f, &states[(from + j) % columns], a[j], f->find ? (double)at : b[j],
                  r + (j < rest));
    }
}

/* Reduced places [from, to) of the C rows of a group, run by run. */
static void fold_columns(const rnn_fold *f, int64_t group, int64_t from, int64_t to,
                         rnn_fold_state *states) {
    const int64_t size = (int64_t)rnn_itemsize(f->dtype), columns = f->columns;
    const int64_t run = f->shape[REDUCED][f->ndim[REDUCED] - 1];
    const int64_t most = (f->find ? FIND : CALL) / columns;
    const char *base = f->data + place(f, KEPT, group * columns) * size;
    while (from < to) {
        int64_t count = f->ndim[REDUCED] == 1 ? to - from : run - from % run;
        if (count > to - from) count = to - from;
        if (count > most) count = most;
        fold_block(f, base + place(f, REDUCED, from) * size, group * columns, count * columns, from,
                   states);
        from += count;
    }
}

/* A row that is one run, and short. */
static void fold_plain(const rnn_fold *f, int64_t row, rnn_fold_state *state) {
    const char *x = f->data + place(f, KEPT, row) * (int64_t)rnn_itemsize(f->dtype);
    double a[LANES], b[LANES], c[LANES];
    lane_numbers(f, row, 0, 1, c);
    f->loop(f->length / LANES, LANES, (int)(f->length % LANES), x, c, true, a, b);
    *state = (rnn_fold_state){a[0], f->find ? 0 : b[0], f->length};
}

/* ---- 16 rows side by side -------------------------------------------------------------------- */

#define GATHER(T) \
    do { \
        const T *x = (const T *)(const void *)f->data; \
        T *t = (T *)tile; \
        for (int64_t i = 0; i < count; i++, t += LANES) { \
            const T *row = x + place(f, REDUCED, from + i); \
            if (together) memcpy(t, row + lane[0], LANES * sizeof(T)); \
            else \
                for (int j = 0; j < LANES; j++) t[j] = row[lane[j]]; \
        } \
    } while (0)

/* The tile's rows are reduced places, its columns the lanes. */
static void gather_tile(const rnn_fold *f, const int64_t *lane, bool together, int64_t from,
                        int64_t count, void *tile) {
    if (f->dtype == RNN_F64) GATHER(double);
    else GATHER(float);
}

static void fold_rows(const rnn_fold *f, int64_t group, int64_t from, int64_t to,
                      rnn_fold_state *states) {
    double tile[TILE * LANES], a[LANES], b[LANES], c[LANES];
    const int64_t first = group * LANES, n = f->rows - first < LANES ? f->rows - first : LANES;
    const int64_t most = f->find ? TILE / 4 : TILE;
    int64_t lane[LANES];
    bool together = n == LANES;
    for (int j = 0; j < LANES; j++) {
        lane[j] = place(f, KEPT, first + (j < n ? j : 0));
        together &= lane[j] == lane[0] + j;
    }
    lane_numbers(f, first, 0, n, c);
    const bool direct = together && f->ndim[REDUCED] == 1; /* memory is such a tile already */
    const int64_t stride = direct ? f->stride[REDUCED][0] : LANES;
    for (; from < to; from += most) {
        const int64_t count = to - from < most ? to - from : most;
        const char *x = f->data + (lane[0] + from * stride) * (int64_t)rnn_itemsize(f->dtype);
        if (!direct) gather_tile(f, lane, together, from, count, tile);
        f->loop(count, stride, 0, direct ? (const void *)x : tile, c, false, a, b);
        for (int j = 0; j < n; j++)
            merge(f, &states[j], a[j], f->find ? (double)from : b[j], count);
    }
}

/* ---- running --------------------------------------------------------------------------------- */

static void finish_group(rnn_fold *f, int64_t group, const rnn_fold_state *states) {
    for (int64_t j = 0; j < f->width && group * f->width + j < f->rows; j++)
        f->finish(f, group * f->width + j, &states[j]);
}

static void fold_task(void *ctx, int64_t begin, int64_t end) {
    rnn_fold *f = ctx;
    for (int64_t item = begin; item < end; item++) {
        const bool whole = f->pieces == 1;
        const int64_t group = whole ? item : item / f->pieces,
                      from = whole ? 0 : item % f->pieces * f->piece;
        const int64_t to = f->length - from < f->piece ? f->length : from + f->piece;
        rnn_fold_state states[LANES];
        for (int j = 0; j < f->width; j++) states[j] = f->nothing;
        if (f->plain) fold_plain(f, group, states);
        else (f->columns ? fold_columns : fold_rows)(f, group, from, to, states);
        if (whole) finish_group(f, group, states);
        else memcpy(f->partial + item * f->width, states, (size_t)f->width * sizeof *states);
    }
}

static void merge_pieces(rnn_fold *f) {
    for (int64_t group = 0; group < f->groups; group++) {
        rnn_fold_state *states = f->partial + group * f->pieces * f->width;
        for (int64_t i = f->width; i < f->pieces * f->width; i++)
            merge(f, &states[i % f->width], states[i].a, states[i].b, states[i].n);
        finish_group(f, group, states);
    }
}

int rnn_fold_run(rnn_engine *e, rnn_fold *f) {
    f->loop = e->k->fold[f->dtype][f->kind];
    f->nothing = nothing(f->kind);
    f->columns = block_columns(f);
    f->width = f->columns ? f->columns : LANES;
    f->groups = (f->rows + f->width - 1) / f->width;
    f->piece = f->length ? f->length : 1;
    if (f->groups < 8 && f->length > PIECE / f->width) f->piece = PIECE / f->width;
    f->pieces = f->length ? (f->length + f->piece - 1) / f->piece : 1;
    f->plain = f->columns == 1 && f->pieces == 1 && f->ndim[REDUCED] == 1 &&
               f->length <= (f->find ? FIND : CALL);
    const int64_t cost = f->piece * f->width, items = f->groups * f->pieces;
    if (f->pieces > 1 && !(f->partial = malloc((size_t)(items * f->width) * sizeof *f->partial)))
        return rnn_fail(e, RNN_EMEMORY, "a reduction of %lld rows of %lld elements: no memory",
                        (long long)f->rows, (long long)f->length);
    rnn_parallel_for(e->pool, items, CALL / cost + 1, fold_task, f);
    if (f->pieces > 1) merge_pieces(f);
    free(f->partial);
    return 0;
}

#define FIND_FIRST(T) \
    do { \
        const T *x = (const T *)(const void *)f->data + place(f, KEPT, row), top = (T)s->a; \
        for (int64_t i = from; i < f->length; i++) { \
            const T xi = x[straight ? i * step : place(f, REDUCED, i)]; \
            if (xi == top || (xi != xi && top != top)) return i; \
        } \
    } while (0)

int64_t rnn_fold_find(const rnn_fold *f, int64_t row, const rnn_fold_state *s) {
    const bool straight = f->ndim[REDUCED] < 2;
    const int64_t step = f->ndim[REDUCED] ? f->stride[REDUCED][0] : 0, from = (int64_t)s->b;
    if (f->dtype == RNN_F64) FIND_FIRST(double);
    else FIND_FIRST(float);
    return 0;
}
