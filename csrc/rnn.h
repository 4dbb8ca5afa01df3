/* rnn.h: the whole C interface of the engine, and its manual. cffi reads this text; Python calls
 * nothing else.
 *
 * OVERVIEW
 *
 *   Every scalar of every floating-point tensor is a node: a value, a gradient, the operation that
 *   made it and the nodes that it was made from. One application of one operation makes a *span* of
 *   nodes. A tensor is a *view* of a span: an offset, a shape and strides. Transposing, slicing and
 *   expanding make new views of the same nodes.
 *
 *     rnn_engine *e = rnn_new();
 *     int64_t shape[] = {2, 3};
 *     rnn_ref x = rnn_full(e, RNN_F32, 2, shape, 1.5);     // a leaf of six nodes
 *     rnn_set_requires_grad(e, x, 1);
 *     rnn_ref y = rnn_unary(e, rnn_op_find("exp"), x, 0, 0);
 *     rnn_ref z = rnn_sum(e, y, 0, 0, 0, 0);               // over all dimensions
 *     rnn_pass *p = rnn_backward_begin(e, 1, &z, 0, 0, 0, 0);
 *     while (rnn_backward_step(e, p, 20000000) == 1) {}    // slices of 20 ms
 *     rnn_backward_end(e, p);
 *     rnn_ref g = rnn_grad(e, x);                          // exp(1.5), six times
 *     rnn_release(e, g); ...
 *
 * OWNERSHIP
 *
 *   A rnn_ref that a function returns belongs to the caller, who gives it back to rnn_release.
 *   Functions borrow their arguments. A span that needs gradients holds its operands, so the graph
 *   lives as long as somebody holds its end.
 *
 * ERRORS
 *
 *   Functions return a handle (> 0), a count (>= 0) or one of the negative codes below; rnn_message
 *   then says what was wrong, in the thread that called. A call that fails has changed nothing. */
#ifndef RNN_H
#define RNN_H
#include <stdint.h>

typedef struct rnn_engine rnn_engine;
typedef struct rnn_pass rnn_pass;
typedef struct rnn_rng rnn_rng;     /* a stream of random numbers: torch.Generator */
typedef struct rnn_paths rnn_paths; /* the best paths between two nodes */
typedef struct rnn_graph rnn_graph; /* a list of spans, to look at */
typedef int64_t rnn_ref;            /* a tensor handle; 0 is none */

enum { RNN_F32 = 0, RNN_F64 = 1 };
/* How a view came about: a name for grad_fn, nothing more. */
enum {
    RNN_V_NONE,
    RNN_V_VIEW,
    RNN_V_TRANSPOSE,
    RNN_V_PERMUTE,
    RNN_V_EXPAND,
    RNN_V_SELECT,
    RNN_V_SLICE,
    RNN_V_UNSQUEEZE,
    RNN_V_SQUEEZE,
    RNN_V_ALIAS,
    RNN_V_STRIDED,
    RNN_V_T,
    RNN_V_UNBIND,
    RNN_V_SPLIT,
    RNN_V_DIAGONAL,
    RNN_V_UNFOLD,
    RNN_V_SQUEEZE_DIM,
    RNN_V_SQUEEZE_DIMS,
    RNN_V_UNSAFE_VIEW
};
/* How a tensor that wants gradients became one that does not. */
enum { RNN_L_NONE, RNN_L_NO_GRAD, RNN_L_DETACH, RNN_L_DATA };
enum {
    RNN_EMEMORY = -1,    /* MemoryError */
    RNN_EVALUE = -2,     /* ValueError */
    RNN_EINDEX = -3,     /* IndexError */
    RNN_ERUNTIME = -4,   /* RuntimeError */
    RNN_ETYPE = -5,      /* TypeError */
    RNN_EANOMALY = -103, /* a checked operation made a NaN: rnn_take_anomaly says which */
    /* No errors, but what the caller is to do: */
    RNN_COMPOSE = -100, /* scalar resolution: record the composition instead */
    RNN_EDTYPE = -101,  /* the operands' dtypes differ: promote, and call again */
    RNN_ERECORD = -102  /* it must be recorded: compute out of place, then rebind or assign */
};

/* ---- the engine ------------------------------------------------------------------------------ */

rnn_engine *rnn_new(void); /* NULL where there is no memory */
void rnn_free(rnn_engine *e);
const char *rnn_message(rnn_engine *e); /* of the last failure in this thread */
int rnn_failure(void);                  /* its code */
const char *rnn_compiler(void);
/* "base", "avx2", "avx512": RNN_ISA in the environment lowers it */
const char *rnn_isa(rnn_engine *e);
/* cblas_sgemm and cblas_dgemm, or NULL for our own */
void rnn_set_blas(rnn_engine *e, void *sgemm, void *dgemm);
int rnn_has_blas(rnn_engine *e);
int rnn_set_threads(rnn_engine *e, int threads);
int rnn_threads(rnn_engine *e);
void rnn_set_memory_limit(rnn_engine *e, uint64_t bytes);
/* out: limit, live bytes, peak, bytes kept for reuse, live spans, nodes ever made */
void rnn_memory(rnn_engine *e, uint64_t *out);
void rnn_reset_peak(rnn_engine *e);
void rnn_trim(rnn_engine *e); /* gives kept memory back to the system */
/* Tests: the n-th allocation from now fails (1: the next one), and all after it; 0: none does. */
void rnn_fail_after(rnn_engine *e, int64_t n);

