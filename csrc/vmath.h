/*
 * vmath.h: elementary functions on float, written so that loops over them vectorise.
 *
 * Plain C functions without branches, tables or calls, which gcc and clang turn into SSE2, AVX2 or
 * AVX-512 code when they stand in a simple loop; a call of libm's expf would keep the loop scalar.
 * gcc needs -fno-trapping-math -fno-math-errno for it (neither changes a value). Not here: double.
 * Double kernels call libm, because their results must equal those of Python's math module to the
 * last digit.
 *
 * Largest error against double libm, in units in the last place (ulp), denormals included, that
 * tests/c/test_vmath.c allows:
 *     0.5   sqrt
 *     0.6   sin, cos up to RNN_TRIG_MAX
 *     1.05  exp, exp2, log, pow
 *     1.6   expm1, log1p, log2, log10, tanh, atan, tan up to RNN_TRIG_MAX, erf, rsqrt
 *     1.9   sigmoid, silu, softplus, gelu_tanh, erfc
 *     3.5   gelu (2.8 with fused multiply-add), but 2 above -0.6
 *     gelu_grad is right to 2^-24.
 * NaN gives NaN, infinities and zeros of either sign what C's functions give.
 *
 * How that is kept:
 *   - A choice is a select between two values that both exist; no function returns early.
 *   - Rounding to an integer is adding and subtracting 1.5 * 2^23; the integer is then the low bits
 *     of the sum. No float is ever converted to int, so NaN and huge arguments are no undefined
 *     behaviour.
 *   - Arguments are clamped as `x > hi ? hi : x`, which keeps NaN.
 *   - Products that must be exact (n * LN2_HI, a split square) are so without a fused multiply-add,
 *     and with one no worse: -ffp-contract changes roundings only.
 *   - Where float has too few digits, a few steps are done in double.
 */
#ifndef RNN_VMATH_H
#define RNN_VMATH_H

#include <float.h>  /* FLT_MAX */
#include <math.h>   /* INFINITY, NAN */
#include <stddef.h> /* size_t */
#include <stdint.h> /* uint32_t */
#include <string.h> /* memcpy, the bit cast */

/* Inlined whatever its size: a call would keep the loop scalar. */
#define RNN_INLINE static inline __attribute__((always_inline))

#define RNN_ROUND_MAGIC 0x1.8p23f /* x + this has ulp 1: rounds x to an integer, |x| < 2^22 */
#define RNN_LOG2E 0x1.715476p+0f
#define RNN_LN2_HI 0x1.63p-1f /* 9 bits: n * LN2_HI is exact for |n| < 2^15 */
#define RNN_LN2_LO -0x1.bd0106p-13f
#define RNN_LN2 0x1.62e42fefa39efp-1

