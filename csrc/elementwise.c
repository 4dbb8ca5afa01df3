/* elementwise.c: from tensors with shapes and strides to the contiguous loops of kernels.h.
 *
 * Everything elementwise, every copy, every sum over dimensions and every broadcast gradient is one
 * walk over a *box*: a shape and, for each tensor that takes part, a stride per dimension (0 where
 * it is broadcast, or summed into). The box is walked in tiles of a few hundred elements in
 * row-major order: contiguous tensors are handed to the loop as they are, others are packed into a
 * tile that stays in the first-level cache.
 *
 * What it is not: it knows no derivative; those stand in ops.h. */
#include "internal.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { DST, A, B, Z, DZ, VIEWS };
enum { TILE = 512, GRAIN = 16384, SERIAL = 32768, NARROW = 64, COPIES = 16, FEW = 512 };

typedef struct {
    int ndim;
    int64_t total, shape[RNN_MAX_DIMS + 1], stride[VIEWS][RNN_MAX_DIMS + 1];
    char *data[VIEWS];
    bool used[VIEWS], flat[VIEWS]; /* flat: row-major positions are memory positions */
} box;

typedef struct {
    rnn_engine *e;
    box x;
    int dtype;
    rnn_forward_loop forward;
    rnn_backward_loop backward;
    const double *p;
    double scale; /* of a plain copy */
    bool add;
    double *
        partial; /* of a sum into one element: one for each block; of one into several: the shadow */
    int split;
    int64_t kept, copies;
    atomic_bool *nan; /* becomes true where a result is one; NULL: nobody asks */
} job;

/* ---- the box ----------------------------------------------------------------------------------- */

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

#define T float
#define TN(name) name##_f32
#include "box.inc"
#undef T
#undef TN
#define T double
#define TN(name) name##_f64
#include "box.inc"
#undef T
#undef TN

static void box_begin(box *x, int ndim, const int64_t *shape) {
    memset(x, 0, sizeof *x);
    x->ndim = ndim;
    for (int d = 0; d < ndim; d++) x->shape[d] = shape[d];
}

