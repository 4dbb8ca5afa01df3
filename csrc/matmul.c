/* matmul.c: matrix products of tensors, and linear, which adds a bias: 1-d to n-d, broadcast
 * batches, any strides. The arithmetic is gemm.c's. */
#include "matmul.h"

#include <string.h>

static int mismatch(rnn_engine *e, const rnn_view *a, const rnn_view *b) {
    char s[256], t[256];
    rnn_shape_text(a->ndim, a->shape, s, sizeof s);
    rnn_shape_text(b->ndim, b->shape, t, sizeof t);
    if (a->ndim == 1 && b->ndim == 1)
        return rnn_fail(e, RNN_ERUNTIME,
                        "inconsistent tensor size, expected tensor %s and src %s to have the same "
                        "number of elements",
                        s, t);
    if (a->ndim == 2 && b->ndim == 2)
        return rnn_fail(e, RNN_ERUNTIME,
                        "mat1 and mat2 shapes cannot be multiplied (%lldx%lld and %lldx%lld)",
                        (long long)a->shape[0], (long long)a->shape[1], (long long)b->shape[0],
                        (long long)b->shape[1]);
    return rnn_fail(e, RNN_ERUNTIME, "matmul: shapes %s and %s cannot be multiplied", s, t);
}

int rnn_product_plan(rnn_engine *e, const rnn_view *a, const rnn_view *b, product *p, int *ndim,
                     int64_t *shape) {
    memset(p, 0, sizeof *p);
    if (a->ndim == 0 || b->ndim == 0)
        return rnn_fail(e, RNN_ERUNTIME,
                        "both arguments to matmul need to be at least 1D, but they are %dD and %dD",
                        a->ndim, b->ndim);
    p->a_vector = a->ndim == 1;
    p->b_vector = b->ndim == 1;
    const int an = a->ndim - 1, bn = b->ndim - 1;
    p->m = p->a_vector ? 1 : a->shape[an - 1];
    p->k = a->shape[an];
    p->n = p->b_vector ? 1 : b->shape[bn];
    if (b->shape[p->b_vector ? 0 : bn - 1] != p->k) return mismatch(e, a, b);
    p->a_row = p->a_vector ? p->k : a->stride[an - 1];
    p->a_col = a->stride[an];
    p->b_row = p->b_vector ? b->stride[0] : b->stride[bn - 1];
    p->b_col = p->b_vector ? 1 : b->stride[bn];
    const int ad = a->ndim > 2 ? a->ndim - 2 : 0, bd = b->ndim > 2 ? b->ndim - 2 : 0;
    p->batch_dims = ad > bd ? ad : bd;
    *ndim = p->batch_dims;
    for (int d = 0; d < p->batch_dims; d++) {
        const int i = d - (p->batch_dims - ad), j = d - (p->batch_dims - bd);
        const int64_t x = i >= 0 ? a->shape[i] : 1, y = j >= 0 ? b->shape[j] : 1;
        if (x != y && x != 1 && y != 1)
            return rnn_fail(
                e, RNN_ERUNTIME,
                "The size of tensor a (%lld) must match the size of tensor b (%lld) at non-singleton "
                "dimension %d",
                (long long)x, (long long)y, d);
        shape[d] = p->batch[d] = x == 1 ? y : x;
        p->a_batch[d] = i >= 0 && x != 1 ? a->stride[i] : 0;
        p->b_batch[d] = j >= 0 && y != 1 ? b->stride[j] : 0;
    }
    if (!p->a_vector) shape[(*ndim)++] = p->m;
    if (!p->b_vector) shape[(*ndim)++] = p->n;
    int64_t step = p->m * p->n;
    for (int d = p->batch_dims - 1; d >= 0; d--) {
        p->c_batch[d] = p->batch[d] == 1 ? 0 : step;
        step *= p->batch[d];
    }
    return 0;
}

int rnn_product_of(rnn_engine *e, uint32_t id, rnn_view *in, product *p) {
    int ndim;
    int64_t shape[RNN_MAX_DIMS];
    for (int k = 0; k < 2; k++) rnn_operand_view(e, id, k, &in[k]);
    return rnn_product_plan(e, &in[0], &in[1], p, &ndim, shape);
}

void rnn_product_fold(product *p) {
    while (p->batch_dims > 0) {
        const int d = p->batch_dims - 1;
        const bool one = p->batch[d] == 1;
        if (!one && (p->b_batch[d] != 0 || p->a_batch[d] != p->m * p->a_row || p->m == 0)) return;
        if (!one) p->m *= p->batch[d];
        p->batch_dims--;
    }
}

/* ---- gemm over batches ----------------------------------------------------------------------- */

