/* vmath_exp.h: exponentials, and what is made from them: sigmoid, silu, tanh. See vmath.h. */
#ifndef RNN_VMATH_EXP_H
#define RNN_VMATH_EXP_H

#include "vmath_bits.h"

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

#endif
