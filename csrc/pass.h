/* pass.h: a backward pass, as sort.c orders it and backward.c runs it. */
#ifndef RNN_PASS_H
#define RNN_PASS_H

#include "internal.h"

enum { RNN_RETAIN_GRAPH = 1, RNN_KEEP = 2, RNN_PRIVATE = 4 };
enum { RNN_BEGINNING, RNN_SORTING, RNN_SEEDING, RNN_RUNNING, RNN_DONE };

/* A gradient put aside while the pass makes a fresh one in its place. */
typedef struct {
    uint32_t span;
    bool adds; /* they add up when the pass has left the span; else the old one comes back */
    bool had, scalar;
    rnn_block *block;
    double value;
} rnn_stashed;

typedef struct {
    rnn_view view;
    rnn_block *grad; /* a root's: contiguous, of the view's shape; NULL: ones */
} rnn_root;

struct rnn_graph {
    int64_t count, nodes;
    uint32_t *spans; /* held */
};
uint32_t *rnn_graph_places(rnn_engine *e, const rnn_graph *g); /* graph.c; the caller frees it */

/* The order is a list through the spans' own `after`, from the roots to the leaves: a pass over ten
 * million spans needs no memory of its own. When another pass comes between (nested in a hook), the
 * rest is copied to `array`. */
struct rnn_pass {
    rnn_pass *outer;
    int flags, phase, stage;
    bool entered, suspended, check;
    bool brief;        /* gradients within the graph go where the pass has been */
    uint32_t top;      /* the search's innermost span */
    uint32_t head;     /* the next span to run, in the list */
    uint64_t *array;   /* spans, held; bit 32: RNN_G_SKIP */
    int64_t at, count; /* in the array; of a search without one: how many spans it has found */
    rnn_root *roots;   /* held */
    int64_t root_count, root_at;
    uint32_t *inputs; /* held */
    int64_t input_count;
    rnn_stashed *stash;
    int64_t stash_count, stash_capacity, stash_at;
    rnn_owner *key;
    uint32_t *left; /* a checked pass's: spans, held, whose graph goes when it has ended well */
    int64_t left_count;
    rnn_anomaly anomaly;
    uint32_t until; /* a private pass ends at this span, with all gradients there; 0: none */
};

/* sort.c */
int rnn_pass_sort(rnn_engine *e, rnn_pass *p, int64_t steps); /* 1: call again; 0: sorted */
/* After it: RNN_ERUNTIME where a freed input may have cut off another. */
int rnn_pass_cut(rnn_engine *e, const rnn_pass *p);
int rnn_pass_keep_graph(rnn_engine *e, rnn_pass *p); /* until it has ended well */
void rnn_pass_unsort(rnn_engine *e, rnn_pass *p);    /* as before the search */
int rnn_pass_reach(rnn_engine *e, rnn_pass *p, int count, const rnn_ref *roots, bool flows);
int rnn_pass_suspend(rnn_engine *e, rnn_pass *p); /* another pass may use the spans */
void rnn_pass_resume(rnn_engine *e, rnn_pass *p);
/* The span at the head of the order, 0 at its end; leaving it frees what the pass need not keep. */
uint32_t rnn_pass_head(const rnn_pass *p);
void rnn_pass_leave(rnn_engine *e, rnn_pass *p);
void rnn_pass_drop(rnn_engine *e, rnn_pass *p); /* leaves all that is left, keeping it */

/* stash.c */
int rnn_stash_put(rnn_engine *e, rnn_pass *p, uint32_t id, bool adds);
/* what was put aside joins what the pass found */
int rnn_stash_add(rnn_engine *e, rnn_pass *p, uint32_t id);
/* the gradient is what it was before the pass */
void rnn_stash_undo(rnn_engine *e, rnn_pass *p, uint32_t id);
void rnn_stash_restore(rnn_engine *e, rnn_pass *p);

#endif
