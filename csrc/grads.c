/* grads.c: gradients as memory: making it, adding to it, reading it, handing it to Python.
 * What it is not: it decides nothing about when a gradient flows; backward.c does. */
#include "pass.h"

#include <stdlib.h>
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
static void put_block(rnn_engine *e, rnn_span *s, rnn_block *block) {
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
    put_block(e, s, b);
    return 0;
}

static int copy_grad(rnn_engine *e, rnn_span *s) {
    rnn_block *b = rnn_block_new(e, "gradient", s->ext->n, s->dtype);
    if (!b) return RNN_EMEMORY;
    memcpy(b->data, s->ext->grad->data, (size_t)s->ext->n * rnn_itemsize(s->dtype));
    put_block(e, s, b);
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

/* ---- putting aside --------------------------------------------------------------------------- */

int rnn_stash_put(rnn_engine *e, rnn_pass *p, uint32_t id, bool adds) {
    if (p->stash_count == p->stash_capacity) {
        const int64_t larger = p->stash_capacity ? 2 * p->stash_capacity : 16;
        void *moved =
            rnn_allocation_fails(e) ? NULL : realloc(p->stash, (size_t)larger * sizeof *p->stash);
        if (!moved) return rnn_fail(e, RNN_EMEMORY, "backward: no memory to put a gradient aside");
        p->stash = moved;
        p->stash_capacity = larger;
    }
    rnn_span *s = rnn_at(e, id);
    const bool had = rnn_span_has_grad(s), scalar = s->flags & RNN_S_SCALAR;
    p->stash[p->stash_count++] = (rnn_stashed){id,
                                               adds,
                                               had,
                                               scalar,
                                               had && !scalar ? s->ext->grad : NULL,
                                               had && scalar ? rnn_node_grad(e, id, 0) : 0};
    if (!scalar) s->ext->grad = NULL;
    rnn_state_set(s, ~RNN_G_HAS, 0);
    return 0;
}

static void add_stashed(rnn_engine *e, rnn_stashed *from) {
    rnn_span *s = rnn_at(e, from->span);
    if (from->had && from->scalar) {
        rnn_node_add_grad(e, from->span, 0, from->value);
    } else if (from->had) {
        if (rnn_span_has_grad(s))
            e->k->add_scaled[s->dtype](s->ext->n, from->block->data, s->ext->grad->data, 1);
        put_block(e, s, from->block);
    }
    from->span = 0;
}

/* Spans are put aside in the order of the search and left in the reverse order: so this is a
 * stack. */
int rnn_stash_add(rnn_engine *e, rnn_pass *p, uint32_t id) {
    while (p->stash_at > 0 && !p->stash[p->stash_at - 1].adds) p->stash_at--;
    if (!p->stash_at || p->stash[p->stash_at - 1].span != id) return 0;
    add_stashed(e, &p->stash[--p->stash_at]);
    return 0;
}

/* A private pass has left a span that it was not asked about. The stack's last is this span's, if
 * it had a gradient. */
void rnn_stash_undo(rnn_engine *e, rnn_pass *p, uint32_t id) {
    rnn_lock(e);
    rnn_span_clear_grad(e, id);
    rnn_unlock(e);
    if (p->stash_at > 0 && p->stash[p->stash_at - 1].span == id)
        add_stashed(e, &p->stash[--p->stash_at]);
}

void rnn_stash_restore(rnn_engine *e, rnn_pass *p) {
    while (p->stash_count > 0) {
        rnn_stashed *from = &p->stash[--p->stash_count];
        if (!from->span) continue;
        rnn_lock(e);
        rnn_span_clear_grad(e, from->span);
        rnn_unlock(e);
        add_stashed(e, from);
    }
    p->stash_at = 0;
}

/* ---- where a kernel adds --------------------------------------------------------------------- */

void rnn_operand_view(rnn_engine *e, uint32_t id, int k, rnn_view *v) {
    const rnn_operand *o = &rnn_at(e, id)->ext->in[k];
    v->span = o->span;
    v->ndim = o->ndim;
    v->dtype = rnn_at(e, o->span)->dtype;
    v->needs_grad = o->needs_grad;
    v->view_op = o->view_op;
    v->offset = o->offset;
    memcpy(v->shape, o->dims, (size_t)o->ndim * sizeof(int64_t));
    memcpy(v->stride, o->dims + o->ndim, (size_t)o->ndim * sizeof(int64_t));
}

/* Nobody else will look at an operand's values again: the running span alone holds it, no other
 * memory is theirs, its own kernel does not read them, and no Python runs before the pass has left
 * it. Under the lock: another thread may just let go of it. */
static bool is_spare(const rnn_engine *e, const rnn_span *s) {
    const int kinds = RNN_S_SCALAR | RNN_S_LEAF | RNN_S_PASSED | RNN_S_HOOK | RNN_S_RETAIN;
    return e->spends && s->refs == 1 && !(s->flags & kinds) && s->op != RNN_OP_CUSTOM &&
           !(rnn_ops[s->op].needs & RNN_NEEDS_Z) && s->ext->data->refs == 1 &&
           !s->ext->data->owner && !s->ext->data_offset;
}

/* The memory of an operand's values becomes that of its gradient, if they are spare. */
static bool reuse_values(rnn_engine *e, rnn_span *s, bool zero) {
    rnn_lock(e);
    const bool spare = is_spare(e, s);
    if (spare) {
        s->ext->grad = s->ext->data;
        s->ext->grad->refs++;
        rnn_state_set(s, 0xff, RNN_G_HAS);
        e->spent = true;
    }
    rnn_unlock(e);
    if (spare && zero) memset(s->ext->grad->data, 0, (size_t)s->ext->n * rnn_itemsize(s->dtype));
    return spare;
}

/* done: the kernel has read operand k's values for the last time, or reads each before it writes
 * there. */
static int begin_target(rnn_engine *e, uint32_t id, int k, int64_t n, bool done, rnn_target *t) {
    rnn_operand_view(e, id, k, &t->v);
    rnn_span *s = rnn_at(e, t->v.span);
    t->wanted = t->v.needs_grad && s->flags & RNN_S_NEEDS_GRAD && !(s->state & RNN_G_SKIP);
    t->fresh = false;
    if (!t->wanted) return 0;
    if (!rnn_span_has_grad(s)) {
        t->fresh = n == rnn_span_size(s) && n == rnn_numel(t->v.ndim, t->v.shape) &&
                   !(s->flags & RNN_S_SCALAR) && rnn_view_is_injective(&t->v);
        const bool unread = !rnn_op_reads(rnn_at(e, id)->op, k) ||
                            (done && t->fresh && rnn_view_is_contiguous(&t->v));
        int failed = 0;
        if (!unread || !reuse_values(e, s, !t->fresh))
            failed = rnn_span_grad_begin(e, t->v.span, !t->fresh);
        if (failed) return failed;
    }
    t->grad = (char *)rnn_span_grad(e, t->v.span) + t->v.offset * (int64_t)rnn_itemsize(s->dtype);
    return 0;
}

/* Where a backward kernel adds the gradient of operand k, of which it makes n elements. A fresh one
 * that they cover node for node needs no zeros: the kernel overwrites it. */
int rnn_target_begin(rnn_engine *e, uint32_t id, int k, int64_t n, rnn_target *t) {
    return begin_target(e, id, k, n, false, t);
}

int rnn_target_reuse(rnn_engine *e, uint32_t id, int k, int64_t n, rnn_target *t) {
    return begin_target(e, id, k, n, true, t);
}

/* Nobody will look at the span's gradient when the pass has left it, and it is what operand k's
 * needs: as many nodes of one dtype, in one order, none there yet. Under the lock. */
static bool can_inherit(rnn_engine *e, uint32_t id, const rnn_target *t) {
    const rnn_span *s = rnn_at(e, id), *to = rnn_at(e, t->v.span);
    return (s->state & RNN_G_BRIEF || (e->spends && !s->refs)) && !rnn_span_has_grad(to) &&
           !((s->flags | to->flags) & RNN_S_SCALAR) && s->dtype == to->dtype &&
           s->ext->n == to->ext->n && rnn_numel(t->v.ndim, t->v.shape) == s->ext->n &&
           rnn_view_is_contiguous(&t->v) &&
           s->ext->grad->refs == (s->ext->grad == s->ext->data ? 2 : 1);
}

/* rnn_target_begin for a kernel that may write where it reads dz, and that reads it for the last
 * time: the memory of the span's own gradient may become that of the operand's. */
int rnn_target_inherit(rnn_engine *e, uint32_t id, int k, int64_t n, rnn_target *t) {
    rnn_operand_view(e, id, k, &t->v);
    rnn_span *s = rnn_at(e, id), *to = rnn_at(e, t->v.span);
    rnn_lock(e);
    const bool wanted =
        t->v.needs_grad && to->flags & RNN_S_NEEDS_GRAD && !(to->state & RNN_G_SKIP);
    const bool inherits = wanted && can_inherit(e, id, t);
    if (inherits) {
        to->ext->grad = s->ext->grad;
        s->ext->grad = NULL;
        rnn_state_set(s, ~RNN_G_HAS, 0);
        rnn_state_set(to, 0xff, RNN_G_HAS);
    }
    rnn_unlock(e);
    if (!inherits) return rnn_target_begin(e, id, k, n, t);
    t->wanted = t->fresh = true;
    t->grad = to->ext->grad->data;
    return 0;
}

int rnn_target_zero(rnn_engine *e, uint32_t id, int k, rnn_target *t) {
    return rnn_target_begin(e, id, k, -1, t);
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
    put_block(e, rnn_at(e, t.span), block);
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

/* ---- leaves ---------------------------------------------------------------------------------- */

static void set_flag(rnn_engine *e, rnn_span *s, int flag) {
    rnn_lock(e);
    s->flags |= (uint8_t)flag;
    rnn_unlock(e);
}

/* New nodes over the same memory, in the order of that memory: a leaf, or (linked) a copy that
 * passes its gradient on to the span. */
static rnn_ref nodes_over(rnn_engine *e, uint32_t span, bool linked) {
    const rnn_span *s = rnn_at(e, span);
    rnn_view in = {.span = span, .dtype = s->dtype, .needs_grad = true};
    rnn_lock(e);
    rnn_block *block = s->ext->data;
    block->refs++;
    rnn_unlock(e);
    rnn_build b = {.op = linked ? RNN_OP_CLONE : RNN_OP_LEAF,
                   .dtype = s->dtype,
                   .ndim = s->ext->ndim,
                   .count = linked,
                   .in = &in,
                   .block = block};
    memcpy(b.shape, s->ext->shape, (size_t)s->ext->ndim * sizeof(int64_t));
    in.ndim = (int16_t)b.ndim;
    memcpy(in.shape, b.shape, sizeof in.shape);
    rnn_contiguous_strides(in.ndim, in.shape, in.stride);
    int64_t data_offset = s->ext->data_offset;
    const int was = rnn_set_grad_mode(linked);
    int failed = rnn_build_begin(e, &b);
    rnn_set_grad_mode(was);
    if (failed) return failed;
    b.ext->data_offset = data_offset;
    return rnn_build_finish(e, &b);
}

/* The tensor looks at the nodes of `fresh`, which is let go, instead of those that it looks at. */
static void look_elsewhere(rnn_engine *e, rnn_tensor *t, rnn_ref fresh) {
    rnn_store *store = rnn_tensor_of(fresh)->store, *old = t->store;
    rnn_lock(e);
    t->store = store;
    store->refs++;
    bool last = --old->refs == 0;
    if (last) rnn_span_unref(e, old->span);
    rnn_unlock(e);
    if (last) free(old);
    rnn_release(e, fresh);
}

/* A view becomes a leaf of its own. */
static int own_nodes(rnn_engine *e, rnn_tensor *t) {
    if (rnn_at(e, t->store->span)->flags & RNN_S_SCALAR)
        return rnn_fail(e, RNN_ERUNTIME, "a view of a Value cannot have nodes of its own");
    rnn_ref fresh = nodes_over(e, t->store->span, false);
    if (fresh < 0) return (int)fresh;
    rnn_lock(e);
    rnn_own_cut(e, t, rnn_at(e, rnn_span_of(fresh))->ext);
    rnn_unlock(e);
    t->flags = 0;
    t->view_op = 0;
    t->site = 0;
    look_elsewhere(e, t, fresh);
    return 0;
}

int rnn_set_requires_grad(rnn_engine *e, rnn_ref ref, int on) {
    rnn_tensor *t = rnn_tensor_of(ref);
    rnn_span *s = rnn_at(e, t->store->span);
    if (rnn_tensor_needs_grad(e, t) == (on != 0)) return 0;
    if (on && rnn_is_inference(e, ref) && !rnn_inference_mode())
        return rnn_fail(
            e, RNN_ERUNTIME,
            "Setting requires_grad=True on inference tensor outside InferenceMode is not "
            "allowed.");
    if (!on && !rnn_is_leaf(e, ref))
        return rnn_fail(
            e, RNN_ERUNTIME,
            "you can only change requires_grad flags of leaf variables. If you want to use a computed "
            "variable in a subgraph that doesn't require differentiation use var_no_grad = var.detach().");
    rnn_view v;
    rnn_view_of(e, ref, &v);
    const bool whole = s->flags & RNN_S_LEAF && v.offset == 0 && rnn_view_is_contiguous(&v) &&
                       rnn_numel(v.ndim, v.shape) == rnn_span_size(s);
    const bool alone = whole && !(t->flags & RNN_T_DETACHED) && t->store->refs == 1;
    if (!on || alone) {
        rnn_lock(e);
        /* Needed from the start: its flags are then not written while other threads read them. */
        if (on) s->flags |= RNN_S_NEEDS_GRAD | RNN_S_NEEDED;
        else s->flags &= (uint8_t)~RNN_S_NEEDS_GRAD;
        rnn_unlock(e);
        return 0;
    }
    int failed = own_nodes(e, t);
    if (!failed) set_flag(e, rnn_at(e, t->store->span), RNN_S_NEEDS_GRAD | RNN_S_NEEDED);
    return failed;
}

int rnn_own(rnn_engine *e, rnn_ref ref) {
    rnn_tensor *t = rnn_tensor_of(ref);
    return rnn_grad_mode() && t->flags & RNN_T_DETACHED ? own_nodes(e, t) : 0;
}

/* Before a tensor gets other memory: what else looks at its nodes (`backup = p.data`) is to keep
 * what is there. A detached one leaves for nodes of its own, else the others do; those that want
 * gradients still pass them on. */
static int part_ways(rnn_engine *e, rnn_tensor *t) {
    rnn_store *shared = t->store;
    const rnn_span *s = rnn_at(e, shared->span);
    if (shared->refs == 1) return 0;
    const bool others = !(t->flags & RNN_T_DETACHED);
    const rnn_ref fresh = s->flags & RNN_S_SCALAR
                              ? rnn_full(e, s->dtype, 0, NULL, rnn_node_value(e, shared->span, 0))
                              : nodes_over(e, shared->span, others && s->flags & RNN_S_NEEDS_GRAD);
    if (fresh < 0) return (int)fresh;
    if (others) {
        rnn_store *other = rnn_tensor_of(fresh)->store;
        rnn_lock(e);
        const uint32_t own = shared->span;
        shared->span = other->span;
        other->span = own;
        rnn_unlock(e);
    }
    look_elsewhere(e, t, fresh);
    return 0;
}

/* t.data = value, for a leaf of the same dtype and shape: it takes over the memory, its gradient
 * stays. */
int rnn_set_data(rnn_engine *e, rnn_ref ref, rnn_ref value) {
    rnn_view t, v;
    rnn_view_of(e, ref, &t);
    rnn_view_of(e, value, &v);
    bool same = t.dtype == v.dtype && t.ndim == v.ndim &&
                !memcmp(t.shape, v.shape, (size_t)t.ndim * sizeof(int64_t));
    if (!same) return RNN_EDTYPE;
    const bool whole = t.offset == 0 && rnn_view_is_contiguous(&t) &&
                       rnn_numel(t.ndim, t.shape) == rnn_span_size(rnn_at(e, t.span));
    const int failed = whole && t.span != v.span ? part_ways(e, rnn_tensor_of(ref)) : 0;
    if (failed) return failed;
    rnn_span *s = rnn_at(e, rnn_span_of(ref)), *from = rnn_at(e, v.span);
    if (whole && !((s->flags | from->flags) & RNN_S_SCALAR) && rnn_view_is_contiguous(&v)) {
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
    if (!rnn_requires_grad(e, ref))
        return rnn_fail(e, RNN_ERUNTIME,
                        "can't retain_grad on Tensor that has requires_grad=False");
    if (!rnn_is_leaf(e, ref)) set_flag(e, rnn_at(e, rnn_span_of(ref)), RNN_S_RETAIN);
    return 0;
}

int rnn_retains_grad(rnn_engine *e, rnn_ref ref) {
    return rnn_requires_grad(e, ref) && rnn_at(e, rnn_span_of(ref))->flags & RNN_S_RETAIN ? 1 : 0;
}

/* `object` is a reference to a Python object (its hooks), which the span keeps; 0 takes it away. */
int rnn_set_hook(rnn_engine *e, rnn_ref ref, int64_t object) {
    rnn_span *s = rnn_at(e, rnn_span_of(ref));
    if (!rnn_requires_grad(e, ref))
        return rnn_fail(e, RNN_ERUNTIME,
                        "cannot register a hook on a tensor that doesn't require gradient");
    if (s->flags & RNN_S_SCALAR)
        return rnn_fail(e, RNN_ERUNTIME, "hooks are for tensors, not for a Value");
    rnn_owner *owner = object ? rnn_malloc(e, sizeof *owner) : NULL;
    if (object && !owner) return rnn_fail(e, RNN_EMEMORY, "no memory for a hook");
    if (object) *owner = (rnn_owner){(void *)(intptr_t)object, NULL};
    rnn_lock(e);
    rnn_orphan(e, s->ext->hooks);
    s->ext->hooks = owner;
    if (object) s->flags |= RNN_S_HOOK;
    else s->flags &= (uint8_t)~RNN_S_HOOK;
    rnn_unlock(e);
    return 0;
}

int64_t rnn_hook(rnn_engine *e, rnn_ref ref) {
    const rnn_span *s = rnn_at(e, rnn_span_of(ref));
    return s->flags & RNN_S_HOOK ? (int64_t)(intptr_t)s->ext->hooks->object : 0;
}
