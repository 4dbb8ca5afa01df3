/* matmul.c: matrix products of tensors: 1-d to n-d, broadcast batches, any strides. The arithmetic
 * is gemm.c's. */
#include "internal.h"

#include <string.h>

/* A product as gemm.c sees it. Operands as matrices in their own memory; batch strides of 0
 * broadcast. */
typedef struct {
    int64_t m, n, k;
    int batch_dims;
    int64_t batch[RNN_MAX_DIMS];
    int64_t a_batch[RNN_MAX_DIMS], b_batch[RNN_MAX_DIMS], c_batch[RNN_MAX_DIMS];
    int64_t a_row, a_col, b_row, b_col; /* strides */
    bool a_vector, b_vector;
} product;

/* A matrix operand of a gemm: op(X) with one unit stride, perhaps a packed copy. */
typedef struct {
    const void *data;
    int trans;
    int64_t ld, batch_stride[RNN_MAX_DIMS];
    rnn_block *temp;
} matrix;

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

/* Works out the product of two views; `shape` is the result's. */
static int plan(rnn_engine *e, const rnn_view *a, const rnn_view *b, product *p, int *ndim,
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

/* Batches of a over one b are more rows of a, where its memory allows: (B, T, K) @ (K, N) is one
 * product. */
static void fold(product *p) {
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

/* C = beta C + op(A) op(B) for every batch: the last batch dimension inside, the others here. */
static void multiply(rnn_engine *e, int dtype, int dims, const int64_t *batch, const matrix *a,
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

/* op(X) of shape (rows, cols) with these strides; packs a copy where neither stride is 1. */
static int as_matrix(rnn_engine *e, int dtype, const void *data, int64_t rows, int64_t cols,
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
    fold(p);
    failed = as_matrix(e, build->dtype, rnn_view_data(e, &in[0]), p->m, p->k, p->a_row, p->a_col,
                       p->batch_dims, p->batch, p->a_batch, &a);
    if (!failed)
        failed = as_matrix(e, build->dtype, rnn_view_data(e, &in[1]), p->k, p->n, p->b_row,
                           p->b_col, p->batch_dims, p->batch, p->b_batch, &b);
    if (!failed) {
        if (bias) start_from_bias(e, bias, build);
        multiply(e, build->dtype, p->batch_dims, p->batch, &a, &b, p->m, p->n, p->k, bias ? 1 : 0,
                 build->out, p->n, p->c_batch);
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
    int failed = plan(e, &in[0], &in[1], &p, &build.ndim, build.shape);
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
    int failed = plan(e, &in[0], &in[1], &p, &build.ndim, build.shape);
    if (failed) return failed;
    for (int k = 1; k < build.count; k++)
        if (in[k].dtype != in[0].dtype) return mixed_dtypes(e, &in[0], &in[k]);
    if (rbias && (in[2].ndim != 1 || in[2].shape[0] != p.n))
        return rnn_fail(e, RNN_ERUNTIME, "linear: the bias must have the shape [%lld]",
                        (long long)p.n);
    return rnn_resolution() ? RNN_COMPOSE : run_product(e, &build, &p);
}

/* ---- backward -------------------------------------------------------------------------------- */

/* The operand's gradient as the C of a gemm. */
typedef struct {
    rnn_target t;
    void *data;
    int64_t rows, cols, row, col, batch_stride[RNN_MAX_DIMS];
    rnn_block *temp; /* where neither stride is 1 */
} result;

/* last: the operand's values are not read again. */
static int begin_result(rnn_engine *e, uint32_t id, int k, const product *p, bool last, result *r) {
    int64_t n =
        k ? p->k * p->n
          : p->m * p->k; /* elements; with broadcast batches there are sums, so zeros first */
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
    failed = as_matrix(e, h->dtype, dz, p->m, p->n, p->n, 1, dims, p->batch, p->c_batch, &h->z);
    if (failed) return failed;
    /* b^T is (n, k), a^T is (k, m) */
    if (h->k == 0)
        return as_matrix(e, h->dtype, other, p->n, p->k, p->b_col, p->b_row, dims, p->batch,
                         p->b_batch, &h->other);
    return as_matrix(e, h->dtype, other, p->k, p->m, p->a_col, p->a_row, dims, p->batch, p->a_batch,
                     &h->other);
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
        multiply(h->e, h->dtype, p->batch_dims, p->batch, &left, &right, r->rows, r->cols, inner,
                 beta, r->data, r->row, r->batch_stride);
        return;
    }
    left.trans = !left.trans;
    right.trans = !right.trans;
    multiply(h->e, h->dtype, p->batch_dims, p->batch, &right, &left, r->cols, r->rows, inner, beta,
             r->data, r->col, r->batch_stride);
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
    rnn_view a, b;
    product p;
    int ndim;
    int64_t shape[RNN_MAX_DIMS];
    rnn_operand_view(e, id, 0, &a);
    rnn_operand_view(e, id, 1, &b);
    int failed = plan(e, &a, &b, &p, &ndim, shape);
    if (failed) return failed;
    fold(&p);
    half h[2] = {{.e = e, .p = &p, .dtype = rnn_at(e, id)->dtype, .k = 0},
                 {.e = e, .p = &p, .dtype = rnn_at(e, id)->dtype, .k = 1}};
    return run_halves(e, id, &p, h, rnn_span_grad(e, id), rnn_view_data(e, &a),
                      rnn_view_data(e, &b), a.span != b.span);
}

/* c = sum over t of a[.., i, t] b[.., t, j] */
int rnn_matmul_edges(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out) {
    rnn_view a, b;
    product p;
    int ndim;
    int64_t shape[RNN_MAX_DIMS];
    rnn_operand_view(e, id, 0, &a);
    rnn_operand_view(e, id, 1, &b);
    int failed = plan(e, &a, &b, &p, &ndim, shape);
    if (failed) return failed;
    const int64_t j = node % p.n, i = node / p.n % p.m;
    int64_t rest = node / p.n / p.m, a_at = a.offset + i * p.a_row, b_at = b.offset + j * p.b_col;
    for (int d = p.batch_dims - 1; d >= 0; d--) {
        a_at += rest % p.batch[d] * p.a_batch[d];
        b_at += rest % p.batch[d] * p.b_batch[d];
        rest /= p.batch[d];
    }
    for (int64_t t = 0; t < p.k; t++) {
        const int64_t x = a_at + t * p.a_col, y = b_at + t * p.b_row;
        if (!(out->unwanted & 1)) rnn_push_edge(e, out, &a, x, rnn_node_value(e, b.span, y));
        if (!(out->unwanted & 2)) rnn_push_edge(e, out, &b, y, rnn_node_value(e, a.span, x));
    }
    return 0;
}

/* The operand as the product sees it: batch, then two dimensions, of which the batch may be
 * broadcast. */
static rnn_view factor(const product *p, const rnn_view *operand, int k) {
    rnn_view v = *operand;
    const int dims = p->batch_dims;
    v.ndim = (int16_t)(dims + 2);
    memcpy(v.shape, p->batch, (size_t)dims * sizeof(int64_t));
    memcpy(v.stride, k ? p->b_batch : p->a_batch, (size_t)dims * sizeof(int64_t));
    v.shape[dims] = k ? p->k : p->m;
    v.shape[dims + 1] = k ? p->n : p->k;
    v.stride[dims] = k ? p->b_row : p->a_row;
    v.stride[dims + 1] = k ? p->b_col : p->a_col;
    return v;
}

/* a[.., i, t] is in c[.., i, all] by b[.., t, all]; b[.., t, j] in c[.., all, j] by a[.., all,
 * t] */
int rnn_matmul_uses(rnn_engine *e, uint32_t id, int k, int64_t node, rnn_use_list *out) {
    rnn_view in[2], mine, other;
    rnn_places at;
    product p;
    int ndim;
    int64_t shape[RNN_MAX_DIMS];
    rnn_operand_view(e, id, 0, &in[0]);
    rnn_operand_view(e, id, 1, &in[1]);
    int failed = plan(e, &in[0], &in[1], &p, &ndim, shape);
    if (failed) return failed;
    const int dims = p.batch_dims;
    mine = factor(&p, &in[k], k);
    other = factor(&p, &in[!k], !k);
    for (rnn_places_begin(&at, &mine, node); rnn_places_next(&at);) {
        int64_t batch = 0, from = other.offset;
        for (int d = 0; d < dims; d++) {
            batch = batch * p.batch[d] + at.index[d];
            from += at.index[d] * other.stride[d];
        }
        const int64_t t = at.index[k ? dims : dims + 1], fixed = at.index[k ? dims + 1 : dims];
        const int64_t first = batch * p.m * p.n + (k ? fixed : fixed * p.n);
        from += t * other.stride[k ? dims + 1 : dims];
        for (int64_t i = 0; i < (k ? p.m : p.n); i++)
            rnn_push_use(
                out, first + i * (k ? p.n : 1),
                rnn_node_value(e, other.span, from + i * other.stride[k ? dims : dims + 1]));
    }
    return 0;
}

/* ---- linear: the same product, and a bias ---------------------------------------------------- */

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

int rnn_linear_edges(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out) {
    const rnn_ext *x = rnn_at(e, id)->ext;
    int failed = rnn_matmul_edges(e, id, node, out);
    if (failed || x->count < 3) return failed;
    rnn_view bias;
    rnn_operand_view(e, id, 2, &bias);
    rnn_push_edge(e, out, &bias, bias.offset + node % x->shape[x->ndim - 1] * bias.stride[0], 1);
    return 0;
}

int rnn_linear_uses(rnn_engine *e, uint32_t id, int k, int64_t node, rnn_use_list *out) {
    if (k < 2) return rnn_matmul_uses(e, id, k, node, out);
    rnn_view bias;
    rnn_places p;
    rnn_operand_expanded(e, id, k, &bias);
    for (rnn_places_begin(&p, &bias, node); rnn_places_next(&p);)
        rnn_push_use(out, rnn_place_flat(&p), 1);
    return 0;
}
