/*
 * vmath.h: elementary functions on float, written so that loops over them vectorise.
 *
 * `static inline` functions in plain C, without branches, tables or calls, which gcc and clang turn
 * into SSE2, AVX2 or AVX-512 code when they stand in a simple loop; a call of libm's expf would
 * keep the loop scalar. gcc needs -fno-trapping-math -fno-math-errno for it (neither changes a
 * value). Not here: double. Double kernels call libm, because their results must equal those of
 * Python's math module to the last digit.
 *
 * How it stays vectorisable and correct:
 *   - A choice is a select between two values that are both there already; no function returns
 * early.
 *   - Rounding to an integer is adding and subtracting 1.5 * 2^23; the integer is then read from
 * the low bits of the sum. No float is ever converted to int, so NaN and huge arguments are no
 * undefined behaviour.
 *   - Arguments are clamped as `x > hi ? hi : x`, which keeps NaN.
 *   - Products that must be exact (n * LN2_HI, a split square) are exact without a fused
 * multiply-add, and harmless with one: the result does not depend on -ffp-contract beyond rounding.
 *   - Signs of zero come from the argument's sign bit.
 * tests/c/test_vmath.c holds every function to double libm and prints the worst error found.
 */
#ifndef RNN_VMATH_H
#define RNN_VMATH_H

#include <math.h>   /* INFINITY, NAN */
#include <stdint.h> /* uint32_t */
#include <string.h> /* memcpy, the bit cast */

#define RNN_ROUND_MAGIC 0x1.8p23f /* x + this has ulp 1: rounds x to an integer, |x| < 2^22 */
#define RNN_LOG2E 0x1.715476p+0f
#define RNN_LN2_HI 0x1.63p-1f /* 9 bits: n * LN2_HI is exact for |n| < 2^15 */
#define RNN_LN2_LO -0x1.bd0106p-13f

