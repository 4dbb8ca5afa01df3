/* box.c: from tensors with shapes and strides to the contiguous loops of kernels.h.
 *
 * Everything elementwise, every copy, every sum over dimensions and every broadcast gradient is one
 * walk over a *box*: a shape and, for each tensor that takes part, a stride per dimension (0 where
 * it is broadcast, or summed into). The box is walked in tiles of a few hundred elements in
 * row-major order: contiguous tensors are handed to the loop as they are, others are packed into a
 * tile that stays in the first-level cache.
 *
 * What it is not: it knows no operation; elementwise.c says what is walked over. */
#include "box.h"

#include <stdlib.h>
#include <string.h>

enum { TILE = 512, GRAIN = 16384, SERIAL = 32768, NARROW = 64, COPIES = 16, FEW = 512 };

/* ---- the box --------------------------------------------------------------------------------- */

/* The offset of row-major position `flat`, and its index. */
static int64_t cursor_start(const box *x, int v, int64_t flat, int64_t *index) {
    int64_t offset = 0;
    for (int d = x->ndim - 1; d >= 0; d--) {
        index[d] = flat % x->shape[d];
        flat /= x->shape[d];
        offset += index[d] * x->stride[v][d];
    }
    return offset;
}

/* How far memory moves when the index of dimension d moves by `run`, which does not pass its end;
 * the indices behind it are 0. */
static int64_t cursor_advance(const box *x, int v, int d, int64_t run, int64_t *index) {
    int64_t moved = run * x->stride[v][d];
    index[d] += run;
    while (d > 0 && index[d] == x->shape[d]) {
        moved -= index[d] * x->stride[v][d];
        index[d] = 0;
        d--;
        index[d]++;
        moved += x->stride[v][d];
    }
    return moved;
}

#define INCLUDED "box.inc"
#include "each_type.inc"

void rnn_box_begin(box *x, int ndim, const int64_t *shape) {
    memset(x, 0, sizeof *x);
    x->ndim = ndim;
    for (int d = 0; d < ndim; d++) x->shape[d] = shape[d];
}

void rnn_box_add(box *x, int which, const rnn_view *v, void *data) {
    int shift = x->ndim - v->ndim;
    x->used[which] = true;
    x->data[which] = data;
    for (int d = 0; d < v->ndim; d++)
        x->stride[which][shift + d] =
            v->shape[d] == 1 && x->shape[shift + d] != 1 ? 0 : v->stride[d];
}

static bool mergeable(const box *x, int outer, int inner) {
    for (int v = 0; v < VIEWS; v++)
        if (x->used[v] && x->stride[v][outer] != x->stride[v][inner] * x->shape[inner])
            return false;
    return true;
}

void rnn_box_finish(box *x) {
    int last = -1;
    x->total = rnn_numel(x->ndim, x->shape);
    for (int d = 0; d < x->ndim; d++) {
        if (x->shape[d] == 1) continue;
        bool merge = last >= 0 && mergeable(x, last, d);
        if (!merge) last++;
        x->shape[last] = merge ? x->shape[last] * x->shape[d] : x->shape[d];
        for (int v = 0; v < VIEWS; v++) x->stride[v][last] = x->stride[v][d];
    }
    x->ndim = last + 1;
    if (x->ndim == 0) {
        x->ndim = 1;
        x->shape[0] = x->total;
        for (int v = 0; v < VIEWS; v++) x->stride[v][0] = 1;
    }
    for (int v = 0; v < VIEWS; v++) x->flat[v] = x->used[v] && x->ndim == 1 && x->stride[v][0] == 1;
}

/* The part of the box with lo <= index[d] < hi. */
static box box_slice(const box *x, int d, int64_t lo, int64_t hi, int itemsize) {
    box part = *x;
    part.shape[d] = hi - lo;
    part.total = x->total / x->shape[d] * (hi - lo);
    for (int v = 0; v < VIEWS; v++) {
        part.flat[v] = x->used[v] && x->ndim == 1 && x->stride[v][0] == 1;
        if (x->used[v]) part.data[v] += lo * x->stride[v][d] * itemsize;
    }
    return part;
}

/* ---- tiles ----------------------------------------------------------------------------------- */

static const void *fetch(const job *j, const box *x, int v, int64_t flat, int64_t count,
                         void *tile) {
    if (!x->used[v]) return tile;
    if (x->flat[v]) return x->data[v] + flat * (int64_t)rnn_itemsize(j->dtype);
    if (j->dtype == RNN_F64) pack_f64(x, v, flat, count, tile);
    else pack_f32(x, v, flat, count, tile);
    return tile;
}