/* ---- this thread's modes --------------------------------------------------------------------- */

int rnn_grad_mode(void);
int rnn_set_grad_mode(int on); /* returns what it was */
int rnn_inference_mode(void);  /* nothing is recorded, and what is made belongs to no graph */
int rnn_set_inference_mode(int on);
int rnn_tracing(void); /* whether spans remember the line of Python that makes them */
int rnn_set_tracing(int on);
int rnn_resolution(void);
int rnn_set_resolution(int scalar); /* 1: composites return RNN_COMPOSE; returns what it was */

/* ---- the table of operations ----------------------------------------------------------------- */

int rnn_op_count(void);
int rnn_op_find(const char *name); /* -1 where there is none */
const char *rnn_op_name(int op);
const char *rnn_op_torch_name(int op);
int rnn_op_arity(int op);
int rnn_op_elementwise(int op);
int rnn_op_composite(int op);

/* ---- tensors: making, asking, views ---------------------------------------------------------- */

rnn_ref rnn_empty(rnn_engine *e, int dtype, int ndim, const int64_t *shape);
rnn_ref rnn_full(rnn_engine *e, int dtype, int ndim, const int64_t *shape, double value);
/* Memory of somebody else (NumPy): `nodes` elements from `data`, seen from `offset` on. `owner` is
 * a reference to the Python object that keeps it alive, given back when the last user has gone. */
rnn_ref rnn_borrow(rnn_engine *e, int dtype, int ndim, const int64_t *shape, const int64_t *stride,
                   void *data, int64_t offset, int64_t nodes, int64_t owner);
/* with a copy of `data` */
rnn_ref rnn_from_memory(rnn_engine *e, int dtype, int ndim, const int64_t *shape, const void *data);
rnn_ref rnn_empty_strided(rnn_engine *e, int dtype, int ndim, const int64_t *shape,
                          const int64_t *stride);
rnn_ref rnn_arange(rnn_engine *e, int dtype, int64_t n, double start, double step);
/* start and end included */
rnn_ref rnn_linspace(rnn_engine *e, int dtype, int64_t n, double start, double end);
void rnn_release(rnn_engine *e, rnn_ref t);

int rnn_ndim(rnn_ref t);
int rnn_dtype(rnn_ref t);
/* fills both; returns the offset in nodes */
int64_t rnn_dims(rnn_ref t, int64_t *shape, int64_t *stride);
int64_t rnn_offset(rnn_ref t);            /* in nodes of its span */
int64_t rnn_count(rnn_ref t);             /* elements */
void *rnn_data(rnn_engine *e, rnn_ref t); /* of its first element */
int rnn_is_contiguous(rnn_engine *e, rnn_ref t);
int rnn_requires_grad(rnn_engine *e, rnn_ref t);
int rnn_set_requires_grad(rnn_engine *e, rnn_ref t, int on);
int rnn_is_leaf(rnn_engine *e, rnn_ref t);
int rnn_view_op(rnn_ref t); /* 0, or the code (RNN_V_...) of the view function that made it */
void rnn_set_view_op(rnn_ref t, int view_op);
const char *rnn_view_name(int view_op); /* PyTorch's: "ViewBackward0"; "" for 0 */
uint32_t rnn_span_of(rnn_ref t);
int64_t rnn_storage_nodes(rnn_engine *e, rnn_ref t); /* of its span */
int rnn_same_memory(rnn_engine *e, rnn_ref a, rnn_ref b);
/* the element at a position in row-major order */
double rnn_item(rnn_engine *e, rnn_ref t, int64_t position);

/* ---- random numbers: PyTorch's stream (random.h) --------------------------------------------- */

enum {                      /* how floats are drawn, and from which parameters a, b */
       RNN_R_UNIFORM,       /* from, to */
       RNN_R_NORMAL,        /* mean, std */
       RNN_R_NORMAL_SERIAL, /* mean, std: as PyTorch fills what is not contiguous */
       RNN_R_EXPONENTIAL,   /* lambda */
       RNN_R_CAUCHY,        /* median, sigma */
       RNN_R_LOG_NORMAL,    /* mean, std */
       RNN_R_GEOMETRIC,     /* p */
       RNN_R_BERNOULLI,     /* p */
       RNN_R_DROPOUT        /* p: 0, or 1 / (1 - p) */
};
enum {
    RNN_R_RANGE,
    RNN_R_INT63,
    RNN_R_PERMUTATION,
    RNN_R_WORDS
}; /* integers; RANGE: low <= x < high; WORDS: uint32_t */
/* the engine's default one, or a new one; NULL: no memory */
rnn_rng *rnn_generator(rnn_engine *e, int fresh);
void rnn_generator_free(rnn_rng *g); /* a new one */
void rnn_generator_seed(rnn_engine *e, rnn_rng *g, uint64_t seed);
uint64_t rnn_generator_initial(rnn_rng *g); /* the seed */
/* 5,056 bytes, as PyTorch has them */
void rnn_generator_get(rnn_engine *e, rnn_rng *g, uint8_t *state);
int rnn_generator_set(rnn_engine *e, rnn_rng *g, const uint8_t *state);
rnn_ref rnn_random(rnn_engine *e, rnn_rng *g, int kind, int dtype, int ndim, const int64_t *shape,
                   double a, double b);
