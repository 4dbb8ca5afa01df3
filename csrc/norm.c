/* norm.c: layer_norm and rms_norm, fused: statistics of rows. (Ba, Kiros and Hinton 2016; Zhang and
 * Sennrich 2019; torch.nn.functional.layer_norm, rms_norm.) Statistics of channels: batch_norm.c.
 * Operands: x, then weight and bias where they are given (ip[2], ip[3] say which). `saved` keeps
 * mean and rstd per row. */
#include "internal.h"

#include <math.h>
#include <string.h>

enum { CHUNKS = 16 };

typedef struct {
    rnn_engine *e;
    int dtype, centred;
    int64_t rows, length;
    const char *x, *w, *b, *dz;
    char *out, *stats; /* stats: mean, rstd for each row */
    double eps;
    int add;
    char *dw, *db; /* private sums of each chunk of rows */
} norm;

static double stat(const norm *j, int64_t row, int which) {
    const int64_t at = 2 * row + which;
    return j->dtype == RNN_F64 ? ((const double *)(void *)j->stats)[at]
                               : ((const float *)(void *)j->stats)[at];
}

static void forward_task(void *ctx, int64_t begin, int64_t end) {
    const norm *j = ctx;
    const rnn_kernels *k = j->e->k;
    const size_t size = rnn_itemsize(j->dtype), row = (size_t)j->length * size;
    for (int64_t i = begin; i < end; i++) {
        char *mean = j->stats + 2 * (size_t)i * size;
        k->row_statistics[j->dtype](j->length, j->x + (size_t)i * row, j->eps, j->centred, mean,
                                    mean + size);
        k->row_normalize[j->dtype](j->length, j->x + (size_t)i * row, stat(j, i, 0), stat(j, i, 1),
                                   j->w, j->b, j->out + (size_t)i * row);
    }
}

static int64_t grain(int64_t length) { return 8192 / (length > 0 ? length : 1) + 1; }

static int check_affine(rnn_engine *e, const rnn_view *x, int dims, const rnn_view *w,
                        const char *what) {
    char want[256], have[256];
    if (w->dtype != x->dtype)
        return rnn_fail(e, RNN_ERUNTIME, "mixed dtype (CPU): %s",
                        w->dtype ? "expect parameter to have scalar type of Float"
                                 : "all inputs must share same datatype.");
    if (w->ndim == dims &&
        !memcmp(w->shape, x->shape + x->ndim - dims, (size_t)dims * sizeof(int64_t)))
        return 0;
    return rnn_fail(
        e, RNN_ERUNTIME,
        "Expected %s to be of same shape as normalized_shape, but got %s of shape %s and "
        "normalized_shape = %s",
        what, what, rnn_shape_text(w->ndim, w->shape, have, sizeof have),
        rnn_shape_text(dims, x->shape + x->ndim - dims, want, sizeof want));
}

static int run_forward(rnn_engine *e, norm *j, const rnn_view *in, int w, int b) {
    rnn_block *temp[3] = {NULL, NULL, NULL};
    int failed = rnn_packed(e, "layer_norm", &in[0], &j->x, &temp[0]);
    if (!failed && w) failed = rnn_packed(e, "layer_norm", &in[w], &j->w, &temp[1]);
    if (!failed && b) failed = rnn_packed(e, "layer_norm", &in[b], &j->b, &temp[2]);
    if (!failed) rnn_parallel_for(e->pool, j->rows, grain(j->length), forward_task, j);
    for (int i = 0; i < 3; i++) rnn_drop_block(e, temp[i]);
    return failed;
}

static rnn_ref forward(rnn_engine *e, int op, rnn_ref rx, int dims, rnn_ref rw, rnn_ref rb,
                       double eps) {
    rnn_view in[3];
    int w = 0, b = 0, count = 1, failed = 0;
    if (rnn_view_of(e, rx, &in[0])) return RNN_ETYPE;
    if (dims < 1 || dims > in[0].ndim)
        return rnn_fail(e, RNN_ERUNTIME, "layer_norm over %d dimensions of a tensor of %d", dims,
                        in[0].ndim);
    if (rw && !(failed = rnn_view_of(e, rw, &in[count])))
        failed = check_affine(e, &in[0], dims, &in[w = count++], "weight");
    if (!failed && rb && !(failed = rnn_view_of(e, rb, &in[count])))
        failed = check_affine(e, &in[0], dims, &in[b = count++], "bias");
    if (failed) return failed;
    if (rnn_resolution()) return RNN_COMPOSE;
    norm j = {.e = e,
              .dtype = in[0].dtype,
              .length = rnn_numel(dims, in[0].shape + in[0].ndim - dims),
              .eps = eps,
              .centred = op == RNN_OP_LAYER_NORM};
    j.rows = rnn_numel(in[0].ndim - dims, in[0].shape);
    rnn_build build = {.op = op,
                       .dtype = in[0].dtype,
                       .ndim = in[0].ndim,
                       .count = count,
                       .in = in,
                       .p = {eps},
                       .ip = {j.rows, j.length, w, b}};
    memcpy(build.shape, in[0].shape, sizeof build.shape);
    if ((failed = rnn_save(e, &build, j.rows, 2 * rnn_itemsize(j.dtype)))) return failed;
    j.stats = build.saved;
    if ((failed = rnn_build_begin(e, &build))) return failed;
    j.out = build.out;
    failed = run_forward(e, &j, in, w, b);
    if (!failed) return rnn_build_finish(e, &build);
    rnn_build_abort(e, &build);
    return failed;
}

