/* masks.c: the choice between two values by a mask of bytes: where, masked_fill, and their
 * gradients; and where a mask is not 0. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

enum { GRAIN = 16384 };

/* dst[i] (+)= mask[i % period] ? a : b. A step of 0 stands for one value, and of 1 for a run as
 * long as dst. */
typedef struct {
    int dtype;
    bool add;
    const uint8_t *mask;
    int64_t period;
    const void *a, *b;
    int a_step, b_step;
    void *dst;
} choice;

#define EACH(expression) \
    for (int64_t i = 0; i < n; i++) dst[i] = (expression)
#define CHOOSE(T, name) \
    static void name(const choice *c, int64_t from, const uint8_t *mask, int64_t n) { \
        const T *a = (const T *)c->a + c->a_step * from, *b = (const T *)c->b + c->b_step * from; \
        const T one_a = *a, one_b = *b; \
        T *dst = (T *)c->dst + from; \
        if (c->add && c->a_step) EACH(dst[i] + (mask[i] ? a[i] : 0)); \
        else if (c->add) EACH(dst[i] + (mask[i] ? 0 : b[i])); \
        else if (c->a_step && c->b_step) EACH(mask[i] ? a[i] : b[i]); \
        else if (c->a_step) EACH(mask[i] ? a[i] : one_b); \
        else if (c->b_step) EACH(mask[i] ? one_a : b[i]); \
        else EACH(mask[i] ? one_a : one_b); \
    }
CHOOSE(float, choose_f32)
CHOOSE(double, choose_f64)

static void choose_task(void *ctx, int64_t begin, int64_t end) {
    const choice *c = ctx;
    while (begin < end) {
        const int64_t at = begin % c->period,
                      run = c->period - at < end - begin ? c->period - at : end - begin;
        (c->dtype == RNN_F64 ? choose_f64 : choose_f32)(c, begin, c->mask + at, run);
        begin += run;
    }
}

static void choose(rnn_engine *e, choice *c, int64_t n) {
    rnn_parallel_for(e->pool, n, GRAIN, choose_task, c);
}

static int keep_mask(rnn_engine *e, rnn_build *b, const uint8_t *mask, int64_t bytes) {
    const int failed = rnn_save(e, b, bytes, 1);
    if (!failed && bytes) memcpy(b->saved, mask, (size_t)bytes);
    return failed;
}

/* ---- where ----------------------------------------------------------------------------------- */

/* An operand seen as one value, as a run, or packed into *temp. */
static int as_run(rnn_engine *e, const rnn_view *v, const rnn_build *b, const void **data,
                  int *step, rnn_block **temp) {
    *data = rnn_view_data(e, v);
    *step = 1;
    const int64_t n = rnn_numel(v->ndim, v->shape);
    if (n == b->n && rnn_view_is_contiguous(v)) return 0;
    *step = 0;
    if (n == 1) return 0;
    rnn_view wide = *v;
    rnn_expand_view(&wide, b->ndim, b->shape);
    *step = 1;
    *temp = rnn_block_new(e, "where", b->n, b->dtype);
    if (!*temp) return RNN_EMEMORY;
    *data = (*temp)->data;
    return rnn_pack_view(e, &wide, (*temp)->data);
}

rnn_ref rnn_where(rnn_engine *e, const uint8_t *mask, int ndim, const int64_t *shape, rnn_ref ra,
                  rnn_ref rb) {
    rnn_view in[2];
    if (rnn_view_of(e, ra, &in[0]) || rnn_view_of(e, rb, &in[1])) return RNN_ETYPE;
    if (in[0].dtype != in[1].dtype) return RNN_EDTYPE;
    rnn_build b = {.op = RNN_OP_WHERE, .dtype = in[0].dtype, .ndim = ndim, .count = 2, .in = in};
    int failed = rnn_check_shape(e, "where", ndim, shape, &b.n);
    if (!failed) failed = keep_mask(e, &b, mask, b.n);
    if (failed) return failed;
    if (ndim) memcpy(b.shape, shape, (size_t)ndim * sizeof(int64_t));
    if ((failed = rnn_build_begin(e, &b))) return failed;
    rnn_block *temp[2] = {NULL, NULL};
    choice c = {.dtype = b.dtype, .mask = b.saved, .period = b.n, .dst = b.out};
    failed = as_run(e, &in[0], &b, &c.a, &c.a_step, &temp[0]);
    if (!failed) failed = as_run(e, &in[1], &b, &c.b, &c.b_step, &temp[1]);
    if (!failed && b.n) choose(e, &c, b.n);
    rnn_drop_block(e, temp[0]);
    rnn_drop_block(e, temp[1]);
    if (!failed) return rnn_build_finish(e, &b);
    rnn_build_abort(e, &b);
    return failed;
}

