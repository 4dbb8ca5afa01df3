/* assign.c: writing in place. Where gradients are wanted, a tensor that is written looks at a new
 * span from then on, and so do all views of the same nodes: made by the operation itself where it
 * covers all of them (rebind), else by `assign`, whose operands are the old span and what was
 * written. */
#include "internal.h"

#include <string.h>

/* ---- writing --------------------------------------------------------------------------------- */

int rnn_touch(rnn_engine *e, rnn_ref ref) {
    const rnn_tensor *t = rnn_tensor_of(ref);
    if (!(t->flags & RNN_T_UNSTAMPED)) rnn_span_stamp(e, t->store->span);
    return 0;
}

int rnn_is_inference(rnn_engine *e, rnn_ref ref) { return rnn_span_inference(e, rnn_span_of(ref)); }

int rnn_check_inplace(rnn_engine *e, rnn_ref ref) {
    const rnn_tensor *t = rnn_tensor_of(ref);
    if (rnn_is_inference(e, ref) && !rnn_inference_mode() && !(t->flags & RNN_T_UNSTAMPED))
        return rnn_fail(
            e, RNN_ERUNTIME,
            "Inplace update to inference tensor outside InferenceMode is not allowed.You can make a "
            "clone to get a normal tensor before doing inplace update.See "
            "https://github.com/pytorch/rfcs/pull/17 for more details.");
    if (rnn_grad_mode() && rnn_tensor_needs_grad(e, t) &&
        rnn_at(e, t->store->span)->flags & RNN_S_LEAF)
        return rnn_fail(
            e, RNN_ERUNTIME,
            t->view_op
                ? "a view of a leaf Variable that requires grad is being used in an in-place operation."
                : "a leaf Variable that requires grad is being used in an in-place operation.");
    return 0;
}

static int check_writable(rnn_engine *e, rnn_ref ref, const rnn_view *v) {
    int failed = rnn_check_inplace(e, ref);
    if (failed) return failed;
    if (!rnn_view_is_injective(v))
        return rnn_fail(
            e, RNN_ERUNTIME,
            "unsupported operation: more than one element of the written-to tensor refers to a single "
            "memory location. Please clone() the tensor before performing the operation.");
    return 0;
}

/* What retain_grad() asked of a tensor's span, and what has added up there, goes to the span that
 * the tensor looks at from now on. Under the lock. */
static void move_retained(rnn_engine *e, uint32_t from, uint32_t to) {
    rnn_span *old = rnn_at(e, from), *now = rnn_at(e, to);
    if (!(old->flags & RNN_S_RETAIN) || old->flags & (RNN_S_LEAF | RNN_S_SCALAR) ||
        now->flags & (RNN_S_LEAF | RNN_S_SCALAR) || (rnn_state(old) | rnn_state(now)) & RNN_G_SEEN)
        return;
    old->flags &= (uint8_t)~RNN_S_RETAIN;
    now->flags |= RNN_S_RETAIN;
    if (!rnn_span_has_grad(old) || old->ext->n != now->ext->n || now->ext->grad) return;
    now->ext->grad = old->ext->grad;
    old->ext->grad = NULL;
    rnn_state_set(old, ~RNN_G_HAS, 0);
    rnn_state_set(now, 0xff, RNN_G_HAS);
}

/* All views of `ref`'s store now look at the span of `made`, which is released. */
static void rebind(rnn_engine *e, rnn_ref ref, rnn_ref made) {
    rnn_tensor *t = rnn_tensor_of(ref), *from = rnn_tensor_of(made);
    rnn_store *store = t->store;
    const bool retained = rnn_at(e, store->span)->flags & RNN_S_RETAIN;
    if (retained) rnn_turn_take(e, -1); /* a gradient moves */
    rnn_lock(e);
    if (t->flags & RNN_T_DETACHED) { /* what it was detached from stays what it is */
        t->store = from->store;
        from->store = store;
    } else {
        const uint32_t was = store->span;
        store->span = from->store->span;
        from->store->span = was; /* the old span goes with the handle */
        if (retained) move_retained(e, was, store->span);
    }
    rnn_unlock(e);
    if (retained) rnn_turn_give(e);
    t->flags &= (uint8_t)~(RNN_T_DETACHED | RNN_T_NO_GRAD);
    t->site = 0;
    rnn_release(e, made);
}

/* Is it all nodes of its span, in order, and does nobody else (NumPy, another span) see its
 * memory? */
