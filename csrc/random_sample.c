/*
 * random_sample.c: what random.h makes from uniforms one by one: coin flips, dropout, the
 * continuous distributions, and draws from weights.
 */
#include <math.h>
#include <string.h>

#include "random.h"
#include "random_loops.h"

enum { CHUNK = 512 }; /* uniforms at a time, on the stack */

static int64_t chunk_of(int64_t left) { return left < CHUNK ? left : CHUNK; }

static int is_probability(double p) { return p >= 0 && p <= 1; }

/* ---- coin flips ------------------------------------------------------------------------------ */

/* yes where a uniform lies below p, else 0 */
static void flip_f32(rnn_rng *rng, double p, float yes, int64_t n, float *out) {
    double u[CHUNK];
    for (int64_t i = 0; i < n; i += CHUNK) {
        int64_t m = chunk_of(n - i);
        rnn_rand_f64(rng, m, u);
        for (int64_t j = 0; j < m; j++) out[i + j] = u[j] < p ? yes : 0;
    }
}

static void flip_f64(rnn_rng *rng, double p, double yes, int64_t n, double *out) {
    for (int64_t i = 0; i < n; i += CHUNK) {
        int64_t m = chunk_of(n - i);
        rnn_rand_f64(rng, m, out + i);
        for (int64_t j = 0; j < m; j++) out[i + j] = out[i + j] < p ? yes : 0;
    }
}

int rnn_bernoulli_f32(rnn_rng *rng, double p, int64_t n, float *out) {
    if (!is_probability(p)) return RNN_RNG_EVALUE;
    flip_f32(rng, p, 1, n, out);
    return RNN_RNG_OK;
}

int rnn_bernoulli_f64(rnn_rng *rng, double p, int64_t n, double *out) {
    if (!is_probability(p)) return RNN_RNG_EVALUE;
    flip_f64(rng, p, 1, n, out);
    return RNN_RNG_OK;
}

int rnn_bernoulli_u8(rnn_rng *rng, double p, int64_t n, uint8_t *out) {
    if (!is_probability(p)) return RNN_RNG_EVALUE;
    double u[CHUNK];
    for (int64_t i = 0; i < n; i += CHUNK) {
        int64_t m = chunk_of(n - i);
        rnn_rand_f64(rng, m, u);
        for (int64_t j = 0; j < m; j++) out[i + j] = u[j] < p;
    }
    return RNN_RNG_OK;
}

int rnn_bernoulli_array_f32(rnn_rng *rng, const float *p, int64_t n, float *out) {
    for (int64_t i = 0; i < n; i++) {
        if (!is_probability(p[i])) return RNN_RNG_EVALUE;
    }
    float u[CHUNK];
    for (int64_t i = 0; i < n; i += CHUNK) {
        int64_t m = chunk_of(n - i);
        rnn_rand_f32(rng, m, u);
        for (int64_t j = 0; j < m; j++) out[i + j] = u[j] < p[i + j];
    }
    return RNN_RNG_OK;
}

int rnn_bernoulli_array_f64(rnn_rng *rng, const double *p, int64_t n, double *out) {
    for (int64_t i = 0; i < n; i++) {
        if (!is_probability(p[i])) return RNN_RNG_EVALUE;
    }
    double u[CHUNK];
    for (int64_t i = 0; i < n; i += CHUNK) {
        int64_t m = chunk_of(n - i);
        rnn_rand_f64(rng, m, u);
        for (int64_t j = 0; j < m; j++) out[i + j] = u[j] < p[i + j];
    }
    return RNN_RNG_OK;
}

int rnn_dropout_mask_f32(rnn_rng *rng, double p, int64_t n, float *out) {
    if (!is_probability(p)) return RNN_RNG_EVALUE;
    if (p == 0 || p == 1) {
        for (int64_t i = 0; i < n; i++) out[i] = p == 0;
        return RNN_RNG_OK;
    }
    flip_f32(rng, 1 - p, 1.0f / (float)(1 - p), n, out);
    return RNN_RNG_OK;
}