int rnn_random_fill(rnn_engine *e, rnn_rng *g, int kind, int dtype, int64_t n, void *out, double a,
                    double b);
int rnn_random_ints(rnn_engine *e, rnn_rng *g, int kind, int64_t n, void *out, int64_t low,
                    int64_t high);
/* out[i] < p[i] */
int rnn_random_flips(rnn_engine *e, rnn_rng *g, int dtype, int64_t n, const void *p, void *out);
/* multinomial: k draws from each of the rows of n weights */
int rnn_random_draws(rnn_engine *e, rnn_rng *g, int dtype, const void *p, int64_t rows, int64_t n,
                     int64_t k, int replacement, int64_t *out);

/* Views: the same nodes, another shape. view_op is only a name for grad_fn. */
rnn_ref rnn_alias(rnn_engine *e, rnn_ref t);
/* the nodes that t looks at now, whatever t becomes when it is written in place */
rnn_ref rnn_pinned(rnn_engine *e, rnn_ref t);
/* unstamped: `.data`, whose writes backward ignores */
rnn_ref rnn_detach(rnn_engine *e, rnn_ref t, int unstamped);
/* offset and strides are the new view's, and are checked */
rnn_ref rnn_as_view(rnn_engine *e, rnn_ref t, int view_op, int64_t offset, int ndim,
                    const int64_t *shape, const int64_t *stride);
/* one -1 allowed */
rnn_ref rnn_reshape(rnn_engine *e, rnn_ref t, int ndim, const int64_t *shape, int must_be_view);
rnn_ref rnn_permute(rnn_engine *e, rnn_ref t, int ndim, const int64_t *order);
rnn_ref rnn_transpose(rnn_engine *e, rnn_ref t, int64_t dim0, int64_t dim1);
rnn_ref rnn_t(rnn_engine *e, rnn_ref t); /* of a matrix; fewer dimensions stay as they are */
rnn_ref rnn_expand(rnn_engine *e, rnn_ref t, int ndim, const int64_t *shape); /* -1 keeps a size */
rnn_ref rnn_select(rnn_engine *e, rnn_ref t, int64_t dim, int64_t index);
/* t[i, j, ...] */
rnn_ref rnn_select_leading(rnn_engine *e, rnn_ref t, int count, const int64_t *index);
rnn_ref rnn_slice(rnn_engine *e, rnn_ref t, int64_t dim, int64_t start, int64_t stop, int64_t step);
rnn_ref rnn_unsqueeze(rnn_engine *e, rnn_ref t, int64_t dim);
rnn_ref rnn_squeeze(rnn_engine *e, rnn_ref t, int64_t dim, int all);

/* ---- operations: each records a span where gradients are wanted ------------------------------ */

rnn_ref rnn_unary(rnn_engine *e, int op, rnn_ref a, double p0, double p1);
rnn_ref rnn_binary(rnn_engine *e, int op, rnn_ref a, rnn_ref b, double p0); /* broadcasts */
/* The same into `out`, nothing recorded: RNN_ERECORD where it would have to be. */
int rnn_unary_into(rnn_engine *e, int op, rnn_ref out, rnn_ref a, double p0, double p1);
int rnn_binary_into(rnn_engine *e, int op, rnn_ref out, rnn_ref a, rnn_ref b, double p0);
/* dst[...] = src, broadcast. Recorded (dst then looks at a new span) where gradients are wanted. */
int rnn_assign(rnn_engine *e, rnn_ref dst, rnn_ref src);
int rnn_fill(rnn_engine *e, rnn_ref dst, double value);
/* An in-place operation whose result `made` has dst's shape and covers all of its nodes: dst and
 * all views of the same nodes now look at made's span. `made` is released. Refused (RNN_EDTYPE)
 * where dst is not all of its span. */
int rnn_rebind(rnn_engine *e, rnn_ref dst, rnn_ref made);
/* A detached tensor, about to be written with gradients, gets nodes of its own over the same
 * memory. */
int rnn_own(rnn_engine *e, rnn_ref t);
/* dst becomes made: by rnn_rebind where that does, else by rnn_assign; `made` is released */
int rnn_take_over(rnn_engine *e, rnn_ref dst, rnn_ref made);
/* 0, or the error where a leaf that requires gradients is written, or a tensor of inference
 * mode outside it */
int rnn_check_inplace(rnn_engine *e, rnn_ref t);
/* Was its memory made in inference mode? Then it may, outside, not be written, require gradients or
 * be kept for a backward pass. */
int rnn_is_inference(rnn_engine *e, rnn_ref t);
int rnn_touch(rnn_engine *e, rnn_ref t); /* its memory was written from outside: stamp it */

rnn_ref rnn_clone(rnn_engine *e, rnn_ref a);
rnn_ref rnn_contiguous(rnn_engine *e, rnn_ref a);
rnn_ref rnn_cast(rnn_engine *e, rnn_ref a, int dtype);
/* count 0: all */
rnn_ref rnn_sum(rnn_engine *e, rnn_ref a, int count, const int64_t *dims, int keepdim, int mean);
/* grad_fn shows the elementwise loss `op` and this sum or mean of it as one node, as PyTorch
 * does. */