/* Makes the results for one tile: in `out`, or where they already lie. */
static const void *make_tile(const job *j, const box *x, int64_t flat, int64_t count, void *out) {
    double tile[4][TILE];
    const void *a = fetch(j, x, A, flat, count, tile[0]);
    if (j->forward) {
        j->forward(count, a, fetch(j, x, B, flat, count, tile[1]), out, j->p);
        return out;
    }
    if (j->backward) {
        const void *b = x->used[B] ? fetch(j, x, B, flat, count, tile[1]) : a;
        const void *z = fetch(j, x, Z, flat, count, tile[2]);
        j->backward(count, a, b, z, fetch(j, x, DZ, flat, count, tile[3]), out, j->p);
        return out;
    }
    if (a != tile[0] && j->scale == 1 && (j->add || !x->flat[DST])) return a;
    j->e->k->copy_scaled[j->dtype](count, out, a, j->scale);
    return out;
}

static void run_range(const job *j, const box *x, int64_t begin, int64_t end) {
    double buffer[TILE];
    const int64_t size = (int64_t)rnn_itemsize(j->dtype);
    const bool direct = x->flat[DST] && !j->add;
    for (int64_t flat = begin; flat < end; flat += TILE) {
        int64_t count = end - flat < TILE ? end - flat : TILE;
        const void *made =
            make_tile(j, x, flat, count, direct ? (void *)(x->data[DST] + flat * size) : buffer);
        if (!direct && j->dtype == RNN_F64) unpack_f64(x, DST, flat, count, made, j->e->k, j->add);
        else if (!direct) unpack_f32(x, DST, flat, count, made, j->e->k, j->add);
        if (j->nan && /* while the tile is in the cache */
            j->e->k->first_nan[j->dtype](count, x->data[DST] + flat * size) < count)
            atomic_store_explicit(j->nan, true, memory_order_relaxed);
    }
}

static void flat_task(void *ctx, int64_t begin, int64_t end) {
    const job *j = ctx;
    run_range(j, &j->x, begin, end);
}

static void split_task(void *ctx, int64_t begin, int64_t end) {
    const job *j = ctx;
    box part = box_slice(&j->x, j->split, begin, end, (int)rnn_itemsize(j->dtype));
    run_range(j, &part, 0, part.total);
}

static void partial_task(void *ctx, int64_t begin, int64_t end) {
    const job *j = ctx;
    double buffer[TILE], total = 0;
    for (int64_t flat = begin; flat < end; flat += TILE) {
        int64_t count = end - flat < TILE ? end - flat : TILE;
        total += j->e->k->sum[j->dtype](count, make_tile(j, &j->x, flat, count, buffer));
    }
    j->partial[begin / GRAIN] = total;
}

/* ---- running a job --------------------------------------------------------------------------- */

static void sum_to_one(job *j) {
    int64_t blocks = (j->x.total + GRAIN - 1) / GRAIN;
    double few[64], total = 0;
    j->partial = blocks <= 64 ? few : malloc((size_t)blocks * sizeof(double));
    if (!j->partial) { /* slower, and needs no memory */
        run_range(j, &j->x, 0, j->x.total);
        return;
    }
    rnn_parallel_for(j->e->pool, j->x.total, GRAIN, partial_task, j);
    for (int64_t i = 0; i < blocks; i++) total += j->partial[i];
    if (j->partial != few) free(j->partial);
    if (j->dtype == RNN_F64) *(double *)(void *)j->x.data[DST] += total;
    else *(float *)(void *)j->x.data[DST] = (float)(*(float *)(void *)j->x.data[DST] + total);
}

/* The kept dimension (not summed over) that has the most to share among threads; -1: everything is
 * summed. */
static int kept_dimension(const box *x) {
    int best = -1;
    for (int d = 0; d < x->ndim; d++)
        if (x->stride[DST][d] && (best < 0 || x->shape[d] > x->shape[best])) best = d;
    return best;
}

static bool dst_is_injective(const box *x) {
    int64_t kept[RNN_MAX_DIMS + 1] = {0}; /* without what is summed over */
    for (int d = 0; d < x->ndim; d++) kept[d] = x->stride[DST][d] ? x->shape[d] : 1;
    return rnn_is_injective(x->ndim, kept, x->stride[DST]);
}

/* Sums of many into several go by way of a *shadow*: the kept elements in double, contiguous, one
 * copy for each task where there are few of them. */

static void gain_range(const job *j, const box *x) {
    double buffer[TILE];
    for (int64_t flat = 0; flat < x->total; flat += TILE) {
        const int64_t count = x->total - flat < TILE ? x->total - flat : TILE;
        const void *made = make_tile(j, x, flat, count, buffer);
        if (j->dtype == RNN_F64) gain_f64(x, flat, count, made, j->e->k);
        else gain_f32(x, flat, count, made, j->e->k);
    }
}