static bool is_whole(rnn_engine *e, rnn_ref ref) {
    rnn_view v;
    if (rnn_view_of(e, ref, &v)) return false;
    const rnn_span *s = rnn_at(e, v.span);
    if (s->flags & RNN_S_SCALAR || s->ext->data->refs > 1 || s->ext->data->owner) return false;
    return !v.offset && rnn_view_is_contiguous(&v) && rnn_numel(v.ndim, v.shape) == s->ext->n;
}

int rnn_rebind(rnn_engine *e, rnn_ref ref, rnn_ref made) {
    rnn_view to, from_view;
    rnn_view_of(e, ref, &to);
    rnn_view_of(e, made, &from_view);
    const int64_t n = rnn_span_size(rnn_at(e, to.span));
    if (!is_whole(e, ref) || to.dtype != from_view.dtype ||
        rnn_numel(from_view.ndim, from_view.shape) != n ||
        rnn_span_size(rnn_at(e, from_view.span)) != n)
        return RNN_EDTYPE;
    int failed = check_writable(e, ref, &to);
    if (!failed) rebind(e, ref, made);
    return failed;
}

static rnn_ref clone_constant(rnn_engine *e, rnn_ref a) {
    int was = rnn_set_grad_mode(0);
    rnn_ref out = rnn_clone(e, a);
    rnn_set_grad_mode(was);
    return out;
}

/* x[i] *= w, and every other use that needs what stood there: the old span keeps its values, in
 * memory of its own; the new one takes over where they were. */
static int keep_old_values(rnn_engine *e, uint32_t id) {
    rnn_ext *x = rnn_at(e, id)->ext;
    rnn_block *copy = rnn_block_new(e, "assign", x->n, rnn_at(e, id)->dtype);
    if (!copy) return RNN_EMEMORY;
    memcpy(copy->data, rnn_span_data(e, id), (size_t)x->n * rnn_itemsize(rnn_at(e, id)->dtype));
    rnn_lock(e);
    rnn_block *old = x->data;
    copy->written = old->written;
    x->data = copy;
    x->data_offset = 0;
    rnn_block_unref(e, old);
    rnn_unlock(e);
    return 0;
}

/* A new span over the memory of `dst`'s, some of whose nodes are about to be src's; every view of
 * the store will see it. Operands: the whole old span and src; ext->ip holds where: offset, then
 * the shape and strides in `saved`. */
static rnn_ref assign_span(rnn_engine *e, rnn_ref ref, const rnn_view *dst, const rnn_view *src) {
    rnn_span *old = rnn_at(e, dst->span);
    if (old->flags & RNN_S_SCALAR)
        return rnn_fail(e, RNN_ERUNTIME, "a Value cannot be written in place");
    rnn_view in[2] = {{.span = dst->span,
                       .ndim = (int16_t)old->ext->ndim,
                       .dtype = dst->dtype,
                       .needs_grad = old->flags & RNN_S_NEEDS_GRAD &&
                                     !(rnn_tensor_of(ref)->flags & RNN_T_DETACHED)},
                      *src};
    memcpy(in[0].shape, old->ext->shape, (size_t)old->ext->ndim * sizeof(int64_t));
    rnn_contiguous_strides(in[0].ndim, in[0].shape, in[0].stride);
    rnn_build b = {.op = RNN_OP_ASSIGN,
                   .dtype = dst->dtype,
                   .ndim = in[0].ndim,
                   .count = 2,
                   .in = in,
                   .ip = {dst->offset, dst->ndim},
                   .block = old->ext->data};
    const int64_t data_offset = old->ext->data_offset;
    memcpy(b.shape, in[0].shape, sizeof b.shape);
    int failed = rnn_save(e, &b, 2 * RNN_MAX_DIMS, sizeof(int64_t));
    if (failed) return failed;
    memset(b.saved, 0, b.saved_bytes);
    memcpy(b.saved, dst->shape, (size_t)dst->ndim * sizeof(int64_t));
    memcpy((int64_t *)b.saved + RNN_MAX_DIMS, dst->stride, (size_t)dst->ndim * sizeof(int64_t));
    rnn_lock(e);
    b.block->refs++;
    rnn_unlock(e);
    if ((failed = rnn_build_begin(e, &b))) return failed;
    b.ext->data_offset = data_offset;
    return rnn_build_finish(e, &b);
}

/* What is written is where it was already: x[i] += y ends with x[i] = x[i]. */
static bool is_same_view(const rnn_view *a, const rnn_view *b) {
    const size_t size = (size_t)a->ndim * sizeof(int64_t);
    return a->span == b->span && a->ndim == b->ndim && a->offset == b->offset &&
           !memcmp(a->shape, b->shape, size) && !memcmp(a->stride, b->stride, size);
}

