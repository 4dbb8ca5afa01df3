/* mathfn.h: what F(exp) and its kind mean in the rows of ops.h, for float and for double.
 *
 * float: vmath.h, which the compiler can vectorise, and libm for what it does not have. double:
 * libm, so that a Value gives the digits that Python's math module gives. */
#ifndef RNN_MATHFN_H
#define RNN_MATHFN_H

#include <math.h>

#include "gamma.h"
#include "vmath.h"

/* fmod is exact. With q = trunc(x / y), rounded, fma(-q, y, x) has no rounding: it is a multiple of
 * y's last place and has no more places than x. It is below y in size for every q below 2^23
 * (2^52), and below 0 where the quotient was rounded up; a larger q leaves a remainder that is
 * smaller by 2^23 and more, for another step. Quotients beyond the largest number are libm's.
 *
 * near_fmod is one step, without branches: for |a| < RNN_NEAR |b|, or where NaN is the result. A
 * kernel asks near_all_ok first, and if that says no, runs the same loop with fmod. */
#if (defined(RNN_ISA_LEVEL) && RNN_ISA_LEVEL > 0) || \
    defined(__aarch64__) /* fma and trunc are instructions */
#define RNN_FMOD(T, f, s, NEAR) \
    RNN_INLINE T f##_near_fmod(T a, T b) { \
        const T x = fabs##s(a), y = fabs##s(b), q = trunc##s(x / y), left = fma##s(-q, y, x); \
        const T r = q == 0 ? x : left, up = r + y; \
        return copysign##s(r < 0 ? up : r, a); \
    } \
    static inline T f##_fmod(T a, T b) { \
        const T x = fabs##s(a), y = fabs##s(b), most = x / y; \
        if (!(most < INFINITY)) return fmod##s(a, b); \
        T r = x, q = trunc##s(most); \
        for (; q != 0; q = trunc##s(r / y)) r = fma##s(-q, y, r); \
        return copysign##s(r < 0 ? r + y : r, a); \
    } \
    static inline int f##_near_all_ok(const T *a, const T *b, int64_t n) { \
        int bad = 0; \
        for (int64_t i = 0; i < n; i++) bad |= fabs##s(a[i]) >= fabs##s(b[i]) * (T)NEAR; \
        return !bad; \
    }
RNN_FMOD(float, f32, f, 0x1p22f)
RNN_FMOD(double, f64, , 0x1p51)
#undef RNN_FMOD
#else
static inline float f32_fmod(float a, float b) { return fmodf(a, b); }
static inline double f64_fmod(double a, double b) { return fmod(a, b); }
#define f32_near_fmod fmodf
#define f64_near_fmod fmod
#define f32_near_all_ok(a, b, n) 0
#define f64_near_all_ok(a, b, n) 0
#endif

#define f32_atan rnn_atanf
#define f32_ceil ceilf
#define f32_copysign copysignf
#define f32_erf rnn_erff
#define f32_erfc rnn_erfcf
#define f32_exp rnn_expf
#define f32_exp2 rnn_exp2f
#define f32_expm1 rnn_expm1f
#define f32_fabs fabsf
#define f32_floor floorf
#define f32_fma fmaf
#define f32_gelu rnn_geluf
#define f32_gelu_d rnn_gelu_gradf
#define f32_gelu_tanh rnn_gelu_tanhf
#define f32_log rnn_logf
#define f32_log10 rnn_log10f
#define f32_log1p rnn_log1pf
#define f32_log2 rnn_log2f
#define f32_pow rnn_powf
#define f32_rint rintf
#define f32_sigmoid rnn_sigmoidf
#define f32_silu rnn_siluf
#define f32_softplus rnn_softplusf
#define f32_sqrt sqrtf
#define f32_tanh rnn_tanhf
#define f32_trunc truncf

/* What vmath.h does not have, on what it has: a few units in the last place, and it vectorises
 * where libm's do not. */

/* e^|x| / 2 as a product of two halves, which overflows where the result does and not before. */
RNN_INLINE float f32_sinh(float x) {
    float a = fabsf(x), e = rnn_expm1f(a > 9 ? 9 : a), h = rnn_expf(0.5f * a);
    return copysignf(a > 9 ? 0.5f * h * h : 0.5f * (e + e / (e + 1)), x);
}

