/* matmul_backward.c: the gradients of a product's factors, which are products too, and of linear's
 * bias. */
#include "matmul.h"

#include <string.h>

/* The operand's gradient as the C of a gemm. */
typedef struct {
    rnn_target t;
    void *data;
    int64_t rows, cols, row, col, batch_stride[RNN_MAX_DIMS];
    rnn_block *temp; /* where neither stride is 1 */
} result;

/* last: the operand's values are not read again. */
static int begin_result(rnn_engine *e, uint32_t id, int k, const product *p, bool last, result *r) {
    /* elements; with broadcast batches there are sums, so zeros first */
    int64_t n = k ? p->k * p->n : p->m * p->k;
    for (int d = 0; d < p->batch_dims; d++) n *= p->batch[d];
    int failed = (last ? rnn_target_reuse : rnn_target_begin)(e, id, k, n, &r->t);
    if (failed || !r->t.wanted) return failed;
    r->rows = k ? p->k : p->m;
    r->cols = k ? p->n : p->k;
    r->row = k ? p->b_row : p->a_row;
    r->col = k ? p->b_col : p->a_col;
    for (int d = 0; d < p->batch_dims; d++) r->batch_stride[d] = k ? p->b_batch[d] : p->a_batch[d];
    r->data = r->t.grad;
    const bool rows_apart = r->rows <= 1 || r->row >= r->cols,
               cols_apart = r->cols <= 1 || r->col >= r->rows;
    if ((r->col == 1 && rows_apart) || (r->row == 1 && cols_apart)) return 0;
    n = r->rows * r->cols;
    for (int d = p->batch_dims - 1; d >= 0; d--) {
        r->batch_stride[d] = r->batch_stride[d] ? n : 0;
        if (r->batch_stride[d]) n *= p->batch[d];
    }
    r->temp = rnn_block_new(e, "matmul backward", n, r->t.v.dtype);
    if (!r->temp) return RNN_EMEMORY;
    memset(r->temp->data, 0, (size_t)n * rnn_itemsize(r->t.v.dtype));
    r->data = r->temp->data;
    r->row = r->cols;
    r->col = 1;
    return 0;
}

/* The packed gradient joins the operand's, through the operand's strides. */
static int end_result(rnn_engine *e, const product *p, int k, const result *r) {
    if (!r->temp) return 0;
    const int dims = p->batch_dims;
    rnn_accumulate_job job = {.ndim = dims + 2,
                              .dtype = r->t.v.dtype,
                              .dst = r->t.grad,
                              .src = r->temp->data,
                              .scale = 1,
                              .overwrite = r->t.fresh};
    for (int d = 0; d < dims; d++) {
        const int64_t own = k ? p->b_batch[d] : p->a_batch[d];
        job.shape[d] = own ? p->batch[d] : 1;
        job.dst_stride[d] = own;
        job.src_stride[d] = r->batch_stride[d];
    }
    job.shape[dims] = r->rows;
    job.shape[dims + 1] = r->cols;
    job.dst_stride[dims] = k ? p->b_row : p->a_row;
    job.dst_stride[dims + 1] = k ? p->b_col : p->a_col;
    job.src_stride[dims] = r->cols;
    job.src_stride[dims + 1] = 1;
    return rnn_accumulate(e, &job);
}

/* One operand's gradient, as a gemm that is ready to run: da = dz b^T (k = 0), db = a^T dz (k =
 * 1). */
typedef struct {
    rnn_engine *e;
    const product *p;
    result r;
    matrix z, other;
    int k, dtype;
} half;

static int begin_half(uint32_t id, const void *dz, const void *other, bool last, half *h) {
    rnn_engine *e = h->e;
    const product *p = h->p;
    const int dims = p->batch_dims;
    int failed = begin_result(e, id, h->k, p, last, &h->r);
    if (failed || !h->r.t.wanted) return failed;
    failed = rnn_as_matrix(e, h->dtype, dz, p->m, p->n, p->n, 1, dims, p->batch, p->c_batch, &h->z);
    if (failed) return failed;
    /* b^T is (n, k), a^T is (k, m) */
    if (h->k == 0)
        return rnn_as_matrix(e, h->dtype, other, p->n, p->k, p->b_col, p->b_row, dims, p->batch,
                             p->b_batch, &h->other);
    return rnn_as_matrix(e, h->dtype, other, p->k, p->m, p->a_col, p->a_row, dims, p->batch,
                         p->a_batch, &h->other);
}