void rnn_name_reduction(rnn_engine *e, rnn_ref t, int op);
/* grad_fn is shown under the name with this number of Python's, if t alone sees these nodes. */
void rnn_name_result(rnn_engine *e, rnn_ref t, int name);
/* Any reduction of the table, over `count` dimensions (0: all). p: the correction of var and std,
 * the power of vector_norm, the value of median and nanmedian (which Python found). */
rnn_ref rnn_reduce(rnn_engine *e, int op, rnn_ref a, int count, const int64_t *dims, int keepdim,
                   double p);
/* cumsum, cumprod, logcumsumexp */
rnn_ref rnn_cumulate(rnn_engine *e, int op, rnn_ref a, int64_t dim);
rnn_ref rnn_cumsum(rnn_engine *e, rnn_ref a, int64_t dim);
/* At scalar resolution: the last of the running sums along `dim`, which has elements; a @ b as
 * products and their running sums, for shapes that fit; t minus the largest of each row along
 * `dim`, a constant. */
rnn_ref rnn_compose_sum(rnn_engine *e, rnn_ref t, int64_t dim, int keepdim);
rnn_ref rnn_compose_matmul(rnn_engine *e, rnn_ref a, rnn_ref b);
rnn_ref rnn_below_largest(rnn_engine *e, rnn_ref t, int64_t dim);
/* Values picked along one dimension: out[.., k, ..] = a[.., index[.., k, ..], ..], `count` of them
 * (drop: and then the dimension, of size 1, goes). op is the row whose name the span gets: gather,
 * sort, topk, ... */
rnn_ref rnn_pick(rnn_engine *e, int op, rnn_ref a, int64_t dim, const int64_t *index, int64_t count,
                 int drop);
/* max_dim, min_dim: the values, and in `index` where the first such one is. */
rnn_ref rnn_extreme(rnn_engine *e, int op, rnn_ref a, int64_t dim, int keepdim, int64_t *index);
/* The place of the first largest (smallest) element along a dimension; all: of the flattened
 * tensor. */
int rnn_arg_extreme(rnn_engine *e, rnn_ref a, int64_t dim, int all, int smallest, int64_t *index);
/* Where the largest (smallest) element until each along the middle dimension of x (outer, length,
 * inner) is: of equal ones the last, and a NaN is larger and smaller than all. */
void rnn_running_extreme(rnn_engine *e, int dtype, int smallest, int64_t outer, int64_t length,
                         int64_t inner, const void *x, int64_t *index);
rnn_ref rnn_matmul(rnn_engine *e, rnn_ref a, rnn_ref b);
/* x (.., K) times w (K, N) (transposed: w is (N, K), as in nn.Linear) plus bias (N) or 0 */
rnn_ref rnn_linear(rnn_engine *e, rnn_ref x, rnn_ref w, rnn_ref bias, int transposed);
/* Over the last `dims` dimensions; weight and bias of their shape, or 0. */
rnn_ref rnn_layer_norm(rnn_engine *e, rnn_ref x, int dims, rnn_ref weight, rnn_ref bias,
                       double eps);
rnn_ref rnn_rms_norm(rnn_engine *e, rnn_ref x, int dims, rnn_ref weight, double eps);
/* x (N, C, ..): each channel to mean 0 and variance 1; weight, bias, mean, variance: (C) or 0.
 * training: by the batch's own statistics, and mean and variance move towards them by `momentum`;
 * else by mean and variance. */
rnn_ref rnn_batch_norm(rnn_engine *e, rnn_ref x, rnn_ref weight, rnn_ref bias, rnn_ref mean,
                       rnn_ref variance, int training, double momentum, double eps);
/* logits (N, C), target: N class indices; rows whose target is ignore_index count for nothing.
 * reduction: 0 none (N), 1 the mean over the rows that count, 2 their sum. */
rnn_ref rnn_cross_entropy(rnn_engine *e, rnn_ref logits, const int64_t *target,
                          int64_t ignore_index, int reduction);
/* softmax(q k^T scale) v for q (B, H, T, D), k and v (B, H, S, D); causal: query i sees the keys up
 * to i + S - T (the last query sees all). Gives a (B, H, T, D) view of (B, T, H, D) memory. */
rnn_ref rnn_attention(rnn_engine *e, rnn_ref q, rnn_ref k, rnn_ref v, int causal, double scale);
/* parameters: stride, padding and dilation, each (height, width), then groups; bias: (O) or 0 */
rnn_ref rnn_conv2d(rnn_engine *e, rnn_ref x, rnn_ref weight, rnn_ref bias,
                   const int64_t *parameters);
/* parameters: kernel, stride, padding and dilation, each (height, width), then ceil_mode, whether
 * padding counts, and the divisor or 0 (the last two are avg's). taken: NULL, or room for the place
 * in its plane that each maximum came from. */
rnn_ref rnn_pool2d(rnn_engine *e, rnn_ref x, const int64_t *parameters, int max, int64_t *taken);
/* A recurrent layer, op "rnn_tanh", "rnn_relu", "lstm" or "gru": x is the input's share of the
 * gates' sums, (T, B, G H), weight (G H, H), bias (G H), h0 and c0 (B, H); the last three may be 0.
 * reverse: from x's last step to its first. sizes: NULL, or the rows left at each of `steps` steps,
 * and x is (rows, G H). The result is (T, B, H) or (rows, H), step after step as they were made; an
 * LSTM's (.., 2, H), c before h. */
