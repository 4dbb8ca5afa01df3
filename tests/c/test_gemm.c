/*
 * test_gemm.c: holds csrc/gemm.c to the plain triple loop, for float and double, over shapes,
 * transposes, leading dimensions, alpha and beta, every instruction set that this machine has,
 * one thread and three, with our own kernels and with a BLAS handed over (a stand-in that checks
 * its arguments, or the library named on the command line). Prints what failed and returns 1, or
 * prints "ok".
 *
 *     cc -std=gnu11 -O2 -g -Wall -Wextra -pthread -Icsrc tests/c/test_gemm.c \
 *        csrc/gemm.c csrc/isa.c csrc/threads.c csrc/kernels_base.c csrc/kernels_avx2.c \
 *        csrc/kernels_avx512.c -lm -ldl
 *     ./a.out [libscipy_openblas.so [prefix of cblas_sgemm, such as scipy_]]
 *
 * plain, with -fsanitize=address,undefined, and with -fsanitize=thread.
 */
#include "gemm.h"
#include "isa.h"

#include <dlfcn.h>
#include <math.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures, checks;

static void fail(const char *what, const char *where) {
    if (failures++ < 40) printf("%s: %s\n", what, where);
}

static uint64_t state = 88172645463325252u;

static int64_t below(int64_t n) /* xorshift: a number in [0, n) */
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (int64_t)(state >> 11) % n;
}

/* The arguments of one test. */
typedef struct {
    int transa, transb;
    int64_t m, n, k, lda, ldb, ldc, batch, stride_a, stride_b, stride_c;
    double alpha, beta;
    const char *mode;
} trial;

static const char *describe(const trial *t) {
    static char text[300];
    snprintf(text, sizeof text,
             "[%s] ta %d tb %d m %lld n %lld k %lld lda %lld ldb %lld ldc %lld "
             "batch %lld strides %lld %lld %lld alpha %g beta %g",
             t->mode, t->transa, t->transb, (long long)t->m, (long long)t->n, (long long)t->k,
             (long long)t->lda, (long long)t->ldb, (long long)t->ldc, (long long)t->batch,
             (long long)t->stride_a, (long long)t->stride_b, (long long)t->stride_c, t->alpha,
             t->beta);
    return text;
}

/* ---- a BLAS to hand over --------------------------------------------------------------------- */

static _Atomic int blas_calls, bad_blas_calls;

#define FAKE_BLAS(name, real) \
    static void name(int order, int ta, int tb, int m, int n, int k, real alpha, const real *a, \
                     int lda, const real *b, int ldb, real beta, real *c, int ldc) { \
        atomic_fetch_add(&blas_calls, 1); \
        if (order != 101 || (ta != 111 && ta != 112) || (tb != 111 && tb != 112) || m < 1 || \
            n < 1 || k < 1 || lda < (ta == 112 ? m : k) || ldb < (tb == 112 ? k : n) || ldc < n) \
            atomic_fetch_add(&bad_blas_calls, 1); \
        for (int64_t i = 0; i < m; i++) \
            for (int64_t j = 0; j < n; j++) { \
                double s = 0; \
                for (int64_t p = 0; p < k; p++) \
                    s += (double)a[ta == 112 ? p * lda + i : i * lda + p] * \
                         (double)b[tb == 112 ? j * ldb + p : p * ldb + j]; \
                real *z = c + i * ldc + j; \
                *z = (real)(alpha * s + (beta == 0 ? 0 : (double)beta * (double)*z)); \
            } \
    }
FAKE_BLAS(fake_sgemm, float)
FAKE_BLAS(fake_dgemm, double)

/* ---- against the triple loop ----------------------------------------------------------------- */

#define TRIAL(real, letter, epsilon) \
    static real *fill_##letter(int64_t n) { \
        real *x = malloc((size_t)(n > 0 ? n : 1) * sizeof *x); \
        if (x == NULL) exit(2); \
        for (int64_t i = 0; i < n; i++) x[i] = (real)(below(2001) - 1000) / 500; \
        return x; \
    } \
