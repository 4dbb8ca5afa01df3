/* recurrent.h: what a span of a recurrent layer saves, which recurrent_edges.c reads, and a layer
 * at work. */
#ifndef RNN_RECURRENT_H
#define RNN_RECURRENT_H

#include "internal.h"

enum { X, WEIGHT, OPERANDS = 5 };

typedef struct {
    int64_t steps, batch, hidden, rows; /* rows: the sum of the sizes */
    int64_t gates, kept, out; /* a row of sums, of saved values, of the result: elements */
    int32_t op, reverse, packed, count;
    int32_t bias, h0, c0; /* which operands they are; 0: not given */
    int32_t padding;
    /* steps: rows left; steps + 1: where each step's rows begin; then the saved values */
    int64_t sizes[];
} plan;

static inline const int64_t *starts(const plan *p) { return p->sizes + p->steps; }
static inline char *saved_values(const plan *p) {
    return (char *)(uintptr_t)(starts(p) + p->steps + 1);
}

/* ---- a layer at work: recurrent.c runs it forward, recurrent_backward.c back ----------------- */

typedef struct {
    rnn_engine *e;
    const plan *p;
    int dtype, failed, save; /* save: every row's gates; else only the present step's */
    int64_t size;            /* of an element */
    int64_t each;            /* rows of the batch that one task takes */
    const char *x, *w, *b, *h0, *c0, *zeros;
    int64_t x_step, x_row; /* strides, in elements */
    char *kept, *out;
    /* backward */
    const char *dout;
    char *dx, *ds; /* of the sums: the input's share, the state's. dx NULL: not wanted */
    int64_t dx_step, dx_row, ds_row;
    char *dh, *dc; /* (batch, hidden): what flows from step to step */
    rnn_gemm_env env;
} layer;

/* The operands of a layer, packed where they have to be, and blocks to be dropped after it. */
int rnn_layer_operands(layer *l, const rnn_view *in, rnn_block **temp);
void rnn_layer_drop(rnn_engine *e, rnn_block **temp, int count);
/* How many rows of the batch a task takes. */
int64_t rnn_layer_rows(rnn_engine *e, const plan *p);

static inline int no_memory(rnn_engine *e) {
    return rnn_fail(e, RNN_EMEMORY, "recurrent: no memory for a layer's gates");
}

/* Strides of x or of its gradient where a row is contiguous; false: a packed copy is needed. */
static inline bool strides_of(const plan *p, const rnn_view *v, int64_t *step, int64_t *row) {
    *step = p->packed ? 0 : v->stride[0];
    *row = v->stride[v->ndim - 2];
    return v->stride[v->ndim - 1] == 1 || p->gates == 1;
}

static inline void gemm(const layer *l, const rnn_gemm_env *env, int ta, int tb, int64_t m,
                        int64_t n, int64_t k, const void *a, int64_t lda, const void *b,
                        int64_t ldb, double beta, void *c, int64_t ldc) {
    if (l->dtype == RNN_F64) rnn_dgemm(env, ta, tb, m, n, k, 1, a, lda, b, ldb, beta, c, ldc);
    else rnn_sgemm(env, ta, tb, m, n, k, 1, a, lda, b, ldb, (float)beta, c, ldc);
}

/* ---- rows: at step t, row b of the batch ----------------------------------------------------- */

static inline int64_t x_at(const layer *l, int64_t t, int64_t b, int64_t step, int64_t row) {
    const plan *p = l->p;
    if (p->packed) return (starts(p)[t] + b) * row * l->size;
    return ((p->reverse ? p->steps - 1 - t : t) * step + b * row) * l->size;
}

static inline char *kept_of(const layer *l, int64_t t, int64_t b) {
    return l->kept + (l->save ? starts(l->p)[t] + b : b) * l->p->kept * l->size;
}

static inline int64_t out_at(const layer *l, int64_t t, int64_t b) {
    return (starts(l->p)[t] + b) * l->p->out * l->size;
}

/* h lies behind c in an LSTM's rows */
static inline int64_t h_in_row(const layer *l) { return (l->p->out - l->p->hidden) * l->size; }

/* The state before step t, and the distance between its rows. */
static inline const char *before(const layer *l, int64_t t, int64_t b, int cell, int64_t *row) {
    *row = t ? l->p->out : l->p->hidden;
    if (t) return l->out + out_at(l, t - 1, b) + (cell ? 0 : h_in_row(l));
    const char *first = cell ? l->c0 : l->h0;
    return (first ? first : l->zeros) + b * l->p->hidden * l->size;
}

/* How many rows of [begin, end) are left at step t. */
static inline int64_t rows_left(const plan *p, int64_t t, int64_t begin, int64_t end) {
    const int64_t stop = p->sizes[t] < end ? p->sizes[t] : end;
    return stop > begin ? stop - begin : 0;
}

#endif
