/* records.h: the engine's own records: blocks, views, spans, operations' rows, the engine itself.
 *
 * The invariants of the whole engine are written here, once:
 *
 *   - A *span* is one application of one operation; its nodes are numbered from `first` upwards in
 *     the order in which they were made, so a node's id is unique for ever and an operand's id is
 *     always below its user's.
 *   - A scalar span (a Value) with number i keeps its value in data[i] and its gradient in grad[i]:
 *     48 + 8 + 8 bytes. Every other span has an `rnn_ext` with its shape, its operands and its two
 *     memory blocks.
 *   - References: a handle (rnn_tensor through its rnn_store, or a Python Value) holds its span; a
 *     span that needs gradients holds its operands. Nothing else holds a span but a running
 *     backward pass.
 *   - A stamp is the value of the engine's node counter at some moment. A span made at `first` that
 *     needs a value whose block's `written` stamp is above `first` would read an overwritten value:
 *     backward refuses. Scalar spans have no stamp: writing a Value's data is like writing a
 *     tensor's .data.
 *   - Gradients, and what a running pass keeps in the spans (state, above, after), belong to the
 *     thread that has the turn (turns.c).
 *   - All bookkeeping happens under `engine->lock`; kernels run outside it. Nothing changes until
 *     every allocation of a call has succeeded. */
#ifndef RNN_RECORDS_H
#define RNN_RECORDS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gemm.h"
#include "kernels.h"
#include "random.h"
#include "rnn.h"
#include "threads.h"

#define RNN_MAX_DIMS 16
enum { RNN_SCALAR_BYTES = 16 }; /* a scalar node's value and gradient */
#define RNN_CLASSES 64          /* size classes of small blocks, in heap.c */
#define RNN_BINS 280            /* and bins of large ones */

/* ---- memory ---------------------------------------------------------------------------------- */

/* A Python object that something here keeps alive. It can only be let go with the interpreter's
 * lock held, which must not be waited for under ours: so it goes to engine->orphans, and whoever
 * next holds that lock lets it go. */
typedef struct rnn_owner {
    void *object;
    struct rnn_owner *next;
} rnn_owner;

/* A block: contiguous memory for nodes' values or gradients, shared by reference count. */
typedef struct rnn_block {
    void *data;
    uint64_t bytes;   /* 0 for memory that `owner` owns (NumPy's) */
    uint64_t written; /* stamp of the last write in place */
    uint32_t refs;
    int32_t size_class; /* -1: a large one */
    uint32_t writer;    /* the site of that write */
    bool kept;          /* a large one that waits to be used again */
    bool inference;     /* made in inference mode: no part of a graph */
    bool recorded;      /* a gradient's, and the values of a tensor of the graph at once */
    rnn_owner *owner;
    struct rnn_block *next;           /* in a list of kept ones */
    struct rnn_block *before, *after; /* a large one's neighbours in the heap */
} rnn_block;

/* ---- views ----------------------------------------------------------------------------------- */

/* A view of a span's nodes, as passed around inside the engine. strides and offset count nodes. */
typedef struct {
    uint32_t span;
    int16_t ndim;
    uint8_t dtype;
    bool needs_grad; /* gradients flow to it: its span wants them and the handle is not detached */
    uint8_t view_op;
    uint8_t lost;  /* RNN_L_...: how the handle was detached from its span, */
    uint32_t site; /* and where */
    int64_t offset;
    int64_t shape[RNN_MAX_DIMS];
    int64_t stride[RNN_MAX_DIMS];
} rnn_view;

/* What all views of one tensor share: which span they look at. A recorded in-place operation makes
 * a new span and writes it here, so every view sees it. */
typedef struct {
    uint32_t refs;
    uint32_t span;
} rnn_store;

enum {
    RNN_T_DETACHED = 1,
    RNN_T_UNSTAMPED = 2,
    RNN_T_RETAIN = 4,
    RNN_T_NO_GRAD = 8 /* detached because it was made under no_grad */
};

/* A tensor handle: a view, owned by one Python object. */
struct rnn_tensor {
    rnn_store *store;
    int64_t offset;
    uint8_t ndim, dtype, flags, view_op;
    uint32_t site;  /* of a detached one: where it was detached */
    int64_t dims[]; /* shape[ndim], then stride[ndim] */
};
typedef struct rnn_tensor rnn_tensor;
static inline int64_t *rnn_strides_of(rnn_tensor *t) { return t->dims + t->ndim; }