/* A gradient that lies transposed is made transposed: C^T = right^T left^T. */
static void multiply_half(const half *h) {
    const product *p = h->p;
    const result *r = &h->r;
    matrix left = h->k == 0 ? h->z : h->other, right = h->k == 0 ? h->other : h->z;
    const int64_t inner = h->k == 0 ? p->n : p->m;
    const double beta = r->t.fresh && !r->temp ? 0 : 1;
    if (!r->t.wanted) return;
    if (r->col == 1) {
        rnn_product_multiply(h->e, h->dtype, p->batch_dims, p->batch, &left, &right, r->rows,
                             r->cols, inner, beta, r->data, r->row, r->batch_stride);
        return;
    }
    left.trans = !left.trans;
    right.trans = !right.trans;
    rnn_product_multiply(h->e, h->dtype, p->batch_dims, p->batch, &right, &left, r->cols, r->rows,
                         inner, beta, r->data, r->col, r->batch_stride);
}

static void half_task(void *ctx, int64_t begin, int64_t end) {
    const half *h = ctx;
    for (int64_t i = begin; i < end; i++) multiply_half(&h[i]);
}

static int end_half(half *h, int failed) {
    if (!failed && h->r.t.wanted) failed = end_result(h->e, h->p, h->k, &h->r);
    rnn_drop_block(h->e, h->z.temp);
    rnn_drop_block(h->e, h->other.temp);
    rnn_drop_block(h->e, h->r.temp);
    return failed;
}

/* Small products share the threads one each; large ones each use them all. Both halves of a x a go
 * one by one, because they add to the same gradient. */
static int run_halves(rnn_engine *e, uint32_t id, const product *p, half *h, const void *dz,
                      const void *a, const void *b, bool apart) {
    const double work =
        (double)p->m * (double)p->n * (double)p->k * (double)rnn_numel(p->batch_dims, p->batch);
    int failed = 0;
    if (apart && work < 1 << 22 && work > 1 << 16) {
        failed = begin_half(id, dz, b, false, &h[0]);
        if (!failed) failed = begin_half(id, dz, a, false, &h[1]);
        if (!failed) rnn_parallel_for(e->pool, 2, 1, half_task, h);
        failed = end_half(&h[0], failed);
        return end_half(&h[1], failed);
    }
    for (int i = 0; i < 2 && !failed; i++) {
        const int k = !i; /* the gradient of a may take a's place, when b's has been made from it */
        failed = begin_half(id, dz, k ? a : b, i == 1, &h[k]);
        if (!failed) multiply_half(&h[k]);
        failed = end_half(&h[k], failed);
    }
    return failed;
}

int rnn_matmul_backward(rnn_engine *e, uint32_t id) {
    rnn_view in[2];
    product p;
    int failed = rnn_product_of(e, id, in, &p);
    if (failed) return failed;
    rnn_product_fold(&p);
    half h[2] = {{.e = e, .p = &p, .dtype = rnn_at(e, id)->dtype, .k = 0},
                 {.e = e, .p = &p, .dtype = rnn_at(e, id)->dtype, .k = 1}};
    return run_halves(e, id, &p, h, rnn_span_grad(e, id), rnn_view_data(e, &in[0]),
                      rnn_view_data(e, &in[1]), in[0].span != in[1].span);
}

int rnn_linear_backward(rnn_engine *e, uint32_t id) {
    const rnn_span *s = rnn_at(e, id);
    const rnn_ext *x = s->ext;
    int failed = rnn_matmul_backward(e, id);
    if (failed || x->count < 3) return failed;
    rnn_target t;
    failed = rnn_target_zero(e, id, 2, &t);
    if (failed || !t.wanted) return failed;
    rnn_accumulate_job job = {
        .ndim = x->ndim, .dtype = s->dtype, .dst = t.grad, .src = rnn_span_grad(e, id), .scale = 1};
    memcpy(job.shape, x->shape, (size_t)x->ndim * sizeof(int64_t));
    rnn_contiguous_strides(x->ndim, x->shape, job.src_stride);
    job.dst_stride[x->ndim - 1] = t.v.stride[0];
    return rnn_accumulate(e, &job);
}
