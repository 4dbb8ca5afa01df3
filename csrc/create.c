/* create.c: leaves: empty, filled, from memory (copied or borrowed), with given strides, ranges,
 * random numbers. What it is not: the random stream itself, which random.h has. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static int begin(rnn_engine *e, rnn_build *b, int dtype, int ndim, const int64_t *shape) {
    *b = (rnn_build){.op = RNN_OP_LEAF, .dtype = dtype, .ndim = ndim};
    if (ndim < 0 || ndim > RNN_MAX_DIMS)
        return rnn_fail(e, RNN_EVALUE, "a tensor has at most %d dimensions, not %d", RNN_MAX_DIMS,
                        ndim);
    if (ndim) memcpy(b->shape, shape, (size_t)ndim * sizeof(int64_t));
    return rnn_build_begin(e, b);
}

rnn_ref rnn_empty(rnn_engine *e, int dtype, int ndim, const int64_t *shape) {
    rnn_build b;
    int failed = begin(e, &b, dtype, ndim, shape);
    return failed ? failed : rnn_build_finish(e, &b);
}

static void fill_run(void *data, int dtype, int64_t n, double value) {
    if (value == 0 && !__builtin_signbit(value)) memset(data, 0, (size_t)n * rnn_itemsize(dtype));
    else if (dtype == RNN_F64)
        for (int64_t i = 0; i < n; i++) ((double *)data)[i] = value;
    else
        for (int64_t i = 0; i < n; i++) ((float *)data)[i] = (float)value;
}

rnn_ref rnn_full(rnn_engine *e, int dtype, int ndim, const int64_t *shape, double value) {
    rnn_build b;
    int failed = begin(e, &b, dtype, ndim, shape);
    if (failed) return failed;
    fill_run(b.out, dtype, b.n, value);
    return rnn_build_finish(e, &b);
}

rnn_ref rnn_borrow(rnn_engine *e, int dtype, int ndim, const int64_t *shape, const int64_t *stride,
                   void *data, int64_t offset, int64_t nodes, int64_t owner_object) {
    rnn_owner *owner = rnn_malloc(e, sizeof *owner);
    rnn_block *block = NULL;
    if (owner) {
        *owner = (rnn_owner){(void *)(intptr_t)owner_object, NULL};
        block = rnn_block_borrow(e, data, owner);
        if (!block) {
            rnn_lock(e);
            rnn_orphan(e, owner);
            rnn_unlock(e);
        }
    }
    if (!block) return rnn_fail(e, RNN_EMEMORY, "no memory for the record of a tensor");
    rnn_build b = {.op = RNN_OP_LEAF, .dtype = dtype, .ndim = 1, .shape = {nodes}, .block = block};
    int failed = rnn_build_begin(e, &b);
    rnn_ref flat = failed ? failed : rnn_build_finish(e, &b);
    if (flat < 0) return flat;
    rnn_ref out = rnn_as_view(e, flat, RNN_V_NONE, offset, ndim, shape, stride);
    if (out > 0) rnn_tensor_of(out)->flags = 0;
    rnn_release(e, flat);
    return out;
}

rnn_ref rnn_from_memory(rnn_engine *e, int dtype, int ndim, const int64_t *shape,
                        const void *data) {
    rnn_build b;
    int failed = begin(e, &b, dtype, ndim, shape);
    if (failed) return failed;
    if (b.n) memcpy(b.out, data, (size_t)b.n * rnn_itemsize(dtype));
    return rnn_build_finish(e, &b);
}

rnn_ref rnn_empty_strided(rnn_engine *e, int dtype, int ndim, const int64_t *shape,
                          const int64_t *stride) {
    int64_t n, nodes = 1;
    int failed = rnn_check_shape(e, "empty_strided", ndim, shape, &n);
    if (failed) return failed;
    for (int d = 0; d < ndim && n > 0; d++) {
        int64_t reach;
        if (stride[d] < 0)
            return rnn_fail(e, RNN_EVALUE, "empty_strided: negative strides are not supported");
        if (__builtin_mul_overflow(shape[d] - 1, stride[d], &reach) ||
            __builtin_add_overflow(nodes, reach, &nodes))
            return rnn_fail(e, RNN_EVALUE,
                            "empty_strided: strides reach beyond what can be counted");
    }
    rnn_ref flat = rnn_empty(e, dtype, 1, (int64_t[]){n ? nodes : 0});
    if (flat < 0) return flat;
    rnn_ref out =
        rnn_tensor_new(e, rnn_tensor_of(flat)->store, dtype, 0, RNN_V_NONE, 0, ndim, shape, stride);
    rnn_release(e, flat);
    return out;
}

/* ---- ranges ---------------------------------------------------------------------------------- */