rnn_ref rnn_layer_norm(rnn_engine *e, rnn_ref x, int dims, rnn_ref weight, rnn_ref bias,
                       double eps) {
    return forward(e, RNN_OP_LAYER_NORM, x, dims, weight, bias, eps);
}

rnn_ref rnn_rms_norm(rnn_engine *e, rnn_ref x, int dims, rnn_ref weight, double eps) {
    return forward(e, RNN_OP_RMS_NORM, x, dims, weight, 0, eps);
}

/* ---- backward -------------------------------------------------------------------------------- */

static void backward_x_task(void *ctx, int64_t begin, int64_t end) {
    const norm *j = ctx;
    const size_t row = (size_t)j->length * rnn_itemsize(j->dtype);
    for (int64_t i = begin; i < end; i++)
        j->e->k->row_normalize_backward[j->dtype](
            j->length, j->x + (size_t)i * row, stat(j, i, 0), stat(j, i, 1), j->centred, j->w,
            j->dz + (size_t)i * row, j->out + (size_t)i * row, j->add);
}

/* A chunk of rows adds into sums of its own, so that the result does not depend on the threads. */
static void backward_affine_task(void *ctx, int64_t begin, int64_t end) {
    const norm *j = ctx;
    const size_t row = (size_t)j->length * rnn_itemsize(j->dtype);
    const int64_t each = (j->rows + CHUNKS - 1) / CHUNKS;
    for (int64_t c = begin; c < end; c++)
        for (int64_t i = c * each; i < (c + 1) * each && i < j->rows; i++)
            j->e->k->row_affine_backward[j->dtype](j->length, j->x + (size_t)i * row, stat(j, i, 0),
                                                   stat(j, i, 1), j->dz + (size_t)i * row,
                                                   j->dw ? j->dw + (size_t)c * row : NULL,
                                                   j->db ? j->db + (size_t)c * row : NULL);
}

static int backward_x(rnn_engine *e, uint32_t id, norm *j) {
    rnn_target t;
    int failed = rnn_target_inherit(e, id, 0, j->rows * j->length, &t); /* the last to read dz */
    if (failed || !t.wanted) return failed;
    rnn_block *temp = NULL;
    j->out = t.grad;
    j->add = !t.fresh;
    if (!rnn_view_is_contiguous(&t.v)) {
        temp = rnn_block_new(e, "layer_norm backward", j->rows * j->length, j->dtype);
        if (!temp) return RNN_EMEMORY;
        j->out = temp->data;
        j->add = 0;
    }
    rnn_parallel_for(e->pool, j->rows, grain(j->length), backward_x_task, j);
    if (temp) failed = rnn_target_add(e, &t, j->dtype, temp->data);
    rnn_drop_block(e, temp);
    return failed;
}

/* Joins the chunks' sums into the operand's gradient. */
static int join_chunks(rnn_engine *e, uint32_t id, int operand, const norm *j, const char *sums) {
    rnn_target t;
    int failed = rnn_target_zero(e, id, operand, &t);
    if (failed || !t.wanted) return failed;
    const size_t row = (size_t)j->length * rnn_itemsize(j->dtype);
    for (int c = 0; c < CHUNKS && !failed; c++)
        failed = rnn_target_add(e, &t, j->dtype, sums + (size_t)c * row);
    return failed;
}

static int backward_affine(rnn_engine *e, uint32_t id, norm *j, int w, int b) {
    if (!w && !b) return 0;
    const size_t bytes = (size_t)j->length * rnn_itemsize(j->dtype) * CHUNKS;
    rnn_block *temp = rnn_block_new(e, "layer_norm backward", 2 * j->length * CHUNKS, j->dtype);
    if (!temp) return RNN_EMEMORY;
    memset(temp->data, 0, 2 * bytes);
    j->dw = w ? temp->data : NULL;
    j->db = b ? (char *)temp->data + bytes : NULL;
    rnn_parallel_for(e->pool, CHUNKS, 1, backward_affine_task, j);
    int failed = w ? join_chunks(e, id, w, j, j->dw) : 0;
    if (!failed && b) failed = join_chunks(e, id, b, j, j->db);
    rnn_drop_block(e, temp);
    return failed;
}

