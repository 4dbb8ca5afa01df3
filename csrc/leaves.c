/* leaves.c: what is set on a tensor: requires_grad, nodes of its own, data, retain_grad, hooks. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

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
        if (on)
            t->view_op = 0; /* zeros(6).view(2, 3), whose zeros nobody else looks at, is a leaf */
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
