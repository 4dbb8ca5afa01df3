/* moves.c: copies and sums of one memory into another that no tile is needed for: runs of elements
 * that are contiguous in both, and what lies side by side in one and apart in the other. The latter
 * goes in squares that stay in the first-level cache, so that each line of either memory is touched
 * once.
 *
 * What it is not: every other copy, which is a walk of box.c. */
#include "internal.h"

#include <string.h>

enum { SIDE = 32, LEAST = 8, GRAIN = 16384, SERIAL = 32768 };

/* dst[i * dst_step + j] (+)= src[i * src_step + j] (a run, i = 0), or src[j * src_step + i] (a
 * square), for i < rows and j < cols, and that for each index of the other dimensions, the last of
 * which is the fastest. */
typedef struct {
    int dtype, ndim;
    bool add;
    int64_t rows, cols, dst_step, src_step, across, squares;
    int64_t shape[RNN_MAX_DIMS], dst_stride[RNN_MAX_DIMS], src_stride[RNN_MAX_DIMS];
    char *dst;
    const char *src;
} move;

/* Without dimensions of size 1, and with neighbours that are one run in both memories as one. */
static move begin(const rnn_accumulate_job *job) {
    move m = {.dtype = job->dtype, .add = !job->overwrite, .dst = job->dst, .src = job->src};
    for (int d = 0; d < job->ndim; d++) {
        const int64_t size = job->shape[d], to = job->dst_stride[d], from = job->src_stride[d];
        const int last = m.ndim - 1;
        if (size == 1) continue;
        if (last >= 0 && m.dst_stride[last] == to * size && m.src_stride[last] == from * size) {
            m.shape[last] *= size;
            m.dst_stride[last] = to;
            m.src_stride[last] = from;
            continue;
        }
        m.shape[m.ndim] = size;
        m.dst_stride[m.ndim] = to;
        m.src_stride[m.ndim++] = from;
    }
    return m;
}

static void take_out(move *m, int d) {
    m->ndim--;
    for (; d < m->ndim; d++) {
        m->shape[d] = m->shape[d + 1];
        m->dst_stride[d] = m->dst_stride[d + 1];
        m->src_stride[d] = m->src_stride[d + 1];
    }
}

static int64_t outer(const move *m) {
    int64_t n = 1;
    for (int d = 0; d < m->ndim; d++) n *= m->shape[d];
    return n;
}

/* Where a row-major position of the other dimensions is in both memories. */
static void find(const move *m, int64_t flat, int64_t *index, int64_t *to, int64_t *from) {
    *to = *from = 0;
    for (int d = m->ndim - 1; d >= 0; d--) {
        index[d] = flat % m->shape[d];
        *to += index[d] * m->dst_stride[d];
        *from += index[d] * m->src_stride[d];
        flat /= m->shape[d];
    }
}

static void next(const move *m, int64_t *index, int64_t *to, int64_t *from) {
    for (int d = m->ndim - 1; d >= 0; d--) {
        *to += m->dst_stride[d];
        *from += m->src_stride[d];
        if (++index[d] < m->shape[d]) return;
        index[d] = 0;
        *to -= m->shape[d] * m->dst_stride[d];
        *from -= m->shape[d] * m->src_stride[d];
    }
}