rnn_ref rnn_recurrent(rnn_engine *e, int op, rnn_ref x, rnn_ref weight, rnn_ref bias, rnn_ref h0,
                      rnn_ref c0, int reverse, int64_t steps, const int64_t *sizes);
/* stack: along a new dimension */
rnn_ref rnn_cat(rnn_engine *e, int count, const rnn_ref *parts, int64_t dim, int stack);
rnn_ref rnn_softmax(rnn_engine *e, rnn_ref a, int64_t dim, int log);
/* mask: a byte for each element of the broadcast shape */
rnn_ref rnn_where(rnn_engine *e, const uint8_t *mask, int ndim, const int64_t *shape, rnn_ref a,
                  rnn_ref b);
/* mask[i % period] decides about element i of row-major a. */
rnn_ref rnn_masked_fill(rnn_engine *e, rnn_ref a, const uint8_t *mask, int64_t period,
                        double value);
/* The indices of the `count` bytes of a mask that are not 0, in row-major order: one after the
 * other, or (by_dim) all of a dimension, then all of the next. */
int rnn_nonzero(rnn_engine *e, const uint8_t *mask, int ndim, const int64_t *shape, int64_t count,
                int by_dim, int64_t *out);
/* Row-major a is read as rows of `inner` elements: out row i = row index[i] of a. out_shape has
 * count * inner elements. */
rnn_ref rnn_gather(rnn_engine *e, rnn_ref a, const int64_t *index, int64_t count, int64_t inner,
                   int ndim, const int64_t *out_shape);
/* The slices that index names, `count` of them, along one dimension. */
rnn_ref rnn_index_select(rnn_engine *e, rnn_ref a, int64_t dim, const int64_t *index,
                         int64_t count);
/* a copy of a with row index[i] = (add: +=) row i of src; src has count * inner elements. */
rnn_ref rnn_scatter(rnn_engine *e, rnn_ref a, const int64_t *index, int64_t count, int64_t inner,
                    rnn_ref src, int add);
/* The same into a itself, recorded where gradients are wanted. */
int rnn_scatter_into(rnn_engine *e, rnn_ref a, const int64_t *index, int64_t count, int64_t inner,
                     rnn_ref src, int add);
/* Into a, along one dimension: a[.., index[.., k, ..], ..] = (add: +=) src[.., k, ..], `count` of
 * them along the dimension. each: index has src's shape; else it names whole slices. */
int rnn_scatter_along(rnn_engine *e, rnn_ref a, int64_t dim, const int64_t *index, int64_t count,
                      int each, rnn_ref src, int add);
/* A span whose values Python computed and whose gradient Python will compute: autograd.Function.
 * The memory of `values` is shared where it is contiguous and none of the operands'. function: a
 * reference to its Python object, taken over unless the call fails, and kept until a pass has freed
 * the graph; name: a number of Python's, kept longer. inner: it is no result, but only an operand
 * of results, which list its operands as theirs; rnn_graph_new and rnn_graph_users leave it out. */
rnn_ref rnn_custom(rnn_engine *e, rnn_ref values, int count, const rnn_ref *operands,
                   int64_t function, int64_t name, int inner);

/* ---- gradients ------------------------------------------------------------------------------- */

rnn_ref rnn_grad(rnn_engine *e, rnn_ref t); /* 0: none; a view of the gradient's memory */
int rnn_set_grad(rnn_engine *e, rnn_ref t, rnn_ref grad); /* 0 clears it */
/* what Python's part of a pass found */
int rnn_add_grad(rnn_engine *e, rnn_ref t, rnn_ref grad, int replace);
/* t.data = value: a leaf takes over its memory */
int rnn_set_data(rnn_engine *e, rnn_ref t, rnn_ref value);
/* A reference to a Python object that the span keeps; backward stops there and gives it out. 0
 * takes it away. */
int rnn_set_hook(rnn_engine *e, rnn_ref t, int64_t object);
int64_t rnn_hook(rnn_engine *e, rnn_ref t);
int rnn_retain_grad(rnn_engine *e, rnn_ref t);
int rnn_retains_grad(rnn_engine *e, rnn_ref t);

/* A backward pass from `count` roots; grads: 0, or one for each root (0: ones). With inputs,
 * gradients go to these only, and nowhere that does not lead to one. flags: 1 retain the graph,
 * 2 leave the inputs' own gradients as they were when the pass ends (autograd.grad reads them
 * with rnn_grad before that); 4, with 1 and 2: leave every gradient so, and call no hook
 * (inspection). */
rnn_pass *rnn_backward_begin(rnn_engine *e, int count, const rnn_ref *roots, const rnn_ref *grads,
                             int input_count, const rnn_ref *inputs, int flags);
/* Works for about `nanoseconds`, or waits so long for another thread's pass to end. 1: call again;
 * 0: done; negative: failed; else Python's turn, of which rnn_pass_key and rnn_pass_span say whose:
 * 2: the hooks of a span whose gradient is complete; 3: an autograd.Function; 4: the hooks of a
 * leaf after its gradient has been added up. */
int rnn_backward_step(rnn_engine *e, rnn_pass *p, int64_t nanoseconds);
/* Before the first step, of a pass that changes nothing (flags 7): it ends when it has run the
 * backward of this span; all gradients that it has made are there until rnn_backward_end. */
void rnn_pass_until(rnn_pass *p, uint32_t span);
int64_t rnn_pass_key(rnn_pass *p);
uint32_t rnn_pass_span(rnn_pass *p);
void rnn_backward_end(rnn_engine *e, rnn_pass *p); /* always, also after a failure */

