/* optim_list.h: a list of parameters that is worked on in one call. Each becomes one *item*:
 * contiguous runs of the parameter, its gradient and its states. What is not contiguous is packed
 * into memory of its own first and written back after. Large lists are cut into blocks, which
 * threads share.
 *
 * make, add and add_run, plan, run, write_back, drop: in this order; drop whatever failed. */
#ifndef RNN_OPTIM_LIST_H
#define RNN_OPTIM_LIST_H

#include "internal.h"
#include "optim.h"

enum { STATES = 3, RUNS = 2 + STATES }; /* runs: parameter, gradient, states */

/* A contiguous copy of a view, which follows it in memory. */
typedef struct {
    rnn_view view;
    double data[];
} copy;

typedef struct {
    void *run[RUNS];
    copy *packed[RUNS]; /* to be written back and freed */
    int64_t n;
    int dtype;
    uint32_t span;
    int64_t index; /* in the caller's list */
    rnn_optim_numbers numbers;
} item;

typedef struct {
    rnn_engine *e;
    const rnn_optim_kernels *k;
    item *items;
    int64_t count, blocks, total;
    int64_t *first; /* the number of each item's first block */
    void (*work)(void *list, const item *it, int64_t begin, int64_t end, int64_t block);
    int rule;
    int vector_dtype; /* lbfgs.c */
    double a, b;
    double *partial; /* a result of each block */
} list;

static inline void *at(const item *it, int run, int64_t i) {
    return it->run[run] ? (char *)it->run[run] + i * (int64_t)rnn_itemsize(it->dtype) : NULL;
}

int rnn_list_make(rnn_engine *e, list *l, int count);
int rnn_list_add(list *l, rnn_ref t, int64_t index, bool values, bool grad);
int rnn_list_add_run(rnn_engine *e, item *it, int run, const rnn_view *view, void *data);
int rnn_list_plan(list *l, bool results);
void rnn_list_run(list *l);
void rnn_list_write_back(list *l, bool grad);
void rnn_list_drop(list *l);

#endif
