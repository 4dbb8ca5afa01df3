/*
 * test_vmath.c: holds csrc/vmath.h to double libm.
 *
 *     test_vmath [stride [function]]
 *
 * Every stride-th of the 2^32 floats (default: 1009) and a list of special values go through every
 * function, in three builds of the same loop: baseline, AVX2 + FMA, AVX-512, as far as this machine
 * has them. Prints the worst errors in units in the last place. Returns 1, and names function,
 * argument and both results, where an error is above the function's limit, a result outside its
 * bound, or NaN, infinity or the sign of zero wrong.
 *
 * A stride of 1 is all floats and takes about an hour.
 */
#include "../../csrc/vmath.h"

#include <stdio.h>
#include <stdlib.h>

enum { BLOCK = 4096, ISAS = 3 };

static const char *const isa_names[ISAS] = {"base", "avx2", "avx512"};

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2,fma")))
#if defined(__clang__)
#define AVX512 __attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")))
#else
#define AVX512 \
    __attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")))
#endif
#else
#define AVX2
#define AVX512
#endif

/* ---- references ------------------------------------------------------------------------------ */

static double ref_sigmoid(double x) { return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)); }

static double ref_gelu(double x) { return x * 0.5 * erfc(-x * sqrt(0.5)); }

static double ref_gelu_grad(double x) {
    return fabs(x) > 15 ? (x > 0 ? 1 : -0.0)
                        : 0.5 * erfc(-x * sqrt(0.5)) + x * exp(-0.5 * x * x) / sqrt(2 * M_PI);
}

