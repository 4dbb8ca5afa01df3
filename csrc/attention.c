/* attention.c: scaled dot-product attention, fused: softmax(q k^T scale) v, a block of queries at a
 * time, so that the matrix of probabilities is never whole in memory; backward computes it again
 * from each row's log(sum(exp)). (Dao et al. 2022, FlashAttention;
 * torch.nn.functional.scaled_dot_product_attention.)
 *
 * ip[0]: causal; p[0]: scale; `saved`: a double for each (batch, head, query). The span is (B, T,
 * H, D). */
#include "internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { Q, K, V, BLOCK = 64 };

typedef struct {
    rnn_engine *e;
    int dtype, causal, failed;
    double scale;
    int64_t batch, heads, queries, keys, depth, value_depth;
    int64_t stride[3][4]; /* of q, k, v: batch, head, row, column (1) */
    const char *data[3];
    char *out;      /* (B, T, H, Dv) */
    const char *dz; /* the same layout */
    double *lse;    /* (B, H, T) */
    int64_t gstride[3][4];
    char *grad[3];    /* NULL: not wanted */
    rnn_gemm_env env; /* one thread: heads are what threads share */
} attention;

static void gemm(const attention *a, int ta, int tb, int64_t m, int64_t n, int64_t k, double alpha,
                 const void *x, int64_t ldx, const void *y, int64_t ldy, double beta, void *z,
                 int64_t ldz) {
    if (a->dtype == RNN_F64)
        rnn_dgemm(&a->env, ta, tb, m, n, k, alpha, x, ldx, y, ldy, beta, z, ldz);
    else rnn_sgemm(&a->env, ta, tb, m, n, k, (float)alpha, x, ldx, y, ldy, (float)beta, z, ldz);
}

static const char *row_of(const attention *a, int which, int64_t b, int64_t h, int64_t row) {
    const int64_t *s = a->stride[which];
    return a->data[which] + (b * s[0] + h * s[1] + row * s[2]) * (int64_t)rnn_itemsize(a->dtype);
}

static char *grad_of(const attention *a, int which, int64_t b, int64_t h, int64_t row) {
    const int64_t *s = a->gstride[which];
    return a->grad[which] + (b * s[0] + h * s[1] + row * s[2]) * (int64_t)rnn_itemsize(a->dtype);
}

static int64_t out_at(const attention *a, int64_t b, int64_t h, int64_t row) {
    return ((b * a->queries + row) * a->heads + h) * a->value_depth *
           (int64_t)rnn_itemsize(a->dtype);
}

/* How many keys query `row` sees. */
static int64_t seen(const attention *a, int64_t row) {
    if (!a->causal) return a->keys;
    const int64_t shift = a->keys > a->queries ? a->keys - a->queries : 0;
    return row + shift + 1 < a->keys ? row + shift + 1 : a->keys;
}

/* scores (rows, width) = scale q k^T for queries [from, to): width is what the last of them sees */
static void scores_of(const attention *a, int64_t b, int64_t h, int64_t from, int64_t to,
                      int64_t width, char *scores) {
    gemm(a, 0, 1, to - from, width, a->depth, a->scale, row_of(a, Q, b, h, from), a->stride[Q][2],
         row_of(a, K, b, h, 0), a->stride[K][2], 0, scores, width);
}

static void forward_block(attention *a, int64_t b, int64_t h, int64_t from, int64_t to,
                          char *scores) {
    const rnn_kernels *k = a->e->k;
    const int64_t size = (int64_t)rnn_itemsize(a->dtype), width = seen(a, to - 1);
    scores_of(a, b, h, from, to, width, scores);
    for (int64_t i = from; i < to; i++) {
        char *row = scores + (i - from) * width * size;
        const int64_t n = seen(a, i);
        const double lse = k->logsumexp[a->dtype](n, row);
        a->lse[(b * a->heads + h) * a->queries + i] = lse;
        k->scaled_softmax[a->dtype](n, row, lse, 1, row, 0);
        memset(row + n * size, 0, (size_t)((width - n) * size));
    }
    gemm(a, 0, 0, to - from, a->value_depth, width, 1, scores, width, row_of(a, V, b, h, 0),
         a->stride[V][2], 0, a->out + out_at(a, b, h, from), a->heads * a->value_depth);
}

