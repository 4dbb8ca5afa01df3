/* fold.h: many elements to one number a row: sums, products, extremes, moments, norms.
 *
 * rnn_fold_run walks a tensor seen as rows (the places that are kept) of reduced elements, in any
 * layout, and calls `finish` once a row with what its elements fold into. The loops themselves are
 * fold.inc's; their results for 16 lanes at a time are merged in double, in an order that depends
 * on the shape alone. What it is not: it knows no tensor handle, no graph and no derivative. */
#ifndef RNN_FOLD_H
#define RNN_FOLD_H

#include <stdbool.h>
#include <stdint.h>

struct rnn_engine;

enum { RNN_FOLD_LANES = 16 };

/* What a row folds into: a and b. */
enum {
    RNN_FOLD_SUM,
    RNN_FOLD_PROD,
    RNN_FOLD_NONZERO, /* the product of the elements other than 0 */
    RNN_FOLD_MAX,     /* NaN where there is one; b: where to look for the first (rnn_fold_find) */
    RNN_FOLD_MIN,
    RNN_FOLD_MOMENTS,   /* the mean; b: the sum of squared differences from it */
    RNN_FOLD_LOGSUMEXP, /* the maximum m (0 where it is infinite); b: the sum of exp(x - m) */
    RNN_FOLD_NORM1,     /* the sum of |x| */
    RNN_FOLD_NORM2,     /* the sum of x * x */
    RNN_FOLD_NORMP,     /* the sum of |x| ** c */
    RNN_FOLD_EQUAL,     /* how many elements equal c, the row's number; NaN equals NaN */
    RNN_FOLD_COUNT
};

/* r rows of 16 lanes, `stride` elements apart, and the first `rest` lanes of one more. c: a
 * number for each lane (EQUAL, NORMP). one: all lanes belong to one row, whose result is a[0]
 * and b[0]. */
typedef void (*rnn_fold_loop)(int64_t r, int64_t stride, int rest, const void *x, const double *c,
                              bool one, double *a, double *b);

/* The gradients of folds: d in terms of an element a, numbers b and z of its row, and its row's dz.
 *    NAME, needs, d */
#define RNN_SPREAD_OPS(X) \
    X(VARIANCE, dz * p0 * (a - z)) \
    X(LOGSUMEXP, dz *F(exp)(a - b - z)) \
    X(PROD, a == 0 ? dz * z : dz * (b / a)) \
    X(EQUAL, a == z || (a != a && z != z) ? dz : 0) \
    X(NORM1, a > 0 ? dz : a < 0 ? -dz : 0 * dz) \
    X(NORM2, z == 0 ? 0 : a * (dz / z)) \
    X(NORMP, z == 0 || a == 0 ? 0 : (a < 0 ? -dz : dz) * F(pow)(F(fabs)(a) / z, p0 - 1))
#define RNN_SPREAD_ENUM_(NAME, d) RNN_SPREAD_##NAME,
enum { RNN_SPREAD_OPS(RNN_SPREAD_ENUM_) RNN_SPREAD_COUNT };

typedef struct {
    double a, b;
    int64_t n; /* elements */
} rnn_fold_state;

typedef struct rnn_fold rnn_fold;
typedef void (*rnn_fold_finish)(rnn_fold *f, int64_t row, const rnn_fold_state *s);

/* rnn_fold_begin fills the shape in; the caller adds kind, data, finish and what it needs. */
struct rnn_fold {
    rnn_fold_finish finish; /* called from several threads */
    void *out, *more;       /* the caller's */
    double scale;           /* the caller's */
    int kind, dtype;
    bool find;         /* MAX and MIN: rnn_fold_find will be asked */
    double power;      /* of NORMP */
    const void *equal; /* of EQUAL: a number for each row */
    const char *data;
    int64_t rows, length;
    /* [0]: the kept dimensions, [1]: the reduced ones; neighbours that are one run are merged */
    int ndim[2];
    int64_t shape[2][16], stride[2][16];
    /* how it runs */
    rnn_fold_loop loop;
    bool plain;
    int64_t columns, width, groups, pieces, piece;
    rnn_fold_state nothing, *partial;
};

/* The number of bits of `reduced` are the dimensions that go. The kinds' identities stand for
 * rows of no elements. */
void rnn_fold_begin(rnn_fold *f, int ndim, const int64_t *shape, const int64_t *stride,
                    uint32_t reduced);
int rnn_fold_run(struct rnn_engine *e, rnn_fold *f);
/* MAX and MIN, from `finish`: the place of the row's first element that is its extreme. */
int64_t rnn_fold_find(const rnn_fold *f, int64_t row, const rnn_fold_state *s);
/* The value of LOGSUMEXP. */
double rnn_fold_logsumexp(const rnn_fold_state *s);
/* What a rounding of that, z, lacks of it; 0 where it is infinite. */
double rnn_fold_logsumexp_rest(const rnn_fold_state *s, double z);

#endif