RNN_INLINE float f32_cosh(float x) {
    float h = rnn_expf(0.5f * fabsf(x));
    return 0.5f * h * h + 0.5f / (h * h);
}

RNN_INLINE float f32_asinh(float x) {
    float a = fabsf(x), near = a > 1e9f ? 1e9f : a;
    float y = rnn_log1pf(near + near * near / (1 + sqrtf(near * near + 1)));
    return copysignf(a > 1e9f ? rnn_logf(a) + 0.69314718056f : a == a ? y : a, x);
}

RNN_INLINE float f32_acosh(float x) {
    float t = (x > 1e9f ? 1e9f : x) - 1, y = rnn_log1pf(t + sqrtf(t * (t + 2)));
    return x > 1e9f ? rnn_logf(x) + 0.69314718056f : x < 1 ? NAN : y;
}

RNN_INLINE float f32_atanh(float x) {
    float a = fabsf(x);
    return copysignf(0.5f * rnn_log1pf(2 * a / (1 - a)), x);
}

RNN_INLINE float f32_asin(float x) { return rnn_atanf(x / sqrtf((1 - x) * (1 + x))); }
RNN_INLINE float f32_acos(float x) { return 2 * rnn_atanf(sqrtf((1 - x) / (1 + x))); }

/* The angle of (x, y) in the first eighth, mirrored to where it lies. */
RNN_INLINE float f32_atan2(float y, float x) {
    float a = fabsf(x), b = fabsf(y), high = a > b ? a : b, low = a > b ? b : a;
    float t = rnn_atanf(high == 0 ? 0 : low == high ? 1 : low / high);
    t = b > a ? 1.57079632679f - t : t;
    t = copysignf(1, x) < 0 ? 3.14159265359f - t : t;
    return x != x || y != y ? x + y : copysignf(t, y);
}

RNN_INLINE float f32_hypot(float x, float y) {
    float z = (float)sqrt((double)x * x + (double)y * y);
    return fabsf(x) == INFINITY || fabsf(y) == INFINITY ? INFINITY : z;
}

/* Functions, not macros: where arguments are beyond RNN_TRIG_MAX, elementwise.inc puts libm's in
 * their place. */
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
#define f64_fma fma
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
    return 0.5 * (1 + erf(x * 0.70710678118654752440)) +
           x * exp(x * x * -0.5) * 0.39894228040143267794;
}
static inline double f64_gelu_tanh(double x) {
    return 0.5 * x * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
}

/* a**p for one p. Tensors have PyTorch's special cases: roots and products, whose zeros have signs.
 * `tensor` = 0 (Values) is pow and nothing else: Python's digits. float: one loop of selects;
 * double: pow is a call, and dear. */
RNN_INLINE float f32_powp(float a, float p, float tensor) {
    (void)tensor;
    float root = sqrtf(a), square = a * a, y = p == 1 ? a : rnn_powf(a, p);
    y = p == 0.5f ? root : y;
    y = p == -0.5f ? 1 / root : y;
    y = p == 2 ? square : y;
    y = p == 3 ? square * a : y;
    y = p == -1 ? 1 / a : y;
    return p == -2 ? 1 / square : y;
}

static inline double f64_powp(double a, double p, double tensor) {
    return tensor == 0 ? pow(a, p)
           : p == 0.5  ? sqrt(a)
           : p == -0.5 ? 1 / sqrt(a)
           : p == -1   ? 1 / a
           : p == 2    ? a * a
           : p == 3    ? a * a * a
           : p == -2   ? 1 / (a * a)
                       : pow(a, p);
}

/* dz times the derivative of a**p */
RNN_INLINE float f32_powp_d(float a, float p, float tensor, float dz) {
    float d = p * f32_powp(a, p - 1, tensor) * dz;
    d = p == 1 ? dz : d;
    return p == 0 ? 0 : d;
}

static inline double f64_powp_d(double a, double p, double tensor, double dz) {
    return p == 0 ? 0 : p == 1 ? dz : p * f64_powp(a, p - 1, tensor) * dz;
}

