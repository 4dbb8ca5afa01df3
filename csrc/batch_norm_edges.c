/* batch_norm_edges.c: what an element of a batch_norm was made from, and what was made from one. */
#include "internal.h"

#include <string.h>

/* which of ip says where weight and bias are among the operands; 0: not given */
enum { WEIGHT = 1, BIAS };

/* dz_i / dx_j = w rstd (delta_ij - 1/n - xhat_i xhat_j / n) within a channel; dz / dw = xhat; dz /
 * db = 1 */
int rnn_batch_norm_edges(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out) {
    const rnn_ext *x = rnn_at(e, id)->ext;
    const double *stats = x->saved;
    rnn_view in, w, b;
    rnn_operand_view(e, id, 0, &in);
    const int64_t places = rnn_numel(in.ndim - 2, in.shape + 2), channels = in.shape[1],
                  c = node / places % channels;
    const double mean = stats[2 * c], rstd = stats[2 * c + 1], n = (double)(in.shape[0] * places);
    const double hat = (rnn_node_value(e, in.span, rnn_flat_to_offset(&in, node)) - mean) * rstd;
    double weight = 1;
    if (x->ip[WEIGHT]) {
        rnn_operand_view(e, id, (int)x->ip[WEIGHT], &w);
        weight = rnn_node_value(e, w.span, w.offset + c * w.stride[0]);
        rnn_push_edge(e, out, &w, w.offset + c * w.stride[0], hat);
    }
    if (x->ip[BIAS]) {
        rnn_operand_view(e, id, (int)x->ip[BIAS], &b);
        rnn_push_edge(e, out, &b, b.offset + c * b.stride[0], 1);
    }
    for (int64_t i = 0; i < in.shape[0] * places; i++) {
        const int64_t flat = (i / places * channels + c) * places + i % places,
                      other = rnn_flat_to_offset(&in, flat);
        const double other_hat = (rnn_node_value(e, in.span, other) - mean) * rstd;
        const double shared = x->ip[0] ? (1 + hat * other_hat) / n : 0;
        if (x->ip[0] || flat == node)
            rnn_push_edge(e, out, &in, other, weight * rstd * ((flat == node) - shared));
    }
    return 0;
}

/* Every output of the channel, or (by its own statistics only) every output by each of its
 * inputs. */
int rnn_batch_norm_uses(rnn_engine *e, uint32_t id, int k, int64_t node, rnn_use_list *out) {
    const rnn_ext *x = rnn_at(e, id)->ext;
    rnn_view in, v;
    rnn_places p;
    rnn_operand_view(e, id, 0, &in);
    rnn_operand_view(e, id, k, &v);
    const int64_t places = rnn_numel(in.ndim - 2, in.shape + 2), channels = in.shape[1];
    const int64_t first = (x->ip[WEIGHT] != 0) + (x->ip[BIAS] != 0); /* of x's edges */
    for (rnn_places_begin(&p, &v, node); rnn_places_next(&p);) {
        const int64_t flat = rnn_place_flat(&p), c = k ? flat : flat / places % channels;
        const int64_t mine = flat / places / channels * places + flat % places;
        for (int64_t i = 0; i < in.shape[0] * places; i++) {
            const int64_t at = (i / places * channels + c) * places + i % places;
            const int64_t place = k == 0             ? first + (x->ip[0] ? mine : 0)
                                  : k == x->ip[BIAS] ? first - 1
                                                     : 0;
            if (k || x->ip[0] || at == flat)
                rnn_push_use(out, at, rnn_edge_local(e, id, at, place));
        }
    }
    return 0;
}

/* training, the places of weight and bias among the operands (0: not given), then mean and rstd of
 * each channel: the bits of doubles */
int64_t rnn_batch_norm_numbers(const rnn_ext *x, int64_t capacity, int64_t *out) {
    rnn_copy_numbers(3, x->ip, capacity, out);
    const int64_t count = (int64_t)(x->saved_bytes / sizeof(double));
    for (int64_t i = 0; i < count && i + 3 < capacity; i++)
        memcpy(out + 3 + i, (const double *)x->saved + i, sizeof(double));
    return 3 + count;
}