\
    /* C after the product, in double; magnitude: the sum of absolute values, for the bound. */ \
    static void reference_##letter(const trial *t, const real *a, const real *b, const real *c, \
                                   double *z, double *magnitude) { \
        int64_t size = (t->batch - 1) * t->stride_c + (t->m - 1) * t->ldc + t->n; \
        for (int64_t i = 0; i < size; i++) z[i] = (double)c[i], magnitude[i] = fabs(z[i]); \
        for (int64_t h = 0; h < t->batch; h++) \
            for (int64_t i = 0; i < t->m; i++) \
                for (int64_t j = 0; j < t->n; j++) { \
                    double s = 0, r = 0; \
                    const real *ah = a + h * t->stride_a, *bh = b + h * t->stride_b; \
                    for (int64_t p = 0; p < t->k; p++) { \
                        double u = (double)ah[t->transa ? p * t->lda + i : i * t->lda + p] * \
                                   (double)bh[t->transb ? j * t->ldb + p : p * t->ldb + j]; \
                        s += u, r += fabs(u); \
                    } \
                    double *to = z + h * t->stride_c + i * t->ldc + j; \
                    double beta = h > 0 && t->stride_c == 0 ? 1 : t->beta; \
                    *to = t->alpha * s + (beta == 0 ? 0 : beta * *to); \
                    double *mag = magnitude + h * t->stride_c + i * t->ldc + j; \
                    *mag = fabs(t->alpha) * r + fabs(beta) * *mag + 1; \
                } \
    } \
\
    static void try_##letter(const rnn_gemm_env *env, const trial *t) { \
        int64_t na = (t->batch - 1) * t->stride_a + ((t->transa ? t->k : t->m) - 1) * t->lda + \
                     (t->transa ? t->m : t->k); \
        int64_t nb = (t->batch - 1) * t->stride_b + ((t->transb ? t->n : t->k) - 1) * t->ldb + \
                     (t->transb ? t->k : t->n); \
        int64_t nc = (t->batch - 1) * t->stride_c + (t->m - 1) * t->ldc + t->n; \
        real *a = fill_##letter(na), *b = fill_##letter(nb), *c = fill_##letter(nc); \
        double *z = malloc((size_t)nc * sizeof *z), *mag = malloc((size_t)nc * sizeof *mag); \
        if (z == NULL || mag == NULL) exit(2); \
        reference_##letter(t, a, b, c, z, mag); \
        if (t->beta == 0) /* C must not be read where it is written */ \
            for (int64_t h = 0; h < t->batch; h++) \
                for (int64_t i = 0; i < t->m; i++) \
                    for (int64_t j = 0; j < t->n; j++) \
                        c[h * t->stride_c + i * t->ldc + j] = (real)NAN; \
        if (t->batch == 1) \
            rnn_##letter##gemm(env, t->transa, t->transb, t->m, t->n, t->k, (real)t->alpha, a, \
                               t->lda, b, t->ldb, (real)t->beta, c, t->ldc); \
        else \
            rnn_##letter##gemm_batched(env, t->batch, t->transa, t->transb, t->m, t->n, t->k, \
                                       (real)t->alpha, a, t->lda, t->stride_a, b, t->ldb, \
                                       t->stride_b, (real)t->beta, c, t->ldc, t->stride_c); \
        checks++; \
        for (int64_t i = 0; i < nc; i++) \
            if (!(fabs((double)c[i] - z[i]) <= epsilon * (8 + sqrt((double)t->k)) * mag[i])) { \
                char text[400]; \
                snprintf(text, sizeof text, "%s: element %lld is %.9g, not %.9g", describe(t), \
                         (long long)i, (double)c[i], z[i]); \
                fail(#letter "gemm", text); \
                break; \
            } \
        free(a), free(b), free(c), free(z), free(mag); \
    }
TRIAL(float, s, 0x1p-23)
TRIAL(double, d, 0x1p-52)

static void try_both(const rnn_gemm_env *env, const trial *t) {
    try_s(env, t);
    try_d(env, t);
}

/* Sizes m, n, k with every transpose, and paddings, alpha and beta at random. */
static void try_shape(const rnn_gemm_env *env, const char *mode, int64_t m, int64_t n, int64_t k) {
    static const double alphas[] = {1, 1, -0.5}, betas[] = {0, 1, 0.25};
    for (int flags = 0; flags < 4; flags++) {
        trial t = {.transa = flags & 1, .transb = flags >> 1, .m = m, .n = n, .k = k, .batch = 1};
        t.lda = (t.transa ? m : k) + below(3) * below(9);
        t.ldb = (t.transb ? k : n) + below(3) * below(9);
        t.ldc = n + below(3) * below(9);
        t.alpha = alphas[below(3)], t.beta = betas[below(3)], t.mode = mode;
        if (t.lda < 1) t.lda = 1;
        if (t.ldb < 1) t.ldb = 1;
        try_both(env, &t);
    }
}