static void gemm_batched(rnn_engine *e, int dtype, int64_t batch, const matrix *a, int64_t a_step,
                         const matrix *b, int64_t b_step, int64_t m, int64_t n, int64_t k,
                         double beta, void *c, int64_t ldc, int64_t c_step, int64_t a_at,
                         int64_t b_at, int64_t c_at) {
    if (dtype == RNN_F64)
        rnn_dgemm_batched(&e->gemm, batch, a->trans, b->trans, m, n, k, 1,
                          (const double *)a->data + a_at, a->ld, a_step,
                          (const double *)b->data + b_at, b->ld, b_step, beta, (double *)c + c_at,
                          ldc, c_step);
    else
        rnn_sgemm_batched(&e->gemm, batch, a->trans, b->trans, m, n, k, 1,
                          (const float *)a->data + a_at, a->ld, a_step,
                          (const float *)b->data + b_at, b->ld, b_step, (float)beta,
                          (float *)c + c_at, ldc, c_step);
}

/* The last batch dimension is gemm.c's, the others are counted here. */
void rnn_product_multiply(rnn_engine *e, int dtype, int dims, const int64_t *batch, const matrix *a,
                          const matrix *b, int64_t m, int64_t n, int64_t k, double beta, void *c,
                          int64_t ldc, const int64_t *c_batch) {
    const int last = dims - 1;
    int64_t outer = 1, index[RNN_MAX_DIMS] = {0};
    for (int d = 0; d < last; d++) outer *= batch[d];
    for (int64_t i = 0; i < outer; i++) {
        int64_t a_at = 0, b_at = 0, c_at = 0;
        for (int d = 0; d < last; d++) {
            a_at += index[d] * a->batch_stride[d];
            b_at += index[d] * b->batch_stride[d];
            c_at += index[d] * c_batch[d];
        }
        gemm_batched(e, dtype, dims ? batch[last] : 1, a, dims ? a->batch_stride[last] : 0, b,
                     dims ? b->batch_stride[last] : 0, m, n, k, beta, c, ldc,
                     dims ? c_batch[last] : 0, a_at, b_at, c_at);
        for (int d = last - 1; d >= 0 && ++index[d] == batch[d]; d--) index[d] = 0;
    }
}

/* ---- operands -------------------------------------------------------------------------------- */

int rnn_as_matrix(rnn_engine *e, int dtype, const void *data, int64_t rows, int64_t cols,
                  int64_t row, int64_t col, int dims, const int64_t *batch,
                  const int64_t *batch_stride, matrix *x) {
    *x = (matrix){.data = data};
    for (int d = 0; d < dims; d++) x->batch_stride[d] = batch_stride[d];
    if (col == 1 || cols == 1) {
        x->ld = row;
        if (col == 1 || row > 0) return 0;
    }
    if (row == 1 || rows == 1) {
        x->trans = 1;
        x->ld = col;
        if (row == 1 || col > 0) return 0;
    }
    rnn_accumulate_job job = {
        .ndim = dims + 2, .dtype = dtype, .src = data, .scale = 1, .overwrite = true};
    int64_t n = rows * cols;
    for (int d = dims - 1; d >= 0; d--) { /* broadcast batches are packed once */
        job.shape[d] = batch_stride[d] ? batch[d] : 1;
        job.src_stride[d] = batch_stride[d];
        job.dst_stride[d] = x->batch_stride[d] = batch_stride[d] ? n : 0;
        n *= job.shape[d];
    }
    job.shape[dims] = rows;
    job.shape[dims + 1] = cols;
    job.src_stride[dims] = row;
    job.src_stride[dims + 1] = col;
    job.dst_stride[dims] = cols;
    job.dst_stride[dims + 1] = 1;
    x->temp = rnn_block_new(e, "matmul", n, dtype);
    if (!x->temp) return RNN_EMEMORY;
    job.dst = x->temp->data;
    x->data = x->temp->data;
    x->trans = 0;
    x->ld = cols;
    return rnn_accumulate(e, &job);
}

/* Every row of the result starts as the bias. */
static void start_from_bias(rnn_engine *e, const rnn_view *bias, const rnn_build *build) {
    rnn_accumulate_job job = {.ndim = build->ndim,
                              .dtype = build->dtype,
                              .dst = build->out,
                              .src = rnn_view_data(e, bias),
                              .scale = 1,
                              .overwrite = true};
    memcpy(job.shape, build->shape, sizeof job.shape);
    rnn_contiguous_strides(build->ndim, build->shape, job.dst_stride);
    job.src_stride[build->ndim - 1] = bias->stride[0];
    rnn_accumulate(e, &job);
}

