/* softmax.c: softmax and log_softmax over one dimension, fused. */
#include "internal.h"

#include <math.h>
#include <string.h>

typedef struct {
    rnn_engine *e;
    int dtype;
    bool log, add;
    int64_t length, inner; /* (outer, length, inner) */
    const char *in, *dz;   /* forward: in = x; backward: in = z */
    char *out;
} rows;

static void row_forward(const rows *r, const void *x, void *z) {
    const rnn_kernels *k = r->e->k;
    (r->log ? k->log_softmax : k->softmax)[r->dtype](r->length, x, z);
}

static void row_backward(const rows *r, const void *z, const void *dz, void *d, int add) {
    const rnn_kernels *k = r->e->k;
    (r->log ? k->log_softmax_backward : k->softmax_backward)[r->dtype](r->length, z, dz, d, add);
}

/* Rows whose elements lie apart are done side by side. */
static void columns_task(const rows *r, int64_t begin, int64_t end) {
    const rnn_kernels *k = r->e->k;
    const int64_t size = (int64_t)rnn_itemsize(r->dtype);
    for (int64_t i = begin, width; i < end; i += width) {
        const int64_t first = i % r->inner;
        const int64_t at = (i / r->inner * r->length * r->inner + first) * size;
        width = r->inner - first < end - i ? r->inner - first : end - i;
        if (width > RNN_COLUMNS) width = RNN_COLUMNS;
        if (r->dz)
            k->softmax_columns_backward[r->dtype](r->length, r->inner, width, r->log, r->in + at,
                                                  r->dz + at, r->out + at, r->add);
        else
            k->softmax_columns[r->dtype](r->length, r->inner, width, r->log, r->in + at,
                                         r->out + at);
    }
}

static void rows_task(void *ctx, int64_t begin, int64_t end) {
    const rows *r = ctx;
    if (r->inner > 1) {
        columns_task(r, begin, end);
        return;
    }
    const size_t bytes = (size_t)r->length * rnn_itemsize(r->dtype);
    for (int64_t i = begin; i < end; i++) {
        const size_t at = (size_t)i * bytes;
        if (r->dz) row_backward(r, r->in + at, r->dz + at, r->out + at, r->add);
        else row_forward(r, r->in + at, r->out + at);
    }
}

static void run_rows(rows *r, int ndim, const int64_t *shape, int dim) {
    r->length = ndim ? shape[dim] : 1;
    r->inner = 1;
    for (int d = dim + 1; d < ndim; d++) r->inner *= shape[d];
    const int64_t n = rnn_numel(ndim, shape), count = r->length ? n / r->length : 0;
    int64_t grain = 8192 / (r->length ? r->length : 1) + 1;
    if (r->inner > 1 && grain < RNN_COLUMNS) grain = RNN_COLUMNS;
    rnn_parallel_for(r->e->pool, count, grain, rows_task, r);
}

rnn_ref rnn_softmax(rnn_engine *e, rnn_ref ref, int64_t dim, int log) {
    rnn_view a;
    if (rnn_view_of(e, ref, &a)) return RNN_ETYPE;
    const int64_t low = a.ndim ? -a.ndim : -1, high = a.ndim ? a.ndim - 1 : 0;
    if (dim < low || dim > high)
        return rnn_fail(
            e, RNN_EINDEX,
            "Dimension out of range (expected to be in range of [%lld, %lld], but got %lld)",
            (long long)low, (long long)high, (long long)dim);
    if (dim < 0) dim += a.ndim ? a.ndim : 1;
    if (rnn_resolution()) return RNN_COMPOSE;
    rnn_build b = {.op = log ? RNN_OP_LOG_SOFTMAX : RNN_OP_SOFTMAX,
                   .dtype = a.dtype,
                   .ndim = a.ndim,
                   .count = 1,
                   .in = &a,
                   .ip = {dim}};
    memcpy(b.shape, a.shape, sizeof b.shape);
    int failed = rnn_build_begin(e, &b);
    if (failed) return failed;
    rows r = {.e = e, .dtype = a.dtype, .log = log, .in = rnn_view_data(e, &a), .out = b.out};
    if (!rnn_view_is_contiguous(&a)) {
        rnn_pack_view(e, &a, b.out);
        r.in = b.out;
    }
    run_rows(&r, a.ndim, a.shape, (int)dim);
    return rnn_build_finish(e, &b);
}

