/* scan.c: cumulative sums, products and logarithms of sums of exponentials, along one dimension. */
#include "internal.h"

#include <math.h>
#include <string.h>

typedef struct {
    rnn_engine *e;
    int op, dtype;
    bool add;
    int64_t length, inner; /* (outer, length, inner) */
    char *out;
    const char *in, *z, *dz; /* contiguous; `in` may be `out` */
} scan;

enum { WIDTH = 64, LINES = 4 }; /* columns, and whole rows, that go side by side */

static double log_add_exp(double a, double b) {
    const double top = a > b || a != a ? a : b, low = a > b || a != a ? b : a;
    return isinf(top) && top == low ? top : top + log1p(exp(low - top));
}

#define INCLUDED "scan.inc"
#include "each_type.inc"

/* Columns [begin, end): a column is one (outer, inner) pair; those of one outer index lie side
 * by side. */
static void scan_task(void *ctx, int64_t begin, int64_t end) {
    const scan *s = ctx;
    const bool simple = s->op == RNN_OP_CUMSUM || (s->op == RNN_OP_CUMPROD && !s->dz);
    if (s->inner == 1 && simple) {
        (s->dtype == RNN_F64 ? rows_f64 : rows_f32)(s, begin, end);
        return;
    }
    while (begin < end) {
        const int64_t outer = begin / s->inner, from = begin % s->inner;
        int64_t width = s->inner - from;
        if (width > end - begin) width = end - begin;
        if (width > WIDTH) width = WIDTH;
        const int64_t at = outer * s->length * s->inner + from;
        if (s->dtype == RNN_F64) (s->dz ? columns_backward_f64 : columns_f64)(s, at, width);
        else (s->dz ? columns_backward_f32 : columns_f32)(s, at, width);
        begin += width;
    }
}

static void run(scan *s, int ndim, const int64_t *shape, int dim) {
    s->length = ndim ? shape[dim] : 1;
    s->inner = 1;
    for (int d = dim + 1; d < ndim; d++) s->inner *= shape[d];
    const int64_t n = rnn_numel(ndim, shape), grain = 16384 / (s->length ? s->length : 1);
    if (n)
        rnn_parallel_for(s->e->pool, n / s->length,
                         grain < WIDTH && s->inner > 1 ? WIDTH : grain + 1, scan_task, s);
}

/* ---- forward --------------------------------------------------------------------------------- */

rnn_ref rnn_cumulate(rnn_engine *e, int op, rnn_ref ref, int64_t dim) {
    rnn_view a;
    if (rnn_view_of(e, ref, &a)) return RNN_ETYPE;
    int failed = rnn_dim_of(e, a.ndim, &dim);
    if (failed) return failed;
    if (rnn_resolution() && rnn_ops[op].needs & RNN_COMPOSITE) return RNN_COMPOSE;
    rnn_build b = {.op = op,
                   .dtype = a.dtype,
                   .ndim = a.ndim,
                   .count = 1,
                   .in = &a,
                   .ip = {dim, rnn_resolution()}};
    memcpy(b.shape, a.shape, sizeof b.shape);
    if ((failed = rnn_build_begin(e, &b))) return failed;
    scan s = {.e = e, .op = op, .dtype = a.dtype, .out = b.out, .in = rnn_view_data(e, &a)};
    if (!rnn_view_is_contiguous(&a)) {
        rnn_pack_view(e, &a, b.out);
        s.in = b.out;
    }
    run(&s, a.ndim, a.shape, (int)dim);
    return rnn_build_finish(e, &b);
}

rnn_ref rnn_cumsum(rnn_engine *e, rnn_ref a, int64_t dim) {
    return rnn_cumulate(e, RNN_OP_CUMSUM, a, dim);
}

/* ---- backward -------------------------------------------------------------------------------- */

/* At scalar resolution a partial sum is a node like any other, whose gradient is what all later
 * ones pass back to it: the scan runs in place. Else the result's gradient stays what it is. */
