/* lbfgs.c: what an iteration of L-BFGS does to vectors: all parameters one after the other, and
 * the direction that the remembered steps suggest (Nocedal and Wright, Numerical Optimization,
 * algorithm 7.4). What it is not: the line search and when to stop; rnn/optim/lbfgs.py has
 * those. */
#include "optim_list.h"

#include <stdlib.h>
#include <string.h>

/* ---- parameters as one vector ---------------------------------------------------------------- */

enum { FLAT = 2 }; /* the item's run that is its part of the vector */

static double get(int dtype, const void *x, int64_t i) {
    return dtype == RNN_F64 ? ((const double *)x)[i] : ((const float *)x)[i];
}

static void put(int dtype, void *x, int64_t i, double value) {
    if (dtype == RNN_F64) ((double *)x)[i] = value;
    else ((float *)x)[i] = (float)value;
}

/* The same where the vector's dtype is not the parameter's. */
static void flat_converted(list *l, const item *it, int64_t begin, int64_t end) {
    const int dtype = l->vector_dtype;
    const int run = l->rule == RNN_FLAT_GRADS ? 1 : 0;
    for (int64_t i = begin; i < end; i++) {
        const double own = get(it->dtype, it->run[run], i), flat = get(dtype, it->run[FLAT], i);
        if (l->rule <= RNN_FLAT_VALUES) put(dtype, it->run[FLAT], i, own);
        else if (l->rule == RNN_FLAT_ASSIGN) put(it->dtype, it->run[0], i, flat);
        else put(it->dtype, it->run[0], i, own + l->a * flat);
    }
}

static void flat_work(void *ctx, const item *it, int64_t begin, int64_t end, int64_t block) {
    list *l = ctx;
    const size_t bytes = (size_t)(end - begin) * rnn_itemsize(it->dtype);
    (void)block;
    if (l->vector_dtype != it->dtype) {
        flat_converted(l, it, begin, end);
        return;
    }
    void *flat = at(it, FLAT, begin);
    if (l->rule == RNN_FLAT_GRADS) memcpy(flat, at(it, 1, begin), bytes);
    else if (l->rule == RNN_FLAT_VALUES) memcpy(flat, at(it, 0, begin), bytes);
    else if (l->rule == RNN_FLAT_ASSIGN) memcpy(at(it, 0, begin), flat, bytes);
    else l->e->k->add_scaled[it->dtype](end - begin, at(it, 0, begin), flat, l->a);
}

/* Every parameter with its part of the vector; those without a gradient have no part in it. */
static int gather_flat(list *l, int count, const rnn_ref *params, const rnn_view *v, char *data) {
    const bool grads = l->rule == RNN_FLAT_GRADS;
    int64_t start = 0;
    for (int i = 0; i < count; i++) {
        int joined = rnn_list_add(l, params[i], i, !grads, grads);
        if (joined < 0) return joined;
        rnn_view own;
        rnn_view_of(l->e, params[i], &own);
        if (joined) {
            item *it = &l->items[l->count - 1];
            it->run[FLAT] = data + start * (int64_t)rnn_itemsize(v->dtype);
        }
        start += rnn_numel(own.ndim, own.shape);
        if (start > v->shape[0]) break;
    }
    if (start == v->shape[0]) return 0;
    return rnn_fail(l->e, RNN_ERUNTIME,
                    "the parameters do not have %lld elements, as the vector has",
                    (long long)v->shape[0]);
}

int rnn_flat(rnn_engine *e, int what, int count, const rnn_ref *params, double scale,
             rnn_ref vector) {
    rnn_view v;
    rnn_view_of(e, vector, &v);
    if (v.ndim != 1 || !rnn_view_is_contiguous(&v))
        return rnn_fail(e, RNN_EVALUE, "the parameters need a contiguous vector");
    char *data = rnn_view_data(e, &v);
    list l;
    int failed = rnn_list_make(e, &l, count);
    l.rule = what;
    l.vector_dtype = v.dtype;
    l.work = flat_work;
    l.a = scale;
    if (!failed) failed = gather_flat(&l, count, params, &v, data);
    if (!failed) failed = rnn_list_plan(&l, false);
    if (!failed) {
        if (what == RNN_FLAT_GRADS) memset(data, 0, (size_t)v.shape[0] * rnn_itemsize(v.dtype));
        rnn_list_run(&l);
        if (what >= RNN_FLAT_ASSIGN) {
            rnn_list_write_back(&l, false);
            for (int64_t i = 0; i < l.count; i++) rnn_span_stamp(e, l.items[i].span);
        }
    }
    rnn_list_drop(&l);
    return failed;
}

/* ---- the direction --------------------------------------------------------------------------- */

enum { BLOCK = 16384 };

