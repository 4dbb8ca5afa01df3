/* vmath_trig.h: sine, cosine, tangent, arc tangent. See vmath.h. */
#ifndef RNN_VMATH_TRIG_H
#define RNN_VMATH_TRIG_H

#include "vmath_bits.h"

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

#endif
