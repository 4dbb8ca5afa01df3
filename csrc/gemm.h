/*
 * gemm.h: matrix products of float32 and float64: C = alpha * op(A) op(B) + beta * C.
 *
 * What it is: row-major products over plain pointers, leading dimensions and strides, single and
 * batched, on the threads of a pool. Large products go to a BLAS if one was handed over, else to
 * our own blocked kernel; vector-matrix products (one to four rows) are always our own kernels,
 * which run at the speed of memory. What it is not: it knows no tensors and no graph.
 *
 * Rules for every function here:
 * - op(X) is X, or its transpose where the flag is nonzero. op(A) is (m, k), op(B) is (k, n),
 *   C is (m, n). A leading dimension is the distance between rows as stored, in elements; it may
 *   be any number (0 repeats one row of A or B; C's must be at least n).
 * - C overlaps neither A nor B.
 * - beta == 0 does not read C (it may hold NaN). k == 0 or alpha == 0 gives C = beta * C and
 *   reads neither A nor B. Otherwise NaN and infinity behave as in the plain triple loop.
 * - Nothing fails: where memory for packing is short, a slower path is taken.
 * - The same call gives the same bits on every run, whatever the threads do, as long as
 *   the pool's size stays the same.
 */
#ifndef RNN_GEMM_H
#define RNN_GEMM_H

#include <stdint.h>

#include "threads.h"

/* cblas_sgemm and cblas_dgemm with 32-bit integers, set to one thread by whoever loaded them
 * (the pool does the threading). NULL: our own kernel. */
typedef struct {
    void *sgemm, *dgemm;
} rnn_blas;

/* The kernels of one instruction set; gemm.inc defines them. */
typedef struct rnn_gemm_kernels rnn_gemm_kernels;

/* Buffers for packing, kept between calls; gemm.c owns what is in it. */
typedef struct rnn_gemm_scratch rnn_gemm_scratch;

/* What a product needs to know about where it runs. Fill it with rnn_gemm_env_init; afterwards it
 * is only read, by any number of threads. */
typedef struct {
    rnn_pool *pool;                  /* NULL: one thread */
    rnn_blas blas;                   /* members may be NULL */
    const rnn_gemm_kernels *kernels; /* never NULL */
    rnn_gemm_scratch *scratch;       /* NULL: buffers are allocated for each call */
} rnn_gemm_env;

/*
 * isa: what rnn_isa_detect returned. The pool stays the caller's. `blas` may be changed later.
 *
 * Whether to hand a BLAS over: GFLOP/s in float32 on one core of an Ice Lake Xeon (at most 192),
 * n = 256, 512, 1024: ours, AVX-512: 165 150 140; OpenBLAS (its SkylakeX kernels): 129 130 128. On a
 * Zen 5, n = 32, 256, 1024: ours, AVX2: 91 116 113; OpenBLAS (its Haswell kernels): 85 118 115; ours,
 * base: 32. So ours do without a BLAS above base.
 */
void rnn_gemm_env_init(rnn_gemm_env *env, rnn_pool *pool, rnn_blas blas, int isa);

/* Frees the buffers (about 1 MiB for every thread that multiplied, and 8 MiB for large
 * products). */
void rnn_gemm_env_free(rnn_gemm_env *env);

/* C = alpha * op(A) op(B) + beta * C, by the fastest way we know for these sizes. */
void rnn_sgemm(const rnn_gemm_env *env, int transa, int transb, int64_t m, int64_t n, int64_t k,
               float alpha, const float *a, int64_t lda, const float *b, int64_t ldb, float beta,
               float *c, int64_t ldc);
void rnn_dgemm(const rnn_gemm_env *env, int transa, int transb, int64_t m, int64_t n, int64_t k,
               double alpha, const double *a, int64_t lda, const double *b, int64_t ldb,
               double beta, double *c, int64_t ldc);

/*
 * `batch` products; product i reads a + i * stride_a and b + i * stride_b and writes
 * c + i * stride_c. Strides may be 0. stride_c == 0 adds the products up:
 * C = alpha * sum_i op(A_i) op(B_i) + beta * C, which is what the gradient of an operand that was
 * broadcast over the batch is.
 */
void rnn_sgemm_batched(const rnn_gemm_env *env, int64_t batch, int transa, int transb, int64_t m,
                       int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
                       int64_t stride_a, const float *b, int64_t ldb, int64_t stride_b, float beta,
                       float *c, int64_t ldc, int64_t stride_c);
void rnn_dgemm_batched(const rnn_gemm_env *env, int64_t batch, int transa, int transb, int64_t m,
                       int64_t n, int64_t k, double alpha, const double *a, int64_t lda,
                       int64_t stride_a, const double *b, int64_t ldb, int64_t stride_b,
                       double beta, double *c, int64_t ldc, int64_t stride_c);

/* sum_i x[i * incx] * y[i * incy]; increments may be any number, and x may be y. */
float rnn_sdot(const rnn_gemm_env *env, int64_t n, const float *x, int64_t incx, const float *y,
               int64_t incy);
double rnn_ddot(const rnn_gemm_env *env, int64_t n, const double *x, int64_t incx, const double *y,
                int64_t incy);

/* y[i * incy] += alpha * x[i * incx]; incy is not 0. */
void rnn_saxpy(const rnn_gemm_env *env, int64_t n, float alpha, const float *x, int64_t incx,
               float *y, int64_t incy);
void rnn_daxpy(const rnn_gemm_env *env, int64_t n, double alpha, const double *x, int64_t incx,
               double *y, int64_t incy);

#endif
