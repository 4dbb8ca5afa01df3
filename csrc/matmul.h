/* matmul.h: a product of two tensors as matmul.c plans it; matmul_backward.c and matmul_edges.c
 * read the same plan. */
#ifndef RNN_MATMUL_H
#define RNN_MATMUL_H

#include "internal.h"

/* A product as gemm.c sees it. Operands as matrices in their own memory; batch strides of 0
 * broadcast. */
typedef struct {
    int64_t m, n, k;
    int batch_dims;
    int64_t batch[RNN_MAX_DIMS];
    int64_t a_batch[RNN_MAX_DIMS], b_batch[RNN_MAX_DIMS], c_batch[RNN_MAX_DIMS];
    int64_t a_row, a_col, b_row, b_col; /* strides */
    bool a_vector, b_vector;
} product;

/* A matrix operand of a gemm: op(X) with one unit stride, perhaps a packed copy. */
typedef struct {
    const void *data;
    int trans;
    int64_t ld, batch_stride[RNN_MAX_DIMS];
    rnn_block *temp;
} matrix;

/* Works out the product of two views; `shape` is the result's. */
int rnn_product_plan(rnn_engine *e, const rnn_view *a, const rnn_view *b, product *p, int *ndim,
                     int64_t *shape);
/* The product that a span is, and its two factors. */
int rnn_product_of(rnn_engine *e, uint32_t id, rnn_view *in, product *p);
/* Batches of a over one b become more rows of a, where its memory allows: (B, T, K) @ (K, N) is one
 * product. */
void rnn_product_fold(product *p);
/* op(X) of shape (rows, cols) with these strides; packs a copy where neither stride is 1. */
int rnn_as_matrix(rnn_engine *e, int dtype, const void *data, int64_t rows, int64_t cols,
                  int64_t row, int64_t col, int dims, const int64_t *batch,
                  const int64_t *batch_stride, matrix *x);
/* C = beta C + op(A) op(B) for every batch */
void rnn_product_multiply(rnn_engine *e, int dtype, int dims, const int64_t *batch, const matrix *a,
                          const matrix *b, int64_t m, int64_t n, int64_t k, double beta, void *c,
                          int64_t ldc, const int64_t *c_batch);

#endif
