/* grads.c: gradients as memory: making it, reading it, handing it to Python.
 * What it is not: it decides nothing about when a gradient flows; backward.c does. */
#include "internal.h"

#include <string.h>

/* ---- one node -------------------------------------------------------------------------------- */

static double load(const void *base, int dtype, int64_t at) {
    return dtype == RNN_F64 ? ((const double *)base)[at] : ((const float *)base)[at];
}

static void save(void *base, int dtype, int64_t at, double value) {
    if (dtype == RNN_F64) ((double *)base)[at] = value;
    else ((float *)base)[at] = (float)value;
}

double rnn_node_value(rnn_engine *e, uint32_t span, int64_t node) {
    return load(rnn_span_data(e, span), rnn_at(e, span)->dtype, node);
}

void rnn_node_set(rnn_engine *e, uint32_t span, int64_t node, double value) {
    save(rnn_span_data(e, span), rnn_at(e, span)->dtype, node, value);
}

double rnn_node_grad(rnn_engine *e, uint32_t span, int64_t node) {
    const void *grad = rnn_span_grad(e, span);
    return grad ? load(grad, rnn_at(e, span)->dtype, node) : 0;
}

int rnn_node_add_grad(rnn_engine *e, uint32_t span, int64_t node, double d) {
    rnn_span *s = rnn_at(e, span);
    if (!rnn_span_has_grad(s)) {
        int failed = rnn_span_grad_begin(e, span, true);
        if (failed) return failed;
    }
    void *grad = rnn_span_grad(e, span);
    save(grad, s->dtype, node, load(grad, s->dtype, node) + d);
    return 0;
}

int rnn_node_set_grad(rnn_engine *e, uint32_t span, int64_t node, double value) {
    rnn_span *s = rnn_at(e, span);
    if (!rnn_span_has_grad(s)) {
        int failed = rnn_span_grad_begin(e, span, true);
        if (failed) return failed;
    }
    save(rnn_span_grad(e, span), s->dtype, node, value);
    return 0;
}

/* ---- a span's -------------------------------------------------------------------------------- */

/* Drops the gradient. Under the lock. */
void rnn_span_clear_grad(rnn_engine *e, uint32_t id) {
    rnn_span *s = rnn_at(e, id);
    if (!rnn_span_has_grad(s)) return;
    rnn_state_set(s, ~RNN_G_HAS, 0);
    if (s->flags & RNN_S_SCALAR) return;
    rnn_block_unref(e, s->ext->grad);
    s->ext->grad = NULL;
}

/* The block, whose reference it takes over, becomes the gradient; the old one is given back. */
void rnn_span_grad_put(rnn_engine *e, rnn_span *s, rnn_block *block) {
    rnn_lock(e);
    rnn_block *old = s->ext->grad;
    s->ext->grad = block;
    rnn_state_set(s, 0xff, RNN_G_HAS);
    rnn_block_unref(e, old);
    rnn_unlock(e);
}

/* The span, which has no gradient, gets memory for one: zeros, or anything if the caller overwrites
 * all of it. */
int rnn_span_grad_begin(rnn_engine *e, uint32_t id, bool zero) {
    rnn_span *s = rnn_at(e, id);
    if (s->flags & RNN_S_SCALAR) {
        e->grad[id] = 0; /* also 0.0f */
        rnn_state_set(s, 0xff, RNN_G_HAS);
        return 0;
    }
    rnn_block *b = rnn_block_new(e, "gradient", s->ext->n, s->dtype);
    if (!b) return RNN_EMEMORY;
    if (zero) memset(b->data, 0, (size_t)s->ext->n * rnn_itemsize(s->dtype));
    rnn_span_grad_put(e, s, b);
    return 0;
}

static int copy_grad(rnn_engine *e, rnn_span *s) {
    rnn_block *b = rnn_block_new(e, "gradient", s->ext->n, s->dtype);
    if (!b) return RNN_EMEMORY;
    memcpy(b->data, s->ext->grad->data, (size_t)s->ext->n * rnn_itemsize(s->dtype));
    rnn_span_grad_put(e, s, b);
    return 0;
}

/* A gradient that is a tensor of the graph keeps that one's values: before it changes in place, the
 * span gets a copy of its own. */
int rnn_span_grad_unlink(rnn_engine *e, uint32_t id) {
    rnn_span *s = rnn_at(e, id);
    const bool has = !(s->flags & RNN_S_SCALAR) && rnn_span_has_grad(s);
    return has && s->ext->grad->recorded ? copy_grad(e, s) : 0;
}

/* Hooks may have kept the gradient that they were given; what is added from now on is not
 * theirs. */
int rnn_span_grad_own(rnn_engine *e, uint32_t id) {
    rnn_span *s = rnn_at(e, id);
    if (s->flags & RNN_S_SCALAR || !rnn_span_has_grad(s)) return 0;
    rnn_lock(e);
    const bool shared = s->ext->grad->refs > 1;
    rnn_unlock(e);
    return shared ? copy_grad(e, s) : 0;
}

/* ---- gradients as tensors -------------------------------------------------------------------- */

/* A constant span over a block (whose reference it takes) seen through t's view. */
static rnn_ref wrap_block(rnn_engine *e, rnn_block *block, rnn_tensor *t, int64_t n) {
    rnn_build b = {.op = RNN_OP_LEAF, .dtype = t->dtype, .ndim = 1, .shape = {n}, .block = block};
    int failed = rnn_build_begin(e, &b);
    if (failed) return failed;
    rnn_ref flat = rnn_build_finish(e, &b);
    if (flat < 0) return flat;
    rnn_ref out = rnn_tensor_new(e, rnn_tensor_of(flat)->store, t->dtype, 0, 0, t->offset, t->ndim,
                                 t->dims, t->dims + t->ndim);
    rnn_release(e, flat);
    return out;
}