static double ref_gelu_tanh(double x) {
    return x / (1 + exp(-2 * sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

/* Name and arguments; worst error allowed, in ulp; largest |a| (infinity is always tested); largest
 * |result|; size below which a result's error counts as if it had that size; reference. */
#define FUNCTIONS(X) \
    X(expf, (a), 1.05, INFINITY, INFINITY, 0, exp(x)) \
    X(exp2f, (a), 1.05, INFINITY, INFINITY, 0, exp2(x)) \
    X(expm1f, (a), 1.6, INFINITY, INFINITY, 0, expm1(x)) \
    X(logf, (a), 1.05, INFINITY, INFINITY, 0, log(x)) \
    X(log2f, (a), 1.6, INFINITY, INFINITY, 0, log2(x)) \
    X(log10f, (a), 1.6, INFINITY, INFINITY, 0, log10(x)) \
    X(log1pf, (a), 1.6, INFINITY, INFINITY, 0, log1p(x)) \
    X(powf, (a, b), 1.05, INFINITY, INFINITY, 0, pow(x, y)) \
    X(sqrtf, (a), 0.5, INFINITY, INFINITY, 0, sqrt(x)) \
    X(rsqrtf, (a), 1.6, INFINITY, INFINITY, 0, 1 / sqrt(x)) \
    X(sinf, (a), 0.6, RNN_TRIG_MAX, 1, 0, sin(x)) \
    X(cosf, (a), 0.6, RNN_TRIG_MAX, 1, 0, cos(x)) \
    X(tanf, (a), 1.6, RNN_TRIG_MAX, INFINITY, 0, tan(x)) \
    X(atanf, (a), 1.6, INFINITY, 0x1.921fb6p0f, 0, atan(x)) \
    X(tanhf, (a), 1.6, INFINITY, 1, 0, tanh(x)) \
    X(sigmoidf, (a), 1.9, INFINITY, 1, 0, ref_sigmoid(x)) \
    X(siluf, (a), 1.9, INFINITY, INFINITY, 0, x / (1 + exp(-x))) \
    X(softplusf, (a), 1.9, INFINITY, INFINITY, 0, x > 20 ? x : log1p(exp(x))) \
    X(erff, (a), 1.6, INFINITY, 1, 0, erf(x)) \
    X(erfcf, (a), 1.9, INFINITY, 2, 0, erfc(x)) \
    X(geluf, (a), 3.5, INFINITY, INFINITY, 0, ref_gelu(x)) \
    X(gelu_gradf, (a), 2.0, INFINITY, 1.13f, 0.5, ref_gelu_grad(x)) \
    X(gelu_tanhf, (a), 1.9, INFINITY, INFINITY, 0, ref_gelu_tanh(x))

typedef void loop_fn(const float *restrict x, const float *restrict y, float *restrict z, int n);

#define LOOP(isa, attributes, name, arguments) \
    attributes static void name##_##isa(const float *restrict x, const float *restrict y, \
                                        float *restrict z, int n) { \
        for (int i = 0; i < n; i++) { \
            float a = x[i], b = y[i]; \
            (void)b; \
            z[i] = rnn_##name arguments; \
        } \
    }
#define DEFINE(name, arguments, limit, domain, bound, floor, reference) \
    LOOP(base, , name, arguments) \
    LOOP(avx2, AVX2, name, arguments) \
    LOOP(avx512, AVX512, name, arguments) \
    static double reference_##name(double x, double y) { \
        (void)y; \
        return reference; \
    }
FUNCTIONS(DEFINE)

struct function {
    const char *name;
    double limit, domain, bound, floor;
    double (*reference)(double x, double y);
    loop_fn *loops[ISAS];
};

#define ROW(name, arguments, limit, domain, bound, floor, reference) \
    {#name, \
     limit, \
     domain, \
     bound, \
     floor, \
     reference_##name, \
     {name##_base, name##_avx2, name##_avx512}},

static const struct function functions[] = {FUNCTIONS(ROW)};

enum { FUNCTION_COUNT = sizeof functions / sizeof *functions };

struct worst {
    double ulp;
    float x, y;
};

struct run {
    const struct function *f;
    int isas;
    long failures;
    struct worst worst[ISAS];
};

/* ---- comparison ------------------------------------------------------------------------------ */

/* |z - ref| in units of the last place of a float near ref; infinite where NaN, infinity or sign of
 * zero differ. A finite ref that rounds to infinity is as far from it as from 2^128. */
static double ulps(float z, double ref, double floor) {
    if (isnan(ref) || isnan(z)) return isnan(ref) && isnan(z) ? 0 : INFINITY;
    if (!signbit(z) != !signbit(ref)) return INFINITY;
    if (isinf(ref) || (isinf((float)ref) && isinf(z)))
        return ref == z || (isinf(z) && !isinf(ref)) ? 0 : INFINITY;
    double size = fabs(ref) > floor ? fabs(ref) : floor, got = isinf(z) ? copysign(0x1p128, z) : z;
    uint64_t bits;
    memcpy(&bits, &size, sizeof bits);
    int exponent = (int)(bits >> 52) - 1023;
    bits = (uint64_t)((exponent < -126 ? -126 : exponent) - 23 + 1023) << 52;
    double ulp;
    memcpy(&ulp, &bits, sizeof ulp);
    return fabs(got - ref) / ulp;
}

static void check(struct run *run, const float *x, const float *y, int n) {
    static double ref[BLOCK];
    static float z[BLOCK];
    const struct function *f = run->f;
    for (int i = 0; i < n; i++) ref[i] = f->reference(x[i], y[i]);
    for (int isa = 0; isa < run->isas; isa++) {
        struct worst *worst = &run->worst[isa];
        f->loops[isa](x, y, z, n);
        for (int i = 0; i < n; i++) {
            if (fabsf(x[i]) > f->domain && !isinf(x[i])) continue;
            double e = ulps(z[i], ref[i], f->floor);
            if (e > worst->ulp) *worst = (struct worst){e, x[i], y[i]};
            if ((e > f->limit || fabsf(z[i]) > f->bound) && run->failures++ < 4)
                printf("FAIL %s %s(%a = %.9g, %a) = %a, not %a: %.2f ulp\n", isa_names[isa],
                       f->name, x[i], x[i], y[i], z[i], ref[i], e);
        }
    }
}

/* ---- arguments ------------------------------------------------------------------------------- */

static const float special[] = {0,
                                0x1p-149f,
                                0x1p-148f,
                                0x1.fffffcp-127f,
                                FLT_MIN,
                                0x1p-30f,
                                FLT_EPSILON,
                                0x1p-12f,
                                0.25f,
                                1.0f / 3,
                                0.5f,
                                0.55f,
                                0x1.fffffep-1f,
                                1,
                                0x1.000002p0f,
                                1.5f,
                                0x1.921fb6p0f,
                                2,
                                0x1.2d97c8p1f,
                                2.5f,
                                3,
                                0x1.921fb6p1f,
                                3.92f,
                                4,
                                5,
                                7,
                                8,
                                9.01f,
                                9.02f,
                                10,
                                10.0625f,
                                11,
                                14.6f,
                                16.6355f,
                                17,
                                17.4f,
                                20,
                                0x1.400002p4f,
                                40,
                                64,
                                87.3f,
                                88,
                                0x1.62e42ep6f,
                                0x1.62e430p6f,
                                0x1.62e432p6f,
                                89,
                                100,
                                0x1.9d1d9ep6f,
                                0x1.9fe366p6f,
                                0x1.9fe368p6f,
                                0x1.9fe36ap6f,
                                104,
                                110,
                                111,
                                126,
                                127,
                                128,
                                149,
                                149.5f,
                                150,
                                151,
                                200,
                                1000,
                                8192,
                                65535,
                                65536,
                                131072,
                                8388607,
                                8388607.5f,
                                8388608,
                                8388609,
                                16777215,
                                16777216,
                                16777218,
                                0x1p31f,
                                0x1p62f,
                                0x1p127f,
                                FLT_MAX,
                                INFINITY,
                                NAN};

enum { SPECIALS = 2 * sizeof special / sizeof *special };

/* Every special value, of both signs, with every other as y. */
static void check_special(struct run *run) {
    float x[SPECIALS], y[SPECIALS];
    for (int i = 0; i < SPECIALS; i++) x[i] = i % 2 ? -special[i / 2] : special[i / 2];
    for (int j = 0; j < SPECIALS; j++) {
        for (int i = 0; i < SPECIALS; i++) y[i] = x[j];
        check(run, x, y, SPECIALS);
    }
}

/* A second argument for x, from the random bits r: in turn any float, a small integer, and one that
 * gives |x|^y somewhere between 2^-155 and 2^130. */
static float second(float x, uint32_t r) {
    if (r % 4 == 0) return rnn_float_of_bits(r * 0x9e3779b9u);
    if (r % 4 == 1) return (float)((int)(r >> 4) % 64 - 32);
    double y = ((r >> 4) % 28500 / 100.0 - 155) / log2(fabs((double)x));
    return fabs(y) < FLT_MAX ? (float)y : 1;
}

static void check_stride(struct run *run, uint32_t stride) {
    static float x[BLOCK], y[BLOCK];
    uint32_t random = 1;
    for (uint64_t u = 0; u <= UINT32_MAX;) {
        int n = 0;
        for (; n < BLOCK && u <= UINT32_MAX; n++, u += stride) {
            x[n] = rnn_float_of_bits((uint32_t)u);
            random = random * 1664525u + 1013904223u;
            y[n] = run->f->reference == reference_powf ? second(x[n], random >> 3) : 0;
        }
        check(run, x, y, n);
    }
}

/* ---- exact results --------------------------------------------------------------------------- */

static long check_exact(void) {
    long failures = 0;
    for (int k = -149; k <= 127; k++) {
        float p = (float)ldexp(1, k);
        failures += rnn_exp2f((float)k) != p || rnn_log2f(p) != (float)k;
        failures += rnn_powf(2, (float)k) != p || rnn_powf(p, 0.5f) != (float)pow(p, 0.5);
    }
    for (int k = 0; k <= 10; k++) failures += rnn_log10f((float)pow(10, k)) != (float)k;
    failures += rnn_expf(0) != 1 || rnn_logf(1) != 0 || rnn_cosf(0) != 1 || rnn_powf(3, 2) != 9;
    failures += rnn_tanhf(9.02f) != 1 || rnn_erff(3.92f) != 1 || rnn_sigmoidf(17.4f) != 1;
    failures += rnn_sigmoidf(0) != 0.5f || rnn_geluf(20) != 20 || rnn_siluf(20) != 20;
    failures += !rnn_trig_ok(RNN_TRIG_MAX) || rnn_trig_ok(-0x1.000002p28f);
    if (failures) printf("FAIL %ld exact results\n", failures);
    return failures;
}

static int count_isas(void) {
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return 1;
    return __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") ? 3 : 2;
#else
    return 1;
#endif
}

int main(int argc, char **argv) {
    uint32_t stride = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 0) : 1009;
    long failures = check_exact();
    if (stride == 0) return 2;
    for (int i = 0; i < FUNCTION_COUNT; i++) {
        struct run run = {.f = &functions[i], .isas = count_isas()};
        if (argc > 2 && strcmp(argv[2], run.f->name) != 0) continue;
        check_special(&run);
        check_stride(&run, stride);
        printf("%-11s", run.f->name);
        for (int isa = 0; isa < run.isas; isa++)
            printf("  %s %.3f ulp at %a", isa_names[isa], run.worst[isa].ulp, run.worst[isa].x);
        puts("");
        failures += run.failures;
    }
    printf("%ld failures\n", failures);
    return failures != 0;
}