/* build->in: a, b and perhaps a bias; p: their product. */
static rnn_ref run_product(rnn_engine *e, rnn_build *build, product *p) {
    const rnn_view *in = build->in, *bias = build->count > 2 ? &in[2] : NULL;
    int failed = rnn_build_begin(e, build);
    if (failed) return failed;
    matrix a = {0}, b = {0};
    rnn_product_fold(p);
    failed = rnn_as_matrix(e, build->dtype, rnn_view_data(e, &in[0]), p->m, p->k, p->a_row,
                           p->a_col, p->batch_dims, p->batch, p->a_batch, &a);
    if (!failed)
        failed = rnn_as_matrix(e, build->dtype, rnn_view_data(e, &in[1]), p->k, p->n, p->b_row,
                               p->b_col, p->batch_dims, p->batch, p->b_batch, &b);
    if (!failed) {
        if (bias) start_from_bias(e, bias, build);
        rnn_product_multiply(e, build->dtype, p->batch_dims, p->batch, &a, &b, p->m, p->n, p->k,
                             bias ? 1 : 0, build->out, p->n, p->c_batch);
    }
    rnn_drop_block(e, a.temp);
    rnn_drop_block(e, b.temp);
    if (!failed) return rnn_build_finish(e, build);
    rnn_build_abort(e, build);
    return failed;
}

static int mixed_dtypes(rnn_engine *e, const rnn_view *a, const rnn_view *b) {
    return rnn_fail(e, RNN_ERUNTIME, "expected m1 and m2 to have the same dtype, but got: %s != %s",
                    a->dtype ? "double" : "float", b->dtype ? "double" : "float");
}

rnn_ref rnn_matmul(rnn_engine *e, rnn_ref ra, rnn_ref rb) {
    rnn_view in[2];
    product p;
    if (rnn_view_of(e, ra, &in[0]) || rnn_view_of(e, rb, &in[1])) return RNN_ETYPE;
    rnn_build build = {.op = RNN_OP_MATMUL, .dtype = in[0].dtype, .count = 2, .in = in};
    int failed = rnn_product_plan(e, &in[0], &in[1], &p, &build.ndim, build.shape);
    if (failed) return failed;
    if (in[0].dtype != in[1].dtype) return mixed_dtypes(e, &in[0], &in[1]);
    return rnn_resolution() ? RNN_COMPOSE : run_product(e, &build, &p);
}

rnn_ref rnn_linear(rnn_engine *e, rnn_ref rx, rnn_ref rw, rnn_ref rbias, int transposed) {
    rnn_view in[3];
    product p;
    if (rnn_view_of(e, rx, &in[0]) || rnn_view_of(e, rw, &in[1])) return RNN_ETYPE;
    if (rbias && rnn_view_of(e, rbias, &in[2])) return RNN_ETYPE;
    if (in[1].ndim != 2)
        return rnn_fail(e, RNN_ERUNTIME, "linear: the weight has %d dimensions, not 2", in[1].ndim);
    if (transposed) {
        const int64_t rows = in[1].shape[0], step = in[1].stride[0];
        in[1].shape[0] = in[1].shape[1], in[1].stride[0] = in[1].stride[1];
        in[1].shape[1] = rows, in[1].stride[1] = step;
    }
    rnn_build build = {.op = RNN_OP_LINEAR, .dtype = in[0].dtype, .count = rbias ? 3 : 2, .in = in};
    if (in[0].ndim == 0)
        return rnn_fail(e, RNN_ERUNTIME,
                        "both arguments to linear need to be at least 1D, but they are 0D and 2D");
    if (in[0].shape[in[0].ndim - 1] != in[1].shape[0])
        return rnn_fail(e, RNN_ERUNTIME,
                        "mat1 and mat2 shapes cannot be multiplied (%lldx%lld and %lldx%lld)",
                        (long long)(rnn_numel(in[0].ndim - 1, in[0].shape)),
                        (long long)in[0].shape[in[0].ndim - 1], (long long)in[1].shape[0],
                        (long long)in[1].shape[1]);
    int failed = rnn_product_plan(e, &in[0], &in[1], &p, &build.ndim, build.shape);
    if (failed) return failed;
    for (int k = 1; k < build.count; k++)
        if (in[k].dtype != in[0].dtype) return mixed_dtypes(e, &in[0], &in[k]);
    if (rbias && (in[2].ndim != 1 || in[2].shape[0] != p.n))
        return rnn_fail(e, RNN_ERUNTIME, "linear: the bias must have the shape [%lld]",
                        (long long)p.n);
    return rnn_resolution() ? RNN_COMPOSE : run_product(e, &build, &p);
}