int rnn_cumsum_backward(rnn_engine *e, uint32_t id) {
    const rnn_span *s = rnn_at(e, id);
    const rnn_ext *x = s->ext;
    const bool in_place = x->ip[1] != 0;
    rnn_target t;
    int failed = rnn_target_begin(e, id, 0, x->n, &t);
    if (failed || (!t.wanted && !in_place)) return failed;
    scan c = {.e = e,
              .op = s->op,
              .dtype = s->dtype,
              .in = rnn_span_data(e, id),
              .z = rnn_span_data(e, id),
              .dz = rnn_span_grad(e, id)};
    rnn_view a;
    rnn_block *packed = NULL, *temp = NULL;
    rnn_operand_view(e, id, 0, &a);
    if (s->op != RNN_OP_CUMSUM) {
        c.in = rnn_view_data(e, &a);
        if (!rnn_view_is_contiguous(&a)) {
            if (!(packed = rnn_block_new(e, rnn_ops[s->op].name, x->n, s->dtype)))
                return RNN_EMEMORY;
            rnn_pack_view(e, &a, packed->data);
            c.in = packed->data;
        }
    }
    const bool direct = !in_place && rnn_view_is_contiguous(&t.v);
    c.add = direct && !t.fresh;
    if (direct) c.out = t.grad;
    else if (in_place) c.out = rnn_span_grad(e, id);
    else if ((temp = rnn_block_new(e, rnn_ops[s->op].name, x->n, s->dtype))) c.out = temp->data;
    if (c.out) run(&c, x->ndim, x->shape, (int)x->ip[0]);
    else failed = RNN_EMEMORY;
    if (!failed && !direct && t.wanted) failed = rnn_target_add(e, &t, s->dtype, c.out);
    if (temp) rnn_drop_block(e, temp);
    if (packed) rnn_drop_block(e, packed);
    return failed;
}

int rnn_cumprod_backward(rnn_engine *e, uint32_t id) { return rnn_cumsum_backward(e, id); }

/* ---- edges ----------------------------------------------------------------------------------- */

/* Node k was made from node k - 1 and element k. */
int rnn_cumsum_edges(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out) {
    const rnn_ext *x = rnn_at(e, id)->ext;
    rnn_view a, self = {.span = id, .needs_grad = true};
    int64_t inner = 1;
    for (int d = (int)x->ip[0] + 1; d < x->ndim; d++) inner *= x->shape[d];
    rnn_operand_view(e, id, 0, &a);
    const int op = rnn_at(e, id)->op;
    const bool first = x->ndim == 0 || node / inner % x->shape[x->ip[0]] == 0;
    const int64_t at = rnn_flat_to_offset(&a, node);
    const double z = rnn_node_value(e, id, node), ak = rnn_node_value(e, a.span, at);
    const double before =
        first ? op == RNN_OP_CUMPROD ? 1 : -INFINITY : rnn_node_value(e, id, node - inner);
    const bool product = op == RNN_OP_CUMPROD, sum = op == RNN_OP_CUMSUM;
    if (!first)
        rnn_push_edge(e, out, &self, node - inner, sum ? 1 : product ? ak : exp(before - z));
    rnn_push_edge(e, out, &a, at, sum ? 1 : product ? before : exp(ak - z));
    return 0;
}

int rnn_cumprod_edges(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out) {
    return rnn_cumsum_edges(e, id, node, out);
}

int rnn_cumsum_uses(rnn_engine *e, uint32_t id, int k, int64_t node, rnn_use_list *out) {
    const rnn_ext *x = rnn_at(e, id)->ext;
    const int64_t length = x->ndim ? x->shape[x->ip[0]] : 1;
    int64_t inner = 1;
    for (int d = (int)x->ip[0] + 1; d < x->ndim; d++) inner *= x->shape[d];
    if (k == RNN_ITSELF) {
        if (node / inner % length + 1 < length)
            rnn_push_use(out, node + inner, rnn_edge_local(e, id, node + inner, 0));
        return 0;
    }
    rnn_view a;
    rnn_places p;
    rnn_operand_view(e, id, k, &a);
    for (rnn_places_begin(&p, &a, node); rnn_places_next(&p);) {
        const int64_t at = rnn_place_flat(&p);
        rnn_push_use(out, at, rnn_edge_local(e, id, at, at / inner % length ? 1 : 0));
    }
    return 0;
}

int rnn_cumprod_uses(rnn_engine *e, uint32_t id, int k, int64_t node, rnn_use_list *out) {
    return rnn_cumsum_uses(e, id, k, node, out);
}
