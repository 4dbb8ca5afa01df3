/* transpose.c: copies between two orders of the dimensions: what lies side by side in one memory lies apart in the
 * other. In squares that stay in the first-level cache, so that each line of either memory is touched once.
 *
 * What it is not: every other copy, which elementwise.c has. */
#include "internal.h"

#include <string.h>

enum { SIDE = 32, LEAST = 8 };

/* dst[i * dst_step + j] (+)= src[j * src_step + i] for i < rows, j < cols, and that for each index of the dimensions
 * that are left, the last the fastest. */
typedef struct {
    int dtype, ndim;
    bool add;
    int64_t rows, cols, dst_step, src_step, across, squares;
    int64_t shape[RNN_MAX_DIMS], dst_stride[RNN_MAX_DIMS], src_stride[RNN_MAX_DIMS];
    char *dst;
    const char *src;
} turn;

#define SQUARE(T, name) \
    static void square_##name(const turn *t, int64_t to, int64_t from, int64_t rows, \
                              int64_t cols) { \
        const T *src = (const T *)(const void *)t->src + from; \
        T *dst = (T *)(void *)t->dst + to, tile[SIDE][SIDE]; \
        for (int64_t j = 0; j < cols; j++) \
            memcpy(tile[j], src + j * t->src_step, (size_t)rows * sizeof(T)); \
        for (int64_t i = 0; i < rows; i++, dst += t->dst_step) { \
            if (t->add) \
                for (int64_t j = 0; j < cols; j++) dst[j] += tile[j][i]; \
            else \
                for (int64_t j = 0; j < cols; j++) dst[j] = tile[j][i]; \
        } \
    }
SQUARE(float, f32)
SQUARE(double, f64)

static void turn_task(void *ctx, int64_t begin, int64_t end) {
    const turn *t = ctx;
    for (int64_t at = begin; at < end; at++) {
        int64_t outer = at / t->squares, to = 0, from = 0;
        const int64_t square = at % t->squares;
        const int64_t i = square / t->across * SIDE, j = square % t->across * SIDE;
        for (int d = t->ndim - 1; d >= 0; d--) {
            to += outer % t->shape[d] * t->dst_stride[d];
            from += outer % t->shape[d] * t->src_stride[d];
            outer /= t->shape[d];
        }
        const int64_t rows = t->rows - i < SIDE ? t->rows - i : SIDE;
        const int64_t cols = t->cols - j < SIDE ? t->cols - j : SIDE;
        to += i * t->dst_step + j;
        from += j * t->src_step + i;
        (t->dtype == RNN_F64 ? square_f64 : square_f32)(t, to, from, rows, cols);
    }
}

/* The dimension along which memory is contiguous, if it is long enough; -1. */
static int unit(const rnn_accumulate_job *job, const int64_t *stride) {
    for (int d = 0; d < job->ndim; d++)
        if (stride[d] == 1 && job->shape[d] >= LEAST) return d;
    return -1;
}

bool rnn_turn_copy(rnn_engine *e, const rnn_accumulate_job *job) {
    const int p = unit(job, job->src_stride), q = unit(job, job->dst_stride);
    if (p < 0 || q < 0 || p == q || job->src_stride[q] == 0 || job->scale != 1) return false;
    turn t = {.dtype = job->dtype,
              .add = !job->overwrite,
              .rows = job->shape[p],
              .cols = job->shape[q],
              .dst_step = job->dst_stride[p],
              .src_step = job->src_stride[q],
              .dst = job->dst,
              .src = job->src};
    int64_t outer = 1;
    for (int d = 0; d < job->ndim; d++) {
        if (job->shape[d] > 1 && job->dst_stride[d] == 0) return false; /* a sum */
        if (d == p || d == q) continue;
        t.shape[t.ndim] = job->shape[d];
        t.dst_stride[t.ndim] = job->dst_stride[d];
        t.src_stride[t.ndim++] = job->src_stride[d];
        outer *= job->shape[d];
    }
    t.across = (t.cols + SIDE - 1) / SIDE;
    t.squares = (t.rows + SIDE - 1) / SIDE * t.across;
    rnn_parallel_for(e->pool, outer * t.squares, 16, turn_task, &t);
    return true;
}
