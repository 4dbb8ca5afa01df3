/* pick.c: values chosen along one dimension by index (max, sort, topk, ...), and where extremes
 * are. What is recorded is a gather (gather.c) under the name of the operation that chose. */
#include "rows.h"

#include <stdlib.h>
#include <string.h>

rnn_ref rnn_pick(rnn_engine *e, int op, rnn_ref ref, int64_t dim, const int64_t *index,
                 int64_t count, int drop) {
    rnn_view a;
    if (rnn_view_of(e, ref, &a)) return RNN_ETYPE;
    const int failed = rnn_dim_of(e, a.ndim, &dim);
    if (failed) return failed;
    rnn_index at = {.index = index, .count = count, .each = true};
    rnn_index_along(&a, (int)dim, &at);
    int64_t shape[RNN_MAX_DIMS];
    int ndim = 0;
    for (int d = 0; d < a.ndim; d++)
        if (d != dim) shape[ndim++] = a.shape[d];
        else if (!drop) shape[ndim++] = count;
    return rnn_gather_as(e, op, &a, &at, ndim, shape);
}

/* ---- extremes -------------------------------------------------------------------------------- */

static void finish_place(rnn_fold *f, int64_t row, const rnn_fold_state *s) {
    ((int64_t *)f->out)[row] = rnn_fold_find(f, row, s);
}

static int find_extremes(rnn_engine *e, const rnn_view *a, uint32_t reduced, bool smallest,
                         int64_t *index) {
    rnn_fold f;
    rnn_fold_begin(&f, a->ndim, a->shape, a->stride, reduced);
    f.kind = smallest ? RNN_FOLD_MIN : RNN_FOLD_MAX;
    f.dtype = a->dtype;
    f.find = true;
    f.data = rnn_view_data(e, a);
    f.finish = finish_place;
    f.out = index;
    return rnn_fold_run(e, &f);
}

static int check_not_empty(rnn_engine *e, const char *name, const rnn_view *a, int64_t dim) {
    if (a->ndim == 0 || a->shape[dim] > 0) return 0;
    return rnn_fail(e, RNN_EINDEX, "%s(): Expected reduction dim %lld to have non-zero size.", name,
                    (long long)dim);
}

rnn_ref rnn_extreme(rnn_engine *e, int op, rnn_ref ref, int64_t dim, int keepdim, int64_t *index) {
    const bool smallest = op == RNN_OP_MIN_DIM;
    rnn_view a;
    if (rnn_view_of(e, ref, &a)) return RNN_ETYPE;
    int failed = rnn_dim_of(e, a.ndim, &dim);
    if (!failed) failed = check_not_empty(e, smallest ? "min" : "max", &a, dim);
    if (!failed) failed = find_extremes(e, &a, a.ndim ? 1u << dim : 0, smallest, index);
    return failed ? failed : rnn_pick(e, op, ref, dim, index, 1, !keepdim);
}

int rnn_arg_extreme(rnn_engine *e, rnn_ref ref, int64_t dim, int all, int smallest,
                    int64_t *index) {
    const char *name = smallest ? "argmin" : "argmax";
    rnn_view a;
    if (rnn_view_of(e, ref, &a)) return RNN_ETYPE;
    int failed = all ? 0 : rnn_dim_of(e, a.ndim, &dim);
    if (all && rnn_numel(a.ndim, a.shape) == 0)
        failed =
            rnn_fail(e, RNN_EINDEX,
                     "%s(): Expected reduction dim to be specified for input.numel() == 0.", name);
    if (!failed && !all) failed = check_not_empty(e, name, &a, dim);
    if (failed) return failed;
    return find_extremes(e, &a, all ? (1u << a.ndim) - 1 : a.ndim ? 1u << dim : 0, smallest, index);
}

/* ---- running extremes ------------------------------------------------------------------------ */

/* (outer, length, inner): the dimension, and what is before and behind it */
typedef struct {
    int64_t outer, length, inner;
} split;

typedef struct {
    int dtype;
    bool smallest;
    split s;
    const char *x;
    int64_t *index;
} running;

enum { WIDTH = 16, LINES = 4 };

/* Columns side by side, whose best are kept. */
#define COLUMNS(T, BETTER) \
    do { \
        const T *from = (const T *)(const void *)r->x + at; \
        int64_t *to = r->index + at, place[WIDTH] = {0}; \
        T best[WIDTH]; \
        for (int64_t j = 0; j < width; j++) best[j] = from[j]; \
        for (int64_t k = 0; k < r->s.length; k++, from += r->s.inner, to += r->s.inner) \
            for (int64_t j = 0; j < width; j++) { \
                if (from[j] BETTER best[j] || from[j] != from[j]) best[j] = from[j], place[j] = k; \
                to[j] = place[j]; \
            } \
    } while (0)

/* Whole rows (inner = 1) side by side, `lines` of them: their comparisons do not wait for each
 * other. */
#define ROWS(T, name, BETTER) \
    static inline __attribute__((always_inline)) void name(const running *r, int64_t at, \
                                                           const int lines) { \
        const int64_t n = r->s.length; \
        const T *x = (const T *)(const void *)r->x + at; \
        int64_t *to = r->index + at, place[LINES] = {0}; \
        T best[LINES]; \
        for (int j = 0; j < lines; j++) best[j] = x[j * n]; \
        for (int64_t k = 0; k < n; k++) \
            for (int j = 0; j < lines; j++) { \
                const T next = x[j * n + k]; \
                const bool better = next BETTER best[j] || next != next; \
                best[j] = better ? next : best[j]; \
                place[j] = better ? k : place[j]; \
                to[j * n + k] = place[j]; \
            } \
    } \
    static void name##_all(const running *r, int64_t begin, int64_t end) { \
        for (; begin + LINES <= end; begin += LINES) name(r, begin * r->s.length, LINES); \
        for (; begin < end; begin++) name(r, begin * r->s.length, 1); \
    }

ROWS(float, largest_f32, >=)
ROWS(double, largest_f64, >=)
ROWS(float, smallest_f32, <=)
ROWS(double, smallest_f64, <=)
#undef ROWS

static void running_rows(const running *r, int64_t begin, int64_t end) {
    if (r->dtype == RNN_F64) (r->smallest ? smallest_f64_all : largest_f64_all)(r, begin, end);
    else (r->smallest ? smallest_f32_all : largest_f32_all)(r, begin, end);
}

static void running_columns(const running *r, int64_t at, int64_t width) {
    if (r->dtype == RNN_F64 && r->smallest) COLUMNS(double, <=);
    else if (r->dtype == RNN_F64) COLUMNS(double, >=);
    else if (r->smallest) COLUMNS(float, <=);
    else COLUMNS(float, >=);
}

#undef COLUMNS

static void running_task(void *ctx, int64_t begin, int64_t end) {
    const running *r = ctx;
    if (r->s.inner == 1) {
        running_rows(r, begin, end);
        return;
    }
    for (int64_t column = begin, width; column < end; column += width) {
        const int64_t first = column % r->s.inner, row = column / r->s.inner * r->s.length;
        width = r->s.inner - first < WIDTH ? r->s.inner - first : WIDTH;
        if (end - column < width) width = end - column;
        running_columns(r, row * r->s.inner + first, width);
    }
}

void rnn_running_extreme(rnn_engine *e, int dtype, int smallest, int64_t outer, int64_t length,
                         int64_t inner, const void *x, int64_t *index) {
    running r = {dtype, smallest != 0, {outer, length, inner}, x, index};
    if (length > 0)
        rnn_parallel_for(e->pool, outer * inner, (1 << 15) / length + 1, running_task, &r);
}