static int backward(rnn_engine *e, uint32_t id, bool log) {
    const rnn_span *s = rnn_at(e, id);
    const rnn_ext *x = s->ext;
    rnn_target t;
    int failed = rnn_target_begin(e, id, 0, x->n, &t);
    if (failed || !t.wanted) return failed;
    rows r = {.e = e,
              .dtype = s->dtype,
              .log = log,
              .in = rnn_span_data(e, id),
              .dz = rnn_span_grad(e, id),
              .out = t.grad,
              .add = !t.fresh};
    if (rnn_view_is_contiguous(&t.v)) {
        run_rows(&r, x->ndim, x->shape, (int)x->ip[0]);
        return 0;
    }
    rnn_block *temp = rnn_block_new(e, "softmax backward", x->n, s->dtype);
    if (!temp) return RNN_EMEMORY;
    r.out = temp->data;
    r.add = false;
    run_rows(&r, x->ndim, x->shape, (int)x->ip[0]);
    failed = rnn_target_add(e, &t, s->dtype, temp->data);
    rnn_drop_block(e, temp);
    return failed;
}

int rnn_softmax_backward(rnn_engine *e, uint32_t id) { return backward(e, id, false); }
int rnn_log_softmax_backward(rnn_engine *e, uint32_t id) { return backward(e, id, true); }

/* z_i depends on every x_j of its row: z_i (delta_ij - z_j); log: delta_ij - exp(z_j). */
static int edges(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out, bool log) {
    const rnn_ext *x = rnn_at(e, id)->ext;
    const int dim = (int)x->ip[0];
    const int64_t length = x->ndim ? x->shape[dim] : 1;
    int64_t inner = 1;
    rnn_view a;
    rnn_operand_view(e, id, 0, &a);
    for (int d = dim + 1; d < x->ndim; d++) inner *= x->shape[d];
    const int64_t at = node / inner % length, first = node - at * inner;
    const double zi = rnn_node_value(e, id, node);
    for (int64_t j = 0; j < length; j++) {
        const double zj = rnn_node_value(e, id, first + j * inner), delta = j == at;
        rnn_push_edge(e, out, &a, rnn_flat_to_offset(&a, first + j * inner),
                      log ? delta - exp(zj) : zi * (delta - zj));
    }
    return 0;
}

int rnn_softmax_edges(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out) {
    return edges(e, id, node, out, false);
}

int rnn_log_softmax_edges(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out) {
    return edges(e, id, node, out, true);
}

static int uses(rnn_engine *e, uint32_t id, int64_t node, rnn_use_list *out, bool log) {
    const rnn_ext *x = rnn_at(e, id)->ext;
    const int dim = (int)x->ip[0];
    const int64_t length = x->ndim ? x->shape[dim] : 1;
    int64_t inner = 1;
    rnn_view a;
    rnn_places p;
    rnn_operand_view(e, id, 0, &a);
    for (int d = dim + 1; d < x->ndim; d++) inner *= x->shape[d];
    for (rnn_places_begin(&p, &a, node); rnn_places_next(&p);) {
        const int64_t flat = rnn_place_flat(&p), first = flat - flat / inner % length * inner;
        const double zj = rnn_node_value(e, id, flat);
        for (int64_t i = 0; i < length; i++) {
            const int64_t at = first + i * inner;
            const double delta = at == flat;
            rnn_push_use(out, at, log ? delta - exp(zj) : rnn_node_value(e, id, at) * (delta - zj));
        }
    }
    return 0;
}

int rnn_softmax_uses(rnn_engine *e, uint32_t id, int k, int64_t node, rnn_use_list *out) {
    (void)k;
    return uses(e, id, node, out, false);
}

int rnn_log_softmax_uses(rnn_engine *e, uint32_t id, int k, int64_t node, rnn_use_list *out) {
    (void)k;
    return uses(e, id, node, out, true);
}