int rnn_dropout_mask_f64(rnn_rng *rng, double p, int64_t n, double *out) {
    if (!is_probability(p)) return RNN_RNG_EVALUE;
    if (p == 0 || p == 1) {
        for (int64_t i = 0; i < n; i++) out[i] = p == 0;
        return RNN_RNG_OK;
    }
    flip_f64(rng, 1 - p, 1.0 / (1 - p), n, out);
    return RNN_RNG_OK;
}

/* ---- continuous distributions: a uniform through the inverse distribution function ----------- */

typedef double (*inverse)(double u, double a, double b);

static double inverse_exponential(double u, double scale, double unused) {
    (void)unused;
    return scale * log1p(-u); /* scale = -1 / lambda */
}

static double inverse_cauchy(double u, double median, double sigma) {
    return RNN_FMA64(sigma, tan(3.14159265358979323846 * (u - 0.5)), median);
}

static double inverse_geometric(double u, double log_fail, double unused) {
    (void)unused;
    return ceil(log(u) / log_fail);
}

static void through_f32(rnn_rng *rng, inverse f, double a, double b, int64_t n, float *out) {
    double u[CHUNK];
    for (int64_t i = 0; i < n; i += CHUNK) {
        int64_t m = chunk_of(n - i);
        rnn_rand_f64(rng, m, u);
        for (int64_t j = 0; j < m; j++) out[i + j] = (float)f(u[j], a, b);
    }
}

static void through_f64(rnn_rng *rng, inverse f, double a, double b, int64_t n, double *out) {
    for (int64_t i = 0; i < n; i += CHUNK) {
        int64_t m = chunk_of(n - i);
        rnn_rand_f64(rng, m, out + i);
        for (int64_t j = 0; j < m; j++) out[i + j] = f(out[i + j], a, b);
    }
}

int rnn_exponential_f32(rnn_rng *rng, double lambda, int64_t n, float *out) {
    if (!(lambda > 0)) return RNN_RNG_EVALUE;
    through_f32(rng, inverse_exponential, -1.0 / lambda, 0, n, out);
    return RNN_RNG_OK;
}

int rnn_exponential_f64(rnn_rng *rng, double lambda, int64_t n, double *out) {
    if (!(lambda > 0)) return RNN_RNG_EVALUE;
    through_f64(rng, inverse_exponential, -1.0 / lambda, 0, n, out);
    return RNN_RNG_OK;
}

int rnn_cauchy_f32(rnn_rng *rng, double median, double sigma, int64_t n, float *out) {
    if (!(sigma > 0)) return RNN_RNG_EVALUE;
    through_f32(rng, inverse_cauchy, median, sigma, n, out);
    return RNN_RNG_OK;
}

int rnn_cauchy_f64(rnn_rng *rng, double median, double sigma, int64_t n, double *out) {
    if (!(sigma > 0)) return RNN_RNG_EVALUE;
    through_f64(rng, inverse_cauchy, median, sigma, n, out);
    return RNN_RNG_OK;
}

int rnn_geometric_f32(rnn_rng *rng, double p, int64_t n, float *out) {
    if (!(p > 0 && p < 1)) return RNN_RNG_EVALUE;
    through_f32(rng, inverse_geometric, log1p(-p), 0, n, out);
    return RNN_RNG_OK;
}

int rnn_geometric_f64(rnn_rng *rng, double p, int64_t n, double *out) {
    if (!(p > 0 && p < 1)) return RNN_RNG_EVALUE;
    through_f64(rng, inverse_geometric, log1p(-p), 0, n, out);
    return RNN_RNG_OK;
}

int rnn_log_normal_f32(rnn_rng *rng, double mean, double std, int64_t n, float *out) {
    if (!(std > 0)) return RNN_RNG_EVALUE;
    for (int64_t i = 0; i < n; i++) out[i] = (float)exp(rnn_rng_normal(rng, mean, std));
    return RNN_RNG_OK;
}

int rnn_log_normal_f64(rnn_rng *rng, double mean, double std, int64_t n, double *out) {
    if (!(std > 0)) return RNN_RNG_EVALUE;
    for (int64_t i = 0; i < n; i++) out[i] = exp(rnn_rng_normal(rng, mean, std));
    return RNN_RNG_OK;
}

/* ---- draws from weights ---------------------------------------------------------------------- */

