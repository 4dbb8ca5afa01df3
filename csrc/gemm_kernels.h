/*
 * gemm_kernels.h: the serial kernels between gemm.c, which chooses and shares out the work, and
 * gemm.inc, which does it, once for each instruction set.
 */
#ifndef RNN_GEMM_KERNELS_H
#define RNN_GEMM_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of scratch that `block` can make use of for packing, and bytes that it has on its stack:
 * enough for operands that need no more when packed, and slow but sufficient for any others. */
enum { RNN_GEMM_SCRATCH = 1 << 20, RNN_GEMM_SMALL = 48 << 10 };

/* Most rows that rows_dot and rows_axpy take. */
enum { RNN_GEMM_ROWS = 4 };

/* Depth of a block, in k: a panel of B is to stay in the first cache. */
enum { RNN_GEMM_DEPTH = 256 };

/*
 * block: C = alpha op(A) op(B) + beta C, any sizes; scratch: RNN_GEMM_SCRATCH bytes, or NULL.
 * pack_a: `rows` rows of op(A), kc deep, as panels of mr rows, one after the other: panel i begins at
 *     out + i * mr * kc. pack_b: columns of op(B) as panels of nr columns. across: the operand's
 *     memory runs along k, else across it. Nothing is written past the last panel.
 * panels: C = alpha A B + beta C for what was packed: `rows` x `cols`, kc deep.
 * rows_dot: acc[i, j] += sum_p x[i, p] w[j, p] for i < m <= RNN_GEMM_ROWS, j < n, p < k, where
 *     x[i, p] = x[i * ldx + p], w[j, p] = w[j * ldw + p] and acc[i, j] = acc[i * ld_acc + j].
 * rows_axpy: the same with w[p, j] = w[p * ldw + j] in place of w[j, p].
 * dot: sum_i x[i] y[i]. axpy: y[i] += alpha x[i].
 */
#define RNN_GEMM_KERNELS_OF(real) \
    struct { \
        void (*block)(void *scratch, int transa, int transb, int64_t m, int64_t n, int64_t k, \
                      real alpha, const real *a, int64_t lda, const real *b, int64_t ldb, \
                      real beta, real *c, int64_t ldc); \
        int mr, nr; /* rows of a panel of A, columns of one of B */ \
        void (*pack_a)(int across, int64_t rows, int64_t kc, const real *in, int64_t ld, \
                       real *out); \
        void (*pack_b)(int across, int64_t cols, int64_t kc, const real *in, int64_t ld, \
                       real *out); \
        void (*panels)(int64_t rows, int64_t cols, int64_t kc, const real *a, const real *b, \
                       real alpha, real beta, real *c, int64_t ldc); \
        void (*rows_dot)(int64_t m, int64_t n, int64_t k, const real *x, int64_t ldx, \
                         const real *w, int64_t ldw, real *acc, int64_t ld_acc); \
        void (*rows_axpy)(int64_t m, int64_t n, int64_t k, const real *x, int64_t ldx, \
                          const real *w, int64_t ldw, real *acc, int64_t ld_acc); \
        real (*dot)(int64_t n, const real *x, const real *y); \
        void (*axpy)(int64_t n, real alpha, const real *x, real *y); \
    }

typedef struct rnn_gemm_kernels {
    double own_below; /* multiplications: smaller products are ours even where there is a BLAS */
    RNN_GEMM_KERNELS_OF(float) s;
    RNN_GEMM_KERNELS_OF(double) d;
} rnn_gemm_kernels;

extern const rnn_gemm_kernels rnn_gemm_kernels_base, rnn_gemm_kernels_avx2, rnn_gemm_kernels_avx512;

#endif