/* ---- whole lists of parameters (optim.c); 0 in a list is skipped ----------------------------- */

enum {
    RNN_SGD,
    RNN_ADAM,
    RNN_RMSPROP,
    RNN_ADAGRAD,
    RNN_ADADELTA,
    RNN_ADAMAX,
    RNN_NADAM,
    RNN_RADAM
};
/* One step of an optimizer over all parameters that have a gradient; returns how many. options: lr,
 * weight_decay, maximize, then the rule's own:
 *   SGD momentum, dampening, nesterov              s0 momentum_buffer, or 0; negated where it
 *                                                  holds nothing yet
 *   ADAM beta1, beta2, eps, decoupled, amsgrad     s0 exp_avg, s1 exp_avg_sq, s2 max_exp_avg_sq
 *   RMSPROP alpha, eps, centered, momentum         s0 square_avg, s1 grad_avg, s2 momentum_buffer
 *   ADAGRAD lr_decay, eps                          s0 sum
 *   ADADELTA rho, eps                              s0 square_avg, s1 acc_delta
 *   ADAMAX beta1, beta2, eps                       s0 exp_avg, s1 exp_inf
 *   NADAM beta1, beta2, eps, decoupled, momentum_decay
 *                                                  s0 exp_avg, s1 exp_avg_sq, s2 mu_product (of one)
 *   RADAM beta1, beta2, eps, decoupled             s0 exp_avg, s1 exp_avg_sq
 * steps: one-element tensors, which it counts up; or NULL. A list of states may be NULL. */
int rnn_step(rnn_engine *e, int rule, int count, const rnn_ref *params, const rnn_ref *steps,
             const rnn_ref *s0, const rnn_ref *s1, const rnn_ref *s2, const double *options);
/* to_none: gradients go; else they become zeros */
int rnn_zero_grads(rnn_engine *e, int count, const rnn_ref *params, int to_none);
/* The norms of tensors, or of the gradients of those that have one; returns how many. */
int rnn_norms(rnn_engine *e, int count, const rnn_ref *tensors, int of_grads, double order,
              double *out);
/* Gradients times a, or clamped to a ... b. */
int rnn_change_grads(rnn_engine *e, int count, const rnn_ref *params, int clamp, double a,
                     double b);
/* All parameters as one contiguous vector of as many elements (lbfgs.c). GRADS, VALUES: it becomes
 * the gradients, zero where there is none, or the values. ASSIGN, MOVE: the values become the
 * vector's, or grow by scale times it. */
enum { RNN_FLAT_GRADS, RNN_FLAT_VALUES, RNN_FLAT_ASSIGN, RNN_FLAT_MOVE };
int rnn_flat(rnn_engine *e, int what, int count, const rnn_ref *params, double scale,
             rnn_ref vector);
/* L-BFGS: out = -H grad. H: the inverse Hessian that is h I, but maps each of `count` changes of
 * the gradient to the move that it came with; ro: 1 / (change . move), one-element tensors. */
int rnn_lbfgs_direction(rnn_engine *e, int count, const rnn_ref *changes, const rnn_ref *moves,
                        const rnn_ref *ro, double h, rnn_ref grad, rnn_ref out);

/* ---- inspection ------------------------------------------------------------------------------ */

typedef struct {
    int64_t first, nodes, version;
    int32_t op, dtype, ndim, operands;
    int32_t requires_grad, is_leaf, has_grad, passed;
    int64_t shape[16];
    double p[4];
    int64_t key, name; /* of an autograd.Function: its Python object or 0, and its name's number */
    /* Where it was made: numbers of Python's (handle.c), 0 where nothing is known. */
    uint32_t scope, site;
    /* Of what an operation made without recording it, or a detached tensor that got nodes of its
     * own: how the graph ended (RNN_L_..., 0: nothing there wanted gradients), in which operation,
     * where, and whether it was cut from more than rnn_span_cuts remembers. */
    int32_t lost, made;
    uint32_t cut_site;
    int32_t cut_more;
    int32_t shown; /* the number of the name that rnn_name_result gave, or 0 */
} rnn_span_info;
int rnn_describe(rnn_engine *e, uint32_t span, rnn_span_info *out);
/* The ids of the first nodes of the spans that it was cut from, in order. Returns how many there
 * are; fills at most `capacity`. */
int64_t rnn_span_cuts(rnn_engine *e, uint32_t span, int64_t capacity, int64_t *out);
/* The whole numbers that an operation was given, which p has not (dimensions, sizes, flags; each
 * operation's file says which). Returns how many there are; fills at most `capacity`. */
int64_t rnn_span_numbers(rnn_engine *e, uint32_t span, int64_t capacity, int64_t *out);
/* Operand k of a span as a tensor handle: a view of the nodes that it read. */
rnn_ref rnn_operand_tensor(rnn_engine *e, uint32_t span, int k);
/* How operand k was detached when it was used (RNN_L_..., 0: it was not), and the line of that. */
int rnn_operand_lost(rnn_engine *e, uint32_t span, int k, uint32_t *site);
uint32_t rnn_writer(rnn_engine *e, uint32_t span); /* the line that last wrote it in place, or 0 */
/* All its nodes (grad: their gradients), flat. */
rnn_ref rnn_span_tensor(rnn_engine *e, uint32_t span, int grad);
/* The edges of one node: operand nodes (span, place in it) and local derivatives; adjacent edges to
 * one node add up. Returns how many there are; fills at most `capacity`. */