static int check_shape(int64_t rows, int64_t n, int64_t k, int replacement) {
    int fits = rows >= 0 && n > 0 && k > 0 && (replacement || k <= n);
    return fits ? RNN_RNG_OK : RNN_RNG_EVALUE;
}

static int check_weight(double p) {
    return p < 0 ? RNN_RNG_ENEGATIVE : isfinite(p) ? RNN_RNG_OK : RNN_RNG_EINFINITE;
}

/* k times the first i with uniform <= sum of the weights up to i; cumulative: (n,), last 1 */
static void draw_again(rnn_rng *rng, const double *cumulative, int64_t n, int64_t k, int64_t *out) {
    for (int64_t i = 0; i < k; i++) {
        double u = rnn_rng_uniform(rng);
        int64_t low = 0, high = n;
        while (low < high) {
            int64_t middle = low + (high - low) / 2;
            if (cumulative[middle] < u) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        out[i] = low;
    }
}

/* Does a come after b, in the order of falling keys? Equal keys: by index. */
static int after(const double *key, int64_t a, int64_t b) {
    return key[a] != key[b] ? key[a] < key[b] : a > b;
}

/* heap[0] is the last of the k in that order, below it each parent is after its children */
static void sift_down(const double *key, int64_t *heap, int64_t k, int64_t at) {
    int64_t x = heap[at], child;
    while ((child = 2 * at + 1) < k) {
        if (child + 1 < k && after(key, heap[child + 1], heap[child])) child++;
        if (!after(key, heap[child], x)) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = x;
}

/* out: the k largest keys' indices, largest first */
static void largest(const double *key, int64_t n, int64_t k, int64_t *out) {
    for (int64_t i = 0; i < k; i++) out[i] = i;
    for (int64_t i = k / 2; i-- > 0;) sift_down(key, out, k, i);
    for (int64_t i = k; i < n; i++) {
        if (after(key, out[0], i)) {
            out[0] = i;
            sift_down(key, out, k, 0);
        }
    }
    for (int64_t end = k; end-- > 1;) {
        int64_t last = out[0];
        out[0] = out[end];
        out[end] = last;
        sift_down(key, out, end, 0);
    }
}

/* One row. With replacement: by the sums of the weights up to each. Else p / q with q exponential:
 * the largest is i with probability p[i] / sum p. In the precision of the weights, as torch has it.
 * A q of 0 (once in 2^53) must not make a weight of 0 win. */
#define RNN_MULTINOMIAL(T, name) \
    static int check_row_##name(const T *p, int64_t n) { \
        T sum = 0; \
        for (int64_t i = 0; i < n; i++) { \
            int code = check_weight(p[i]); \
            if (code) return code; \
            sum += p[i]; \
        } \
        return sum > 0 ? RNN_RNG_OK : RNN_RNG_EZERO; \
    } \
    static void draw_row_##name(rnn_rng *rng, const T *p, int64_t n, int64_t k, int again, \
                                double *work, int64_t *out) { \
        if (again) { \
            T sum = 0; \
            for (int64_t i = 0; i < n; i++) work[i] = sum += p[i]; \
            for (int64_t i = 0; i < n; i++) work[i] = (T)work[i] / sum; \
            work[n - 1] = 1; \
            draw_again(rng, work, n, k, out); \
            return; \
        } \
        rnn_exponential_f64(rng, 1, n, work); \
        for (int64_t i = 0; i < n; i++) work[i] = p[i] > 0 ? p[i] / (T)work[i] : 0; \
        largest(work, n, k, out); \
    } \
    int rnn_multinomial_##name(rnn_rng *rng, const T *p, int64_t rows, int64_t n, int64_t k, \
                               int replacement, double *work, int64_t *out) { \
        int code = check_shape(rows, n, k, replacement); \
        for (int64_t r = 0; r < rows && !code; r++) code = check_row_##name(p + r * n, n); \
        for (int64_t r = 0; r < rows && !code; r++) \
            draw_row_##name(rng, p + r * n, n, k, replacement && k > 1, work, out + r * k); \
        return code; \
    }
RNN_MULTINOMIAL(float, f32)
RNN_MULTINOMIAL(double, f64)
