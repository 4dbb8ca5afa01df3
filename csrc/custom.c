/* custom.c: spans whose values and gradients Python computes (autograd.Function). */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

rnn_ref rnn_custom(rnn_engine *e, int dtype, int ndim, const int64_t *shape, const void *data, int count,
                   const rnn_ref *operands, int64_t function) {
    rnn_owner *owner = rnn_malloc(e, sizeof *owner);
    rnn_view *v = rnn_malloc(e, ((size_t)count + 1) * sizeof *v);
    if (!owner || !v) {
        free(owner);
        free(v);
        return rnn_fail(e, RNN_EMEMORY, "custom: no memory for the record of a span");
    }
    *owner = (rnn_owner){(void *)(intptr_t)function, NULL};
    rnn_build b = {.op = RNN_OP_CUSTOM, .dtype = dtype, .ndim = ndim, .count = count, .in = v, .function = owner};
    int failed = 0;
    for (int k = 0; k < count && !failed; k++) failed = rnn_view_of(e, operands[k], &v[k]);
    if (failed || ndim < 0 || ndim > RNN_MAX_DIMS) {
        rnn_build_abort(e, &b);
        free(v);
        return failed ? failed : rnn_fail(e, RNN_EVALUE, "a tensor has at most %d dimensions", RNN_MAX_DIMS);
    }
    if (ndim) memcpy(b.shape, shape, (size_t)ndim * sizeof(int64_t));
    failed = rnn_build_begin(e, &b);
    rnn_ref out = failed;
    if (!failed) {
        memcpy(b.out, data, (size_t)b.n * rnn_itemsize(dtype));
        out = rnn_build_finish(e, &b);
    }
    free(v);
    return out;
}

/* Python runs it: see run_span in backward.c. */
int rnn_custom_backward(rnn_engine *e, uint32_t id) {
    (void)id;
    return rnn_fail(e, RNN_ERUNTIME, "an autograd.Function runs its backward in Python");
}

int rnn_custom_edges(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out) {
    (void)id, (void)node, (void)out;
    return rnn_fail(e, RNN_ERUNTIME, "the local derivatives of an autograd.Function are not known one by one");
}