static void test_shapes(const rnn_gemm_env *env, const char *mode) {
    static const int64_t few[] = {1, 2, 3, 4, 5, 7}, some[] = {1, 5, 16, 33, 70};
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 6; j++)
            for (int h = 0; h < 5; h++) try_shape(env, mode, few[i], few[j], some[h]);
    for (int i = 0; i < 40; i++) try_shape(env, mode, 1 + below(70), 1 + below(70), 1 + below(70));
    for (int i = 0; i < 2; i++) {
        try_shape(env, mode, 80 + below(100), 80 + below(100), 80 + below(300));
        try_shape(env, mode, 1 + below(4), 300 + below(600), 300 + below(300));
        try_shape(env, mode, 300 + below(600), 1 + below(4), 300 + below(300));
        try_shape(env, mode, 1 + below(12), 1 + below(12), 2000 + below(2000));
    }
    try_shape(env, mode, 7, 1300, 300); /* few rows, and a matrix larger than the caches */
    try_shape(env, mode, 1, 1, 50000);
    try_shape(env, mode, 2, 3, 300001);
    try_shape(env, mode, 700, 6, 10);
    try_shape(env, mode, 600, 500, 3);
    try_shape(env, mode, 70, 81, 300); /* two slabs */
    try_shape(env, mode, 24, 96, 257);
    try_shape(env, mode, 17, 64, 512);  /* columns of 32 and 32, not of 48 and 16 */
    try_shape(env, mode, 20, 50, 1024); /* rows of A that fall on one cache set */
    try_shape(env, mode, 9, 1030, 290);
    try_shape(env, mode, 4100, 100, 3); /* more rows or columns than are packed at a time */
    try_shape(env, mode, 200, 4100, 2);
}

/* Products large enough for all threads to share what is packed; and few rows of a large W, of
 * which each task packs its part. */
static void test_large(const rnn_gemm_env *env, const char *mode) {
    static const int64_t sizes[][3] = {{520, 520, 500}, {75, 1800, 1000}};
    for (int i = 0; i < 3; i++) {
        trial t = {.transa = (int)below(2), .transb = (int)below(2), .batch = 1, .mode = mode};
        t.m = sizes[i % 2][0], t.n = sizes[i % 2][1], t.k = sizes[i % 2][2];
        t.lda = (t.transa ? t.m : t.k) + below(9), t.ldb = (t.transb ? t.k : t.n) + below(9);
        t.ldc = t.n + below(9), t.alpha = 1, t.beta = (double)below(2);
        if (i < 2) try_s(env, &t);
        else try_d(env, &t);
    }
}

/* Operands that are packed one part of k at a time. */
static void test_deep(const rnn_gemm_env *env, const char *mode) {
    trial t = {.m = 2000, .n = 9, .k = 1060, .lda = 1060, .ldb = 9, .ldc = 9, .batch = 1};
    t.alpha = 1, t.beta = 0.25, t.mode = mode;
    try_s(env, &t);
}

static void test_batches(const rnn_gemm_env *env, const char *mode) {
    for (int i = 0; i < 60; i++) {
        trial t = {.transa = (int)below(2), .transb = (int)below(2), .mode = mode};
        t.m = 1 + below(20), t.n = 1 + below(20), t.k = 1 + below(40), t.batch = 2 + below(9);
        if (i % 10 == 0) t.m += 60, t.n += 60, t.k += 60;
        t.lda = (t.transa ? t.m : t.k) + below(4), t.ldb = (t.transb ? t.k : t.n) + below(4);
        t.ldc = t.n + below(2) * below(4);
        t.stride_a = below(3) * (t.transa ? t.k : t.m) * t.lda;
        t.stride_b = below(3) * (t.transb ? t.n : t.k) * t.ldb;
        t.stride_c = below(4) * t.m * t.ldc;
        t.alpha = 1, t.beta = (double)below(2);
        try_both(env, &t);
    }
}

/* Rows of A that repeat (leading dimension 0) and that overlap: no BLAS takes them. */
static void test_odd_leading_dimensions(const rnn_gemm_env *env, const char *mode) {
    for (int i = 0; i < 40; i++) {
        trial t = {.m = 1 + below(30), .n = 1 + below(30), .k = 1 + below(30), .batch = 1};
        t.transa = (int)below(2), t.transb = (int)below(2), t.alpha = 1, t.mode = mode;
        t.lda = below(3), t.ldb = below(3), t.ldc = t.n;
        try_both(env, &t);
    }
}

/* ---- special values -------------------------------------------------------------------------- */