int64_t rnn_edges(rnn_engine *e, uint32_t span, int64_t node, int64_t capacity, uint32_t *spans,
                  int64_t *nodes, double *locals, uint8_t *flows);
/* The value of a node, and its gradient; 1 where it has one. */
int rnn_look(rnn_engine *e, uint32_t span, int64_t node, double *value, double *grad);
/* Where a node is used in a span: the span's nodes, their local derivatives by it, and whether a
 * gradient flows back (flows may be NULL). Returns how many there are; fills at most `capacity`. */
int64_t rnn_uses(rnn_engine *e, uint32_t user, uint32_t span, int64_t node, int64_t capacity,
                 int64_t *nodes, double *locals, uint8_t *flows);
/* Scalar nodes behind a tensor (recorded ones: every node of every span that it reaches). */
int64_t rnn_graph_size(rnn_engine *e, int count, const rnn_ref *roots);
/* Whether gradients of `roots` flow to a leaf whose nodes are none of the `own` tensors'. */
int rnn_flows_elsewhere(rnn_engine *e, int count, const rnn_ref *roots, int own_count,
                        const rnn_ref *own);

/* All spans behind some tensors, constants included, in tape order (an operand before its users),
 * held until the list is freed. Time linear in spans and operands. NULL: no memory. */
rnn_graph *rnn_graph_new(rnn_engine *e, int count, const rnn_ref *roots);
void rnn_graph_free(rnn_engine *e, rnn_graph *g);
int64_t rnn_graph_count(const rnn_graph *g);
int64_t rnn_graph_nodes(const rnn_graph *g);         /* of all its spans */
const uint32_t *rnn_graph_spans(const rnn_graph *g); /* as long as the list lives */
/* Where in the list the span of a node is, by the node's id (a span of none has an id too); -1: in
 * none. */
int64_t rnn_graph_find(rnn_engine *e, const rnn_graph *g, int64_t node);
enum {
    RNN_C_LEAF = 1,
    RNN_C_NEEDS_GRAD = 2,
    RNN_C_HAS_GRAD = 4,
    RNN_C_FREED = 8, /* backward has freed what it was made from */
    RNN_C_DOUBLE = 16
};
/* A column for each thing to know about a span: room for all, or NULL where it is not wanted. */
void rnn_graph_columns(rnn_engine *e, const rnn_graph *g, int64_t *first, int64_t *nodes,
                       uint8_t *op, uint8_t *flags);
/* Where each of its spans was made: the numbers of Python's that rnn_span_info has. */
void rnn_graph_origins(rnn_engine *e, const rnn_graph *g, uint32_t *scope, uint32_t *site);
/* The spans that were made from span i of the list, in tape order: users[begin[i]] up to but
 * without users[begin[i + 1]]. `begin` has a place more than there are spans. Where `capacity` is
 * less than begin[count], only what fits is written. */
int rnn_graph_users_of_all(rnn_engine *e, const rnn_graph *g, int64_t capacity, int64_t *begin,
                           uint32_t *users);

/* A graph folded into rows, each a stretch of the tape (summary.c): what lies in one. Magnitudes
 * are the largest ones, NaN where there is a NaN. */
enum { RNN_STRIP = 24 };
typedef struct {
    int64_t first, last; /* ids of its first and its last node */
    int64_t nodes, leaves;
    double value, grad;
    int32_t has_grad, freed;
    double strip[RNN_STRIP]; /* the signed extreme of the gradients of each part of it */
} rnn_row;
/* Row r is the spans begin[r] to begin[r + 1] - 1 of the list. ops: how many spans of each
 * operation are in it, rnn_op_count() numbers a row. Links go from the row of an operand (a) to
 * that of its user (b), users in tape order; those of a row of one span are all there, in the order
 * of its operands, those of others once each. Returns how many links there are; fills at most
 * `capacity`. */
int64_t rnn_graph_fold(rnn_engine *e, const rnn_graph *g, int64_t rows, const int64_t *begin,
                       rnn_row *out, int64_t *ops, int64_t capacity, int32_t *a, int32_t *b);
/* Where the tape goes on in another call of a module: the place in the list, and the scope of what
 * follows. Leaves belong to what is around them. Returns how often; fills at most `capacity`. */
int64_t rnn_graph_scopes(rnn_engine *e, const rnn_graph *g, int64_t capacity, int64_t *place,
                         uint32_t *scope);
/* The uses of some nodes that gradients flow back from, in one pass over the tape: of each node the
 * `keep` that add most to its gradient, the largest first, and how many there are (-1: an
 * autograd.Function is among them, or the graph was freed). Running spans are used as rnn_effects
 * says. grad: of the user, NaN: it has none. */
typedef struct {
    int64_t user;
    double local, grad;
} rnn_use;
int rnn_graph_ledgers(rnn_engine *e, const rnn_graph *g, int64_t count, const uint32_t *spans,
                      const int64_t *nodes, int keep, rnn_use *best, int64_t *total);
/* Is a span made from itself, step by step (a running sum, an RNN's states), and its gradient that
 * of the whole: what comes from outside, without what later nodes of it pass back? */