typedef struct {
    int dtype;
    bool exact; /* no element, nor what it is made of, is rounded */
    int64_t whole;
    double start, step;
    void *out;
} range;

/* start + i * step as torch rounds it: for float32 in double; but where its AVX2 loop runs, on runs
 * of two vectors, an element is its vector's first one, rounded, plus a multiple of step. */
static double range_element(const range *r, int64_t i) {
    const int64_t lane = i < r->whole ? i % (r->dtype == RNN_F64 ? 4 : 8) : 0;
    const double x = fma(r->step, (double)(i - lane), r->start);
    if (i >= r->whole) return x;
    return fma(r->step, (double)lane, r->dtype == RNN_F64 ? x : (double)(float)x);
}

static void range_task(void *ctx, int64_t begin, int64_t end) {
    const range *r = ctx;
    const double start = r->start, step = r->step;
    double *d = r->out;
    float *f = r->out;
    if (r->exact && r->dtype == RNN_F64)
        for (int64_t i = begin; i < end; i++) d[i] = start + step * (double)i;
    else if (r->exact)
        for (int64_t i = begin; i < end; i++) f[i] = (float)(start + step * (double)i);
    else if (r->dtype == RNN_F64)
        for (int64_t i = begin; i < end; i++) d[i] = range_element(r, i);
    else
        for (int64_t i = begin; i < end; i++) f[i] = (float)range_element(r, i);
}

rnn_ref rnn_arange(rnn_engine *e, int dtype, int64_t n, double start, double step) {
    rnn_build b;
    int failed = begin(e, &b, dtype, 1, &n);
    if (failed) return failed;
    const int64_t run = dtype == RNN_F64 ? 8 : 16;
    const double largest = dtype == RNN_F64 ? 0x1p53 : 0x1p24;
    range r = {dtype, false, n / run * run, start, step, b.out};
    r.exact = trunc(start) == start && trunc(step) == step &&
              fabs(start) + fabs(step) * (double)n < largest;
    rnn_parallel_for(e->pool, n, 1 << 14, range_task, &r);
    return rnn_build_finish(e, &b);
}

/* A line from both ends to the middle, so that both are met exactly. */
typedef struct {
    const rnn_kernels *k;
    int dtype;
    int64_t n;
    double start, end, step;
    char *out;
} line;

static void line_task(void *ctx, int64_t begin, int64_t end) {
    const line *l = ctx;
    const int64_t half = l->n / 2, middle = half < begin ? begin : half > end ? end : half;
    char *out = l->out + begin * (int64_t)rnn_itemsize(l->dtype);
    l->k->ramp[l->dtype](begin, middle - begin, l->start, l->step, out);
    out += (middle - begin) * (int64_t)rnn_itemsize(l->dtype);
    l->k->ramp[l->dtype](middle - (l->n - 1), end - middle, l->end, l->step, out);
}

