/* recurrent.h: what a span of a recurrent layer saves: recurrent.c makes it, recurrent_edges.c
 * reads it. */
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

#endif