/* A view takes part: its last dimensions are the box's, of size 1 where it is broadcast. */
static void box_add(box *x, int which, const rnn_view *v, void *data) {
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

/* Drops dimensions of size 1 and merges neighbours that are one run in every view. */
static void box_finish(box *x) {
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

/* ---- tiles
 * --------------------------------------------------------------------------------------- */

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

/* ---- running a job
 * --------------------------------------------------------------------------------- */

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

/* Sums of many into several go by way of a *shadow*: the kept elements in double, contiguous, one copy for each task
 * where there are few of them. */

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

static void run(job *j) {
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

/* The same; true where all results have been looked at and there is no NaN among them. */
static bool run_checked(job *j) {
    atomic_bool nan = false;
    if (j->x.flat[DST]) j->nan = &nan;
    run(j);
    return j->nan && !atomic_load(&nan);
}

/* ---- forward
 * ------------------------------------------------------------------------------------------ */

/* clean: whether there is no NaN; NULL: nobody asks. */
static void forward(rnn_engine *e, int op, const rnn_view *dst, void *dst_data, const rnn_view *a,
                    const rnn_view *b, const double *p, bool *clean) {
    job j = {
        .e = e, .dtype = dst->dtype, .forward = e->k->forward[dst->dtype][op], .p = p, .scale = 1};
    box_begin(&j.x, dst->ndim, dst->shape);
    box_add(&j.x, DST, dst, dst_data);
    box_add(&j.x, A, a, rnn_view_data(e, a));
    if (b) box_add(&j.x, B, b, rnn_view_data(e, b));
    box_finish(&j.x);
    if (clean) *clean = run_checked(&j);
    else run(&j);
}

static void result_view(const rnn_build *b, rnn_view *v) {
    v->ndim = (int16_t)b->ndim;
    v->dtype = (uint8_t)b->dtype;
    v->offset = 0;
    for (int d = 0; d < b->ndim; d++) v->shape[d] = b->shape[d];
    rnn_contiguous_strides(b->ndim, b->shape, v->stride);
}

static bool composes(int op) { return rnn_resolution() && rnn_ops[op].needs & RNN_COMPOSITE; }

rnn_ref rnn_unary(rnn_engine *e, int op, rnn_ref ra, double p0, double p1) {
    rnn_view a, z;
    if (rnn_view_of(e, ra, &a)) return RNN_ETYPE;
    if (composes(op)) return RNN_COMPOSE;
    rnn_build b = {.op = op, .dtype = a.dtype, .ndim = a.ndim, .count = 1, .in = &a, .p = {p0, p1}};
    memcpy(b.shape, a.shape, sizeof b.shape);
    int failed = rnn_build_begin(e, &b);
    if (failed) return failed;
    result_view(&b, &z);
    forward(e, op, &z, b.out, &a, NULL, b.p, b.check ? &b.clean : NULL);
    return rnn_build_finish(e, &b);
}

rnn_ref rnn_binary(rnn_engine *e, int op, rnn_ref ra, rnn_ref rb, double p0) {
    rnn_view in[2], z;
    if (rnn_view_of(e, ra, &in[0]) || rnn_view_of(e, rb, &in[1])) return RNN_ETYPE;
    if (in[0].dtype != in[1].dtype) return RNN_EDTYPE;
    if (composes(op)) return RNN_COMPOSE;
    rnn_build b = {.op = op, .dtype = in[0].dtype, .count = 2, .in = in, .p = {p0}};
    int failed = rnn_broadcast(e, rnn_ops[op].name, &in[0], &in[1], &b.ndim, b.shape);
    if (!failed) failed = rnn_build_begin(e, &b);
    if (failed) return failed;
    result_view(&b, &z);
    forward(e, op, &z, b.out, &in[0], &in[1], b.p, b.check ? &b.clean : NULL);
    return rnn_build_finish(e, &b);
}

/* Would the result in `out` have to be recorded? */
static bool must_record(rnn_engine *e, rnn_ref out, rnn_ref a, rnn_ref b) {
    if (!rnn_grad_mode()) return false;
    return rnn_requires_grad(e, out) || rnn_requires_grad(e, a) || (b && rnn_requires_grad(e, b));
}

static int check_into(rnn_engine *e, int op, rnn_ref out, const rnn_view *a, const rnn_view *b,
                      bool clean) {
    const rnn_view in[2] = {*a, b ? *b : *a};
    const rnn_ref made = rnn_alias(e, out);
    if (made < 0) return (int)made;
    const rnn_ref checked = rnn_check_result(e, op, made, b ? 2 : 1, in, clean);
    if (checked < 0) return (int)checked;
    rnn_release(e, checked);
    return 0;
}

/* Results go straight into `out`: nothing is recorded, its memory is stamped. */
static int into(rnn_engine *e, int op, rnn_ref out, const rnn_view *a, const rnn_view *b,
                const double *p) {
    rnn_view z, whole = *a;
    char want[256], have[256];
    if (rnn_view_of(e, out, &z)) return RNN_ETYPE;
    if (z.dtype != a->dtype) return RNN_EDTYPE;
    int failed = 0;
    if (b) {
        int ndim;
        failed = rnn_broadcast(e, rnn_ops[op].name, a, b, &ndim, whole.shape);
        whole.ndim = (int16_t)ndim;
    }
    if (failed) return failed;
    if (whole.ndim != z.ndim || memcmp(whole.shape, z.shape, (size_t)z.ndim * sizeof(int64_t)))
        return rnn_fail(e, RNN_ERUNTIME,
                        "output with shape %s doesn't match the broadcast shape %s",
                        rnn_shape_text(z.ndim, z.shape, have, sizeof have),
                        rnn_shape_text(whole.ndim, whole.shape, want, sizeof want));
    if (!rnn_view_is_injective(&z))
        return rnn_fail(
            e, RNN_ERUNTIME,
            "unsupported operation: more than one element of the written-to tensor refers to a single "
            "memory location. Please clone() the tensor before performing the operation.");
    if ((failed = rnn_check_inplace(e, out))) return failed;
    bool clean = false;
    forward(e, op, &z, rnn_view_data(e, &z), a, b, p, rnn_checking() ? &clean : NULL);
    failed = rnn_touch(e, out);
    return rnn_checking() && !failed ? check_into(e, op, out, a, b, clean) : failed;
}

/* Reading and writing one memory in two orders gives nonsense: such an operand is copied first. */
static rnn_ref untangle(rnn_engine *e, rnn_ref out, rnn_ref a) {
    const rnn_tensor *o = rnn_tensor_of(out), *t = rnn_tensor_of(a);
    bool same = o->ndim == t->ndim && rnn_data(e, out) == rnn_data(e, a) &&
                !memcmp(o->dims, t->dims, 2 * (size_t)o->ndim * sizeof(int64_t));
    if (same || !rnn_same_memory(e, out, a)) return rnn_alias(e, a);
    int was = rnn_set_grad_mode(0);
    rnn_ref copy = rnn_clone(e, a);
    rnn_set_grad_mode(was);
    return copy;
}

int rnn_unary_into(rnn_engine *e, int op, rnn_ref out, rnn_ref ra, double p0, double p1) {
    if (out <= 0 || ra <= 0) return RNN_ETYPE;
    if (must_record(e, out, ra, 0)) return RNN_ERECORD;
    rnn_ref ca = untangle(e, out, ra);
    if (ca < 0) return (int)ca;
    rnn_view a;
    rnn_view_of(e, ca, &a);
    const double p[4] = {p0, p1};
    int code = into(e, op, out, &a, NULL, p);
    rnn_release(e, ca);
    return code;
}

int rnn_binary_into(rnn_engine *e, int op, rnn_ref out, rnn_ref ra, rnn_ref rb, double p0) {
    if (out <= 0 || ra <= 0 || rb <= 0) return RNN_ETYPE;
    if (rnn_dtype(ra) != rnn_dtype(rb)) return RNN_EDTYPE;
    if (must_record(e, out, ra, rb)) return RNN_ERECORD;
    rnn_ref ca = untangle(e, out, ra), cb = ca < 0 ? ca : untangle(e, out, rb);
    int code = (int)cb;
    if (cb > 0) {
        rnn_view a, b;
        rnn_view_of(e, ca, &a);
        rnn_view_of(e, cb, &b);
        const double p[4] = {p0};
        code = into(e, op, out, &a, &b, p);
        rnn_release(e, cb);
    }
    if (ca > 0) rnn_release(e, ca);
    return code;
}

/* ---- backward
 * ------------------------------------------------------------------------------------------ */

/* One operand's share: its gradient gains dz times the local derivative, summed where it was
 * broadcast. last: dz is not read again. */
static int backward_operand(rnn_engine *e, uint32_t id, int k, const rnn_view *in, int count,
                            bool last) {
    const rnn_span *s = rnn_at(e, id);
    const rnn_ext *x = s->ext;
    rnn_target target;
    void *dz = rnn_span_grad(e, id);
    int failed = (last ? rnn_target_inherit : rnn_target_begin)(e, id, k, x->n, &target);
    if (failed || !target.wanted) return failed;
    job j = {.e = e,
             .dtype = s->dtype,
             .backward = e->k->backward[s->dtype][k][s->op],
             .p = x->p,
             .scale = 1,
             .add = !target.fresh};
    rnn_view z = {.ndim = (int16_t)x->ndim};
    for (int d = 0; d < x->ndim; d++) z.shape[d] = x->shape[d];
    rnn_contiguous_strides(x->ndim, x->shape, z.stride);
    box_begin(&j.x, x->ndim, x->shape);
    box_add(&j.x, DST, &target.v, target.grad);
    const int needs = rnn_ops[s->op].needs;
    if (needs & RNN_NEEDS_A) box_add(&j.x, A, &in[0], rnn_view_data(e, &in[0]));
    if (count > 1 && needs & RNN_NEEDS_B) box_add(&j.x, B, &in[1], rnn_view_data(e, &in[1]));
    if (needs & RNN_NEEDS_Z) box_add(&j.x, Z, &z, rnn_span_data(e, id));
    box_add(&j.x, DZ, &z, dz);
    box_finish(&j.x);
    if (!rnn_checking()) run(&j);
    else if (run_checked(&j)) rnn_thread_state()->clean |= (uint8_t)(1 << k);
    return 0;
}

int rnn_elementwise_backward(rnn_engine *e, uint32_t id) {
    rnn_view in[2];
    int count = rnn_at(e, id)->ext->count;
    rnn_thread_state()->clean = 0;
    for (int k = 0; k < count; k++) rnn_operand_view(e, id, k, &in[k]);
    for (int k = 0; k < count; k++) {
        int failed = backward_operand(e, id, k, in, count, k == count - 1 || !in[1].needs_grad);
        if (failed) return failed;
    }
    return 0;
}

void rnn_spread(rnn_engine *e, const rnn_spread_job *in) {
    const rnn_target *t = in->target;
    rnn_view row;
    job j = {.e = e,
             .dtype = t->v.dtype,
             .backward = in->loop,
             .p = in->p,
             .scale = 1,
             .add = !t->fresh};
    rnn_reduced_view(&t->v, in->reduced, &row);
    box_begin(&j.x, t->v.ndim, t->v.shape);
    box_add(&j.x, DST, &t->v, t->grad);
    box_add(&j.x, A, &t->v, rnn_view_data(e, &t->v));
    if (in->b) box_add(&j.x, B, &row, (void *)(uintptr_t)in->b);
    box_add(&j.x, Z, &row, (void *)(uintptr_t)in->z);
    box_add(&j.x, DZ, &row, (void *)(uintptr_t)in->dz);
    box_finish(&j.x);
    run(&j);
}

/* ---- copies and sums
 * ------------------------------------------------------------------------------------ */

int rnn_accumulate(rnn_engine *e, const rnn_accumulate_job *in) {
    if (rnn_move(e, in)) return 0;
    job j = {.e = e, .dtype = in->dtype, .scale = in->scale, .add = !in->overwrite};
    box_begin(&j.x, in->ndim, in->shape);
    memcpy(j.x.stride[DST], in->dst_stride, (size_t)in->ndim * sizeof(int64_t));
    memcpy(j.x.stride[A], in->src_stride, (size_t)in->ndim * sizeof(int64_t));
    j.x.used[DST] = j.x.used[A] = true;
    j.x.data[DST] = in->dst;
    j.x.data[A] = (char *)(uintptr_t)in->src;
    box_finish(&j.x);
    run(&j);
    return 0;
}

int rnn_pack_view(rnn_engine *e, const rnn_view *v, void *out) {
    rnn_accumulate_job job = {.ndim = v->ndim,
                              .dtype = v->dtype,
                              .dst = out,
                              .src = rnn_view_data(e, v),
                              .scale = 1,
                              .overwrite = true};
    memcpy(job.shape, v->shape, sizeof job.shape);
    memcpy(job.src_stride, v->stride, sizeof job.src_stride);
    rnn_contiguous_strides(v->ndim, v->shape, job.dst_stride);
    return rnn_accumulate(e, &job);
}

int rnn_target_add(rnn_engine *e, const rnn_target *t, int dtype, const void *contiguous) {
    rnn_accumulate_job job = {.ndim = t->v.ndim,
                              .dtype = dtype,
                              .dst = t->grad,
                              .src = contiguous,
                              .scale = 1,
                              .overwrite = t->fresh};
    memcpy(job.shape, t->v.shape, sizeof job.shape);
    memcpy(job.dst_stride, t->v.stride, sizeof job.dst_stride);
    rnn_contiguous_strides(t->v.ndim, t->v.shape, job.src_stride);
    return rnn_accumulate(e, &job);
}