static void forward_task(void *ctx, int64_t begin, int64_t end) {
    attention *a = ctx;
    const int64_t blocks = (a->queries + BLOCK - 1) / BLOCK;
    char *scores = malloc((size_t)BLOCK * (size_t)a->keys * rnn_itemsize(a->dtype) + 1);
    if (!scores) __atomic_store_n(&a->failed, 1, __ATOMIC_RELAXED);
    for (int64_t i = begin; scores && i < end; i++) {
        const int64_t head = i / blocks, from = i % blocks * BLOCK;
        const int64_t to = from + BLOCK < a->queries ? from + BLOCK : a->queries;
        forward_block(a, head / a->heads, head % a->heads, from, to, scores);
    }
    free(scores);
}

/* ---- backward, one head: p = exp(s - lse); ds = p (dz v^T - rowsum(dz z)) -------------------- */

static void backward_block(attention *a, int64_t b, int64_t h, int64_t from, int64_t to, char *p,
                           char *ds) {
    const rnn_kernels *k = a->e->k;
    const int64_t size = (int64_t)rnn_itemsize(a->dtype), width = seen(a, to - 1), rows = to - from;
    const int64_t ldz = a->heads * a->value_depth, at = out_at(a, b, h, from);
    const char *dz = a->dz + at;
    scores_of(a, b, h, from, to, width, p);
    for (int64_t i = from; i < to; i++) {
        char *row = p + (i - from) * width * size;
        const int64_t n = seen(a, i);
        k->scaled_softmax[a->dtype](n, row, a->lse[(b * a->heads + h) * a->queries + i], 1, row, 0);
        memset(row + n * size, 0, (size_t)((width - n) * size));
    }
    if (a->grad[V])
        gemm(a, 1, 0, width, a->value_depth, rows, 1, p, width, dz, ldz, 1, grad_of(a, V, b, h, 0),
             a->gstride[V][2]);
    if (!a->grad[Q] && !a->grad[K]) return;
    gemm(a, 0, 1, rows, width, a->value_depth, 1, dz, ldz, row_of(a, V, b, h, 0), a->stride[V][2],
         0, ds, width);
    for (int64_t i = 0; i < rows; i++) {
        const double total =
            k->dot[a->dtype](a->value_depth, dz + i * ldz * size, a->out + at + i * ldz * size);
        k->softmax_chain[a->dtype](width, p + i * width * size, total, ds + i * width * size);
    }
    if (a->grad[Q])
        gemm(a, 0, 0, rows, a->depth, width, a->scale, ds, width, row_of(a, K, b, h, 0),
             a->stride[K][2], 1, grad_of(a, Q, b, h, from), a->gstride[Q][2]);
    if (a->grad[K])
        gemm(a, 1, 0, width, a->depth, rows, a->scale, ds, width, row_of(a, Q, b, h, from),
             a->stride[Q][2], 1, grad_of(a, K, b, h, 0), a->gstride[K][2]);
}

static void backward_task(void *ctx, int64_t begin, int64_t end) {
    attention *a = ctx;
    const size_t bytes = (size_t)BLOCK * (size_t)a->keys * rnn_itemsize(a->dtype);
    char *room = malloc(2 * bytes + 1);
    if (!room) __atomic_store_n(&a->failed, 1, __ATOMIC_RELAXED);
    for (int64_t head = begin; room && head < end; head++) {
        for (int64_t from = 0; from < a->queries; from += BLOCK) {
            const int64_t to = from + BLOCK < a->queries ? from + BLOCK : a->queries;
            backward_block(a, head / a->heads, head % a->heads, from, to, room, room + bytes);
        }
    }
    free(room);
}

/* ---- tensors --------------------------------------------------------------------------------- */

static int no_memory(rnn_engine *e) {
    return rnn_fail(e, RNN_EMEMORY, "attention: no memory for a block of scores");
}

