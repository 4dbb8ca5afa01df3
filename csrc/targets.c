/* targets.c: where a backward kernel adds an operand's gradient: memory that is there, fresh
 * memory, or memory that nobody needs any more. */
#include "internal.h"

#include <string.h>

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
