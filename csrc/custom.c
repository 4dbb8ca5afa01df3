/* custom.c: spans whose values and gradients Python computes (autograd.Function). */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

static bool shares(rnn_engine *e, rnn_ref values, int count, const rnn_ref *operands) {
    bool shares =
        rnn_at(e, rnn_span_of(values))->flags & RNN_S_SCALAR || !rnn_is_contiguous(e, values);
    for (int k = 0; k < count; k++) shares |= rnn_same_memory(e, values, operands[k]);
    return shares;
}

static int prepare(rnn_engine *e, rnn_build *b, const rnn_view *v, bool copies) {
    int64_t first = 0;
    if (!copies) {
        const rnn_ext *x = rnn_at(e, v->span)->ext;
        first = x->data_offset + v->offset;
        b->block = x->data;
        rnn_lock(e);
        b->block->refs++;
        rnn_unlock(e);
    }
    int failed = rnn_build_begin(e, b);
    if (failed) return failed;
    b->ext->data_offset = first;
    if (copies) failed = rnn_pack_view(e, v, b->out);
    if (failed) rnn_build_abort(e, b);
    return failed;
}

rnn_ref rnn_custom(rnn_engine *e, rnn_ref values, int count, const rnn_ref *operands,
                   int64_t function, int64_t name, int inner) {
    rnn_owner *owner = rnn_malloc(e, sizeof *owner);
    rnn_view *in = rnn_malloc(e, (size_t)count * sizeof *in), v;
    int failed =
        owner && in ? 0 : rnn_fail(e, RNN_EMEMORY, "custom: no memory for the record of a span");
    for (int k = 0; k < count && !failed; k++) failed = rnn_view_of(e, operands[k], &in[k]);
    if (!failed) failed = rnn_view_of(e, values, &v);
    if (failed) {
        free(owner);
        free(in);
        return failed;
    }
    *owner = (rnn_owner){(void *)(intptr_t)function, NULL};
    rnn_build b = {.op = RNN_OP_CUSTOM,
                   .dtype = v.dtype,
                   .ndim = v.ndim,
                   .count = count,
                   .in = in,
                   .function = owner,
                   .ip = {name, inner}};
    memcpy(b.shape, v.shape, sizeof b.shape);
    failed = prepare(e, &b, &v, shares(e, values, count, operands));
    rnn_ref out = failed ? failed : rnn_build_finish(e, &b);
    free(in);
    return out;
}

/* Python runs it: see run_span in backward.c. */
int rnn_custom_backward(rnn_engine *e, uint32_t id) {
    (void)id;
    return rnn_fail(e, RNN_ERUNTIME, "an autograd.Function runs its backward in Python");
}

int rnn_custom_edges(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out) {
    (void)id, (void)node, (void)out;
    return rnn_fail(
        e, RNN_ERUNTIME,
        "the local derivatives of an autograd.Function are known to its backward alone: "
        "rnn.inspect asks it, as in rnn.inspect.node(x).operands");
}

int rnn_custom_uses(rnn_engine *e, uint32_t id, int k, int64_t node, rnn_use_list *out) {
    (void)k, (void)out;
    return rnn_custom_edges(e, id, node, NULL);
}