static void shapes_of(attention *a, const rnn_view *in) {
    a->dtype = in[Q].dtype;
    a->batch = in[Q].shape[0];
    a->heads = in[Q].shape[1];
    a->queries = in[Q].shape[2];
    a->keys = in[K].shape[2];
    a->depth = in[Q].shape[3];
    a->value_depth = in[V].shape[3];
    a->env = a->e->gemm;
    a->env.pool = NULL;
}

static bool rows_usable(const rnn_view *v) { return v->stride[3] == 1 || v->shape[3] == 1; }

/* The operands as they lie where their rows are contiguous, else packed. */
static int operands_of(attention *a, rnn_view *in, rnn_block **temp) {
    for (int w = Q; w <= V; w++) {
        a->data[w] = rnn_view_data(a->e, &in[w]);
        memcpy(a->stride[w], in[w].stride, 4 * sizeof(int64_t));
        if (rows_usable(&in[w])) continue;
        temp[w] = rnn_block_new(a->e, "attention", rnn_numel(4, in[w].shape), a->dtype);
        if (!temp[w]) return RNN_EMEMORY;
        rnn_pack_view(a->e, &in[w], temp[w]->data);
        a->data[w] = temp[w]->data;
        rnn_contiguous_strides(4, in[w].shape, a->stride[w]);
    }
    return 0;
}

static int check_shapes(rnn_engine *e, const rnn_view *in) {
    char s[3][128];
    bool fit = in[Q].ndim == 4 && in[K].ndim == 4 && in[V].ndim == 4;
    for (int d = 0; fit && d < 2; d++)
        fit = in[Q].shape[d] == in[K].shape[d] && in[K].shape[d] == in[V].shape[d];
    fit = fit && in[Q].shape[3] == in[K].shape[3] && in[K].shape[2] == in[V].shape[2];
    if (!fit)
        return rnn_fail(e, RNN_ERUNTIME,
                        "attention: the shapes of query %s, key %s and value %s do not fit",
                        rnn_shape_text(in[Q].ndim, in[Q].shape, s[0], sizeof s[0]),
                        rnn_shape_text(in[K].ndim, in[K].shape, s[1], sizeof s[1]),
                        rnn_shape_text(in[V].ndim, in[V].shape, s[2], sizeof s[2]));
    return in[Q].dtype != in[K].dtype || in[K].dtype != in[V].dtype ? RNN_EDTYPE : 0;
}

/* (B, T, H, D) memory seen as (B, H, T, D) */
static rnn_ref heads_first(rnn_engine *e, rnn_ref made) {
    if (made < 0) return made;
    rnn_tensor *t = rnn_tensor_of(made);
    const int64_t rows = t->dims[1], step = t->dims[5];
    t->dims[1] = t->dims[2], t->dims[5] = t->dims[6];
    t->dims[2] = rows, t->dims[6] = step;
    (void)e;
    return made;
}

rnn_ref rnn_attention(rnn_engine *e, rnn_ref q, rnn_ref k, rnn_ref v, int causal, double scale) {
    rnn_view in[3];
    if (rnn_view_of(e, q, &in[Q]) || rnn_view_of(e, k, &in[K]) || rnn_view_of(e, v, &in[V]))
        return RNN_ETYPE;
    int failed = check_shapes(e, in);
    if (failed) return failed;
    if (rnn_resolution()) return RNN_COMPOSE;
    attention a = {.e = e, .causal = causal, .scale = scale};
    shapes_of(&a, in);
    rnn_build b = {.op = RNN_OP_ATTENTION,
                   .dtype = a.dtype,
                   .ndim = 4,
                   .count = 3,
                   .in = in,
                   .p = {scale},
                   .shape = {a.batch, a.queries, a.heads, a.value_depth},
                   .ip = {causal}};
    if ((failed = rnn_save(e, &b, a.batch * a.heads * a.queries, sizeof(double)))) return failed;
    a.lse = b.saved;
    if ((failed = rnn_build_begin(e, &b))) return failed;
    rnn_block *temp[3] = {NULL, NULL, NULL};
    failed = operands_of(&a, in, temp);
    a.out = b.out;
    if (!failed) {
        const int64_t blocks = (a.queries + BLOCK - 1) / BLOCK, work = a.queries * a.keys * a.depth;
        const int64_t each =
            work > 0 && work / (blocks ? blocks : 1) < 32768 ? 32768 * blocks / work + 1 : 1;
        rnn_parallel_for(e->pool, a.batch * a.heads * blocks, each, forward_task, &a);
        if (a.failed) failed = no_memory(e);
    }
    for (int w = Q; w <= V; w++) rnn_drop_block(e, temp[w]);
    if (!failed) return heads_first(e, rnn_build_finish(e, &b));
    rnn_build_abort(e, &b);
    return failed;
}