static void test_nothing_to_do(const rnn_gemm_env *env, const char *mode) {
    float nan4[4] = {NAN, NAN, NAN, NAN}, c[4] = {NAN, 1, 2, NAN};
    rnn_sgemm(env, 0, 0, 2, 2, 0, 1, NULL, 1, NULL, 2, 0, c, 2);
    if (c[0] != 0 || c[1] != 0 || c[2] != 0 || c[3] != 0) fail("k = 0, beta = 0", mode);
    float d[4] = {1, 2, 3, 4};
    rnn_sgemm(env, 0, 0, 2, 2, 0, 1, NULL, 1, NULL, 2, 2, d, 2);
    if (d[0] != 2 || d[1] != 4 || d[2] != 6 || d[3] != 8) fail("k = 0, beta = 2", mode);
    rnn_sgemm(env, 0, 0, 2, 2, 2, 0, nan4, 2, nan4, 2, 0.5f, d, 2);
    if (d[0] != 1 || d[3] != 4) fail("alpha = 0", mode);
    rnn_sgemm(env, 0, 0, 0, 2, 2, 1, NULL, 2, nan4, 2, 0, NULL, 2);
    rnn_sgemm(env, 0, 0, 2, 0, 2, 1, nan4, 2, NULL, 0, 0, NULL, 0);
    rnn_sgemm_batched(env, 0, 0, 0, 2, 2, 2, 1, NULL, 2, 4, NULL, 2, 4, 0, NULL, 2, 4);
}

/* One NaN in A spoils its row of C and no other; one infinity in B its column, as NaN where A is 0.
 */
static void test_nan(const rnn_gemm_env *env, const char *mode, int64_t m, int64_t n, int64_t k) {
    float *a = malloc((size_t)(m * k) * sizeof *a), *b = malloc((size_t)(k * n) * sizeof *b);
    float *c = malloc((size_t)(m * n) * sizeof *c);
    if (a == NULL || b == NULL || c == NULL) exit(2);
    for (int64_t i = 0; i < m * k; i++) a[i] = 1;
    for (int64_t i = 0; i < k * n; i++) b[i] = 1;
    int64_t row = m - 1, column = n / 2;
    a[row * k + k / 2] = NAN;
    b[(k - 1) * n + column] = INFINITY;
    a[k - 1] = 0; /* row 0: 0 * inf */
    rnn_sgemm(env, 0, 0, m, n, k, 1, a, k, b, n, 0, c, n);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            float z = c[i * n + j];
            int want_nan = i == row || (j == column && i == 0);
            int good = want_nan      ? isnan(z)
                       : j == column ? isinf(z)
                                     : z == (float)(i == 0 ? k - 1 : k);
            if (!good) {
                char text[160];
                snprintf(text, sizeof text, "[%s] (%lld, %lld) is %g", mode, (long long)i,
                         (long long)j, (double)z);
                fail("NaN and infinity", text);
                i = m, j = n;
            }
        }
    free(a), free(b), free(c);
}

static void test_same_bits(const rnn_gemm_env *env, const char *mode) {
    enum { M = 150, N = 170, K = 190 };
    float *a = fill_s(M * K), *b = fill_s(K * N), *c = fill_s(M * N), *d = fill_s(M * N);
    static const int64_t rows[] = {1, 3, M};
    for (int i = 0; i < 12; i++) {
        int64_t m = rows[i % 3];
        rnn_sgemm(env, 0, i & 1, m, K - 30, K - 20, 1, a, K, b, K, 0, i ? d : c, N);
        rnn_sgemm(env, 0, i & 1, m, K - 30, K - 20, 1, a, K, b, K, 0, c, N);
        rnn_sgemm(env, 0, i & 1, m, K - 30, K - 20, 1, a, K, b, K, 0, d, N);
        for (int64_t r = 0; r < m; r++)
            if (memcmp(c + r * N, d + r * N, (K - 30) * sizeof *c) != 0) {
                fail("not the same bits twice", mode);
                break;
            }
    }
    free(a), free(b), free(c), free(d);
}