/* ---- provenance ------------------------------------------------------------------------------ */

/* Where a span was made (provenance.c): the call of a module, and a line of Python; 0: none
 * known. */
typedef struct {
    uint32_t scope, site;
} rnn_origin;

/* ---- spans ----------------------------------------------------------------------------------- */

/* flags: change under the lock only */
enum {
    RNN_S_NEEDS_GRAD = 1, /* its gradient is wanted */
    RNN_S_SCALAR = 2,     /* no rnn_ext: one node, in the arena's flat arrays */
    /* a recorded operation needs its values: written in place, it keeps them, elsewhere */
    RNN_S_NEEDED = 4,
    RNN_S_PASSED = 8,   /* backward has freed its operands */
    RNN_S_LEAF = 16,    /* made by no operation: a parameter, an input, a constant */
    RNN_S_PARAM = 32,   /* a scalar span whose second operand is the number `param` */
    RNN_S_HOOK = 64,    /* backward stops here for Python */
    RNN_S_RETAIN = 128, /* retain_grad(): the gradient adds up over backward passes */
};

/* state: whoever has the turn changes it */
enum {
    RNN_G_HAS = 1, /* there is a gradient */
    /* in the order of the running pass, or being searched: not freed before the pass has done */
    RNN_G_SEEN = 2,
    RNN_G_SKIP = 4,   /* leads to none of the inputs that were asked for: not gone to */
    RNN_G_TARGET = 8, /* such an input */
    RNN_G_OUTER = 16, /* a pass that this one interrupts has yet to come here */
    RNN_G_BRIEF = 32, /* its gradient goes when the pass has left it, though the graph stays */
};

typedef struct {
    uint32_t span, offset;
} rnn_arg; /* an operand of a scalar span */

/* An operand of a span with an rnn_ext, packed: dims = shape[ndim], stride[ndim]. */
typedef struct {
    uint32_t span;
    int16_t ndim;
    bool needs_grad;
    uint8_t view_op; /* of the handle that was the operand */
    int64_t offset;
    int64_t *dims;
    uint32_t site;
    uint8_t lost;
} rnn_operand;

typedef struct {
    int64_t n; /* nodes */
    rnn_block *data, *grad;
    int64_t data_offset; /* nodes: where in `data` its first node is */
    double p[4];         /* numbers that the operation was given */
    int64_t ip[4];
    void *saved; /* what forward kept for backward besides nodes: indices, masks, statistics */
    size_t saved_bytes;
    rnn_block *room;     /* where `saved` lies; NULL: it is malloc'ed */
    int32_t ndim, count; /* dimensions, operands */
    int64_t *shape;
    rnn_operand *in;
    rnn_owner *hooks;    /* Python's tensor hooks */
    rnn_owner *function; /* Python's autograd.Function, for op CUSTOM */
    rnn_origin origin;
    uint64_t cut;       /* of an unrecorded span: what it was cut from (provenance.c), */
    uint32_t cut_site;  /* where the graph ended, */
    uint8_t lost, made; /* RNN_L_... how, and in which operation */
    uint16_t shown;     /* a name of Python's for the result, 0: its operation's */
} rnn_ext;

typedef struct {
    uint8_t op, dtype, flags, state;
    uint32_t refs;
    uint64_t first; /* id of its first node */
    union {
        rnn_ext *ext;
        void *object; /* a scalar span's living Python Value, borrowed; NULL: none lives */
    };
    uint32_t above; /* in a pass: the span that the search came from */
    /* in a pass: while searching the next operand, then the next span of the order; else the next
     * that is dead or free */
    uint32_t after;
    union {
        rnn_arg in[2];
        struct {
            rnn_arg in0;
            double param;
        };
        struct { /* of an unrecorded scalar span: as in rnn_ext */
            uint64_t cut;
            uint32_t cut_site;
            uint8_t lost, made;
        };
    };
} rnn_span; /* 48 bytes */

_Static_assert(sizeof(rnn_span) == 48, "a span record is 48 bytes");

/* ---- the table of operations ----------------------------------------------------------------- */