static void gain_task(void *ctx, int64_t begin, int64_t end) {
    const job *j = ctx;
    const int64_t size = j->x.shape[j->split], chunk = (size + COPIES - 1) / COPIES;
    box whole = j->x;
    int64_t step = 1;
    for (int d = whole.ndim - 1; d >= 0; d--) {
        if (!whole.stride[DST][d]) continue;
        whole.stride[DST][d] = step;
        step *= whole.shape[d];
    }
    for (int64_t i = begin; i < end; i++) {
        const int64_t lo = i * chunk, hi = lo + chunk < size ? lo + chunk : size;
        if (lo >= hi) break;
        box part = box_slice(&whole, j->split, lo, hi, (int)rnn_itemsize(j->dtype));
        double *shadow =
            j->partial + (j->copies > 1 ? i * j->kept : lo * whole.stride[DST][j->split]);
        part.data[DST] = (char *)shadow;
        gain_range(j, &part);
    }
}

/* The destination gains the shadow's copies. */
static void gain_end(const job *j) {
    box x = {0};
    int64_t index[RNN_MAX_DIMS + 1], at = 0;
    for (int d = 0; d < j->x.ndim; d++) {
        if (!j->x.stride[DST][d]) continue;
        x.shape[x.ndim] = j->x.shape[d];
        x.stride[DST][x.ndim++] = j->x.stride[DST][d];
    }
    cursor_start(&x, DST, 0, index);
    for (int64_t m = 0; m < j->kept; m++) {
        double total = 0;
        for (int64_t i = 0; i < j->copies; i++) total += j->partial[i * j->kept + m];
        if (j->dtype == RNN_F64) ((double *)(void *)j->x.data[DST])[at] += total;
        else
            ((float *)(void *)j->x.data[DST])[at] =
                (float)(((float *)(void *)j->x.data[DST])[at] + total);
        at += cursor_advance(&x, DST, x.ndim - 1, 1, index);
    }
}

/* False where there is no memory for a shadow. */
static bool sum_to_several(job *j, int kept_dim) {
    const box *x = &j->x;
    double few[FEW];
    int reduced = -1;
    for (int d = 0; d < x->ndim; d++)
        if (!x->stride[DST][d] && (reduced < 0 || x->shape[d] > x->shape[reduced])) reduced = d;
    j->copies = x->total >= SERIAL && j->kept < SERIAL / 8 ? COPIES : 1;
    j->split = j->copies > 1 || x->total < SERIAL ? reduced : kept_dim;
    const size_t bytes = (size_t)(j->copies * j->kept) * sizeof(double);
    j->partial = bytes <= sizeof few ? few : malloc(bytes);
    if (!j->partial) return false;
    memset(j->partial, 0, bytes);
    if (j->copies == 1 && j->split == reduced) {
        for (int64_t i = 0; i < COPIES; i++) gain_task(j, i, i + 1);
    } else {
        rnn_parallel_for(j->e->pool, COPIES, 1, gain_task, j);
    }
    gain_end(j);
    if (j->partial != few) free(j->partial);
    return true;
}

/* Of how many elements each destination is the sum, at least, that a shadow is worth it. */
enum { MANY = 32 };

static bool worth_a_shadow(job *j) {
    j->kept = 1;
    for (int d = 0; d < j->x.ndim; d++)
        if (j->x.stride[DST][d]) j->kept *= j->x.shape[d];
    return j->add && j->x.total / j->kept >= MANY;
}

void rnn_job_run(job *j) {
    box *x = &j->x;
    bool sums = false;
    if (x->total == 0) return;
    for (int d = 0; d < x->ndim; d++) sums |= x->stride[DST][d] == 0;
    int kept = sums ? kept_dimension(x) : -1;
    if (sums && kept < 0) {
        sum_to_one(j);
    } else if (!dst_is_injective(x)) {
        run_range(j, x, 0, x->total);
    } else if (!sums) {
        rnn_parallel_for(j->e->pool, x->total, GRAIN, flat_task, j);
    } else if (worth_a_shadow(j) && sum_to_several(j, kept)) {
        return;
    } else if (x->total < SERIAL || x->shape[kept] < 2) {
        run_range(j, x, 0, x->total);
    } else {
        j->split = kept;
        rnn_parallel_for(j->e->pool, x->shape[kept], (x->shape[kept] + 15) / 16, split_task, j);
    }
}

bool rnn_job_run_checked(job *j) {
    atomic_bool nan = false;
    if (j->x.flat[DST]) j->nan = &nan;
    rnn_job_run(j);
    return j->nan && !atomic_load(&nan);
}