static rnn_ref grad_of(rnn_engine *e, uint32_t id, rnn_tensor *t) {
    rnn_span *s = rnn_at(e, id);
    if (!rnn_span_has_grad(s)) return 0;
    if (s->flags & RNN_S_SCALAR) return rnn_full(e, s->dtype, 0, NULL, rnn_node_grad(e, id, 0));
    rnn_lock(e);
    rnn_block *b = s->ext->grad;
    if (b) b->refs++;
    rnn_unlock(e);
    return b ? wrap_block(e, b, t, s->ext->n) : 0;
}

rnn_ref rnn_grad(rnn_engine *e, rnn_ref ref) {
    rnn_tensor *t = rnn_tensor_of(ref);
    return t->flags & RNN_T_DETACHED ? 0 : grad_of(e, t->store->span, t);
}

/* Both must have one dtype and one shape. */
static int same_kind(rnn_engine *e, const rnn_view *grad, const rnn_view *t) {
    char a[256], b[256];
    if (grad->dtype != t->dtype) return RNN_EDTYPE;
    if (grad->ndim == t->ndim && !memcmp(grad->shape, t->shape, (size_t)t->ndim * sizeof(int64_t)))
        return 0;
    return rnn_fail(e, RNN_ERUNTIME, "assigned grad has data of a different size: %s, not %s",
                    rnn_shape_text(grad->ndim, grad->shape, a, sizeof a),
                    rnn_shape_text(t->ndim, t->shape, b, sizeof b));
}

/* The gradient of the nodes that t sees gains (or becomes) g. */
static int write_grad(rnn_engine *e, const rnn_view *t, const rnn_view *g, bool overwrite) {
    int failed = rnn_span_has_grad(rnn_at(e, t->span)) ? rnn_span_grad_unlink(e, t->span)
                                                       : rnn_span_grad_begin(e, t->span, true);
    if (failed) return failed;
    rnn_accumulate_job job = {.ndim = t->ndim,
                              .dtype = t->dtype,
                              .src = rnn_view_data(e, g),
                              .scale = 1,
                              .dst = (char *)rnn_span_grad(e, t->span) +
                                     t->offset * (int64_t)rnn_itemsize(t->dtype),
                              .overwrite = overwrite};
    memcpy(job.shape, t->shape, sizeof job.shape);
    memcpy(job.dst_stride, t->stride, sizeof job.dst_stride);
    memcpy(job.src_stride, g->stride, sizeof job.src_stride);
    return rnn_accumulate(e, &job);
}

/* All of g's memory in the order of all of t's. */
static bool same_layout(rnn_engine *e, const rnn_view *g, const rnn_view *t) {
    const rnn_span *s = rnn_at(e, t->span), *gs = rnn_at(e, g->span);
    return !((s->flags | gs->flags) & RNN_S_SCALAR) && g->offset == 0 && t->offset == 0 &&
           gs->ext->data_offset == 0 && rnn_view_is_contiguous(g) && rnn_view_is_contiguous(t) &&
           rnn_numel(t->ndim, t->shape) == s->ext->n;
}

static int set_grad(rnn_engine *e, rnn_ref ref, rnn_ref grad) {
    rnn_view g, t;
    int failed = rnn_view_of(e, ref, &t);
    if (failed) return failed;
    if (grad <= 0) {
        rnn_lock(e);
        rnn_span_clear_grad(e, t.span);
        rnn_unlock(e);
        return 0;
    }
    rnn_view_of(e, grad, &g);
    if ((failed = same_kind(e, &g, &t))) return failed;
    if (!same_layout(e, &g, &t)) return write_grad(e, &t, &g, true);
    rnn_block *block = rnn_at(e, g.span)->ext->data;
    rnn_lock(e);
    block->refs++;
    block->recorded |= g.needs_grad;
    rnn_unlock(e);
    rnn_span_grad_put(e, rnn_at(e, t.span), block);
    return 0;
}

/* Shares the memory of `grad` where the layouts agree, else copies. */
int rnn_set_grad(rnn_engine *e, rnn_ref ref, rnn_ref grad) {
    rnn_turn_take(e, -1);
    int code = set_grad(e, ref, grad);
    rnn_turn_give(e);
    return code;
}

static int add_grad(rnn_engine *e, const rnn_view *t, const rnn_view *g, bool replace) {
    rnn_span *s = rnn_at(e, t->span);
    if (!t->needs_grad || s->state & RNN_G_SKIP) return 0;
    int failed = same_kind(e, g, t);
    if (!failed && replace && rnn_span_has_grad(s)) failed = rnn_span_grad_own(e, t->span);
    return failed ? failed : write_grad(e, t, g, replace);
}

/* For Python's part of a pass: the gradient of the nodes that `view` sees gains (or becomes)
 * `grad`. */
int rnn_add_grad(rnn_engine *e, rnn_ref view, rnn_ref grad, int replace) {
    rnn_view t, g;
    if (rnn_view_of(e, view, &t) || rnn_view_of(e, grad, &g)) return RNN_ETYPE;
    rnn_turn_take(e, -1);
    int code = add_grad(e, &t, &g, replace != 0);
    rnn_turn_give(e);
    return code;
}