/* Where `edges` writes: operand nodes and local derivatives. Counts on when full. */
typedef struct {
    int64_t capacity, count;
    uint32_t *spans;
    int64_t *nodes;
    double *locals;
    uint8_t *flows; /* 0: a constant, or detached: no gradient goes there */
    int64_t skip;   /* so many edges are counted only, before those that are written */
    int unwanted;   /* operands, a bit each, whose edges a rule with many may leave out */
} rnn_edge_list;

/* Where `uses` writes: the nodes that were made from one, and their local derivatives by it. */
typedef struct {
    int64_t capacity, count;
    int64_t *nodes;
    double *locals;
    uint8_t *flows; /* or NULL */
    uint8_t flow;   /* of what is written now */
} rnn_use_list;
enum { RNN_ITSELF = -1 }; /* instead of an operand's number: the span's own nodes (a running sum) */

typedef struct {
    const char *name;       /* "mul" */
    const char *torch_name; /* "MulBackward0" */
    int8_t arity;           /* -1: any number */
    uint16_t needs;
    bool elementwise;
    int (*backward)(rnn_engine *e, uint32_t id);
    int (*edges)(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out);
    int (*uses)(rnn_engine *e, uint32_t id, int k, int64_t node, rnn_use_list *out);
} rnn_op;

extern const rnn_op rnn_ops[RNN_OP_COUNT];

/* One node, as Python's Value holds it. */
typedef struct {
    uint32_t span;
    int64_t node;
} rnn_node;

/* ---- the engine ------------------------------------------------------------------------------ */

struct rnn_engine {
    pthread_mutex_t lock; /* bookkeeping */
    pthread_cond_t idle;  /* nobody has the turn */
    pthread_t owner;      /* who has it, if turns > 0 */
    int turns;            /* how often, nested */
    rnn_pass *running;    /* the innermost pass of the thread that has the turn */
    /* spans */
    rnn_span *spans; /* reserved once, never moves */
    uint32_t span_top, span_capacity;
    uint32_t span_free; /* list through after; 0: none */
    uint64_t live_spans;
    uint64_t counter;    /* nodes ever made */
    double *data, *grad; /* the flat arrays of scalar nodes, by span number */
    rnn_origin *origins; /* theirs; NULL before there is one to keep */
    /* blocks */
    rnn_block *free_blocks[RNN_CLASSES], *bins[RNN_BINS], *last_block;
    bool given_back; /* a large block, since kept neighbours were united */
    char *slab;      /* what small blocks are cut from */
    uint64_t slab_left;
    uint8_t *heap; /* address space that blocks are cut from */
    uint64_t heap_top, heap_capacity;
    uint64_t limit, live, peak, cached;
    rnn_owner *orphans;
    int64_t fail_after; /* tests: the allocation that fails, counted down; < 0: never */
    /* machinery */
    /* the running pass frees each span behind itself: kernels may use up what it saved, and */
    bool spends;
    bool inferred; /* some block was made in inference mode: they are looked for since then */
    bool spent;    /* the running kernel has used up an operand's values, or what its span saved */
    int isa;
    const rnn_kernels *k;
    rnn_gemm_env gemm;
    rnn_pool *pool;
    rnn_rng rng;
    pthread_mutex_t random_lock; /* of all generators; nothing else is locked while it is held */
    /* Python's, or NULL: the number of the line that is running; its text. They take the
     * interpreter's lock: to be called without ours. */
    uint32_t (*site)(void);
    void (*site_text)(uint32_t site, char *text, size_t size);
};

/* A result with a NaN, held; and the operation that made that NaN first. */
typedef struct {
    rnn_ref made;
    rnn_anomaly birth;
} rnn_suspect;

/* What belongs to a thread: PyTorch keeps its grad mode so, and messages of two threads must not
 * mix. */
typedef struct {
    bool no_grad, inference, scalar, trace;
    uint8_t check;  /* RNN_CHECK_... */
    uint8_t clean;  /* operands whose gradients the last elementwise backward found no NaN in */
    uint32_t scope; /* the innermost call of a module */
    int code;
    rnn_anomaly anomaly, origin; /* what stopped a checked operation, until Python takes it */
    rnn_suspect *suspects;       /* NaNs that nothing has read yet */
    int suspect_count, suspect_capacity;
    char message[1024];
} rnn_thread;

#endif