int rnn_is_running(rnn_engine *e, uint32_t span);
/* As rnn_uses, but of a running span all nodes that depend on the node, each by its whole
 * derivative: what its gradients are to be multiplied with. */
int64_t rnn_effects(rnn_engine *e, uint32_t user, uint32_t span, int64_t node, int64_t capacity,
                    int64_t *nodes, double *locals, uint8_t *flows);
/* The k (1 to 255) paths from source to target with the largest |product of local derivatives|.
 * spans: all behind the target in tape order, which the caller holds until the end. NULL:
 * failed. */
rnn_paths *rnn_paths_begin(rnn_engine *e, int64_t count, const uint32_t *spans, uint32_t source,
                           int64_t source_node, uint32_t target, int64_t target_node, int k);
/* Works for about `nanoseconds`. 1: call again; RNN_PATHS_ASK: answer, then call again; 0: done;
 * negative: failed. */
enum { RNN_PATHS_ASK = 2 };
int rnn_paths_step(rnn_engine *e, rnn_paths *p, int64_t nanoseconds);
/* The edges of an autograd.Function are known to Python alone. What is asked for: those of `nodes`,
 * ascending, of `span`. Returns how many there are, fills at most `capacity`. */
int64_t rnn_paths_asked(rnn_engine *e, rnn_paths *p, uint32_t *span, int64_t capacity,
                        int64_t *nodes);
/* Whether the source leads to a span, whose nodes alone are wanted in the answer. */
int rnn_paths_lead(const rnn_paths *p, uint32_t span);
/* Those of the i-th node asked for are begin[i] to begin[i + 1] - 1 of the rest, each to a node of
 * its own. The arrays are the caller's, who keeps them until the next answer or the end. */
void rnn_paths_answer(rnn_paths *p, const int64_t *begin, const uint32_t *spans,
                      const int64_t *nodes, const double *locals);
/* How many were found; the sum of the products of all paths, found or not, and how many there
 * are. */
int rnn_paths_found(rnn_paths *p, double *total, double *count);
/* Path number `which`, from source to target; returns its nodes, fills at most `capacity`. */
int64_t rnn_paths_get(rnn_paths *p, int which, double *product, int64_t capacity, uint32_t *spans,
                      int64_t *nodes);
void rnn_paths_end(rnn_engine *e, rnn_paths *p); /* always, also after a failure */
/* 0, or RNN_ERUNTIME where a value that the span's derivatives need was overwritten: all of them,
 * or those by which a gradient flows. */
int rnn_check_values(rnn_engine *e, uint32_t span, int all);
/* 0, or RNN_ERUNTIME where a backward pass has freed the graph behind a span: PyTorch's words. */
int rnn_check_freed(rnn_engine *e, uint32_t span);
/* All nodes of some spans, one after another: values and gradients (NaN where there is none), and
 * for each span whether it has one. The caller holds the spans. */
void rnn_read(rnn_engine *e, int64_t count, const uint32_t *spans, double *values, double *grads,
              uint8_t *has_grad);
/* All edges of all nodes of some spans, by ids. Returns how many; fills at most `capacity`. */
int64_t rnn_edge_list_of(rnn_engine *e, int64_t count, const uint32_t *spans, int64_t capacity,
                         int64_t *users, int64_t *operands, double *locals, uint8_t *flows);
/* The living spans that were made from a span, held as those of rnn_graph_new. NULL: no memory. */
rnn_graph *rnn_graph_users(rnn_engine *e, uint32_t span);

/* Checked, in this thread: operations, and backward passes, stop with RNN_EANOMALY at the first
 * NaN. RNN_CHECK_ALL: at an operation that makes one. RNN_CHECK_USED: not while where() may yet
 * throw it away: operations that take elements one by one go on with it; those that mix elements (a
 * sum, a matrix product), a pass that begins at it, and rnn_check_rest do stop. */
enum { RNN_CHECK_NOTHING, RNN_CHECK_USED, RNN_CHECK_ALL };
int rnn_checking(void);
int rnn_set_checking(int what);
/* RNN_EANOMALY where a NaN has been made that nothing has read since; 0. */
int rnn_check_rest(rnn_engine *e);
void rnn_forget_rest(rnn_engine *e);
enum { RNN_SHOWN = 4 };
enum { RNN_AT_OPERATION, RNN_AT_ROOT, RNN_AT_END };
typedef struct {
    /* of an operation: its result, and below its first operands; owned by the taker */
    rnn_ref made;
    int64_t node; /* where in the result's span, or in the gradient of `span`, the NaN is */
    int32_t op, operands;
    rnn_ref read[4];
    uint32_t site;       /* of an operation */
    uint32_t user, span; /* of a backward pass: whose backward made it, and whose gradient has it */
    int32_t where;       /* RNN_AT_...: what stopped, if it is not what made it */
} rnn_anomaly;
/* What stopped a pass; 1: gradients within the graph are gone where the pass has been. */
int rnn_pass_anomaly(const rnn_pass *p, rnn_anomaly *out);
/* What stopped an operation; and the operation that made the NaN first, where that is known to be
 * another. */
void rnn_take_anomaly(rnn_anomaly *out);
void rnn_take_origin(rnn_anomaly *out);

/* ---- the Python objects that own handles (handle.c) ------------------------------------------ */

/* a borrowed PyObject *: (Handle, Memory, ValueBase), made once */
void *rnn_python_types(rnn_engine *e);
#endif
