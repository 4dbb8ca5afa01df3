/* vmath_erf.h: the error function, and gelu, which is made from it. See vmath.h. */
#ifndef RNN_VMATH_ERF_H
#define RNN_VMATH_ERF_H

#include "vmath_exp.h"

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