rnn_ref rnn_linspace(rnn_engine *e, int dtype, int64_t n, double start, double end) {
    rnn_build b;
    int failed = begin(e, &b, dtype, 1, &n);
    if (failed) return failed;
    const double step = dtype == RNN_F64 ? (end - start) / (double)(n - 1)
                                         : ((float)end - (float)start) / (float)(n - 1);
    line l = {e->k, dtype, n, start, end, step, b.out};
    rnn_parallel_for(e->pool, n, 1 << 15, line_task, &l);
    if (n == 1) { /* step is not a number then */
        if (dtype == RNN_F64) *(double *)b.out = start;
        else *(float *)b.out = (float)start;
    }
    return rnn_build_finish(e, &b);
}

/* ---- random numbers -------------------------------------------------------------------------- */

rnn_rng *rnn_generator(rnn_engine *e, int fresh) {
    if (!fresh) return &e->rng;
    rnn_rng *g = rnn_malloc(e, sizeof *g);
    if (g) rnn_rng_seed(g, RNN_RNG_DEFAULT_SEED);
    return g;
}

void rnn_generator_free(rnn_rng *g) { free(g); }

static void lock(rnn_engine *e) { pthread_mutex_lock(&e->random_lock); }
static void unlock(rnn_engine *e) { pthread_mutex_unlock(&e->random_lock); }

void rnn_generator_seed(rnn_engine *e, rnn_rng *g, uint64_t seed) {
    lock(e);
    rnn_rng_seed(g, seed);
    unlock(e);
}

uint64_t rnn_generator_initial(rnn_rng *g) { return g->seed; }

void rnn_generator_get(rnn_engine *e, rnn_rng *g, uint8_t *state) {
    lock(e);
    rnn_rng_get_state(g, state);
    unlock(e);
}

int rnn_generator_set(rnn_engine *e, rnn_rng *g, const uint8_t *state) {
    lock(e);
    int code = rnn_rng_set_state(g, state);
    unlock(e);
    return code ? rnn_fail(e, RNN_ERUNTIME, "Invalid mt19937 state") : 0;
}

#define FILL(KIND, name, ...) \
    case KIND: \
        return dtype == RNN_F64 ? rnn_##name##_f64(g, __VA_ARGS__, n, out) \
                                : rnn_##name##_f32(g, __VA_ARGS__, n, out);

static int fill(rnn_rng *g, int kind, int dtype, int64_t n, void *out, double a, double b) {
    switch (kind) {
        FILL(RNN_R_UNIFORM, uniform, a, b)
        FILL(RNN_R_NORMAL, normal, a, b)
        FILL(RNN_R_NORMAL_SERIAL, normal_serial, a, b)
        FILL(RNN_R_EXPONENTIAL, exponential, a)
        FILL(RNN_R_CAUCHY, cauchy, a, b)
        FILL(RNN_R_LOG_NORMAL, log_normal, a, b)
        FILL(RNN_R_GEOMETRIC, geometric, a)
        FILL(RNN_R_BERNOULLI, bernoulli, a)
        FILL(RNN_R_DROPOUT, dropout_mask, a)
    }
    return RNN_RNG_EVALUE;
}

/* Nothing was drawn: why, in torch's words. */
static int refuse(rnn_engine *e, int kind, int dtype, double a, double b) {
    switch (kind) {
    case RNN_R_UNIFORM:
        if (!(a <= b))
            return rnn_fail(
                e, RNN_ERUNTIME,
                "uniform_ expects to return a [from, to) range, but found from=%g > to=%g", a, b);
        return rnn_fail(
            e, RNN_ERUNTIME,
            "uniform_ expects to-from <= std::numeric_limits<%s>::max(), but found to=%g and from=%g "
            "which result in to-from to exceed the limit",
            dtype == RNN_F64 ? "Double" : "Float", b, a);
    case RNN_R_EXPONENTIAL:
        return rnn_fail(e, RNN_ERUNTIME, "exponential_ expects lambda > 0.0, but found lambda=%g",
                        a);
    case RNN_R_CAUCHY:
        return rnn_fail(e, RNN_ERUNTIME, "cauchy_ expects sigma > 0.0, but found sigma=%g", b);
    case RNN_R_LOG_NORMAL:
        return rnn_fail(e, RNN_ERUNTIME, "log_normal_ expects std > 0.0, but found std=%g", b);
    case RNN_R_GEOMETRIC:
        return rnn_fail(e, RNN_ERUNTIME, "geometric_ expects p to be in (0, 1), but got p=%g", a);
    case RNN_R_BERNOULLI:
        return rnn_fail(e, RNN_ERUNTIME, "bernoulli_ expects p to be in [0, 1], but got p=%g", a);
    case RNN_R_DROPOUT:
        return rnn_fail(e, RNN_EVALUE, "dropout probability has to be between 0 and 1, but got %g",
                        a);
    }
    return rnn_fail(e, RNN_ERUNTIME, "normal expects std >= 0.0, but found std %g", b);
}