/* Operand k gains dz where the mask is not 0 (chosen) or is 0. */
static int masked_gradient(rnn_engine *e, uint32_t id, int k, bool chosen, int64_t period) {
    static const double zero = 0;
    const rnn_span *s = rnn_at(e, id);
    const rnn_ext *x = s->ext;
    const void *dz = rnn_span_grad(e, id);
    rnn_target t;
    int failed = rnn_target_begin(e, id, k, x->n, &t);
    if (failed || !t.wanted || !x->n) return failed;
    choice c = {.dtype = s->dtype,
                .mask = x->saved,
                .period = period,
                .dst = t.grad,
                .add = !t.fresh,
                .a = chosen ? dz : &zero,
                .b = chosen ? &zero : dz,
                .a_step = chosen,
                .b_step = !chosen};
    if (rnn_numel(t.v.ndim, t.v.shape) == x->n && rnn_view_is_contiguous(&t.v)) {
        choose(e, &c, x->n);
        return 0;
    }
    rnn_block *masked = rnn_block_new(e, "where backward", x->n, s->dtype);
    if (!masked) return RNN_EMEMORY;
    c.add = false;
    c.dst = masked->data;
    choose(e, &c, x->n);
    rnn_expand_view(&t.v, x->ndim, x->shape);
    failed = rnn_target_add(e, &t, s->dtype, masked->data);
    rnn_drop_block(e, masked);
    return failed;
}

int rnn_where_backward(rnn_engine *e, uint32_t id) {
    const int64_t n = rnn_at(e, id)->ext->n;
    int failed = masked_gradient(e, id, 0, true, n);
    return failed ? failed : masked_gradient(e, id, 1, false, n);
}

int rnn_where_edges(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out) {
    const rnn_ext *x = rnn_at(e, id)->ext;
    const int chosen = ((const uint8_t *)x->saved)[node] ? 0 : 1;
    rnn_view v;
    rnn_operand_view(e, id, chosen, &v);
    rnn_expand_view(&v, x->ndim, x->shape);
    rnn_push_edge(e, out, &v, rnn_flat_to_offset(&v, node), 1);
    return 0;
}

/* ---- masked_fill: the mask repeats over the leading dimensions ------------------------------- */

rnn_ref rnn_masked_fill(rnn_engine *e, rnn_ref ref, const uint8_t *mask, int64_t period,
                        double value) {
    rnn_view a;
    if (rnn_view_of(e, ref, &a)) return RNN_ETYPE;
    rnn_build b = {.op = RNN_OP_MASKED_FILL,
                   .dtype = a.dtype,
                   .ndim = a.ndim,
                   .count = 1,
                   .in = &a,
                   .ip = {period}};
    const int64_t n = rnn_numel(a.ndim, a.shape);
    if (n && (period <= 0 || n % period))
        return rnn_fail(e, RNN_EVALUE,
                        "masked_fill: a mask of %lld does not repeat in %lld elements",
                        (long long)period, (long long)n);
    int failed = keep_mask(e, &b, mask, n ? period : 0);
    if (failed) return failed;
    memcpy(b.shape, a.shape, sizeof b.shape);
    if ((failed = rnn_build_begin(e, &b))) return failed;
    const float value32 = (float)value;
    choice c = {.dtype = a.dtype,
                .mask = b.saved,
                .period = period,
                .dst = b.out,
                .b = rnn_view_data(e, &a),
                .a = a.dtype == RNN_F64 ? (const void *)&value : &value32,
                .b_step = 1};
    if (!rnn_view_is_contiguous(&a)) {
        rnn_pack_view(e, &a, b.out);
        c.b = b.out;
    }
    if (n) choose(e, &c, n);
    return rnn_build_finish(e, &b);
}

