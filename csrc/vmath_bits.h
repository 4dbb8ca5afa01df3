/* vmath_bits.h: a float as its bits, which the functions of vmath.h are made from. */
#ifndef RNN_VMATH_BITS_H
#define RNN_VMATH_BITS_H

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

#endif
