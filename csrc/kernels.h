/* kernels.h: the inner loops that are compiled once for each instruction set, as tables of function
 * pointers. kernels.inc defines one table a set; rnn_kernels_choose picks the best that the machine
 * has. */
#ifndef RNN_KERNELS_H
#define RNN_KERNELS_H

#include <stdint.h>

#include "fold.h"
#include "ops.h"

/* Contiguous runs of n elements; strided operands are packed into tiles first (box.c). */
typedef void (*rnn_forward_loop)(int64_t n, const void *a, const void *b, void *z, const double *p);
typedef void (*rnn_backward_loop)(int64_t n, const void *a, const void *b, const void *z,
                                  const void *dz, void *d, const double *p);

enum { RNN_COLUMNS = 64 }; /* that softmax and batch_norm take at a time */

typedef struct {
    rnn_forward_loop forward[2][RNN_FIRST_OTHER];      /* [dtype][op] */
    rnn_backward_loop backward[2][2][RNN_FIRST_OTHER]; /* [dtype][operand][op] */
    void (*add_scaled[2])(int64_t n, void *y, const void *x, double scale);  /* y += scale x */
    void (*copy_scaled[2])(int64_t n, void *y, const void *x, double scale); /* y = scale x */
    /* start + step i */
    void (*ramp[2])(int64_t first, int64_t n, double start, double step, void *y);
    void (*gain[2])(int64_t n, double *y, const void *x); /* y += x */
    double (*sum[2])(int64_t n, const void *x);
    int64_t (*first_nan[2])(int64_t n, const void *x); /* n: there is none */
    double (*dot[2])(int64_t n, const void *x, const void *y);
    /* one row of n: z = softmax(x); log: z = log_softmax(x) */
    void (*softmax[2])(int64_t n, const void *x, void *z);
    void (*log_softmax[2])(int64_t n, const void *x, void *z);
    /* d (+)= z (dz - sum(z dz)), d (+)= dz - exp(z) sum(dz) */
    void (*softmax_backward[2])(int64_t n, const void *z, const void *dz, void *d, int add);
    void (*log_softmax_backward[2])(int64_t n, const void *z, const void *dz, void *d, int add);
    /* softmax.inc: the same of `width` rows side by side, at most RNN_COLUMNS, each of `length`
     * elements that are `inner` apart */
    void (*softmax_columns[2])(int64_t length, int64_t inner, int64_t width, int log, const void *x,
                               void *z);
    void (*softmax_columns_backward[2])(int64_t length, int64_t inner, int64_t width, int log,
                                        const void *z, const void *dz, void *d, int add);
    /* fused.inc: rows of layer_norm, cross_entropy and attention */
    void (*row_statistics[2])(int64_t n, const void *x, double eps, int centred, void *mean,
                              void *rstd);
    void (*row_normalize[2])(int64_t n, const void *x, double mean, double rstd, const void *w,
                             const void *b, void *z);
    void (*row_normalize_backward[2])(int64_t n, const void *x, double mean, double rstd,
                                      int centred, const void *w, const void *dz, void *d, int add);
    void (*row_affine_backward[2])(int64_t n, const void *x, double mean, double rstd,
                                   const void *dz, void *dw, void *db);
    double (*centred_squares[2])(int64_t n, const void *x, double mean);
    double (*centred_dot[2])(int64_t n, const void *x, double mean, const void *y);
    void (*centred_scale[2])(int64_t n, const void *x, double mean, double scale, double shift,
                             void *z);
    void (*centred_chain[2])(int64_t n, const void *dz, const void *x, double mean,
                             const double *abc, void *d, int add);
    double (*logsumexp[2])(int64_t n, const void *x);
    void (*scaled_softmax[2])(int64_t n, const void *x, double lse, double scale, void *d, int add);
    void (*softmax_chain[2])(int64_t n, const void *p, double total, void *d);
    /* columns.inc: batch_norm where a channel is a column */
    void (*column_statistics[2])(int64_t rows, int64_t n, int64_t step, const void *x, double *mean,
                                 double *variance);
    void (*column_scale[2])(int64_t rows, int64_t n, int64_t step, const void *x,
                            const double *mean, const double *scale, const double *shift, void *z);
    void (*column_dots[2])(int64_t rows, int64_t n, int64_t step, const void *x, const void *dz,
                           const double *mean, double *sum, double *dot);
    void (*column_chain[2])(int64_t rows, int64_t n, int64_t step, const void *dz, const void *x,
                            const double *mean, const double *abc, void *d, int add);
    /* recurrent.inc: a row of a step */
    void (*lstm_forward[2])(int64_t n, void *gates, const void *c_prev, void *c, void *h);
    void (*lstm_backward[2])(int64_t n, const void *gates, const void *c_prev, const void *c,
                             const void *dh, void *dc, void *dgates);
    void (*gru_forward[2])(int64_t n, const void *x, const void *s, const void *h_prev, void *saved,
                           void *h);
    void (*gru_backward[2])(int64_t n, const void *saved, const void *h_prev, void *dh, void *dx,
                            void *ds);
    rnn_fold_loop fold[2][RNN_FOLD_COUNT]; /* fold.inc */
    rnn_backward_loop spread[2][RNN_SPREAD_COUNT];
} rnn_kernels;

extern const rnn_kernels rnn_kernels_base, rnn_kernels_avx2, rnn_kernels_avx512;

#endif