/* dst = src, of one shape and dtype. */
static int assign_view(rnn_engine *e, rnn_ref ref, const rnn_view *dst, rnn_ref src_ref) {
    rnn_view src, values;
    rnn_view_of(e, src_ref, &src);
    if (is_same_view(dst, &src)) return 0;
    int failed = check_writable(e, ref, dst);
    if (failed) return failed;
    rnn_ref safe =
        rnn_same_memory(e, ref, src_ref) ? clone_constant(e, src_ref) : rnn_alias(e, src_ref);
    if (safe < 0) return (int)safe;
    rnn_ref made = 0;
    if (rnn_grad_mode() && (src.needs_grad || dst->needs_grad))
        made = assign_span(e, ref, dst, &src);
    const uint32_t old = made > 0 && rnn_at(e, dst->span)->flags & RNN_S_NEEDED ? dst->span : 0;
    void *place = rnn_view_data(e, dst);
    if (old && keep_old_values(e, old)) {
        rnn_release(e, made);
        made = RNN_EMEMORY;
    }
    if (made >= 0) {
        rnn_view_of(e, safe, &values);
        rnn_write_view(e, dst, place, &values);
        if (old && !(rnn_tensor_of(ref)->flags & RNN_T_UNSTAMPED))
            rnn_span_stamp(e, rnn_span_of(made));
        else rnn_touch(e, ref);
    }
    if (made > 0) rebind(e, ref, made);
    rnn_release(e, safe);
    return made < 0 ? (int)made : 0;
}

int rnn_assign(rnn_engine *e, rnn_ref ref, rnn_ref src_ref) {
    rnn_view dst, src;
    if (rnn_view_of(e, ref, &dst) || rnn_view_of(e, src_ref, &src)) return RNN_ETYPE;
    if (dst.dtype != src.dtype) return RNN_EDTYPE;
    rnn_ref expanded = rnn_expand(e, src_ref, dst.ndim, dst.shape);
    if (expanded < 0) return (int)expanded;
    int failed = assign_view(e, ref, &dst, expanded);
    rnn_release(e, expanded);
    return failed;
}

int rnn_fill(rnn_engine *e, rnn_ref ref, double value) {
    rnn_view v;
    if (rnn_view_of(e, ref, &v)) return RNN_ETYPE;
    rnn_ref number = rnn_full(e, v.dtype, 0, NULL, value);
    if (number < 0) return (int)number;
    int failed = rnn_assign(e, ref, number);
    rnn_release(e, number);
    return failed;
}

int rnn_take_over(rnn_engine *e, rnn_ref ref, rnn_ref made) {
    const bool record = rnn_grad_mode() && rnn_requires_grad(e, made);
    int failed = record ? rnn_rebind(e, ref, made) : RNN_EDTYPE;
    if (!failed) return 0;
    if (failed == RNN_EDTYPE) failed = rnn_assign(e, ref, made);
    rnn_release(e, made);
    return failed;
}

static void written_view(const rnn_ext *x, rnn_view *v) {
    const int64_t *dims = x->saved;
    v->offset = x->ip[0];
    v->ndim = (int16_t)x->ip[1];
    memcpy(v->shape, dims, (size_t)v->ndim * sizeof(int64_t));
    memcpy(v->stride, dims + RNN_MAX_DIMS, (size_t)v->ndim * sizeof(int64_t));
}

/* Zeros in a gradient where the view writes. */
static int clear_written(rnn_engine *e, const rnn_view *w, void *grad) {
    const double zero = 0;
    rnn_accumulate_job job = {.ndim = w->ndim,
                              .dtype = w->dtype,
                              .src = &zero,
                              .scale = 1,
                              .overwrite = true,
                              .dst = (char *)grad + w->offset * (int64_t)rnn_itemsize(w->dtype)};
    memcpy(job.shape, w->shape, sizeof job.shape);
    memcpy(job.dst_stride, w->stride, sizeof job.dst_stride);
    return rnn_accumulate(e, &job);
}

/* Where nobody but the pass holds this span, and the old one has no gradient yet, that one takes
 * over the memory of this one's: a loop that writes its results row by row stays linear. */
static bool inherit_gradient(rnn_engine *e, uint32_t id) {
    rnn_span *s = rnn_at(e, id), *old = rnn_at(e, rnn_span_operand(s, 0));
    const bool wanted =
        s->ext->in[0].needs_grad && old->flags & RNN_S_NEEDS_GRAD && !(old->state & RNN_G_SKIP);
    if (!wanted || rnn_span_has_grad(old) || old->flags & RNN_S_SCALAR || s->refs ||
        s->flags & (RNN_S_RETAIN | RNN_S_HOOK) || s->state & RNN_G_TARGET)
        return false;
    rnn_lock(e);
    old->ext->grad = s->ext->grad;
    rnn_state_set(old, 0xff, RNN_G_HAS);
    s->ext->grad = NULL;
    rnn_state_set(s, ~RNN_G_HAS, 0);
    rnn_unlock(e);
    return true;
}