int rnn_masked_fill_backward(rnn_engine *e, uint32_t id) {
    return masked_gradient(e, id, 0, false, rnn_at(e, id)->ext->ip[0]);
}

int rnn_masked_fill_edges(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out) {
    const rnn_ext *x = rnn_at(e, id)->ext;
    rnn_view a;
    rnn_operand_view(e, id, 0, &a);
    if (!((const uint8_t *)x->saved)[node % x->ip[0]])
        rnn_push_edge(e, out, &a, rnn_flat_to_offset(&a, node), 1);
    return 0;
}

/* ---- where a mask is not 0 ------------------------------------------------------------------- */

enum { BLOCK = 16384, RUN = 512 };

typedef struct {
    const uint8_t *mask;
    int ndim;
    const int64_t *shape;
    int64_t *first; /* how many there are before each block, and in all; before that: in it */
    int64_t *out, step, dim_step;
} places;

static void count_task(void *ctx, int64_t begin, int64_t end) {
    const places *p = ctx;
    int64_t count = 0;
    for (int64_t i = begin; i < end; i++) count += p->mask[i] != 0;
    p->first[begin / BLOCK] = count;
}

/* One run of the last dimension, at most RUN elements, whose first has this index; hits, `most` of
 * them at most, are written from `at` on. Which elements are hits is as good as random: no branch
 * asks. */
static int64_t place_run(const places *p, const uint8_t *mask, int64_t n, const int64_t *index,
                         int64_t at, int64_t most) {
    int64_t hit[RUN + 1], count = 0;
    const int last = p->ndim - 1;
    for (int64_t i = 0; i < n; i++) {
        hit[count] = index[last] + i;
        count += mask[i] != 0;
    }
    if (count > most) count = most; /* the mask is being written */
    for (int d = 0; d <= last; d++) {
        int64_t *out = p->out + at * p->step + d * p->dim_step;
        for (int64_t k = 0; k < count; k++) out[k * p->step] = d == last ? hit[k] : index[d];
    }
    return count;
}

static void place_task(void *ctx, int64_t begin, int64_t end) {
    const places *p = ctx;
    const int last = p->ndim - 1;
    int64_t index[RNN_MAX_DIMS], rest = begin, at = p->first[begin / BLOCK];
    const int64_t stop = p->first[begin / BLOCK + 1];
    for (int d = last; d >= 0; d--) {
        index[d] = rest % p->shape[d];
        rest /= p->shape[d];
    }
    while (begin < end) {
        int64_t n = p->shape[last] - index[last];
        n = n > RUN ? RUN : n;
        n = n > end - begin ? end - begin : n;
        at += place_run(p, p->mask + begin, n, index, at, stop - at);
        begin += n;
        index[last] += n;
        for (int d = last; d > 0 && index[d] == p->shape[d]; d--) {
            index[d] = 0;
            index[d - 1]++;
        }
    }
}

int rnn_nonzero(rnn_engine *e, const uint8_t *mask, int ndim, const int64_t *shape, int64_t count,
                int by_dim, int64_t *out) {
    if (ndim < 1 || ndim > RNN_MAX_DIMS)
        return rnn_fail(e, RNN_EVALUE, "nonzero: %d dimensions", ndim);
    const int64_t n = rnn_numel(ndim, shape), blocks = (n + BLOCK - 1) / BLOCK;
    places p = {.mask = mask,
                .ndim = ndim,
                .shape = shape,
                .first = rnn_malloc(e, ((size_t)blocks + 1) * sizeof(int64_t)),
                .out = out,
                .step = by_dim ? 1 : ndim,
                .dim_step = by_dim ? count : 1};
    if (!p.first)
        return rnn_fail(e, RNN_EMEMORY, "nonzero: no memory for %lld counts", (long long)blocks);
    rnn_parallel_for(e->pool, n, BLOCK, count_task, &p);
    int64_t before = 0;
    for (int64_t i = 0; i < blocks; i++) {
        const int64_t here = p.first[i];
        p.first[i] = before;
        before += here;
    }
    p.first[blocks] = before;
    if (before == count) rnn_parallel_for(e->pool, n, BLOCK, place_task, &p);
    free(p.first);
    if (before == count) return 0;
    return rnn_fail(e, RNN_ERUNTIME, "nonzero: the mask was written meanwhile");
}
