/* vmath_log.h: logarithms, softplus, powers and roots. See vmath.h. */
#ifndef RNN_VMATH_LOG_H
#define RNN_VMATH_LOG_H

#include "vmath_exp.h"

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

/* ---- powers ---------------------------------------------------------------------------------- */

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

#endif