int rnn_layer_norm_backward(rnn_engine *e, uint32_t id) {
    const rnn_ext *x = rnn_at(e, id)->ext;
    const int w = (int)x->ip[2], b = (int)x->ip[3];
    rnn_view in[2];
    rnn_block *temp[2] = {NULL, NULL};
    norm j = {.e = e,
              .dtype = rnn_at(e, id)->dtype,
              .rows = x->ip[0],
              .length = x->ip[1],
              .stats = x->saved,
              .dz = rnn_span_grad(e, id),
              .centred = rnn_at(e, id)->op == RNN_OP_LAYER_NORM};
    rnn_operand_view(e, id, 0, &in[0]);
    int failed = rnn_packed(e, "layer_norm", &in[0], &j.x, &temp[0]);
    if (!failed && w) {
        rnn_operand_view(e, id, w, &in[1]);
        failed = rnn_packed(e, "layer_norm", &in[1], &j.w, &temp[1]);
    }
    if (!failed) failed = backward_affine(e, id, &j, w, b);
    if (!failed) failed = backward_x(e, id, &j);
    rnn_drop_block(e, temp[0]);
    rnn_drop_block(e, temp[1]);
    return failed;
}

/* dz_i / dx_j = w_i rstd (delta_ij - 1/n - xhat_i xhat_j / n), rms_norm's without the 1/n; dz_i /
 * dw_i = xhat_i; dz_i / db_i = 1 */
int rnn_layer_norm_edges(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out) {
    const rnn_ext *x = rnn_at(e, id)->ext;
    const int64_t n = x->ip[1], row = node / n, at = node % n;
    const int w = (int)x->ip[2], b = (int)x->ip[3];
    norm s = {.dtype = rnn_at(e, id)->dtype, .stats = x->saved};
    const double mean = stat(&s, row, 0), rstd = stat(&s, row, 1);
    rnn_view in, wv, bv;
    double weight = 1;
    const double share = rnn_at(e, id)->op == RNN_OP_LAYER_NORM ? 1 / (double)n : 0;
    rnn_operand_view(e, id, 0, &in);
    if (w) {
        rnn_operand_view(e, id, w, &wv);
        weight = rnn_node_value(e, wv.span, rnn_flat_to_offset(&wv, at));
    }
    const double hat = (rnn_node_value(e, in.span, rnn_flat_to_offset(&in, node)) - mean) * rstd;
    for (int64_t i = 0; i < n; i++) {
        const int64_t other = rnn_flat_to_offset(&in, row * n + i);
        const double hat_i = (rnn_node_value(e, in.span, other) - mean) * rstd;
        rnn_push_edge(e, out, &in, other,
                      weight * rstd * ((i == at) - share - hat * hat_i / (double)n));
    }
    if (w) rnn_push_edge(e, out, &wv, rnn_flat_to_offset(&wv, at), hat);
    if (b) {
        rnn_operand_view(e, id, b, &bv);
        rnn_push_edge(e, out, &bv, rnn_flat_to_offset(&bv, at), 1);
    }
    return 0;
}

/* The edge of `at` in its row by element `i` of it: see rnn_layer_norm_edges. */
static void row_uses(rnn_engine *e, uint32_t id, int64_t flat, rnn_use_list *out) {
    const rnn_ext *x = rnn_at(e, id)->ext;
    const int64_t n = x->ip[1], row = flat / n, i = flat % n;
    const int w = (int)x->ip[2];
    norm s = {.dtype = rnn_at(e, id)->dtype, .stats = x->saved};
    const double mean = stat(&s, row, 0), rstd = stat(&s, row, 1);
    const double share = rnn_at(e, id)->op == RNN_OP_LAYER_NORM ? 1 / (double)n : 0;
    rnn_view in, wv;
    rnn_operand_view(e, id, 0, &in);
    if (w) rnn_operand_view(e, id, w, &wv);
    const double hat_i = (rnn_node_value(e, in.span, rnn_flat_to_offset(&in, flat)) - mean) * rstd;
    for (int64_t at = 0; at < n; at++) {
        const int64_t other = rnn_flat_to_offset(&in, row * n + at);
        const double hat = (rnn_node_value(e, in.span, other) - mean) * rstd;
        const double weight = w ? rnn_node_value(e, wv.span, rnn_flat_to_offset(&wv, at)) : 1;
        rnn_push_use(out, row * n + at,
                     weight * rstd * ((i == at) - share - hat * hat_i / (double)n));
    }
}

int rnn_layer_norm_uses(rnn_engine *e, uint32_t id, int k, int64_t node, rnn_use_list *out) {
    const rnn_ext *x = rnn_at(e, id)->ext;
    const int64_t n = x->ip[1];
    rnn_view v;
    rnn_places p;
    rnn_operand_view(e, id, k, &v);
    for (rnn_places_begin(&p, &v, node); rnn_places_next(&p);) {
        const int64_t flat = rnn_place_flat(&p);
        if (k == 0) {
            row_uses(e, id, flat, out);
            continue;
        }
        for (int64_t at = flat; at < x->n; at += n) /* the weight's edge follows the row's */
            rnn_push_use(out, at, k == x->ip[2] ? rnn_edge_local(e, id, at, n) : 1);
    }
    return 0;
}