int rnn_random_fill(rnn_engine *e, rnn_rng *g, int kind, int dtype, int64_t n, void *out, double a,
                    double b) {
    lock(e);
    int code = fill(g, kind, dtype, n, out, a, b);
    unlock(e);
    return code ? refuse(e, kind, dtype, a, b) : 0;
}

rnn_ref rnn_random(rnn_engine *e, rnn_rng *g, int kind, int dtype, int ndim, const int64_t *shape,
                   double a, double b) {
    rnn_build made;
    int failed = begin(e, &made, dtype, ndim, shape);
    if (failed) return failed;
    failed = rnn_random_fill(e, g, kind, dtype, made.n, made.out, a, b);
    if (!failed) return rnn_build_finish(e, &made);
    rnn_build_abort(e, &made);
    return failed;
}

int rnn_random_ints(rnn_engine *e, rnn_rng *g, int kind, int64_t n, void *out, int64_t low,
                    int64_t high) {
    int code = 0;
    lock(e);
    if (kind == RNN_R_WORDS) rnn_rng_words(g, n, out);
    else if (kind == RNN_R_INT63) rnn_random_i64(g, n, out);
    else if (kind == RNN_R_PERMUTATION) code = rnn_randperm(g, n, out);
    else code = rnn_randint_i64(g, low, high, n, out);
    unlock(e);
    if (!code) return 0;
    return rnn_fail(e, RNN_ERUNTIME,
                    "random_ expects 'from' to be less than 'to', but got from=%lld >= to=%lld",
                    (long long)low, (long long)high);
}

int rnn_random_flips(rnn_engine *e, rnn_rng *g, int dtype, int64_t n, const void *p, void *out) {
    lock(e);
    int code = dtype == RNN_F64 ? rnn_bernoulli_array_f64(g, p, n, out)
                                : rnn_bernoulli_array_f32(g, p, n, out);
    unlock(e);
    return code ? rnn_fail(e, RNN_ERUNTIME,
                           "Expected p_in >= 0 && p_in <= 1 to be true, but got false.")
                : 0;
}

int rnn_random_draws(rnn_engine *e, rnn_rng *g, int dtype, const void *p, int64_t rows, int64_t n,
                     int64_t k, int replacement, int64_t *out) {
    double *work = rnn_malloc(e, (size_t)n * sizeof(double));
    if (!work)
        return rnn_fail(e, RNN_EMEMORY, "multinomial: no memory for %lld weights", (long long)n);
    lock(e);
    int code = dtype == RNN_F64 ? rnn_multinomial_f64(g, p, rows, n, k, replacement, work, out)
                                : rnn_multinomial_f32(g, p, rows, n, k, replacement, work, out);
    unlock(e);
    free(work);
    switch (code) {
    case RNN_RNG_OK:
        return 0;
    case RNN_RNG_EZERO:
        return rnn_fail(e, RNN_ERUNTIME,
                        "invalid multinomial distribution (sum of probabilities <= 0)");
    case RNN_RNG_EVALUE:
        return rnn_fail(e, RNN_ERUNTIME,
                        "cannot sample n_sample > prob_dist.size(-1) samples without replacement");
    }
    return rnn_fail(e, RNN_ERUNTIME,
                    "probability tensor contains either `inf`, `nan` or element < 0");
}