/* Gradients go straight into the operands' where their rows are contiguous, else through a packed
 * copy. */
static int targets_of(attention *a, uint32_t id, rnn_target *t, rnn_block **temp) {
    for (int w = Q; w <= V; w++) {
        int failed = rnn_target_zero(a->e, id, w, &t[w]);
        if (failed) return failed;
        if (!t[w].wanted) continue;
        a->grad[w] = t[w].grad;
        memcpy(a->gstride[w], t[w].v.stride, 4 * sizeof(int64_t));
        if (rows_usable(&t[w].v) && rnn_view_is_injective(&t[w].v)) continue;
        const int64_t n = rnn_numel(4, t[w].v.shape);
        temp[w] = rnn_block_new(a->e, "attention backward", n, a->dtype);
        if (!temp[w]) return RNN_EMEMORY;
        memset(temp[w]->data, 0, (size_t)n * rnn_itemsize(a->dtype));
        a->grad[w] = temp[w]->data;
        rnn_contiguous_strides(4, t[w].v.shape, a->gstride[w]);
    }
    return 0;
}

int rnn_attention_backward(rnn_engine *e, uint32_t id) {
    const rnn_ext *x = rnn_at(e, id)->ext;
    rnn_view in[3];
    rnn_target t[3];
    rnn_block *temp[3] = {NULL, NULL, NULL}, *made[3] = {NULL, NULL, NULL};
    attention a = {.e = e,
                   .causal = (int)x->ip[0],
                   .scale = x->p[0],
                   .lse = x->saved,
                   .out = rnn_span_data(e, id),
                   .dz = rnn_span_grad(e, id)};
    for (int w = Q; w <= V; w++) rnn_operand_view(e, id, w, &in[w]);
    shapes_of(&a, in);
    int failed = operands_of(&a, in, temp);
    if (!failed) failed = targets_of(&a, id, t, made);
    if (!failed) {
        rnn_parallel_for(e->pool, a.batch * a.heads, 1, backward_task, &a);
        if (a.failed) failed = no_memory(e);
    }
    for (int w = Q; w <= V; w++) {
        if (!failed && made[w]) failed = rnn_target_add(e, &t[w], a.dtype, made[w]->data);
        rnn_drop_block(e, temp[w]);
        rnn_drop_block(e, made[w]);
    }
    return failed;
}

/* ---- edges: with p the row of probabilities, z_c = sum_s p_s v_sc ---------------------------- */

static double value_at(rnn_engine *e, const rnn_view *v, int64_t b, int64_t h, int64_t row,
                       int64_t col, int64_t *node) {
    *node =
        v->offset + b * v->stride[0] + h * v->stride[1] + row * v->stride[2] + col * v->stride[3];
    return rnn_node_value(e, v->span, *node);
}

static double probability(rnn_engine *e, const attention *a, const rnn_view *in, int64_t b,
                          int64_t h, int64_t i, int64_t s) {
    double dot = 0;
    int64_t node;
    for (int64_t d = 0; d < a->depth; d++)
        dot += value_at(e, &in[Q], b, h, i, d, &node) * value_at(e, &in[K], b, h, s, d, &node);
    return exp(dot * a->scale - a->lse[(b * a->heads + h) * a->queries + i]);
}

/* dz/dv_s = p_s; dz/dscore_s = p_s (v_s - z), whence dz/dk_s = that scale q, dz/dq = the sum of
 * that scale k_s */
