/* internal.h: the functions that the C files share and Python never sees, file by file. */
#ifndef RNN_INTERNAL_H
#define RNN_INTERNAL_H

#include "records.h"

/* engine.c */
rnn_thread *rnn_thread_state(void);
int rnn_fail(rnn_engine *e, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void *rnn_malloc(rnn_engine *e, size_t bytes);
bool rnn_mul_size(uint64_t a, uint64_t b, uint64_t *out);
bool rnn_allocation_fails(rnn_engine *e); /* for the tests */
void rnn_lock(rnn_engine *e);
void rnn_unlock(rnn_engine *e);
static inline size_t rnn_itemsize(int dtype) { return dtype == RNN_F64 ? 8 : 4; }

/* arena.c */
bool rnn_charge(rnn_engine *e, uint64_t bytes); /* under the lock */
int rnn_arena_init(rnn_engine *e);
void rnn_arena_free(rnn_engine *e);
void rnn_arena_origins(rnn_engine *e); /* makes e->origins, where there is room for it */
/* takes the lock */
rnn_block *rnn_block_new(rnn_engine *e, const char *what, int64_t nodes, int dtype);
rnn_block *rnn_block_borrow(rnn_engine *e, void *data, rnn_owner *owner);
void rnn_block_unref(rnn_engine *e, rnn_block *b); /* under the lock */
void rnn_drop_block(rnn_engine *e, rnn_block *b);  /* takes the lock */
void rnn_orphan(rnn_engine *e, rnn_owner *owner);  /* under the lock */

/* heap.c, under the lock */
int rnn_heap_class(uint64_t *bytes);
rnn_block *rnn_heap_take(rnn_engine *e, int class, uint64_t bytes);
void rnn_heap_give(rnn_engine *e, rnn_block *b);
void rnn_heap_trim(rnn_engine *e, uint64_t at_least);
void rnn_heap_free(rnn_engine *e);

/* spans.c */
/* under the lock; 0: no memory. `more` bytes go with it */
uint32_t rnn_span_new(rnn_engine *e, uint64_t more);
void rnn_span_ref(rnn_engine *e, uint32_t id);   /* under the lock */
void rnn_span_unref(rnn_engine *e, uint32_t id); /* under the lock; frees iteratively */
void rnn_span_pass(rnn_engine *e, uint32_t id);  /* under the lock; frees what it was made from */
/* The Python objects that only a span keeps which has one reference left, and no pass: they are as
 * good as that reference's owner's own, for Python's collector. Under the lock, both. */
typedef void (*rnn_visit)(void *object, void *arg);
void rnn_span_visit(rnn_engine *e, uint32_t id, rnn_visit visit, void *arg);
void rnn_span_forget(rnn_engine *e, uint32_t id);
/* Whether an operation's backward reads operand k's values. */
static inline bool rnn_op_reads(int op, int k) {
    const int needs = rnn_ops[op].needs;
    return needs & RNN_NEEDS_ALL || (k == 0 && needs & RNN_NEEDS_A) ||
           (k == 1 && needs & RNN_NEEDS_B);
}
/* Operands of a span, whatever its form. */
static inline int rnn_span_operands(const rnn_span *s) {
    if (s->flags & (RNN_S_LEAF | RNN_S_PASSED)) return 0;
    if (!(s->flags & RNN_S_SCALAR)) return s->ext->count;
    return s->flags & RNN_S_PARAM ? 1 : rnn_ops[s->op].arity;
}
static inline uint32_t rnn_span_operand(const rnn_span *s, int k) {
    /* a scalar span has two operands at most, which the compiler cannot know */
    return s->flags & RNN_S_SCALAR ? s->in[k & 1].span : s->ext->in[k].span;
}
static inline rnn_span *rnn_at(rnn_engine *e, uint32_t id) { return &e->spans[id]; }
/* Holds an autograd.Function of several outputs together (rnn_custom): no part of what is shown. */
static inline bool rnn_is_inner(const rnn_span *s) {
    return s->op == RNN_OP_CUSTOM && !(s->flags & RNN_S_SCALAR) && s->ext->ip[1];
}
/* `state` is written by the pass whose turn it is alone, and read by all: relaxed, but atomic. */
static inline uint8_t rnn_state(const rnn_span *s) {
    return __atomic_load_n(&s->state, __ATOMIC_RELAXED);
}
static inline void rnn_state_set(rnn_span *s, int keep, int add) {
    __atomic_store_n(&s->state, (uint8_t)((rnn_state(s) & keep) | add), __ATOMIC_RELAXED);
}
static inline bool rnn_span_has_grad(const rnn_span *s) { return rnn_state(s) & RNN_G_HAS; }
int64_t rnn_span_size(const rnn_span *s);
void *rnn_span_data(rnn_engine *e, uint32_t id);
void *rnn_span_grad(rnn_engine *e, uint32_t id); /* NULL where it has none */
uint64_t rnn_span_written(rnn_engine *e, uint32_t id);
void rnn_span_stamp(rnn_engine *e, uint32_t id);
bool rnn_span_inference(rnn_engine *e, uint32_t id); /* its memory was made in inference mode */

/* A new span, being built: fill in, then rnn_build_finish gives the tensor handle. */
typedef struct {
    int op, dtype, ndim, count;
    int64_t shape[RNN_MAX_DIMS];
    const rnn_view *in; /* count operands */
    double p[4];
    int64_t ip[4];
    /* rnn_save gives these; they pass to the span, or are given back */
    void *saved;
    size_t saved_bytes;
    rnn_block *room; /* where `saved` lies; NULL: it is malloc'ed */
    rnn_owner *function;
    rnn_block *block; /* given: the memory to use; else rnn_build_begin makes it */
    /* rnn_build_begin gives these */
    void *out; /* where the result's n values go */
    int64_t n;
    bool record; /* some operand needs gradients and gradients are recorded */
    rnn_origin origin;
    bool check, clean; /* whether results are looked at; whether they have no NaN for sure */
    rnn_ext *ext;
    rnn_store *store;
    rnn_tensor *tensor;
} rnn_build;
int rnn_build_begin(rnn_engine *e, rnn_build *b); /* on failure nothing is left, `saved` included */
rnn_ref rnn_build_finish(rnn_engine *e, rnn_build *b);
void rnn_build_abort(rnn_engine *e, rnn_build *b);
uint32_t rnn_build_span(rnn_engine *e, rnn_build *b); /* 0: no memory, all is given back */
/* Memory for `saved`: what is large lies in the heap, and stays warm from step to step. */
int rnn_save(rnn_engine *e, rnn_build *b, int64_t count, size_t size);
void rnn_unsave(rnn_engine *e, rnn_build *b);

/* provenance.c */
static inline uint32_t rnn_site(rnn_engine *e) {
    return rnn_thread_state()->trace && e->site ? e->site() : 0;
}
rnn_origin rnn_here(rnn_engine *e);
rnn_origin rnn_origin_of(rnn_engine *e, uint32_t id);
void rnn_describe_origin(rnn_engine *e, uint32_t id, rnn_span_info *out);
void rnn_scalar_origin(rnn_engine *e, uint32_t id, rnn_origin origin); /* under the lock */
void rnn_cuts_drop(uint64_t set);                                      /* under the lock */
void rnn_remember_cut(rnn_engine *e, const rnn_build *b, rnn_ext *x);  /* under the lock */
void rnn_own_cut(rnn_engine *e, const rnn_tensor *t, rnn_ext *x);      /* under the lock */
void rnn_scalar_cut(rnn_engine *e, uint32_t id, int op, uint32_t site, int count,
                    const uint32_t *operands); /* under the lock */
const char *rnn_site_text(rnn_engine *e, uint32_t site, char *text, size_t size);

/* check.c */
rnn_ref rnn_check_result(rnn_engine *e, int op, rnn_ref made, int count, const rnn_view *in,
                         bool clean);
uint32_t rnn_check_value(rnn_engine *e, int op, uint32_t id, int count, const rnn_node *in);
int rnn_check_gradients(rnn_engine *e, uint32_t id, rnn_anomaly *found);
int rnn_check_root(rnn_engine *e, rnn_ref root); /* of a pass */

/* shapes.c */
int64_t rnn_numel(int ndim, const int64_t *shape);
int rnn_check_shape(rnn_engine *e, const char *what, int ndim, const int64_t *shape, int64_t *n);
const char *rnn_shape_text(int ndim, const int64_t *shape, char *buffer, size_t size);
void rnn_contiguous_strides(int ndim, const int64_t *shape, int64_t *stride);
bool rnn_is_packed(int ndim, const int64_t *shape, const int64_t *stride);
bool rnn_view_is_contiguous(const rnn_view *v);
bool rnn_is_injective(int ndim, const int64_t *shape, const int64_t *stride);
bool rnn_view_is_injective(const rnn_view *v);
int rnn_infer_shape(rnn_engine *e, int64_t numel, int ndim, const int64_t *wanted, int64_t *shape);
bool rnn_view_strides(const rnn_tensor *t, int ndim, const int64_t *shape, int64_t *stride);
int rnn_broadcast(rnn_engine *e, const char *what, const rnn_view *a, const rnn_view *b, int *ndim,
                  int64_t *shape);
void rnn_expand_view(rnn_view *v, int ndim, const int64_t *shape);

/* tensors.c */
rnn_tensor *rnn_tensor_of(rnn_ref t);
rnn_ref rnn_tensor_new(rnn_engine *e, rnn_store *store, int dtype, int flags, int view_op,
                       int64_t offset, int ndim, const int64_t *shape, const int64_t *stride);
rnn_ref rnn_tensor_wrap(rnn_engine *e, uint32_t span); /* takes over a reference of the span */
int rnn_view_of(rnn_engine *e, rnn_ref t, rnn_view *v);
bool rnn_tensor_needs_grad(rnn_engine *e, const rnn_tensor *t);
int rnn_tensor_lost(const rnn_tensor *t); /* RNN_L_... */
bool rnn_view_needs_grad(rnn_engine *e, const rnn_view *v);
void *rnn_view_data(rnn_engine *e, const rnn_view *v);

/* turns.c: gradients belong to one thread at a time */
int rnn_turn_init(rnn_engine *e);
/* false: not within that time; < 0: waits as long as it takes */
bool rnn_turn_take(rnn_engine *e, int64_t nanoseconds);
void rnn_turn_give(rnn_engine *e);
void rnn_turn_after_fork(rnn_engine *e);

/* targets.c: where the kernels of the other files add */
void rnn_operand_view(rnn_engine *e, uint32_t id, int k, rnn_view *v);
typedef struct {
    rnn_view v;         /* the operand's view; its data pointer is the gradient's */
    void *grad;         /* of the view's first node */
    bool wanted, fresh; /* fresh: nothing there yet, and the view covers the span: overwrite */
} rnn_target;
int rnn_target_begin(rnn_engine *e, uint32_t id, int k, int64_t n, rnn_target *t);
int rnn_target_inherit(rnn_engine *e, uint32_t id, int k, int64_t n, rnn_target *t);
/* for a kernel that has read the operand for the last time, or reads each value before it writes
 * there: the memory of its values may become that of its gradient */
int rnn_target_reuse(rnn_engine *e, uint32_t id, int k, int64_t n, rnn_target *t);
/* never fresh: zeros where there was nothing */
int rnn_target_zero(rnn_engine *e, uint32_t id, int k, rnn_target *t);

/* grads.c */
void rnn_span_clear_grad(rnn_engine *e, uint32_t id); /* under the lock */
double rnn_node_value(rnn_engine *e, uint32_t span, int64_t node);
double rnn_node_grad(rnn_engine *e, uint32_t span, int64_t node);
int rnn_node_add_grad(rnn_engine *e, uint32_t span, int64_t node, double d);
int rnn_node_set_grad(rnn_engine *e, uint32_t span, int64_t node, double value);
void rnn_node_set(rnn_engine *e, uint32_t span, int64_t node, double value);
int rnn_span_grad_begin(rnn_engine *e, uint32_t id, bool zero); /* makes the gradient's memory */
/* before it is changed in place: no tensor of the graph */
int rnn_span_grad_unlink(rnn_engine *e, uint32_t id);
/* the block, whose reference it takes over, becomes the gradient */
void rnn_span_grad_put(rnn_engine *e, rnn_span *s, rnn_block *block);
/* a copy of its own where somebody else holds the memory too */
int rnn_span_grad_own(rnn_engine *e, uint32_t id);

/* values.c */
/* Each returns a span, held once, or 0 with a message. */
uint32_t rnn_value_leaf(rnn_engine *e, int dtype, double x, bool requires_grad);
uint32_t rnn_value_unary(rnn_engine *e, int op, rnn_node a, double p, bool has_param);
uint32_t rnn_value_binary(rnn_engine *e, int op, rnn_node a, rnn_node b);
int rnn_value_backward(rnn_engine *e, uint32_t id);

/* reduce.c: what reductions share */
int rnn_dim_of(rnn_engine *e, int ndim, int64_t *dim); /* counted from the front, or RNN_EINDEX */
int rnn_reduced_dims(rnn_engine *e, int ndim, int count, const int64_t *dims, uint32_t *mask);
void rnn_reduced_shape(rnn_build *b, const rnn_view *a, uint32_t mask, bool keep);
/* The result laid over its operand: strides of 0 where it was reduced. */
void rnn_reduced_view(const rnn_view *a, uint32_t mask, rnn_view *result);
/* The operand's elements that node was made from: those of view `inner`. */
void rnn_reduced_inner(const rnn_view *a, uint32_t mask, int64_t node, rnn_view *inner);

/* uses.c */
void rnn_push_use(rnn_use_list *out, int64_t node, double local);
void rnn_add_use(rnn_use_list *out, int64_t back, double local); /* to the back-th last one */
/* All indices at which a view sees a node: begin, then next while it says true. */
typedef struct {
    const rnn_view *v;
    bool begun;
    int count, order[RNN_MAX_DIMS];
    int64_t index[RNN_MAX_DIMS]; /* the place */
    int64_t last[RNN_MAX_DIMS], rest[RNN_MAX_DIMS + 1];
    int64_t low[RNN_MAX_DIMS + 1], high[RNN_MAX_DIMS + 1];
} rnn_places;
void rnn_places_begin(rnn_places *p, const rnn_view *v, int64_t node);
bool rnn_places_next(rnn_places *p);
int64_t rnn_place_flat(const rnn_places *p); /* its row-major position */
double rnn_edge_local(rnn_engine *e, uint32_t id, int64_t node, int64_t place);
void rnn_operand_expanded(rnn_engine *e, uint32_t id, int k, rnn_view *v);

/* edges.c */
rnn_ref rnn_look_at(rnn_engine *e, const rnn_view *v, int flags); /* a handle for it */
int64_t rnn_edges_but(rnn_engine *e, uint32_t span, int64_t node, int unwanted, int64_t capacity,
                      uint32_t *spans, int64_t *nodes, double *locals, uint8_t *flows);
int rnn_check_node(rnn_engine *e, uint32_t span, int64_t node); /* 0, or RNN_EINDEX */
int rnn_check_graph(rnn_engine *e, uint32_t span); /* RNN_ERUNTIME: backward has freed it */
/* rnn_span_numbers of one operation */
int64_t rnn_copy_numbers(int64_t count, const int64_t *from, int64_t capacity, int64_t *out);
int64_t rnn_conv2d_numbers(const rnn_ext *x, int64_t capacity, int64_t *out);
int64_t rnn_batch_norm_numbers(const rnn_ext *x, int64_t capacity, int64_t *out);
int64_t rnn_recurrent_numbers(const rnn_ext *x, int64_t capacity, int64_t *out);
void rnn_push_edge(rnn_engine *e, rnn_edge_list *out, const rnn_view *operand, int64_t node,
                   double local);
/* a node's place in its span's shape */
void rnn_result_index(const rnn_ext *x, int64_t node, int64_t *index);
#define RNN_OTHER_EDGES(NAME, name, torch, arity, needs, function) \
    int rnn_##function##_edges(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out); \
    int rnn_##function##_uses(rnn_engine *e, uint32_t id, int k, int64_t node, rnn_use_list *out); \
    int rnn_##function##_backward(rnn_engine *e, uint32_t id);
RNN_OTHER_OPS(RNN_OTHER_EDGES)

/* copies.c: dst = src, both views of one shape and dtype */
void rnn_write_view(rnn_engine *e, const rnn_view *dst, void *dst_data, const rnn_view *src);

/* elementwise.c */
int rnn_elementwise_backward(rnn_engine *e, uint32_t id);
int rnn_elementwise_edges(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out);
int rnn_elementwise_uses(rnn_engine *e, uint32_t id, int k, int64_t node, rnn_use_list *out);
/* dst (+)= src over a box of `ndim` dimensions; a stride of 0 in dst sums. Overlap is the caller's
 * business. */
typedef struct {
    int ndim, dtype;
    int64_t shape[RNN_MAX_DIMS], dst_stride[RNN_MAX_DIMS], src_stride[RNN_MAX_DIMS];
    void *dst;
    const void *src;
    double scale;
    bool overwrite;
} rnn_accumulate_job;
int rnn_accumulate(rnn_engine *e, const rnn_accumulate_job *job);
/* moves.c: the same, where both are contiguous along a dimension and nothing is summed or scaled;
 * false: else, and nothing was done. */
bool rnn_move(rnn_engine *e, const rnn_accumulate_job *job);
/* target (+)= loop over its elements, which are a; b, z and dz are numbers of their rows (b: or
 * NULL) */
typedef struct {
    rnn_backward_loop loop;
    const rnn_target *target;
    uint32_t reduced; /* dimensions */
    const void *b, *z, *dz;
    const double *p;
} rnn_spread_job;
void rnn_spread(rnn_engine *e, const rnn_spread_job *job);
/* a contiguous copy of a view into `out` */
int rnn_pack_view(rnn_engine *e, const rnn_view *v, void *out);
/* a view's elements in row-major order: where they lie, or else a copy in *temp, which the caller
 * drops */
int rnn_packed(rnn_engine *e, const char *what, const rnn_view *v, const char **data,
               rnn_block **temp);
/* target (+)= contiguous gradient of the operand's shape */
int rnn_target_add(rnn_engine *e, const rnn_target *t, int dtype, const void *contiguous);
/* logical position -> node of the span */
int64_t rnn_flat_to_offset(const rnn_view *v, int64_t flat);

#endif
