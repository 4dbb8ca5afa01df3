/* test_vmath.c - holds csrc/vmath.h to double libm.
 *
 * usage: test_vmath [stride] [function]
 * Every stride-th of the 2^32 floats (default 1009), and a list of special values, go through every
 * function in three builds of the same loop (baseline, AVX2 + FMA, AVX-512, as far as the machine
 * has them). Prints the worst error in units in the last place; returns 1 and names function,
 * argument and both results where it is above the limit, or where NaN, infinity or the sign of zero
 * differ.
 */
#include "../../csrc/vmath.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>

#define BLOCK 4096

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2,fma")))
#if defined(__clang__)
#define AVX512 __attribute__((target("avx2,fma,avx512f,avx512vl,avx512dq,avx512bw")))
#else
#define AVX512 \
    __attribute__((target("avx2,fma,avx512f,avx512vl,avx512dq,avx512bw,prefer-vector-width=512")))
#endif
#else
#define AVX2
#define AVX512
#endif

typedef void loop_fn(int n, const float *x, const float *y, float *z);

static double ref_sigmoid(double x)
{
    return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}

/* name, worst ulp allowed, domain limit of |x|, reference */
#define UNARY_FUNCTIONS(X)                     \
    X(expf, 1.0, INFINITY, exp(x))             \
    X(sigmoidf, 2.0, INFINITY, ref_sigmoid(x)) \
    X(tanhf, 2.0, INFINITY, tanh(x))           \
    X(logf, 1.0, INFINITY, log(x))             \
    X(sinf, 1.5, RNN_TRIG_MAX, sin(x))         \
    X(cosf, 1.5, RNN_TRIG_MAX, cos(x))         \
    X(erff, 1.5, INFINITY, erf(x))

#define LOOP(isa, attr, name)                                                             \
    attr static void loop_##name##_##isa(int n, const float *x, const float *y, float *z) \
    {                                                                                     \
        (void)y;                                                                          \
        for (int i = 0; i < n; i++)                                                       \
            z[i] = rnn_##name(x[i]);                                                      \
    }
#define UNARY(name, limit, domain, ref)          \
    LOOP(base, , name)                           \
    LOOP(avx2, AVX2, name)                       \
    LOOP(avx512, AVX512, name)                   \
    static double ref_##name(double x, double y) \
    {                                            \
        (void)y;                                 \
        return ref;                              \
    }
UNARY_FUNCTIONS(UNARY)

typedef struct function {
    const char *name;
    double limit;
    float domain;
    double (*ref)(double, double);
    loop_fn *loop[3]; /* base, avx2, avx512 */
} function;

#define ROW(name, limit, domain, ref) \
    {#name,                           \
     limit,                           \
     domain,                          \
     ref_##name,                      \
     {loop_##name##_base, loop_##name##_avx2, loop_##name##_avx512}},

static const function functions[] = {UNARY_FUNCTIONS(ROW)};

typedef struct worst {
    double ulp;
    float x;
    long failures;
} worst;

/* |z - ref| in units of the last place of a float near ref; infinite where NaN, infinity or sign of
 * zero differ. */
static double ulps(float z, double ref)
{
    float r = (float)ref;
    if (isnan(ref) || isnan(z))
        return isnan(ref) && isnan(z) ? 0 : INFINITY;
    if (isinf(z) && isinf(r))
        return z == r ? 0 : INFINITY;
    if (r == 0 && z == 0)
        return signbit(r) == signbit(z) ? 0 : INFINITY;
    if (isinf(ref))
        return INFINITY;
    int e = ilogb(ref);
    double ulp = ldexp(1.0, (ref == 0 || e < -126 ? -126 : e) - 23);
    if (isinf(z)) /* counted as 2^128, the float that would come next */
        return fabs(copysign(0x1p128, z) - ref) / ulp;
    return fabs((double)z - ref) / ulp;
}

static void check(const function *f, int isa, int n, const float *x, worst *w)
{
    static float z[BLOCK];
    f->loop[isa](n, x, x, z);
    for (int i = 0; i < n; i++) {
        if (fabsf(x[i]) > f->domain && !isinf(x[i]))
            continue;
        double ref = f->ref(x[i], x[i]), e = ulps(z[i], ref);
        if (e > w->ulp) {
            w->ulp = e;
            w->x = x[i];
        }
        if (e > f->limit && w->failures++ < 3)
            printf("FAIL %s(%a = %.9g) = %a, should be %a: %.2f ulp\n", f->name, x[i], x[i], z[i],
                   ref, e);
    }
}

static const float specials[] = {0.0f,
                                 -0.0f,
                                 INFINITY,
                                 -INFINITY,
                                 NAN,
                                 -NAN,
                                 1.0f,
                                 -1.0f,
                                 2.0f,
                                 -2.0f,
                                 0.5f,
                                 -0.5f,
                                 3.0f,
                                 10.0f,
                                 100.0f,
                                 1000.0f,
                                 FLT_MIN,
                                 -FLT_MIN,
                                 FLT_MAX,
                                 -FLT_MAX,
                                 0x1p-149f,
                                 -0x1p-149f,
                                 0x1.fffffcp-127f,
                                 FLT_EPSILON,
                                 -FLT_EPSILON,
                                 0x1.62e42ep6f,
                                 0x1.62e430p6f,
                                 0x1.62e432p6f,
                                 -0x1.5d589ep6f,
                                 -0x1.9fe368p6f,
                                 -0x1.9fe36ap6f,
                                 -0x1.9fe36cp6f,
                                 0x1.fffffep-1f,
                                 0x1.000002p0f,
                                 -0x1.fffffep-1f,
                                 -0x1.000002p0f,
                                 0x1.921fb6p0f,
                                 0x1.921fb6p1f,
                                 0x1.2d97c8p1f,
                                 9.0f,
                                 9.010913f,
                                 9.02f,
                                 16.0f,
                                 17.0f,
                                 20.0f,
                                 -20.0f,
                                 3.92f,
                                 4.0f,
                                 88.0f,
                                 -88.0f,
                                 89.0f,
                                 -89.0f,
                                 104.0f,
                                 -104.0f,
                                 8192.0f,
                                 65536.0f,
                                 131072.0f,
                                 -131072.0f,
                                 0x1p23f,
                                 0x1p24f,
                                 16777215.0f,
                                 -16777215.0f,
                                 8388607.0f,
                                 -8388609.0f};

int main(int argc, char **argv)
{
    uint64_t stride = argc > 1 ? strtoull(argv[1], NULL, 0) : 1009;
    const char *isas[] = {"base", "avx2", "avx512"};
    int isa_count = 1;
    long failures = 0;
    static float x[BLOCK];
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        isa_count =
            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") ? 3 : 2;
#endif
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        const function *f = &functions[i];
        if (argc > 2 && strcmp(argv[2], f->name))
            continue;
        for (int isa = 0; isa < isa_count; isa++) {
            worst w = {0, 0, 0};
            check(f, isa, sizeof specials / sizeof *specials, specials, &w);
            for (uint64_t u = 0; u < 0x100000000u;) {
                int n = 0;
                for (; n < BLOCK && u < 0x100000000u; u += stride)
                    x[n++] = rnn_float_of_bits((uint32_t)u);
                check(f, isa, n, x, &w);
            }
            printf("%-12s %-7s %6.3f ulp at %a\n", f->name, isas[isa], w.ulp, w.x);
            failures += w.failures;
        }
    }
    return failures != 0;
}
