/* compose.c: the compositions that scalar resolution records most often, each in one call from
 * Python. All the others are rnn/ops/compose*.py.
 *
 * What it is not: no kernel and no derivative. It calls the operations, as Python would. */
#include "fold.h"
#include "internal.h"

rnn_ref rnn_compose_sum(rnn_engine *e, rnn_ref t, int64_t dim, int keepdim) {
    rnn_ref sums = rnn_cumsum(e, t, dim);
    if (sums < 0) return sums;
    rnn_ref out =
        keepdim ? rnn_slice(e, sums, dim, -1, INT64_MAX, 1) : rnn_select(e, sums, dim, -1);
    rnn_release(e, sums);
    return out;
}

rnn_ref rnn_compose_matmul(rnn_engine *e, rnn_ref a, rnn_ref b) {
    const bool vector_a = rnn_tensor_of(a)->ndim == 1, vector_b = rnn_tensor_of(b)->ndim == 1;
    /* (..., m, k, 1) and (..., 1, k, n); a vector b has no n, and a vector a no m */
    rnn_ref left = vector_b ? rnn_alias(e, a) : rnn_unsqueeze(e, a, -1);
    if (left < 0) return left;
    rnn_ref right = vector_a || vector_b ? rnn_alias(e, b) : rnn_unsqueeze(e, b, -3);
    rnn_ref products = right < 0 ? right : rnn_binary(e, RNN_OP_MUL, left, right, 1);
    rnn_ref out = products < 0 ? products : rnn_compose_sum(e, products, vector_b ? -1 : -2, 0);
    rnn_release(e, left);
    if (right > 0) rnn_release(e, right);
    if (products > 0) rnn_release(e, products);
    return out;
}

static void finish_negated(rnn_fold *f, int64_t row, const rnn_fold_state *s) {
    if (f->dtype == RNN_F32) ((float *)f->out)[row] = (float)-s->a;
    else ((double *)f->out)[row] = -s->a;
}

/* Minus the largest element of each row along `dim`, which stays with size 1: a constant. */
static rnn_ref minus_largest(rnn_engine *e, const rnn_view *a, int64_t dim) {
    rnn_fold f;
    uint32_t mask = 0;
    int failed = a->ndim ? rnn_reduced_dims(e, a->ndim, 1, &dim, &mask) : 0;
    if (failed) return failed;
    rnn_build b = {.op = RNN_OP_LEAF, .dtype = a->dtype};
    rnn_reduced_shape(&b, a, mask, true);
    rnn_fold_begin(&f, a->ndim, a->shape, a->stride, mask);
    f.kind = RNN_FOLD_MAX;
    f.dtype = a->dtype;
    f.finish = finish_negated;
    if ((failed = rnn_build_begin(e, &b))) return failed;
    f.out = b.out;
    f.data = rnn_view_data(e, a);
    if (!(failed = rnn_fold_run(e, &f))) return rnn_build_finish(e, &b);
    rnn_build_abort(e, &b);
    return failed;
}

rnn_ref rnn_below_largest(rnn_engine *e, rnn_ref t, int64_t dim) {
    rnn_view a;
    if (rnn_view_of(e, t, &a)) return RNN_ETYPE;
    rnn_ref top = minus_largest(e, &a, dim);
    if (top < 0) return top;
    rnn_ref out = rnn_binary(e, RNN_OP_ADD, t, top, 1);
    rnn_release(e, top);
    return out;
}
