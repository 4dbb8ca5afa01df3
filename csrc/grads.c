/* grads.c: gradients as memory: making it, adding to it, reading it, handing it to Python.
 * What it is not: it decides nothing about when a gradient flows; backward.c does. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- one node ---------------------------------------------------------------------------------- */

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
    if (!(s->flags & RNN_S_HAS_GRAD)) {
        int failed = rnn_span_grad_begin(e, span, true);
        if (failed) return failed;
    }
    void *grad = rnn_span_grad(e, span);
    save(grad, s->dtype, node, load(grad, s->dtype, node) + d);
    return 0;
}

int rnn_node_set_grad(rnn_engine *e, uint32_t span, int64_t node, double value) {
    rnn_span *s = rnn_at(e, span);
    if (!(s->flags & RNN_S_HAS_GRAD)) {
        int failed = rnn_span_grad_begin(e, span, true);
        if (failed) return failed;
    }
    save(rnn_span_grad(e, span), s->dtype, node, value);
    return 0;
}

/* ---- a span's ------------------------------------------------------------------------------------ */

/* Drops the gradient. Under the lock. */
void rnn_span_clear_grad(rnn_engine *e, uint32_t id) {
    rnn_span *s = rnn_at(e, id);
    if (!(s->flags & RNN_S_HAS_GRAD)) return;
    s->flags &= (uint8_t)~RNN_S_HAS_GRAD;
    if (s->flags & RNN_S_SCALAR) return;
    rnn_block_unref(e, s->ext->grad);
    s->ext->grad = NULL;
}

/* The span, which has no gradient, gets memory for one: zeros, or anything if the caller overwrites all of it. */
int rnn_span_grad_begin(rnn_engine *e, uint32_t id, bool zero) {
    rnn_span *s = rnn_at(e, id);
    if (s->flags & RNN_S_SCALAR) {
        e->grad[id] = 0; /* also 0.0f */
    } else {
        rnn_block *b = rnn_block_new(e, "gradient", s->ext->n, s->dtype);
        if (!b) return RNN_EMEMORY;
        if (zero) memset(b->data, 0, (size_t)s->ext->n * rnn_itemsize(s->dtype));
        s->ext->grad = b;
    }
    s->flags |= RNN_S_HAS_GRAD;
    return 0;
}

void rnn_operand_view(rnn_engine *e, uint32_t id, int k, rnn_view *v) {
    const rnn_operand *o = &rnn_at(e, id)->ext->in[k];
    v->span = o->span;
    v->ndim = o->ndim;
    v->dtype = rnn_at(e, o->span)->dtype;
    v->needs_grad = o->needs_grad;
    v->offset = o->offset;
    memcpy(v->shape, o->dims, (size_t)o->ndim * sizeof(int64_t));
    memcpy(v->stride, o->dims + o->ndim, (size_t)o->ndim * sizeof(int64_t));
}

/* Where a backward kernel adds the gradient of operand k, of which it makes n elements. A fresh one that they cover node
 * for node needs no zeros: the kernel overwrites it. */
int rnn_target_begin(rnn_engine *e, uint32_t id, int k, int64_t n, rnn_target *t) {
    rnn_operand_view(e, id, k, &t->v);
    rnn_span *s = rnn_at(e, t->v.span);
    t->wanted = t->v.needs_grad && s->flags & RNN_S_NEEDS_GRAD;
    t->fresh = false;
    if (!t->wanted) return 0;
    if (!(s->flags & RNN_S_HAS_GRAD)) {
        t->fresh = n == rnn_span_size(s) && n == rnn_numel(t->v.ndim, t->v.shape) && !(s->flags & RNN_S_SCALAR) &&
                   rnn_view_is_injective(&t->v);
        int failed = rnn_span_grad_begin(e, t->v.span, !t->fresh);
        if (failed) return failed;
    }
    t->grad = (char *)rnn_span_grad(e, t->v.span) + t->v.offset * (int64_t)rnn_itemsize(s->dtype);
    return 0;
}

