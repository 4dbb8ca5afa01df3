/* pick.c: values chosen along one dimension by index (max, sort, topk, ...), and where extremes
 * are. What is recorded is a gather (gather.c) under the name of the operation that chose. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

/* (outer, length, inner): the dimension, and what is before and behind it */
typedef struct {
    int64_t outer, length, inner;
} split;

static split split_at(const rnn_view *a, int dim) {
    split s = {1, a->ndim ? a->shape[dim] : 1, 1};
    for (int d = 0; d < a->ndim; d++)
        if (d != dim) *(d < dim ? &s.outer : &s.inner) *= a->shape[d];
    return s;
}

typedef struct {
    split s;
    int64_t count;
    const int64_t *index;
    int64_t *flat;
} flat_job;

static void flat_task(void *ctx, int64_t begin, int64_t end) {
    const flat_job *j = ctx;
    const int64_t inner = j->s.inner, length = j->s.length;
    for (int64_t row = begin; row < end; row++) {
        const int64_t *index = j->index + row * inner, first = row / j->count * length;
        int64_t *flat = j->flat + row * inner;
        for (int64_t i = 0; i < inner; i++) {
            const bool valid = index[i] >= 0 && index[i] < length;
            flat[i] = valid ? (first + index[i]) * inner + i : -1;
        }
    }
}

/* Places along the dimension become places in the whole, which rnn_gather takes (and checks). */
static int64_t *flat_index(rnn_engine *e, const split *s, const int64_t *index, int64_t count) {
    uint64_t n, bytes;
    int64_t *flat = NULL;
    if (rnn_mul_size((uint64_t)(s->outer * s->inner), (uint64_t)count, &n) &&
        rnn_mul_size(n, sizeof *flat, &bytes))
        flat = rnn_malloc(e, bytes + 1);
    flat_job j = {*s, count, index, flat};
    if (flat)
        rnn_parallel_for(e->pool, s->outer * count, (1 << 15) / (s->inner + 1) + 1, flat_task, &j);
    return flat;
}

rnn_ref rnn_pick(rnn_engine *e, int op, rnn_ref ref, int64_t dim, const int64_t *index,
                 int64_t count, int drop) {
    rnn_view a;
    if (rnn_view_of(e, ref, &a)) return RNN_ETYPE;
    const int failed = rnn_dim_of(e, a.ndim, &dim);
    if (failed) return failed;
    const split s = split_at(&a, (int)dim);
    rnn_build b = {.op = op};
    for (int d = 0; d < a.ndim; d++)
        if (d != dim) b.shape[b.ndim++] = a.shape[d];
        else if (!drop) b.shape[b.ndim++] = count;
    int64_t *flat = flat_index(e, &s, index, count);
    if (!flat)
        return rnn_fail(e, RNN_EMEMORY, "%s: no memory for %lld indices", rnn_ops[op].name,
                        (long long)count);
    rnn_ref out = rnn_gather_as(e, op, ref, flat, s.outer * count * s.inner, 1, b.ndim, b.shape);
    free(flat);
    return out;
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

typedef struct {
    int dtype;
    bool smallest;
    split s;
    const char *x;
    int64_t *index;
} running;

enum { WIDTH = 16 };

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

static void running_columns(const running *r, int64_t at, int64_t width) {
    if (r->dtype == RNN_F64 && r->smallest) COLUMNS(double, <=);
    else if (r->dtype == RNN_F64) COLUMNS(double, >=);
    else if (r->smallest) COLUMNS(float, <=);
    else COLUMNS(float, >=);
}

#undef COLUMNS

static void running_task(void *ctx, int64_t begin, int64_t end) {
    const running *r = ctx;
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