/* One sweep over the vector: what is added to it, then what it is multiplied with. */
typedef struct {
    rnn_engine *e;
    int dtype;
    int64_t n;
    char *q;           /* the vector */
    const char *first; /* it starts as minus this */
    const char *x;     /* q += scale x */
    double scale, factor;
    const char *y; /* the sum of y q is wanted */
    double *sums;  /* of each block */
    double *along; /* how far along each remembered step */
} sweep;

static void sweep_blocks(void *ctx, int64_t begin, int64_t end) {
    const sweep *l = ctx;
    const rnn_kernels *k = l->e->k;
    for (int64_t b = begin; b < end; b++) {
        const int64_t from = b * BLOCK, n = l->n - from < BLOCK ? l->n - from : BLOCK;
        const int64_t skip = from * (int64_t)rnn_itemsize(l->dtype);
        char *q = l->q + skip;
        if (l->first) k->copy_scaled[l->dtype](n, q, l->first + skip, -1);
        if (l->x) k->add_scaled[l->dtype](n, q, l->x + skip, l->scale);
        if (l->factor != 1) k->copy_scaled[l->dtype](n, q, q, l->factor);
        l->sums[b] = l->y ? k->dot[l->dtype](n, l->y + skip, q) : 0;
    }
}

static double rounded(int dtype, double x) { return dtype == RNN_F64 ? x : (float)x; }

/* Runs the sweep that was set up and clears it; the sum of y q. */
static double run_sweep(sweep *l, const char *y) {
    const int64_t blocks = (l->n + BLOCK - 1) / BLOCK;
    double total = 0;
    l->y = y;
    if (blocks < 3) sweep_blocks(l, 0, blocks);
    else rnn_parallel_for(l->e->pool, blocks, 1, sweep_blocks, l);
    for (int64_t b = 0; b < blocks; b++) total += l->sums[b];
    l->first = l->x = NULL;
    l->factor = 1;
    return rounded(l->dtype, total);
}

static void two_loops(sweep *l, int count, const rnn_ref *changes, const rnn_ref *moves,
                      const rnn_ref *ro, double h) {
    rnn_engine *e = l->e;
    for (int i = count - 1; i >= 0; i--) {
        const double dot = run_sweep(l, rnn_data(e, moves[i]));
        l->along[i] = rounded(l->dtype, dot * rnn_item(e, ro[i], 0));
        l->x = rnn_data(e, changes[i]);
        l->scale = -l->along[i];
    }
    l->factor = h;
    for (int i = 0; i < count; i++) {
        const double dot = run_sweep(l, rnn_data(e, changes[i]));
        const double back = rounded(l->dtype, dot * rnn_item(e, ro[i], 0));
        l->x = rnn_data(e, moves[i]);
        l->scale = rounded(l->dtype, l->along[i] - back);
    }
    run_sweep(l, NULL);
}

static int check_vector(rnn_engine *e, const rnn_view *like, rnn_ref t) {
    rnn_view v;
    if (t > 0) rnn_view_of(e, t, &v);
    if (t > 0 && v.dtype == like->dtype && rnn_view_is_contiguous(&v) &&
        rnn_numel(v.ndim, v.shape) == like->shape[0])
        return 0;
    return rnn_fail(
        e, RNN_ERUNTIME,
        "a remembered step of LBFGS has another dtype or size than the parameters: make the "
        "optimizer after the model has its dtype, or load its state anew");
}

int rnn_lbfgs_direction(rnn_engine *e, int count, const rnn_ref *changes, const rnn_ref *moves,
                        const rnn_ref *ro, double h, rnn_ref grad, rnn_ref out) {
    rnn_view v;
    rnn_view_of(e, grad, &v);
    int failed = check_vector(e, &v, grad);
    if (!failed) failed = check_vector(e, &v, out);
    for (int i = 0; !failed && i < count; i++) {
        failed = check_vector(e, &v, changes[i]);
        if (!failed) failed = check_vector(e, &v, moves[i]);
        if (!failed && ro[i] <= 0)
            failed = rnn_fail(e, RNN_ERUNTIME, "a remembered step of LBFGS lacks its number ro");
    }
    if (failed) return failed;
    const size_t numbers = (size_t)count + (size_t)(v.shape[0] / BLOCK + 1);
    double *scratch = rnn_malloc(e, numbers * sizeof *scratch);
    if (!scratch) return rnn_fail(e, RNN_EMEMORY, "no memory for a direction of LBFGS");
    sweep l = {.e = e,
               .dtype = v.dtype,
               .n = v.shape[0],
               .q = rnn_data(e, out),
               .first = rnn_data(e, grad),
               .factor = 1,
               .sums = scratch + count,
               .along = scratch};
    two_loops(&l, count, changes, moves, ro, h);
    rnn_span_stamp(e, rnn_span_of(out));
    free(scratch);
    return 0;
}