int rnn_attention_edges(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out) {
    const rnn_ext *x = rnn_at(e, id)->ext;
    rnn_view in[3];
    attention a = {.e = e, .causal = (int)x->ip[0], .scale = x->p[0], .lse = x->saved};
    for (int w = Q; w <= V; w++) rnn_operand_view(e, id, w, &in[w]);
    shapes_of(&a, in);
    int64_t index[4], at;
    rnn_result_index(x, node, index);
    const int64_t b = index[0], i = index[1], h = index[2], c = index[3], n = seen(&a, i);
    const double z = rnn_node_value(e, id, node);
    for (int64_t s = 0; s < n; s++) {
        const double p = probability(e, &a, in, b, h, i, s),
                     v = value_at(e, &in[V], b, h, s, c, &at);
        rnn_push_edge(e, out, &in[V], at, p);
        for (int64_t d = 0; d < a.depth; d++) {
            int64_t qn, kn;
            const double q = value_at(e, &in[Q], b, h, i, d, &qn),
                         k = value_at(e, &in[K], b, h, s, d, &kn);
            rnn_push_edge(e, out, &in[K], kn, p * (v - z) * a.scale * q);
            rnn_push_edge(e, out, &in[Q], qn, p * (v - z) * a.scale * k);
        }
    }
    return 0;
}

/* ---- uses ------------------------------------------------------------------------------------ */

typedef struct {
    rnn_engine *e;
    uint32_t id;
    const attention *a;
    const rnn_view *in;
    int64_t b, h;
    rnn_use_list *out;
} use_job;

/* The nodes of query i, all columns: by v_s's column c, by column d of k_s, or by that of q. */
static void push_by_value(const use_job *j, int64_t i, int64_t s, int64_t c) {
    const attention *a = j->a;
    rnn_push_use(j->out, ((j->b * a->queries + i) * a->heads + j->h) * a->value_depth + c,
                 probability(j->e, a, j->in, j->b, j->h, i, s));
}

static void push_by_score(const use_job *j, int64_t i, int64_t s, double dscore, bool first) {
    const attention *a = j->a;
    const double p = probability(j->e, a, j->in, j->b, j->h, i, s) * dscore * a->scale;
    const int64_t row = ((j->b * a->queries + i) * a->heads + j->h) * a->value_depth;
    int64_t at;
    for (int64_t c = 0; c < a->value_depth; c++) {
        const double z = rnn_node_value(j->e, j->id, row + c);
        const double local = p * (value_at(j->e, &j->in[V], j->b, j->h, s, c, &at) - z);
        if (first) rnn_push_use(j->out, row + c, local);
        else rnn_add_use(j->out, a->value_depth - c, local);
    }
}

static void push_uses(const use_job *j, int k, int64_t row, int64_t column) {
    const attention *a = j->a;
    int64_t at;
    if (k == Q) {
        for (int64_t s = 0; s < seen(a, row); s++)
            push_by_score(j, row, s, value_at(j->e, &j->in[K], j->b, j->h, s, column, &at), s == 0);
        return;
    }
    for (int64_t i = 0; i < a->queries; i++) {
        if (seen(a, i) <= row) continue;
        if (k == V) push_by_value(j, i, row, column);
        else push_by_score(j, i, row, value_at(j->e, &j->in[Q], j->b, j->h, i, column, &at), true);
    }
}

int rnn_attention_uses(rnn_engine *e, uint32_t id, int k, int64_t node, rnn_use_list *out) {
    const rnn_ext *x = rnn_at(e, id)->ext;
    rnn_view in[3];
    rnn_places p;
    attention a = {.e = e, .causal = (int)x->ip[0], .scale = x->p[0], .lse = x->saved};
    for (int w = Q; w <= V; w++) rnn_operand_view(e, id, w, &in[w]);
    shapes_of(&a, in);
    for (rnn_places_begin(&p, &in[k], node); rnn_places_next(&p);) {
        const use_job j = {e, id, &a, in, p.index[0], p.index[1], out};
        push_uses(&j, k, p.index[2], p.index[3]);
    }
    return 0;
}