int rnn_target_zero(rnn_engine *e, uint32_t id, int k, rnn_target *t) {
    return rnn_target_begin(e, id, k, -1, t);
}

/* ---- gradients as tensors -------------------------------------------------------------------------- */

/* A constant span over a block (whose reference it takes) seen through t's view. */
static rnn_ref wrap_block(rnn_engine *e, rnn_block *block, rnn_tensor *t, int64_t n) {
    rnn_build b = {.op = RNN_OP_LEAF, .dtype = t->dtype, .ndim = 1, .shape = {n}, .block = block};
    int failed = rnn_build_begin(e, &b);
    if (failed) return failed;
    rnn_ref flat = rnn_build_finish(e, &b);
    if (flat < 0) return flat;
    rnn_ref out = rnn_tensor_new(e, rnn_tensor_of(flat)->store, t->dtype, 0, 0, t->offset, t->ndim, t->dims,
                                 t->dims + t->ndim);
    rnn_release(e, flat);
    return out;
}

static rnn_ref grad_of(rnn_engine *e, uint32_t id, rnn_tensor *t) {
    rnn_span *s = rnn_at(e, id);
    if (!(s->flags & RNN_S_HAS_GRAD)) return 0;
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

/* Shares the memory of `grad` where the layouts agree, else copies. */
int rnn_set_grad(rnn_engine *e, rnn_ref ref, rnn_ref grad) {
    uint32_t id = rnn_span_of(ref);
    rnn_span *s = rnn_at(e, id);
    if (grad <= 0) {
        rnn_lock(e);
        rnn_span_clear_grad(e, id);
        rnn_unlock(e);
        return 0;
    }
    rnn_view g, t;
    rnn_view_of(e, grad, &g);
    rnn_view_of(e, ref, &t);
    if (g.dtype != t.dtype) return RNN_EDTYPE;
    if (g.ndim != t.ndim || memcmp(g.shape, t.shape, (size_t)t.ndim * sizeof(int64_t))) {
        char a[256], b[256];
        return rnn_fail(e, RNN_ERUNTIME, "assigned grad has data of a different size: %s, not %s",
                        rnn_shape_text(g.ndim, g.shape, a, sizeof a), rnn_shape_text(t.ndim, t.shape, b, sizeof b));
    }
    rnn_span *gs = rnn_at(e, g.span);
    bool share = !((s->flags | gs->flags) & RNN_S_SCALAR) && g.offset == 0 && t.offset == 0 &&
                 rnn_view_is_contiguous(&g) && rnn_view_is_contiguous(&t) && gs->ext->data_offset == 0 &&
                 rnn_numel(t.ndim, t.shape) == s->ext->n;
    if (share) {
        rnn_lock(e);
        gs->ext->data->refs++;
        rnn_block_unref(e, s->ext->grad);
        s->ext->grad = gs->ext->data;
        s->flags |= RNN_S_HAS_GRAD;
        rnn_unlock(e);
        return 0;
    }
    int failed = s->flags & RNN_S_HAS_GRAD ? 0 : rnn_span_grad_begin(e, id, true);
    if (failed) return failed;
    rnn_accumulate_job job = {.ndim = t.ndim, .dtype = t.dtype, .src = rnn_view_data(e, &g), .scale = 1,
                              .dst = (char *)rnn_span_grad(e, id) + t.offset * (int64_t)rnn_itemsize(t.dtype),
                              .overwrite = true};
    memcpy(job.shape, t.shape, sizeof job.shape);
    memcpy(job.dst_stride, t.stride, sizeof job.dst_stride);
    memcpy(job.src_stride, g.stride, sizeof job.src_stride);
    return rnn_accumulate(e, &job);
}

/* For Python's part of a pass: the gradient of a span that it looks at through `view` gains (or becomes) `grad`. */
int rnn_add_grad(rnn_engine *e, rnn_ref view, rnn_ref grad, int replace) {
    rnn_view t, g;
    rnn_view_of(e, view, &t);
    rnn_view_of(e, grad, &g);
    rnn_span *s = rnn_at(e, t.span);
    if (!t.needs_grad) return 0;
    if (g.dtype != t.dtype) return RNN_EDTYPE;
    if (g.ndim != t.ndim || memcmp(g.shape, t.shape, (size_t)t.ndim * sizeof(int64_t))) {
        char a[256], b[256];
        return rnn_fail(e, RNN_ERUNTIME, "a gradient of shape %s was given for a tensor of shape %s",
                        rnn_shape_text(g.ndim, g.shape, a, sizeof a), rnn_shape_text(t.ndim, t.shape, b, sizeof b));
    }
    int failed = s->flags & RNN_S_HAS_GRAD ? 0 : rnn_span_grad_begin(e, t.span, true);
    if (failed) return failed;
    rnn_accumulate_job job = {.ndim = t.ndim, .dtype = t.dtype, .src = rnn_view_data(e, &g), .scale = 1,
                              .dst = (char *)rnn_span_grad(e, t.span) + t.offset * (int64_t)rnn_itemsize(t.dtype),
                              .overwrite = replace != 0};
    memcpy(job.shape, t.shape, sizeof job.shape);
    memcpy(job.dst_stride, t.stride, sizeof job.dst_stride);
    memcpy(job.src_stride, g.stride, sizeof job.src_stride);
    return rnn_accumulate(e, &job);
}

/* ---- leaves ------------------------------------------------------------------------------------------ */

/* A view becomes a leaf of its own: new nodes over the same memory, in the order of that memory. */
static int own_nodes(rnn_engine *e, rnn_tensor *t) {
    const rnn_span *s = rnn_at(e, t->store->span);
    if (s->flags & RNN_S_SCALAR) return rnn_fail(e, RNN_ERUNTIME, "a view of a Value cannot have nodes of its own");
    rnn_lock(e);
    rnn_block *block = s->ext->data;
    block->refs++;
    rnn_unlock(e);
    rnn_build b = {.op = RNN_OP_LEAF, .dtype = t->dtype, .ndim = s->ext->ndim, .block = block};
    memcpy(b.shape, s->ext->shape, (size_t)s->ext->ndim * sizeof(int64_t));
    int64_t data_offset = s->ext->data_offset;
    int failed = rnn_build_begin(e, &b);
    if (failed) return failed;
    b.ext->data_offset = data_offset;
    rnn_ref fresh = rnn_build_finish(e, &b);
    if (fresh < 0) return (int)fresh;
    rnn_store *store = rnn_tensor_of(fresh)->store, *old = t->store;
    rnn_lock(e);
    t->store = store;
    t->flags = 0;
    t->view_op = 0;
    store->refs++;
    bool last = --old->refs == 0;
    if (last) rnn_span_unref(e, old->span);
    rnn_unlock(e);
    if (last) free(old);
    rnn_release(e, fresh);
    return 0;
}

int rnn_set_requires_grad(rnn_engine *e, rnn_ref ref, int on) {
    rnn_tensor *t = rnn_tensor_of(ref);
    rnn_span *s = rnn_at(e, t->store->span);
    if (rnn_tensor_needs_grad(e, t) == (on != 0)) return 0;
    if (!on && !rnn_is_leaf(e, ref))
        return rnn_fail(e, RNN_ERUNTIME,
                        "you can only change requires_grad flags of leaf variables. If you want to use a computed "
                        "variable in a subgraph that doesn't require differentiation use var_no_grad = var.detach().");
    rnn_view v;
    rnn_view_of(e, ref, &v);
    const bool whole = s->flags & RNN_S_LEAF && v.offset == 0 && rnn_view_is_contiguous(&v) &&
                       rnn_numel(v.ndim, v.shape) == rnn_span_size(s);
    const bool alone = whole && !(t->flags & RNN_T_DETACHED) && t->store->refs == 1;
    if (!on || alone) {
        rnn_lock(e);
        if (on) s->flags |= RNN_S_NEEDS_GRAD;
        else s->flags &= (uint8_t)~RNN_S_NEEDS_GRAD;
        rnn_unlock(e);
        return 0;
    }
    int failed = own_nodes(e, t);
    if (!failed) rnn_at(e, t->store->span)->flags |= RNN_S_NEEDS_GRAD;
    return failed;
}

int rnn_own(rnn_engine *e, rnn_ref ref) {
    rnn_tensor *t = rnn_tensor_of(ref);
    return rnn_grad_mode() && t->flags & RNN_T_DETACHED ? own_nodes(e, t) : 0;
}

/* t.data = value, for a leaf of the same dtype and shape: it takes over the memory, its gradient stays. */
int rnn_set_data(rnn_engine *e, rnn_ref ref, rnn_ref value) {
    rnn_view t, v;
    rnn_view_of(e, ref, &t);
    rnn_view_of(e, value, &v);
    rnn_span *s = rnn_at(e, t.span), *from = rnn_at(e, v.span);
    bool same = t.dtype == v.dtype && t.ndim == v.ndim &&
                !memcmp(t.shape, v.shape, (size_t)t.ndim * sizeof(int64_t));
    if (!same) return RNN_EDTYPE;
    bool take = !((s->flags | from->flags) & RNN_S_SCALAR) && t.offset == 0 && rnn_view_is_contiguous(&t) &&
                rnn_view_is_contiguous(&v) && rnn_numel(t.ndim, t.shape) == s->ext->n;
    if (take) {
        rnn_lock(e);
        rnn_block *old = s->ext->data;
        from->ext->data->refs++;
        s->ext->data = from->ext->data;
        s->ext->data_offset = from->ext->data_offset + v.offset;
        rnn_block_unref(e, old);
        rnn_unlock(e);
        return 0;
    }
    rnn_ref d = rnn_detach(e, ref, 1);
    if (d < 0) return (int)d;
    int code = rnn_assign(e, d, value);
    rnn_release(e, d);
    return code;
}

int rnn_retain_grad(rnn_engine *e, rnn_ref ref) {
    rnn_span *s = rnn_at(e, rnn_span_of(ref));
    if (!rnn_requires_grad(e, ref))
        return rnn_fail(e, RNN_ERUNTIME, "can't retain_grad on Tensor that has requires_grad=False");
    if (!(s->flags & RNN_S_LEAF)) s->flags |= RNN_S_RETAIN;
    return 0;
}

/* `object` is a reference to a Python object (a list of hooks), which the span keeps; 0 takes it away. */
int rnn_set_hook(rnn_engine *e, rnn_ref ref, int64_t object) {
    rnn_span *s = rnn_at(e, rnn_span_of(ref));
    if (!rnn_requires_grad(e, ref))
        return rnn_fail(e, RNN_ERUNTIME, "cannot register a hook on a tensor that doesn't require gradient");
    if (s->flags & RNN_S_SCALAR) return rnn_fail(e, RNN_ERUNTIME, "hooks are for tensors, not for a Value");
    rnn_owner *owner = rnn_malloc(e, sizeof *owner);
    if (!owner) return rnn_fail(e, RNN_EMEMORY, "no memory for a hook");
    *owner = (rnn_owner){(void *)(intptr_t)object, NULL};
    rnn_lock(e);
    rnn_orphan(e, s->ext->hooks);
    s->ext->hooks = object ? owner : NULL;
    if (object) s->flags |= RNN_S_HOOK;
    else s->flags &= (uint8_t)~RNN_S_HOOK;
    rnn_unlock(e);
    if (!object) free(owner);
    return 0;
}

int64_t rnn_hook(rnn_engine *e, rnn_ref ref) {
    const rnn_span *s = rnn_at(e, rnn_span_of(ref));
    return s->flags & RNN_S_HOOK ? (int64_t)(intptr_t)s->ext->hooks->object : 0;
}