RNN_INLINE uint32_t rnn_bits_of_float(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

RNN_INLINE float rnn_float_of_bits(uint32_t u) {
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

RNN_INLINE float rnn_fabsf(float x) {
    return rnn_float_of_bits(rnn_bits_of_float(x) & 0x7fffffffu);
}

/* |x| with the sign bit of `sign` added to it (x's own sign must be + or equal). */
RNN_INLINE float rnn_or_sign(float x, float sign) {
    return rnn_float_of_bits(rnn_bits_of_float(x) | (rnn_bits_of_float(sign) & 0x80000000u));
}

/* All bits where `truth` is 1, none where it is 0. */
RNN_INLINE uint32_t rnn_mask(int truth) { return 0u - (uint32_t)truth; }

/* ---------------------------------------------------------------- exponentials */

/* x = n ln 2 + r, |r| <= 0.3475: returns r and sets *m to n + RNN_ROUND_MAGIC. |x| < 2^14. */
RNN_INLINE float rnn_exp_reduce(float x, float *m) {
    *m = x * RNN_LOG2E + RNN_ROUND_MAGIC;
    float n = *m - RNN_ROUND_MAGIC;
    return x - n * RNN_LN2_HI - n * RNN_LN2_LO;
}

/* The same for an x that needs more digits than float has, so that e^x is right in its last place
 * for large |x| too. */
RNN_INLINE float rnn_exp_reduce_d(double x, float *m) {
    *m = (float)x * RNN_LOG2E + RNN_ROUND_MAGIC;
    return (float)(x - (double)(*m - RNN_ROUND_MAGIC) * RNN_LN2);
}

/* e^r - 1 for |r| <= 0.3475, with an error of 2^-28 of e^r. */
RNN_INLINE float rnn_exp_poly(float r) {
    float q = 0x1.6a3d70p-10f;
    q = q * r + 0x1.1239e0p-7f;
    q = q * r + 0x1.5558c0p-5f;
    q = q * r + 0x1.555492p-3f;
    q = q * r + 0x1.fffffcp-2f;
    return r + r * r * q;
}

/* 2^n from n + RNN_ROUND_MAGIC, -126 <= n <= 127. */
RNN_INLINE float rnn_pow2(float m) {
    return rnn_float_of_bits((rnn_bits_of_float(m) << 23) + 0x3f800000u);
}

/* 2^n as two finite factors, *h1 and *h2, from n + RNN_ROUND_MAGIC, -252 <= n <= 254. Multiplying
 * by one after the other overflows to infinity and underflows through the denormals as it should,
 * rounding once. */
RNN_INLINE void rnn_pow2_split(float m, float *h1, float *h2) {
    uint32_t n = rnn_bits_of_float(m) << 23; /* n, modulo 2^9, at the place of the exponent */
    uint32_t n1 = (uint32_t)((int32_t)n >> 1) & 0xff800000u; /* floor(n / 2) */
    *h1 = rnn_float_of_bits(n1 + 0x3f800000u);
    *h2 = rnn_float_of_bits(n - n1 + 0x3f800000u);
}

/* e^x. Overflows to +inf from 88.73 on, underflows through the denormals to 0 below -103.97. */
RNN_INLINE float rnn_expf(float x) {
    x = x > 89.0f ? 89.0f : x;
    x = x < -104.0f ? -104.0f : x;
    float m, h1, h2;
    float t = rnn_exp_poly(rnn_exp_reduce(x, &m));
    rnn_pow2_split(m, &h1, &h2);
    return (1.0f + t) * h1 * h2;
}

/* 2^r - 1 for |r| <= 0.5, with an error of 2^-28 of 2^r. */
RNN_INLINE float rnn_exp2_poly(float r) {
    float q = 0x1.417872p-13f;
    q = q * r + 0x1.5f0952p-10f;
    q = q * r + 0x1.3b2dd4p-7f;
    q = q * r + 0x1.c6af7ap-5f;
    q = q * r + 0x1.ebfbdcp-3f;
    return 0.5f * r + (r * 0x1.8b90c0p-3f + r * r * q); /* ln 2 in two parts: 0.5 r is exact */
}

/* 2^x. Exact for integers; overflows to +inf from 128 on, underflows to 0 from -150 on. */
RNN_INLINE float rnn_exp2f(float x) {
    x = x > 129.0f ? 129.0f : x;
    x = x < -151.0f ? -151.0f : x;
    float m = x + RNN_ROUND_MAGIC, h1, h2;
    float t = rnn_exp2_poly(x - (m - RNN_ROUND_MAGIC));
    rnn_pow2_split(m, &h1, &h2);
    return (1.0f + t) * h1 * h2;
}

/* e^x - 1. expm1(-0) = -0, expm1(-inf) = -1. */
RNN_INLINE float rnn_expm1f(float x) {
    float b = x > 89.0f ? 89.0f : x, m;
    b = b < -40.0f ? -40.0f : b;
    float r = rnn_exp_reduce(b, &m);
    float q = 0x1.9e7d64p-13f;
    q = q * r + 0x1.6d3aa0p-10f;
    q = q * r + 0x1.1112d4p-7f;
    q = q * r + 0x1.5554f8p-5f;
    q = q * r + 0x1.555554p-3f;
    q = q * r + 0.5f;
    float t = r + r * r * q;
    int top = b > 88.0f; /* 2^128 is no float: 2 (2^127 ...) */
    float s = rnn_pow2(top ? m - 1.0f : m);
    return rnn_or_sign((t * s + (s - 1.0f)) * (top ? 2.0f : 1.0f), x);
}

/* num / (1 + 2^n (1 + t)) with n = m - RNN_ROUND_MAGIC and 1 + t = e^r. Both halves of the sum, and
 * the quotient, are divided by the factor h2 of 2^n: nothing overflows, and a denormal result is
 * rounded once. */
RNN_INLINE float rnn_logistic(float num, float m, float r) {
    float h1, h2, t = rnn_exp_poly(r);
    rnn_pow2_split(m, &h1, &h2);
    float i2 = rnn_float_of_bits(0x7f000000u - rnn_bits_of_float(h2)); /* 1 / h2 */
    float sum = i2 + h1, rest = i2 - (sum - h1);                       /* 0 but near n = +-24 */
    return num / (sum + (h1 * t + rest)) * i2;
}

/* 1 / (1 + e^-x). 1 from 17.4 on, 0 below -103.97; denormal from -87.4 (PyTorch: 0 from -88.8). */
RNN_INLINE float rnn_sigmoidf(float x) {
    x = x > 104.0f ? 104.0f : x;
    x = x < -104.0f ? -104.0f : x;
    float m, r = rnn_exp_reduce(-x, &m);
    return rnn_logistic(1.0f, m, r);
}

/* x sigmoid(x). silu(-inf) = NaN, as -inf * 0 is and as PyTorch has it. */
RNN_INLINE float rnn_siluf(float x) {
    float low = x < -110.0f ? -110.0f : x;
    float m, r = rnn_exp_reduce(low > 110.0f ? -110.0f : -low, &m);
    float y = rnn_logistic(low, m, r);
    return x >= -FLT_MAX ? y : NAN;
}

/* tanh x: odd polynomial below 0.55, above it 1 - 2 / (e^(2|x|) + 1). +-1 from |x| = 9.02 on. */
RNN_INLINE float rnn_tanhf(float x) {
    float a = rnn_fabsf(x);
    float z = a * a;
    float p = -0x1.99565ep-8f;
    p = p * z + 0x1.58ec78p-6f;
    p = p * z - 0x1.b91f20p-5f;
    p = p * z + 0x1.110cf0p-3f;
    p = p * z - 0x1.55554ap-2f;
    float small = a + a * z * p;
    float m;
    float t = rnn_exp_poly(rnn_exp_reduce(2.0f * (a > 20.0f ? 20.0f : a), &m));
    float s = rnn_pow2(m);
    float large = 1.0f - 2.0f / (s + (s * t + 1.0f));
    return rnn_or_sign(a < 0.55f ? small : large, x);
}

/* ---------------------------------------------------------------- logarithms */

/* x = 2^k (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2): returns f, which is exact, and sets *k. For
 * positive finite x, denormals too; else garbage. */
RNN_INLINE float rnn_log_reduce(float x, float *k) {
    int tiny = x < 0x1p-126f;
    float big = x * 0x1p23f;
    uint32_t u = rnn_bits_of_float(tiny ? big : x) + (0x3f800000u - 0x3f3504f3u);
    float bias = tiny ? 127.0f + 23.0f : 127.0f;
    *k = (float)(int32_t)(u >> 23) - bias;
    return rnn_float_of_bits((u & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
}

/* log(1 + f) - f for sqrt(1/2) <= 1 + f <= sqrt(2), with an error of 2^-30 of log(1 + f). */
RNN_INLINE float rnn_log_tail(float f) {
    float z = f * f;
    float q = 0x1.16a744p-4f;
    q = q * f - 0x1.e02112p-4f;
    q = q * f + 0x1.e6d1b8p-4f;
    q = q * f - 0x1.fbbf34p-4f;
    q = q * f + 0x1.233318p-3f;
    q = q * f - 0x1.555fbep-3f;
    q = q * f + 0x1.99a524p-3f;
    q = q * f - 0x1.fffff8p-3f;
    q = q * f + 0x1.555546p-2f;
    return f * z * q - 0.5f * z;
}

/* `y`, but a logarithm's values where x is +inf, 0, negative or NaN. */
RNN_INLINE float rnn_log_special(float y, float x) {
    float at_zero = x == 0.0f ? -INFINITY : NAN;
    y = x < INFINITY ? y : x;
    return x > 0.0f ? y : at_zero;
}

/* Natural logarithm. log(+-0) = -inf, log(x < 0) = NaN. */
RNN_INLINE float rnn_logf(float x) {
    float k, f = rnn_log_reduce(x, &k);
    float y = rnn_log_tail(f) + k * RNN_LN2_LO;
    return rnn_log_special(k * RNN_LN2_HI + (f + y), x);
}

/* Logarithm to base 2; exact for powers of 2. */
RNN_INLINE float rnn_log2f(float x) {
    float k, f = rnn_log_reduce(x, &k);
    float y = f * 0x1.c551d8p-2f + rnn_log_tail(f) * RNN_LOG2E; /* log2 e - 1 */
    return rnn_log_special(k + (f + y), x);
}

/* Logarithm to base 10. */
RNN_INLINE float rnn_log10f(float x) {
    float k, f = rnn_log_reduce(x, &k);
    float y = k * 0x1.3509f8p-18f; /* with 0x1.344p-2 below, log10 2 */
    y = y + rnn_log_tail(f) * 0x1.bcb7b2p-2f - f * 0x1.0d213ap-4f; /* log10 e, 1/2 - log10 e */
    return rnn_log_special(k * 0x1.344p-2f + (0.5f * f + y), x);
}

/* log(1 + x) = log(2^k (1 + f)), where k is that of the rounded sum and f = 2^-k x + (2^-k - 1) has
 * all its digits. log1p(-1) = -inf, log1p(x < -1) = NaN, log1p(-0) = -0. */
RNN_INLINE float rnn_log1pf(float x) {
    float u = 1.0f + x;
    int32_t e = (int32_t)((rnn_bits_of_float(u) + (0x3f800000u - 0x3f3504f3u)) >> 23) - 127;
    int32_t down = 127 - e > 0 ? 127 - e : 0; /* from 2^127 on, 2^-k is as good as 0 */
    float s = rnn_float_of_bits((uint32_t)down << 23);
    float f = rnn_float_of_bits(rnn_bits_of_float(x) - ((uint32_t)e << 23)) + (s - 1.0f);
    float k = (float)e;
    float y = rnn_log_tail(f) + k * RNN_LN2_LO;
    return rnn_or_sign(rnn_log_special(k * RNN_LN2_HI + (f + y), u), x);
}

/* log(1 + e^x), and x itself above 20: PyTorch's softplus with beta = 1, threshold = 20. */
RNN_INLINE float rnn_softplusf(float x) {
    float y = rnn_log1pf(rnn_expf(x));
    return x > 20.0f ? x : y;
}

/* ---------------------------------------------------------------- powers */

/* x^y with all special cases of C's pow, as 2^(y log2 |x|) with the logarithm in double, because y
 * multiplies its error. */
RNN_INLINE float rnn_powf(float x, float y) {
    float a = rnn_fabsf(x);
    float k, f = rnn_log_reduce(a, &k);
    double s = (double)f / (2.0 + (double)f), z = s * s; /* atanh s = log(1 + f) / 2 */
    double q = 0x1.21b5b640ba47ep-2;
    q = q * z + 0x1.47950681670a9p-2;
    q = q * z + 0x1.a61a308d0ae43p-2;
    q = q * z + 0x1.2776c2914e5d4p-1;
    q = q * z + 0x1.ec709dc53db5fp-1;
    q = q * z + 0x1.71547652b8251p+1;
    double l = (double)k + s * q;
    l = a == 0.0f ? -1e60 : l; /* finite: times y = 0 it must give 0 */
    l = a == INFINITY ? 1e60 : l;
    float b = y > FLT_MAX ? FLT_MAX : y; /* the same for y, where l = 0 */
    b = b < -FLT_MAX ? -FLT_MAX : b;
    double t = (double)b * l;
    t = t > 160.0 ? 160.0 : t;
    t = t < -160.0 ? -160.0 : t;
    float m = (float)t + RNN_ROUND_MAGIC, h1, h2;
    float p = rnn_exp2_poly((float)(t - (double)(m - RNN_ROUND_MAGIC)));
    rnn_pow2_split(m, &h1, &h2);
    float w = (1.0f + p) * h1 * h2;

    /* Masks, all ones where true: gcc 12 gives up on nested truth values here. |y| + 2^23 has ulp
     * 1, so its last bit is y's; from 2^23 on y is an integer, and from 2^24 on an even one. */
    float c = rnn_fabsf(y), sum = c < 0x1p23f ? c + 0x1p23f : c;
    uint32_t integer = rnn_mask(c >= 0x1p23f) | rnn_mask(sum - 0x1p23f == c);
    uint32_t odd = rnn_bits_of_float(sum) << 31 & integer & rnn_mask(c < 0x1p24f);
    uint32_t none = (rnn_mask(x < 0.0f) & rnn_mask(a < INFINITY) & ~integer) | rnn_mask(x != x);
    uint32_t one = rnn_mask(x == 1.0f) | rnn_mask(y == 0.0f);
    uint32_t bits = rnn_bits_of_float(w) | (odd & rnn_bits_of_float(x)) | (none & 0x7fc00000u);
    return rnn_float_of_bits((bits & ~one) | (one & 0x3f800000u));
}

/* Correctly rounded; sqrt(-0) = -0, sqrt(x < 0) = NaN. One instruction. */
RNN_INLINE float rnn_sqrtf(float x) { return sqrtf(x); }

/* 1 / sqrt(x). */
RNN_INLINE float rnn_rsqrtf(float x) { return 1.0f / sqrtf(x); }

/* ---------------------------------------------------------------- sine, cosine, tangent */

/* Beyond RNN_TRIG_MAX (2.7e8) the results of rnn_sinf, rnn_cosf and rnn_tanf are garbage: a kernel
 * asks rnn_trig_all_ok first, and if that says no, runs the same loop with libm. NaN is ok. */
#define RNN_TRIG_MAX 0x1p28f

RNN_INLINE int rnn_trig_ok(float x) { return !(rnn_fabsf(x) > RNN_TRIG_MAX); }

RNN_INLINE int rnn_trig_all_ok(const float *x, size_t n) {
    int bad = 0;
    for (size_t i = 0; i < n; i++) bad |= !rnn_trig_ok(x[i]);
    return !bad;
}

/* x - q pi/2, at most pi/4 in size, for 0 <= x <= RNN_TRIG_MAX. In double, because the subtraction
 * cancels all of x's digits; the polynomials are so too, which costs no more than splitting the
 * difference into two floats would. */
RNN_INLINE double rnn_trig_reduce(float x, uint32_t *q) {
    double d = (double)x, t = d * 0x1.45f306dc9c883p-1 + 0x1.8p52, n = t - 0x1.8p52;
    uint64_t bits;
    memcpy(&bits, &t, sizeof bits);
    *q = (uint32_t)bits;
    d = d - n * 0x1.921fb50p+0; /* exact: n has 28 bits, this and the next constant 25 */
    d = d - n * 0x1.110b460p-26;
    return d - n * 0x1.1a62633145c07p-54;
}

RNN_INLINE float rnn_sin_poly(double r) {
    double z = r * r;
    double p = -0x1.990f92p-13;
    p = p * z + 0x1.1106aep-7;
    p = p * z - 0x1.555544p-3;
    return (float)(r + r * z * p);
}

RNN_INLINE float rnn_cos_poly(double r) {
    double z = r * r;
    double p = 0x1.99911cp-16;
    p = p * z - 0x1.6c0af4p-10;
    p = p * z + 0x1.555548p-5;
    p = p * z - 0.5;
    return (float)(1.0 + z * p);
}

/* sin x for |x| <= RNN_TRIG_MAX; sin(+-inf) = NaN, sin(-0) = -0. */
RNN_INLINE float rnn_sinf(float x) {
    uint32_t q;
    double r = rnn_trig_reduce(rnn_fabsf(x), &q);
    float s = rnn_sin_poly(r), c = rnn_cos_poly(r);
    float y = q & 1u ? c : s;
    uint32_t sign = (rnn_bits_of_float(x) ^ (q << 30)) & 0x80000000u;
    return rnn_float_of_bits(rnn_bits_of_float(y) ^ sign);
}

/* cos x for |x| <= RNN_TRIG_MAX; cos(+-inf) = NaN. */
RNN_INLINE float rnn_cosf(float x) {
    uint32_t q;
    double r = rnn_trig_reduce(rnn_fabsf(x), &q);
    float s = rnn_sin_poly(r), c = rnn_cos_poly(r);
    float y = q & 1u ? s : c;
    uint32_t sign = ((q + 1u) << 30) & 0x80000000u;
    return rnn_float_of_bits(rnn_bits_of_float(y) ^ sign);
}

/* tan x for |x| <= RNN_TRIG_MAX, as t or -1 / t with t = tan r; tan(+-inf) = NaN, tan(-0) = -0. */
RNN_INLINE float rnn_tanf(float x) {
    uint32_t q;
    double r = rnn_trig_reduce(rnn_fabsf(x), &q), z = r * r;
    double p = 0x1.2c267cp-8;
    p = p * z - 0x1.4ddb4cp-12;
    p = p * z + 0x1.6d75b0p-7;
    p = p * z + 0x1.5ab7e2p-6;
    p = p * z + 0x1.bb0b98p-5;
    p = p * z + 0x1.110c88p-3;
    p = p * z + 0x1.555564p-2;
    float t = (float)(r + r * z * p);
    float y = (q & 1u ? -1.0f : t) / (q & 1u ? t : 1.0f);
    uint32_t sign = rnn_bits_of_float(x) & 0x80000000u;
    return rnn_float_of_bits(rnn_bits_of_float(y) ^ sign);
}

/* atan x: odd polynomial in |x| or 1 / |x|. atan(+-inf) = +-pi/2, atan(-0) = -0. */
RNN_INLINE float rnn_atanf(float x) {
    float a = rnn_fabsf(x);
    int large = a > 1.0f;
    float r = (large ? 1.0f : a) / (large ? a : 1.0f), z = r * r;
    float p = -0x1.d4984ap-10f;
    p = p * z + 0x1.64c1cep-7f;
    p = p * z - 0x1.fdfc1cp-6f;
    p = p * z + 0x1.da5ed4p-5f;
    p = p * z - 0x1.58155ep-4f;
    p = p * z + 0x1.c08f64p-4f;
    p = p * z - 0x1.2420b6p-3f;
    p = p * z + 0x1.9991e6p-3f;
    p = p * z - 0x1.55553ep-2f;
    float small = r * z * p;
    float y = large ? 0x1.921fb6p0f - (r + (small + 0x1.777a5cp-25f)) : r + small;
    return rnn_or_sign(y, x);
}

/* ---------------------------------------------------------------- error function, gelu */

/* erf a for 0 <= a <= 1. */
RNN_INLINE float rnn_erf_poly(float a) {
    float z = a * a;
    float p = 0x1.4771fcp-14f;
    p = p * z - 0x1.a3515ep-11f;
    p = p * z + 0x1.53f224p-8f;
    p = p * z - 0x1.b7f71ap-6f;
    p = p * z + 0x1.ce2ce6p-4f;
    p = p * z - 0x1.81273ep-2f;
    p = p * z + 0x1.06eba8p-3f;
    return a + a * p;
}

/* erf x: odd polynomial below 1, above it 1 - e^l with l a polynomial for log erfc. Exactly +-1
 * from 3.92 on. */
RNN_INLINE float rnn_erff(float x) {
    float a = rnn_fabsf(x), m;
    a = a > 4.0f ? 4.0f : a;
    float l = 0x1.896b28p-13f;
    l = l * a - 0x1.83faeap-9f;
    l = l * a + 0x1.66a318p-6f;
    l = l * a - 0x1.a6c7e4p-4f;
    l = l * a - 0x1.46a98ep-1f;
    l = l * a - 0x1.208e52p+0f;
    l = l * a - 0x1.5022dcp-12f;
    float t = rnn_exp_poly(rnn_exp_reduce(l, &m)), s = rnn_pow2(m);
    float large = (1.0f - s) - s * t;
    float small = rnn_erf_poly(a);
    return rnn_or_sign(a < 1.0f ? small : large, x);
}

/* -c a^2 = n ln 2 + r for c = 1 or 1/2, 0 <= a < 2^6: returns r and sets *m as rnn_exp_reduce
 * does. a is cut in two, so that its square keeps all its digits. */
RNN_INLINE float rnn_gauss_reduce(float a, float c, float *m) {
    float hi = rnn_float_of_bits(rnn_bits_of_float(a) & 0xfffff000u), lo = a - hi;
    float x = -c * (hi * hi);
    *m = x * RNN_LOG2E + RNN_ROUND_MAGIC;
    float n = *m - RNN_ROUND_MAGIC;
    return (x - n * RNN_LN2_HI) - (n * RNN_LN2_LO + c * lo * (a + hi));
}

/* 1 - erf x with all its digits. For |x| = a >= 1/2 it is e^(-a^2) d / (sqrt(pi) a d + n), or 2
 * minus that, with polynomials d and n; in this form d's rounding errors cancel as a grows. 0 from
 * 10.06 on. */
RNN_INLINE float rnn_erfcf(float x) {
    float a = rnn_fabsf(x), m, h1, h2;
    a = a > 10.2f ? 10.2f : a;
    float t = rnn_exp_poly(rnn_gauss_reduce(a, 1.0f, &m));
    rnn_pow2_split(m, &h1, &h2);
    double b = a; /* in float, the roundings from here on would add up to 4 ulp */
    double d = 0x1.f52c72p-5;
    d = d * b + 0x1.5c359ep-2;
    d = d * b + 0x1.e3e506p-1;
    d = d * b + 0x1.6bd0e2p+0;
    d = d * b + 0x1.0002d6p+0;
    double n = 0x1.bc0336p-5;
    n = n * b + 0x1.351686p-2;
    n = n * b + 0x1.8e06f8p-1;
    n = n * b + 1.0;
    float large = (float)((d + d * t) / (d * b * 0x1.c5bf8ap+0 + n)) * h1 * h2;
    float y = a < 0.5f ? 1.0f - rnn_erf_poly(a) : large;
    return x < 0.0f ? 2.0f - y : y;
}

/* The same for the upper tail of the normal distribution, 1 - Phi(a) with 0 <= a <= 14.6:
 *     above 0.6   (1 + t) d / (sqrt(2 pi) a d + n) * h1 * h2, with e^(-a^2/2) = (1 + t) h1 h2
 *     below 0.6   1/2 - a p, and h1 = h2 = 1 */
struct rnn_normal_tail {
    float d, n, p, t, h1, h2;
};

#define RNN_SQRT_2PI 0x1.40d932p+1f

RNN_INLINE struct rnn_normal_tail rnn_normal_tail(float a) {
    struct rnn_normal_tail r;
    float m, z = a * a;
    r.t = rnn_exp_poly(rnn_gauss_reduce(a, 0.5f, &m));
    rnn_pow2_split(m, &r.h1, &r.h2);
    float p = -0x1.1f32d6p-10f;
    p = p * z + 0x1.45fc00p-7f;
    p = p * z - 0x1.105570p-4f;
    r.p = p * z + 0x1.98844ep-2f;
    float d = 0x1.e688d6p-8f;
    d = d * a + 0x1.e4cff6p-5f;
    d = d * a + 0x1.df237cp-3f;
    d = d * a + 0x1.000878p-1f;
    r.d = d * a + 0x1.0001d8p-1f;
    float n = 0x1.30cb34p-6f;
    n = n * a + 0x1.305136p-3f;
    n = n * a + 0x1.16f7c6p-1f;
    r.n = n * a + 1.0f;
    return r;
}

/* x Phi(x) = max(x, 0) - |x| (1 - Phi(|x|)), with Phi the normal distribution: the erf form of
 * gelu, with all its digits for negative x too. gelu(-inf) = NaN, as -inf * 0 is. */
RNN_INLINE float rnn_geluf(float x) {
    float a = rnn_fabsf(x);
    a = a > 14.6f ? 14.6f : a;
    struct rnn_normal_tail r = rnn_normal_tail(a);
    float w = a * r.d;
    float small = a * (0.5f - a * r.p), large = (w + w * r.t) / (RNN_SQRT_2PI * w + r.n);
    return (x > 0.0f ? x : x * 0.0f) - (a < 0.6f ? small : large) * r.h1 * r.h2;
}

/* gelu's derivative: Phi(x) + x e^(-x^2/2) / sqrt(2 pi), to 2^-24. 1 at +inf, 0 at -inf. */
RNN_INLINE float rnn_gelu_gradf(float x) {
    float a = rnn_fabsf(x);
    a = a > 14.6f ? 14.6f : a;
    struct rnn_normal_tail r = rnn_normal_tail(a);
    float tail = (r.d + r.d * r.t) / (RNN_SQRT_2PI * a * r.d + r.n);
    tail = a < 0.6f ? 0.5f - a * r.p : tail;
    float y = (tail - a * 0x1.988454p-2f * (1.0f + r.t)) * r.h1 * r.h2; /* 1 / sqrt(2 pi) */
    return x > 0.0f ? 1.0f - y : y;
}

/* x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, the tanh form of gelu, as x sigmoid(2 sqrt(2 /
 * pi) (...)). The sigmoid's argument is a double: its error is the result's relative error.
 * gelu_tanh(-inf) = NaN, as -inf * 0 is. */
RNN_INLINE float rnn_gelu_tanhf(float x) {
    float low = x < -11.0f ? -11.0f : x, m;
    double b = (double)(low > 11.0f ? 11.0f : low);
    double u = b * (0x1.9884533d43651p+0 + 0x1.2444f2a4d8b4bp-4 * (b * b));
    float r = rnn_exp_reduce_d(-u, &m);
    float y = rnn_logistic(low, m, r);
    return x >= -FLT_MAX ? y : NAN;
}

#endif
