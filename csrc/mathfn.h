/* mathfn.h: what F(exp) and its kind mean in the rows of ops.h, for float and for double.
 *
 * float: vmath.h, which the compiler can vectorise, and libm for what it does not have. double: libm, so that a Value
 * gives the digits that Python's math module gives. */
#ifndef RNN_MATHFN_H
#define RNN_MATHFN_H

#include <math.h>

#include "vmath.h"

#define f32_acos acosf
#define f32_acosh acoshf
#define f32_asin asinf
#define f32_asinh asinhf
#define f32_atan rnn_atanf
#define f32_atan2 atan2f
#define f32_atanh atanhf
#define f32_ceil ceilf
#define f32_copysign copysignf
#define f32_cosh coshf
#define f32_erf rnn_erff
#define f32_erfc rnn_erfcf
#define f32_exp rnn_expf
#define f32_exp2 rnn_exp2f
#define f32_expm1 rnn_expm1f
#define f32_fabs fabsf
#define f32_floor floorf
#define f32_fmod fmodf
#define f32_gelu rnn_geluf
#define f32_gelu_d rnn_gelu_gradf
#define f32_gelu_tanh rnn_gelu_tanhf
#define f32_hypot hypotf
#define f32_log rnn_logf
#define f32_log10 rnn_log10f
#define f32_log1p rnn_log1pf
#define f32_log2 rnn_log2f
#define f32_pow rnn_powf
#define f32_rint rintf
#define f32_sigmoid rnn_sigmoidf
#define f32_silu rnn_siluf
#define f32_sinh sinhf
#define f32_softplus rnn_softplusf
#define f32_sqrt sqrtf
#define f32_tanh rnn_tanhf
#define f32_trunc truncf

/* Functions, not macros: where arguments are beyond RNN_TRIG_MAX, elementwise.inc puts libm's in their place. */
RNN_INLINE float f32_sin(float x) { return rnn_sinf(x); }
RNN_INLINE float f32_cos(float x) { return rnn_cosf(x); }
RNN_INLINE float f32_tan(float x) { return rnn_tanf(x); }
#define f32_libm_sin sinf
#define f32_libm_cos cosf
#define f32_libm_tan tanf
#define f32_trig_all_ok rnn_trig_all_ok

#define f64_acos acos
#define f64_acosh acosh
#define f64_asin asin
#define f64_asinh asinh
#define f64_atan atan
#define f64_atan2 atan2
#define f64_atanh atanh
#define f64_ceil ceil
#define f64_copysign copysign
#define f64_cosh cosh
#define f64_erf erf
#define f64_erfc erfc
#define f64_exp exp
#define f64_exp2 exp2
#define f64_expm1 expm1
#define f64_fabs fabs
#define f64_floor floor
#define f64_fmod fmod
#define f64_hypot hypot
#define f64_log log
#define f64_log10 log10
#define f64_log1p log1p
#define f64_log2 log2
#define f64_pow pow
#define f64_rint rint
#define f64_sinh sinh
#define f64_sqrt sqrt
#define f64_tanh tanh
#define f64_trunc trunc

static inline double f64_sin(double x) { return sin(x); }
static inline double f64_cos(double x) { return cos(x); }
static inline double f64_tan(double x) { return tan(x); }
#define f64_libm_sin sin
#define f64_libm_cos cos
#define f64_libm_tan tan
#define f64_trig_all_ok(x, n) 1

static inline double f64_sigmoid(double x) { return 1 / (1 + exp(-x)); }
static inline double f64_silu(double x) { return x / (1 + exp(-x)); }
static inline double f64_softplus(double x) { return (x < 0 ? 0 : x) + log1p(exp(-fabs(x))); }
static inline double f64_gelu(double x) { return x * 0.5 * (1 + erf(x * 0.70710678118654752440)); }
static inline double f64_gelu_d(double x) {
    return 0.5 * (1 + erf(x * 0.70710678118654752440)) + x * exp(x * x * -0.5) * 0.39894228040143267794;
}
static inline double f64_gelu_tanh(double x) {
    return 0.5 * x * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
}

/* a**p for one p. `plain` (Values) is pow and nothing else: Python's digits. Tensors have PyTorch's special cases:
 * roots and products, whose zeros have signs. */
#define RNN_POWP(T, f)                                                                  \
    static inline T f##_powp(T a, T p, T tensor) {                                      \
        return tensor == 0 ? f##_pow(a, p) : p == (T)0.5 ? f##_sqrt(a)                  \
             : p == (T)-0.5 ? 1 / f##_sqrt(a) : p == -1 ? 1 / a : p == 2 ? a * a        \
             : p == 3 ? a * a * a : p == -2 ? 1 / (a * a) : f##_pow(a, p);              \
    }

/* What ops.h needs besides, for both types. */
#define RNN_COMPOSITES(T, f)                                                                             \
    RNN_POWP(T, f)                                                                                       \
    static inline T f##_clamp(T a, T low, T high) {                                                      \
        T up = a < low ? low : a;                                                                        \
        return low != low ? low : high != high || up > high ? high : up;                                 \
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
    static inline T f##_mish_d(T x) {                                                                    \
        T t = f##_tanh(f##_softplus(x));                                                                 \
        return t + x * f##_sigmoid(x) * (1 - t * t);                                                     \
    }                                                                                                    \
    static inline T f##_remainder(T a, T b) {                                                            \
        T r = f##_fmod(a, b);                                                                            \
        return r != 0 && (r < 0) != (b < 0) ? r + b : r;                                                 \
    }                                                                                                    \
    /* Python's //: the quotient of what fmod leaves is whole but for rounding */                        \
    static inline T f##_floordiv(T a, T b) {                                                             \
        T r = f##_fmod(a, b), q = (a - r) / b;                                                           \
        q -= r != 0 && (b < 0) != (r < 0) ? 1 : 0;                                                       \
        T whole = f##_floor(q);                                                                          \
        whole += q - whole > (T)0.5 ? 1 : 0;                                                             \
        return b == 0 ? a / b : q == 0 ? f##_copysign(0, a / b) : whole;                                 \
    }                                                                                                    \
    static inline T f##_logaddexp(T a, T b) {                                                            \
        T top = a > b ? a : b, gap = f##_fabs(a - b);                                                    \
        return a == b ? a + (T)0.693147180559945309417 : b != b ? b : top + f##_log1p(f##_exp(-gap));    \
    }

RNN_COMPOSITES(float, f32)
RNN_COMPOSITES(double, f64)

#endif