#define VECTORS(real, letter, epsilon) \
    static void vectors_##letter(const rnn_gemm_env *env, const char *mode) { \
        for (int64_t n = 0; n < 300; n += 1 + n / 9) \
            for (int64_t inc = -2; inc <= 3; inc++) { \
                int64_t incy = inc == 2 ? 1 : inc == 1 ? 1 : 3; \
                real *x = fill_##letter(3 * n + 1), *y = fill_##letter(3 * n + 1); \
                const real *from = inc < 0 ? x + 2 * n : x; \
                double s = 0, magnitude = 1; \
                for (int64_t i = 0; i < n; i++) { \
                    double u = (double)from[i * inc] * (double)y[i * incy]; \
                    s += u, magnitude += fabs(u); \
                } \
                double z = (double)rnn_##letter##dot(env, n, from, inc, y, incy); \
                checks++; \
                if (!(fabs(z - s) <= epsilon * 8 * magnitude)) fail(#letter "dot", mode); \
                real *old = malloc((size_t)(3 * n + 1) * sizeof *old); \
                if (old == NULL) exit(2); \
                memcpy(old, y, (size_t)(3 * n + 1) * sizeof *old); \
                rnn_##letter##axpy(env, n, 2, from, inc, y, incy); \
                for (int64_t i = 0; i < 3 * n + 1; i++) { \
                    real add = i % incy == 0 && i / incy < n ? 2 * from[i / incy * inc] : 0; \
                    if (!(fabs((double)(y[i] - (old[i] + add))) <= epsilon * 16)) { \
                        fail(#letter "axpy", mode); \
                        break; \
                    } \
                } \
                free(x), free(y), free(old); \
            } \
    }
VECTORS(float, s, 0x1p-23)
VECTORS(double, d, 0x1p-52)

/* ---- main ------------------------------------------------------------------------------------ */

static void test_all(int isa, int threads, rnn_blas blas, const char *blas_name) {
    rnn_pool *pool = threads > 0 ? rnn_pool_new(threads) : NULL;
    rnn_gemm_env env;
    char mode[60];
    snprintf(mode, sizeof mode, "%s, %d threads, %s", rnn_isa_name(isa), threads, blas_name);
    rnn_gemm_env_init(&env, pool, blas, isa);
    test_shapes(&env, mode);
    if (threads == 3 && !blas.sgemm) test_large(&env, mode);
    test_deep(&env, mode);
    test_batches(&env, mode);
    test_odd_leading_dimensions(&env, mode);
    test_nothing_to_do(&env, mode);
    static const int64_t nan_sizes[][3] = {{1, 300, 40}, {3, 40, 300}, {50, 2, 30},
                                           {8, 8, 8},    {40, 50, 60}, {150, 140, 130}};
    for (int i = 0; i < 6; i++)
        if (nan_sizes[i][0] > 1)
            test_nan(&env, mode, nan_sizes[i][0], nan_sizes[i][1], nan_sizes[i][2]);
    test_same_bits(&env, mode);
    vectors_s(&env, mode);
    vectors_d(&env, mode);
    rnn_gemm_env_free(&env);
    rnn_pool_free(pool);
}

/* Without its scratch (as when memory is short) a product still comes out. */
static void test_without_scratch(int isa) {
    rnn_gemm_env env;
    rnn_gemm_env_init(&env, NULL, (rnn_blas){NULL, NULL}, isa);
    rnn_gemm_env_free(&env); /* leaves an env that allocates for every call */
    test_batches(&env, "no scratch kept");
    rnn_gemm_env_free(&env);
}

/* The real library; without one, only the stand-in is tested. */
static rnn_blas load(int argc, char **argv) {
    rnn_blas blas = {NULL, NULL};
    char name[100];
    if (argc < 2) return blas;
    void *library = dlopen(argv[1], RTLD_NOW);
    if (library == NULL) {
        fail("cannot load", argv[1]);
        return blas;
    }
    const char *prefix = argc > 2 ? argv[2] : "";
    snprintf(name, sizeof name, "%scblas_sgemm", prefix);
    blas.sgemm = dlsym(library, name);
    snprintf(name, sizeof name, "%scblas_dgemm", prefix);
    blas.dgemm = dlsym(library, name);
    snprintf(name, sizeof name, "%sopenblas_set_num_threads", prefix);
    void (*set_threads)(int);
    *(void **)&set_threads = dlsym(library, name);
    if (set_threads != NULL) set_threads(1);
    if (blas.sgemm == NULL || blas.dgemm == NULL) fail("no cblas_sgemm in", argv[1]);
    return blas;
}

int main(int argc, char **argv) {
    rnn_blas none = {NULL, NULL}, fake = {(void *)fake_sgemm, (void *)fake_dgemm};
    rnn_blas real = load(argc, argv);
    for (int isa = 0; isa <= rnn_isa_detect(); isa++) {
        test_all(isa, 0, none, "own kernels");
        test_all(isa, 3, none, "own kernels");
        test_without_scratch(isa);
    }
    test_all(rnn_isa_detect(), 3, fake, "stand-in for BLAS");
    if (blas_calls == 0) fail("BLAS", "was never called");
    if (bad_blas_calls != 0) fail("BLAS", "was called with arguments that it rejects");
    if (real.sgemm != NULL) test_all(rnn_isa_detect(), 2, real, "BLAS");
    if (failures == 0) printf("ok (%d products)\n", checks);
    else printf("%d failures\n", failures);
    return failures != 0;
}
