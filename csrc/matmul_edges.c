/* matmul_edges.c: the edges of a matrix product and of linear, and from the other end their
 * uses. */
#include "matmul.h"

#include <string.h>

/* c = sum over t of a[.., i, t] b[.., t, j] */
int rnn_matmul_edges(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out) {
    rnn_view in[2];
    product p;
    int failed = rnn_product_of(e, id, in, &p);
    if (failed) return failed;
    const int64_t j = node % p.n, i = node / p.n % p.m;
    int64_t rest = node / p.n / p.m, a_at = in[0].offset + i * p.a_row,
            b_at = in[1].offset + j * p.b_col;
    for (int d = p.batch_dims - 1; d >= 0; d--) {
        a_at += rest % p.batch[d] * p.a_batch[d];
        b_at += rest % p.batch[d] * p.b_batch[d];
        rest /= p.batch[d];
    }
    for (int64_t t = 0; t < p.k; t++) {
        const int64_t x = a_at + t * p.a_col, y = b_at + t * p.b_row;
        if (!(out->unwanted & 1))
            rnn_push_edge(e, out, &in[0], x, rnn_node_value(e, in[1].span, y));
        if (!(out->unwanted & 2))
            rnn_push_edge(e, out, &in[1], y, rnn_node_value(e, in[0].span, x));
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
    int failed = rnn_product_of(e, id, in, &p);
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
    /* the bias is added as a copy as large as the result is */
    return (k < 2 ? rnn_matmul_uses : rnn_copy_uses)(e, id, k, node, out);
}
