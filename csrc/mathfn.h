/* mathfn.h: what F(exp) and its kind mean in the rows of ops.h, for float and for double.
 *
 * float: vmath.h where the compiler can vectorise it, else libm. double: libm, so that a Value gives the digits that
 * Python's math module gives. */
#ifndef RNN_MATHFN_H
#define RNN_MATHFN_H

#include <math.h>

#include "vmath.h"

#define f32_acos acosf
#define f32_acosh acoshf
#define f32_asin asinf
#define f32_asinh asinhf
#define f32_atan atanf
#define f32_atan2 atan2f
#define f32_atanh atanhf
#define f32_ceil ceilf
#define f32_cos cosf
#define f32_cosh coshf
#define f32_erf rnn_erff
#define f32_erfc erfcf
#define f32_exp rnn_expf
#define f32_exp2 exp2f
#define f32_expm1 expm1f
#define f32_fabs fabsf
#define f32_floor floorf
#define f32_fmod fmodf
#define f32_log rnn_logf
#define f32_log10 log10f
#define f32_log1p log1pf
#define f32_log2 log2f
#define f32_pow powf
#define f32_rint rintf
#define f32_sigmoid rnn_sigmoidf
#define f32_sin sinf
#define f32_sinh sinhf
#define f32_sqrt sqrtf
#define f32_tan tanf
#define f32_tanh rnn_tanhf
#define f32_trunc truncf

#define f64_acos acos
#define f64_acosh acosh
#define f64_asin asin
#define f64_asinh asinh
#define f64_atan atan
#define f64_atan2 atan2
#define f64_atanh atanh
#define f64_ceil ceil
#define f64_cos cos
#define f64_cosh cosh
#define f64_erf erf
#define f64_erfc erfc
#define f64_exp exp
#define f64_exp2 exp2
#define f64_expm1 expm1
#define f64_fabs fabs
#define f64_floor floor
#define f64_fmod fmod
#define f64_log log
#define f64_log10 log10
#define f64_log1p log1p
#define f64_log2 log2
#define f64_pow pow
#define f64_powp pow
#define f64_rint rint
#define f64_sin sin
#define f64_sinh sinh
#define f64_sqrt sqrt
#define f64_tan tan
#define f64_tanh tanh
#define f64_trunc trunc

static inline double f64_sigmoid(double x) { return 1 / (1 + exp(-x)); }

/* a**p for one p: the powers that people write are products and roots. (double is pow alone: Python's digits.) */
static inline float f32_powp(float a, float p) {
    return p == 2 ? a * a : p == 3 ? a * a * a : p == 1 ? a : p == -1 ? 1 / a : p == -2 ? 1 / (a * a)
         : p == 0.5f && a > 0 ? sqrtf(a) : powf(a, p);
}

/* The composite functions of ops.h, and their derivatives, for both types. */
#define RNN_COMPOSITES(T, f)                                                                             \
    static inline T f##_softplus(T x) { return (x > 0 ? x : 0) + f##_log1p(f##_exp(-f##_fabs(x))); }     \
    static inline T f##_gelu(T x) { return x * (T)0.5 * (1 + f##_erf(x * (T)0.70710678118654752440)); }  \
    static inline T f##_gelu_d(T x) {                                                                    \
        T cdf = (T)0.5 * (1 + f##_erf(x * (T)0.70710678118654752440));                                   \
        return cdf + x * f##_exp(x * x * (T)-0.5) * (T)0.39894228040143267794;                           \
    }                                                                                                    \
    static inline T f##_gelu_tanh(T x) {                                                                 \
        T inner = (T)0.79788456080286535588 * (x + (T)0.044715 * x * x * x);                             \
        return (T)0.5 * x * (1 + f##_tanh(inner));                                                       \
    }                                                                                                    \
    static inline T f##_gelu_tanh_d(T x) {                                                               \
        T inner = (T)0.79788456080286535588 * (x + (T)0.044715 * x * x * x), t = f##_tanh(inner);        \
        T slope = (T)0.79788456080286535588 * (1 + (T)0.134145 * x * x);                                 \
        return (T)0.5 * (1 + t) + (T)0.5 * x * (1 - t * t) * slope;                                      \
    }                                                                                                    \
    static inline T f##_silu_d(T x) {                                                                    \
        T s = f##_sigmoid(x);                                                                            \
        return s * (1 + x * (1 - s));                                                                    \
    }                                                                                                    \
    static inline T f##_remainder(T a, T b) {                                                            \
        T r = f##_fmod(a, b);                                                                            \
        return r != 0 && (r < 0) != (b < 0) ? r + b : r;                                                 \
    }

RNN_COMPOSITES(float, f32)
RNN_COMPOSITES(double, f64)

#endif
