/* rows.h: rows of row-major memory that an index names, which gather.c reads and scatter.c
 * writes. */
#ifndef RNN_ROWS_H
#define RNN_ROWS_H

#include "internal.h"

#include <stdatomic.h>

/* An index along one dimension of a row-major tensor of (outer, length, inner). */
typedef struct {
    const int64_t *index;
    int64_t outer, length, inner;
    int64_t count; /* places along the dimension that the index names: */
    bool each;     /* for each (outer, count, inner), or the same everywhere */
} rnn_index;

void rnn_index_along(const rnn_view *a, int dim, rnn_index *at); /* outer, length, inner */
/* of `a` read as rows of `inner` elements */
rnn_index rnn_index_rows(const rnn_view *a, const int64_t *index, int64_t count, int64_t inner);
/* rnn_gather under another row's name */
rnn_ref rnn_gather_as(rnn_engine *e, int op, const rnn_view *a, const rnn_index *at, int ndim,
                      const int64_t *out_shape);

/* ---- the list that an index means ------------------------------------------------------------ */

/* What a span saves is a list of rows; in ip: how many, of how many elements, and how they stand.
 * Those of different groups (of as many in a row), and in one group those of different lanes (side
 * by side), never mean the same row: so threads may share them. */
enum { COUNT, INNER, GROUPS, LANES };

typedef struct {
    const rnn_index *at;
    int64_t *rows;
    atomic_bool wrong; /* one is out of range */
} search;

/* Room for the list of rows that an index means in `a`: b's `saved` and ip. */
int rnn_rows_room(rnn_engine *e, const rnn_view *a, const rnn_index *at, rnn_build *b);
/* Rows [begin, end) of the list; false where an index is out of range. */
bool rnn_rows_find(const search *s, int64_t begin, int64_t end);
int rnn_rows_wrong(rnn_engine *e, const rnn_index *at); /* that error */
/* Room, and all of them. */
int rnn_rows_take(rnn_engine *e, const rnn_view *a, const rnn_index *at, rnn_build *b);

/* ---- rows moved ------------------------------------------------------------------------------ */

/* Rows of a list, between row-major memory that they are rows of, and memory that has one after the
 * other. */
typedef struct {
    const rnn_kernels *k;
    int dtype;
    const int64_t *index;
    int64_t inner, count, groups, lanes;
    char *dst;
    const char *src;
    int64_t width; /* of a part: lanes, or elements of a row */
} moved;

moved rnn_rows_of(rnn_engine *e, int dtype, const void *list, const int64_t *ip);
int64_t rnn_rows_grain(int64_t inner); /* rows that are worth a task */
/* dst row i = src row index[i], for [begin, end) of the list */
void rnn_rows_pick(const moved *m, int64_t begin, int64_t end);
/* All of the list, one after the other, as an index may occur twice. Row index[i] of dst: += src
 * row i; = src row i; = 0; and of int64_t, dst[index[i]] = i: which wrote a row last. */
enum { ADD, PUT, ZERO, WINNER };
void rnn_rows_write(rnn_engine *e, moved *m, int how);

#endif
