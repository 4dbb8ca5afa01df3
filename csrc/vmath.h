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

#include "vmath_bits.h"
#include "vmath_erf.h"
#include "vmath_exp.h"
#include "vmath_log.h"
#include "vmath_trig.h"

#endif