#define RNN_MOVES(T, name) \
    static void runs_##name(const move *m, int64_t begin, int64_t end) { \
        int64_t index[RNN_MAX_DIMS], to, from; \
        find(m, begin, index, &to, &from); \
        for (int64_t at = begin; at < end; at++, next(m, index, &to, &from)) { \
            const T *src = (const T *)(const void *)m->src + from; \
            T *dst = (T *)(void *)m->dst + to; \
            if (!m->add) memmove(dst, src, (size_t)m->cols * sizeof(T)); \
            else \
                for (int64_t j = 0; j < m->cols; j++) dst[j] += src[j]; \
        } \
    } \
    static void square_##name(const move *m, int64_t to, int64_t from, int64_t rows, \
                              int64_t cols) { \
        const T *src = (const T *)(const void *)m->src + from; \
        T *dst = (T *)(void *)m->dst + to, tile[SIDE][SIDE]; \
        for (int64_t j = 0; j < cols; j++) \
            memcpy(tile[j], src + j * m->src_step, (size_t)rows * sizeof(T)); \
        for (int64_t i = 0; i < rows; i++, dst += m->dst_step) { \
            if (m->add) \
                for (int64_t j = 0; j < cols; j++) dst[j] += tile[j][i]; \
            else \
                for (int64_t j = 0; j < cols; j++) dst[j] = tile[j][i]; \
        } \
    }
RNN_MOVES(float, f32)
RNN_MOVES(double, f64)

static void runs_task(void *ctx, int64_t begin, int64_t end) {
    const move *m = ctx;
    (m->dtype == RNN_F64 ? runs_f64 : runs_f32)(m, begin, end);
}

static void squares_task(void *ctx, int64_t begin, int64_t end) {
    const move *m = ctx;
    int64_t index[RNN_MAX_DIMS], to, from;
    for (int64_t at = begin; at < end; at++) {
        const int64_t square = at % m->squares;
        const int64_t i = square / m->across * SIDE, j = square % m->across * SIDE;
        const int64_t rows = m->rows - i < SIDE ? m->rows - i : SIDE;
        const int64_t cols = m->cols - j < SIDE ? m->cols - j : SIDE;
        find(m, at / m->squares, index, &to, &from);
        to += i * m->dst_step + j;
        from += j * m->src_step + i;
        (m->dtype == RNN_F64 ? square_f64 : square_f32)(m, to, from, rows, cols);
    }
}

static void move_runs(rnn_engine *e, move *m) {
    const int last = m->ndim - 1;
    m->cols = m->shape[last];
    take_out(m, last);
    const int64_t n = outer(m);
    const int64_t grain = n * m->cols < SERIAL ? n : GRAIN / m->cols + 1;
    rnn_parallel_for(e->pool, n, grain, runs_task, m);
}

/* p: where the source is contiguous, q: where the destination is. */
static void move_squares(rnn_engine *e, move *m, int p, int q) {
    m->rows = m->shape[p];
    m->cols = m->shape[q];
    m->dst_step = m->dst_stride[p];
    m->src_step = m->src_stride[q];
    m->across = (m->cols + SIDE - 1) / SIDE;
    m->squares = (m->rows + SIDE - 1) / SIDE * m->across;
    take_out(m, p > q ? p : q);
    take_out(m, p > q ? q : p);
    const int64_t n = outer(m) * m->squares;
    const int64_t grain = n < SERIAL / SIDE / SIDE ? n : GRAIN / SIDE / SIDE;
    rnn_parallel_for(e->pool, n, grain, squares_task, m);
}

/* The dimension along which memory is contiguous, if it is long enough; -1. */
static int unit(const move *m, const int64_t *stride) {
    for (int d = 0; d < m->ndim; d++)
        if (stride[d] == 1 && m->shape[d] >= LEAST) return d;
    return -1;
}

bool rnn_move(rnn_engine *e, const rnn_accumulate_job *job) {
    if (job->scale != 1 || rnn_numel(job->ndim, job->shape) == 0) return false;
    move m = begin(job);
    /* a sum, or overlapping windows */
    if (!rnn_is_injective(m.ndim, m.shape, m.dst_stride)) return false;
    const int p = unit(&m, m.src_stride), q = unit(&m, m.dst_stride);
    if (m.ndim < 2 || p < 0 || q < 0) return false;
    if (p == q ? p != m.ndim - 1 : m.src_stride[q] == 0) return false;
    if (p == q) move_runs(e, &m);
    else move_squares(e, &m, p, q);
    return true;
}