/* The source takes the gradient of what it wrote; the old span takes the rest. */
int rnn_assign_backward(rnn_engine *e, uint32_t id) {
    const rnn_span *s = rnn_at(e, id);
    const size_t size = rnn_itemsize(s->dtype);
    rnn_target old, src;
    rnn_view w = {.dtype = s->dtype};
    written_view(s->ext, &w);
    char *dz = rnn_span_grad(e, id);
    int failed = rnn_target_begin(e, id, 1, rnn_numel(w.ndim, w.shape), &src);
    if (failed) return failed;
    if (src.wanted) {
        rnn_accumulate_job job = {.ndim = w.ndim,
                                  .dtype = s->dtype,
                                  .dst = src.grad,
                                  .scale = 1,
                                  .src = dz + w.offset * (int64_t)size,
                                  .overwrite = src.fresh};
        rnn_expand_view(&src.v, w.ndim, w.shape);
        memcpy(job.shape, w.shape, sizeof job.shape);
        memcpy(job.dst_stride, src.v.stride, sizeof job.dst_stride);
        memcpy(job.src_stride, w.stride, sizeof job.src_stride);
        rnn_accumulate(e, &job);
    }
    if (inherit_gradient(e, id))
        return clear_written(e, &w, rnn_span_grad(e, rnn_span_operand(s, 0)));
    failed = rnn_target_begin(e, id, 0, s->ext->n, &old);
    if (failed || !old.wanted) return failed;
    rnn_block *rest = rnn_block_new(e, "assign backward", s->ext->n, s->dtype);
    if (!rest) return RNN_EMEMORY;
    memcpy(rest->data, dz, (size_t)s->ext->n * size);
    clear_written(e, &w, rest->data);
    failed = rnn_target_add(e, &old, s->dtype, rest->data);
    rnn_drop_block(e, rest);
    return failed;
}

/* Is `node` among those that the view writes, and at which index? */
static bool find_index(const rnn_view *w, int64_t node, int64_t *index) {
    int order[RNN_MAX_DIMS], count = 0;
    int64_t rest = node - w->offset;
    for (int d = 0; d < w->ndim; d++) {
        if (w->shape[d] == 0) return false;
        int at = count++;
        for (; at > 0 && w->stride[order[at - 1]] < w->stride[d]; at--) order[at] = order[at - 1];
        order[at] = d;
    }
    for (int i = 0; i < count; i++) {
        int d = order[i];
        index[d] = w->shape[d] == 1 || w->stride[d] == 0 ? 0 : rest / w->stride[d];
        if (index[d] < 0 || index[d] >= w->shape[d]) return false;
        rest -= index[d] * w->stride[d];
    }
    return rest == 0;
}

int rnn_assign_edges(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out) {
    rnn_view w = {0}, in;
    int64_t index[RNN_MAX_DIMS] = {0};
    written_view(rnn_at(e, id)->ext, &w);
    const bool written = find_index(&w, node, index);
    rnn_operand_view(e, id, written ? 1 : 0, &in);
    int64_t at = written ? in.offset : node;
    if (written) {
        rnn_expand_view(&in, w.ndim, w.shape);
        for (int d = 0; d < w.ndim; d++) at += index[d] * in.stride[d];
    }
    rnn_push_edge(e, out, &in, at, 1);
    return 0;
}

int rnn_assign_uses(rnn_engine *e, uint32_t id, int k, int64_t node, rnn_use_list *out) {
    rnn_view w = {0}, v;
    rnn_places p;
    int64_t index[RNN_MAX_DIMS] = {0};
    written_view(rnn_at(e, id)->ext, &w);
    if (k == 0) {
        if (!find_index(&w, node, index)) rnn_push_use(out, node, 1);
        return 0;
    }
    rnn_operand_view(e, id, k, &v);
    rnn_expand_view(&v, w.ndim, w.shape);
    for (rnn_places_begin(&p, &v, node); rnn_places_next(&p);) {
        int64_t at = w.offset;
        for (int d = 0; d < w.ndim; d++) at += p.index[d] * w.stride[d];
        /* where the written view overlaps itself, edges knows one index of each node */
        find_index(&w, at, index);
        if (!w.ndim || !memcmp(index, p.index, (size_t)w.ndim * sizeof *index))
            rnn_push_use(out, at, 1);
    }
    return 0;
}