static inline uint32_t rnn_bits_of_float(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline float rnn_float_of_bits(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static inline float rnn_fabsf(float x)
{
    return rnn_float_of_bits(rnn_bits_of_float(x) & 0x7fffffffu);
}

/* |x| with the sign bit of `sign` added to it (x's own sign must be + or equal). */
static inline float rnn_or_sign(float x, float sign)
{
    return rnn_float_of_bits(rnn_bits_of_float(x) | (rnn_bits_of_float(sign) & 0x80000000u));
}

/* ---- exp and its family
 * ----------------------------------------------------------------------------------------- */

/* q(r) in e^r = 1 + r + r^2 q(r), |r| <= 0.3475; relative error of e^r 2^-28. */
static inline float rnn_exp_poly(float r)
{
    float q = 0x1.6a3d70p-10f;
    q = q * r + 0x1.1239e0p-7f;
    q = q * r + 0x1.5558c0p-5f;
    q = q * r + 0x1.555492p-3f;
    return q * r + 0x1.fffffcp-2f;
}

/* e^x = 2^n (1 + t): returns t, |t| < 0.42, and sets *m to n + RNN_ROUND_MAGIC. |x| < 2^20. */
static inline float rnn_exp_reduce(float x, float *m)
{
    *m = x * RNN_LOG2E + RNN_ROUND_MAGIC;
    float n = *m - RNN_ROUND_MAGIC;
    float r = x - n * RNN_LN2_HI - n * RNN_LN2_LO;
    return r + r * r * rnn_exp_poly(r);
}

/* 2^n from n + RNN_ROUND_MAGIC, -126 <= n <= 127. */
static inline float rnn_pow2(float m)
{
    return rnn_float_of_bits((rnn_bits_of_float(m) << 23) + 0x3f800000u);
}

/* 2^n as two finite factors, *h1 and *h2 = 2^n2, from n + RNN_ROUND_MAGIC, -252 <= n <= 254.
 * Multiplying by one after the other overflows to infinity and underflows through the denormals as
 * it should, rounding once. */
static inline void rnn_pow2_split(float m, float *h1, float *h2)
{
    uint32_t n = rnn_bits_of_float(m) << 23; /* n, modulo 2^9, at the place of the exponent */
    uint32_t n1 = (uint32_t)((int32_t)n >> 1) & 0xff800000u; /* floor(n / 2) */
    *h1 = rnn_float_of_bits(n1 + 0x3f800000u);
    *h2 = rnn_float_of_bits(n - n1 + 0x3f800000u);
}

/* e^x. Overflows to +inf, underflows through the denormals to 0, exp(-inf) = 0. */
static inline float rnn_expf(float x)
{
    x = x > 89.0f ? 89.0f : x;
    x = x < -104.0f ? -104.0f : x;
    float m, h1, h2;
    float t = rnn_exp_reduce(x, &m);
    rnn_pow2_split(m, &h1, &h2);
    return (1.0f + t) * h1 * h2;
}

/* num / (1 + e^-x) for -110 <= x <= 110, with h1 h2 (1 + t) = e^-x: both halves of the sum are
 * divided by h2, and the quotient too, so that nothing overflows and a denormal result is rounded
 * once. */
static inline float rnn_logistic(float num, float x)
{
    float m, h1, h2;
    float t = rnn_exp_reduce(-x, &m);
    rnn_pow2_split(m, &h1, &h2);
    float i2 = rnn_float_of_bits(0x7f000000u - rnn_bits_of_float(h2)); /* 1 / h2 */
    float sum = i2 + h1, rest = i2 - (sum - h1); /* rest is not 0 near n = +-24 */
    return num / (sum + (h1 * t + rest)) * i2;
}

/* 1 / (1 + e^-x). 1 from 17 on; denormal for -103.9 < x < -87.3 (PyTorch gives 0 below -88.7), then
 * 0. */
static inline float rnn_sigmoidf(float x)
{
    x = x > 104.0f ? 104.0f : x;
    x = x < -104.0f ? -104.0f : x;
    return rnn_logistic(1.0f, x);
}

/* tanh x: odd polynomial below 0.55, above it 1 - 2 / (e^(2|x|) + 1). Exactly +-1 from |x| = 9.02
 * on. */
static inline float rnn_tanhf(float x)
{
    float a = rnn_fabsf(x);
    float z = a * a;
    float p = -0x1.99565ep-8f;
    p = p * z + 0x1.58ec78p-6f;
    p = p * z - 0x1.b91f20p-5f;
    p = p * z + 0x1.110cf0p-3f;
    p = p * z - 0x1.55554ap-2f;
    float small = a + a * z * p;
    float m;
    float t = rnn_exp_reduce(2.0f * (a > 20.0f ? 20.0f : a), &m);
    float s = rnn_pow2(m);
    float large = 1.0f - 2.0f / (s + (s * t + 1.0f));
    return rnn_or_sign(a < 0.55f ? small : large, x);
}

/* ---- logarithms
 * ---------------------------------------------------------------------------------------------------
 */

/* q(f) in log(1 + f) = f - f^2/2 + f^3 q(f), sqrt(1/2) <= 1 + f <= sqrt(2); relative error 2^-30.
 */
static inline float rnn_log_poly(float f)
{
    float q = 0x1.16a744p-4f;
    q = q * f - 0x1.e02112p-4f;
    q = q * f + 0x1.e6d1b8p-4f;
    q = q * f - 0x1.fbbf34p-4f;
    q = q * f + 0x1.233318p-3f;
    q = q * f - 0x1.555fbep-3f;
    q = q * f + 0x1.99a524p-3f;
    q = q * f - 0x1.fffff8p-3f;
    return q * f + 0x1.555546p-2f;
}

/* x = 2^k (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2), x positive and finite, denormals too; else
 * garbage. */
static inline float rnn_log_reduce(float x, float *k)
{
    int tiny = x < 0x1p-126f;
    float big = x * 0x1p23f;
    uint32_t u = rnn_bits_of_float(tiny ? big : x) + (0x3f800000u - 0x3f3504f3u);
    float bias = tiny ? 127.0f + 23.0f : 127.0f;
    *k = (float)(int32_t)(u >> 23) - bias;
    return rnn_float_of_bits((u & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
}

/* `y`, but log's values where x is +inf, 0, negative or NaN. */
static inline float rnn_log_special(float y, float x)
{
    float at_zero = x == 0.0f ? -INFINITY : NAN;
    y = x < INFINITY ? y : x;
    return x > 0.0f ? y : at_zero;
}

/* Natural logarithm. log(0) = -inf, log(x < 0) = NaN. */
static inline float rnn_logf(float x)
{
    float k, f = rnn_log_reduce(x, &k);
    float z = f * f;
    float y = f * z * rnn_log_poly(f) + (k * RNN_LN2_LO - 0.5f * z);
    return rnn_log_special(k * RNN_LN2_HI + (f + y), x);
}

/* ---- sine and cosine
 * ---------------------------------------------------------------------------------------------- */

#define RNN_TRIG_MAX 0x1p17f

/* Are sin and cos of x right here? Beyond 131,072 the reduction has too few digits: a loop
 * evaluates all its elements and then does those for which this is 0 again with libm. (Infinities
 * and NaN are right anyway.) */
static inline int rnn_trig_ok(float x)
{
    return rnn_fabsf(x) <= RNN_TRIG_MAX;
}

/* hi + lo = x - q pi/2, |hi| <= 0.796, x >= 0. In double, because the subtraction cancels all of
 * x's digits. */
static inline float rnn_trig_reduce(float x, uint32_t *q, float *lo)
{
    float t = x * 0x1.45f306p-1f + RNN_ROUND_MAGIC;
    double n = (double)(t - RNN_ROUND_MAGIC);
    double r = (double)x - n * 0x1.921fb5444p0; /* 35 bits: exact for n < 2^18 */
    r = r - n * 0x1.68c234c4c6629p-39;
    float hi = (float)r;
    *lo = (float)(r - (double)hi);
    *q = rnn_bits_of_float(t);
    return hi;
}

static inline float rnn_sin_poly(float r, float lo)
{
    float z = r * r;
    float q = -0x1.990f92p-13f;
    q = q * z + 0x1.1106aep-7f;
    q = q * z - 0x1.555544p-3f;
    return r + (r * z * q + lo);
}

static inline float rnn_cos_poly(float r, float lo)
{
    float z = r * r;
    float q = 0x1.99911cp-16f;
    q = q * z - 0x1.6c0af4p-10f;
    q = q * z + 0x1.555548p-5f;
    float h = 0.5f * z, w = 1.0f - h;
    return w + (((1.0f - w) - h) + (z * z * q - r * lo));
}

/* sin x for |x| <= RNN_TRIG_MAX; sin(+-inf) = NaN. */
static inline float rnn_sinf(float x)
{
    uint32_t q;
    float lo, r = rnn_trig_reduce(rnn_fabsf(x), &q, &lo);
    float s = rnn_sin_poly(r, lo), c = rnn_cos_poly(r, lo);
    float y = q & 1u ? c : s;
    uint32_t sign = (rnn_bits_of_float(x) ^ (q << 30)) & 0x80000000u;
    return rnn_float_of_bits(rnn_bits_of_float(y) ^ sign);
}

/* cos x for |x| <= RNN_TRIG_MAX; cos(+-inf) = NaN. */
static inline float rnn_cosf(float x)
{
    uint32_t q;
    float lo, r = rnn_trig_reduce(rnn_fabsf(x), &q, &lo);
    float s = rnn_sin_poly(r, lo), c = rnn_cos_poly(r, lo);
    float y = q & 1u ? s : c;
    uint32_t sign = ((q + 1u) << 30) & 0x80000000u;
    return rnn_float_of_bits(rnn_bits_of_float(y) ^ sign);
}

/* ---- error function
 * -----------------------------------------------------------------------------------------------
 */

/* erf x: odd polynomial below 1, above it 1 - e^L with L a polynomial for log erfc. Exactly +-1
 * from 3.92 on. */
static inline float rnn_erff(float x)
{
    float a = rnn_fabsf(x);
    a = a > 4.0f ? 4.0f : a;
    float z = a * a;
    float p = 0x1.4771fcp-14f;
    p = p * z - 0x1.a3515ep-11f;
    p = p * z + 0x1.53f224p-8f;
    p = p * z - 0x1.b7f71ap-6f;
    p = p * z + 0x1.ce2ce6p-4f;
    p = p * z - 0x1.81273ep-2f;
    p = p * z + 0x1.06eba8p-3f;
    float small = a + a * p;
    float l = 0x1.896b28p-13f;
    l = l * a - 0x1.83faeap-9f;
    l = l * a + 0x1.66a318p-6f;
    l = l * a - 0x1.a6c7e4p-4f;
    l = l * a - 0x1.46a98ep-1f;
    l = l * a - 0x1.208e52p+0f;
    l = l * a - 0x1.5022dcp-12f;
    float large = 1.0f - rnn_expf(l);
    return rnn_or_sign(a < 1.0f ? small : large, x);
}

#endif