/* Numbers as integers: their order is that of the numbers' sizes. */
typedef uint32_t __attribute__((may_alias)) f32_bits;
typedef uint64_t __attribute__((may_alias)) f64_bits;
#define f32_NOT_SIGN 0x7fffffffu
#define f64_NOT_SIGN 0x7fffffffffffffffu
#define f32_INFINITE 0x7f800000u
#define f64_INFINITE 0x7ff0000000000000u

/* What ops.h needs besides, for both types. */
/* The quotients of polynomials of Matlab's erfinv, and two of Newton's steps. */
static inline double f64_erfinv(double y) {
    const double size = fabs(y);
    double x;
    if (!(size < 1)) return size == 1 ? copysign(INFINITY, y) : NAN;
    if (size <= 0.7) {
        const double z = y * y;
        x = ((-0.140543331 * z + 0.914624893) * z - 1.645349621) * z + 0.886226899;
        x *= y / ((((0.012229801 * z - 0.329097515) * z + 1.442710462) * z - 2.118377725) * z + 1);
    } else {
        const double z = sqrt(-log((1 - size) / 2));
        x = ((1.641345311 * z + 3.429567803) * z - 1.624906493) * z - 1.970840454;
        x = copysign(x / ((1.637067800 * z + 3.543889200) * z + 1), y);
    }
    for (int k = 0; k < 2; k++) x -= (erf(x) - y) / (1.12837916709551257390 * exp(-x * x));
    return x;
}
static inline float f32_erfinv(float y) { return (float)f64_erfinv(y); }

#define RNN_COMPOSITES(T, f) \
    static inline T f##_clamp(T a, T low, T high) { \
        T up = a < low ? low : a; \
        return low != low ? low : high != high || up > high ? high : up; \
    } \
    static inline T f##_above_100(T x) { return x < -100 ? -100 : x; } \
    static inline T f##_smooth_l1(T d, T beta) { \
        T size = f##_fabs(d); \
        return size < beta ? (T)0.5 * d * d / beta : size - (T)0.5 * beta; \
    } \
    static inline T f##_huber(T d, T delta) { \
        T size = f##_fabs(d); \
        return size < delta ? (T)0.5 * d * d : delta * (size - (T)0.5 * delta); \
    } \
    static inline T f##_gelu_tanh_d(T x) { \
        T inner = (T)0.79788456080286535588 * (x + (T)0.044715 * x * x * x), t = f##_tanh(inner); \
        T slope = (T)0.79788456080286535588 * (1 + (T)0.134145 * x * x); \
        return (T)0.5 * (1 + t) + (T)0.5 * x * (1 - t * t) * slope; \
    } \
    static inline T f##_silu_d(T x) { \
        T s = f##_sigmoid(x); \
        return s * (1 + x * (1 - s)); \
    } \
    static inline T f##_mish_d(T x) { \
        T t = f##_tanh(f##_softplus(x)); \
        return t + x * f##_sigmoid(x) * (1 - t * t); \
    } \
    /* Python's %, from r = fmod(a, b) */ \
    RNN_INLINE T f##_remainder(T r, T b) { \
        const T up = r != 0 ? r + b : r; \
        return (r < 0) != (b < 0) ? up : r; \
    } \
    /* Python's //: the quotient of what fmod leaves is whole but for rounding */ \
    RNN_INLINE T f##_floordiv(T r, T a, T b) { \
        const T exact = (a - r) / b, less = r != 0 ? exact - 1 : exact; \
        const T q = (b < 0) != (r < 0) ? less : exact, low = f##_floor(q); \
        const T whole = q - low > (T)0.5 ? low + 1 : low, ratio = a / b; \
        const T z = q == 0 ? f##_copysign(0, ratio) : whole; \
        return b == 0 ? ratio : z; \
    } \
    static inline T f##_logaddexp(T a, T b) { \
        T top = a > b ? a : b, gap = f##_fabs(a - b); \
        return a == b   ? a + (T)0.693147180559945309417 \
               : b != b ? b \
                        : top + f##_log1p(f##_exp(-gap)); \
    }

RNN_COMPOSITES(float, f32)
RNN_COMPOSITES(double, f64)

#endif
