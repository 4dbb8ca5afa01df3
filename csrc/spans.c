/* spans.c: span records: making them, counting references, freeing them without recursion.
 * What it is not: it knows no derivatives and no kernels. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

/* Under the lock. */
uint32_t rnn_span_new(rnn_engine *e, uint64_t more) {
    if (rnn_allocation_fails(e) || !rnn_charge(e, sizeof(rnn_span) + more)) return 0;
    uint32_t id = e->span_free;
    if (id) {
        e->span_free = e->spans[id].after;
    } else if (e->span_top < e->span_capacity) {
        id = e->span_top++;
    } else {
        e->live -= sizeof(rnn_span) + more;
        return 0;
    }
    e->live_spans++;
    memset(&e->spans[id], 0, sizeof(rnn_span));
    return id;
}

static void recycle(rnn_engine *e, uint32_t id) {
    e->spans[id].op = 0;
    e->spans[id].after = e->span_free;
    e->span_free = id;
    e->live_spans--;
    e->live -= sizeof(rnn_span);
}

void rnn_span_ref(rnn_engine *e, uint32_t id) { e->spans[id].refs++; }

/* Drops the operands of `id`; those that nobody else holds, a running pass included, join the list
 * of the dead. */
static uint32_t drop_operands(rnn_engine *e, uint32_t id, uint32_t dead) {
    rnn_span *s = &e->spans[id];
    int count = rnn_span_operands(s);
    for (int k = 0; k < count; k++) {
        uint32_t o = rnn_span_operand(s, k);
        if (--e->spans[o].refs || rnn_state(&e->spans[o]) & RNN_G_SEEN) continue;
        e->spans[o].after = dead;
        dead = o;
    }
    s->flags |= RNN_S_PASSED;
    return dead;
}

enum { SAVED_LARGE = 65536 }; /* bytes */

/* Under the lock. */
static void drop_saved(rnn_engine *e, void *saved, rnn_block *room) {
    if (room) rnn_block_unref(e, room);
    else free(saved);
}

static void free_memory(rnn_engine *e, rnn_span *s) {
    if (s->flags & RNN_S_SCALAR) {
        if (s->flags & RNN_S_LEAF) rnn_cuts_drop(s->cut);
        e->live -= RNN_SCALAR_BYTES;
        return;
    }
    rnn_ext *x = s->ext;
    rnn_cuts_drop(x->cut);
    rnn_block_unref(e, x->data);
    rnn_block_unref(e, x->grad);
    rnn_orphan(e, x->hooks);
    rnn_orphan(e, x->function);
    drop_saved(e, x->saved, x->room);
    free(x);
}

static void bury(rnn_engine *e, uint32_t dead) {
    while (dead) {
        uint32_t id = dead;
        dead = drop_operands(e, id, e->spans[id].after);
        free_memory(e, &e->spans[id]);
        recycle(e, id);
    }
}

void rnn_span_unref(rnn_engine *e, uint32_t id) {
    if (--e->spans[id].refs || rnn_state(&e->spans[id]) & RNN_G_SEEN) return;
    e->spans[id].after = 0;
    bury(e, id);
}

/* What backward does behind itself: the span keeps its value, its gradient and nothing else; hooks
 * that hold their own tensor let go of it here. */
void rnn_span_pass(rnn_engine *e, uint32_t id) {
    rnn_span *s = &e->spans[id];
    if (s->flags & (RNN_S_LEAF | RNN_S_PASSED)) return;
    bury(e, drop_operands(e, id, 0));
    if (s->flags & RNN_S_SCALAR) return;
    drop_saved(e, s->ext->saved, s->ext->room);
    s->ext->saved = s->ext->room = NULL;
    rnn_orphan(e, s->ext->function);
    rnn_orphan(e, s->ext->hooks);
    s->ext->function = s->ext->hooks = NULL;
    s->flags &= (uint8_t)~RNN_S_HOOK;
}

/* ---- what a handle keeps alive alone --------------------------------------------------------- */

static bool is_alone(rnn_engine *e, uint32_t id) {
    const rnn_span *s = &e->spans[id];
    return s->refs == 1 && !(s->flags & RNN_S_SCALAR) && !(rnn_state(s) & RNN_G_SEEN);
}

static void visit_objects(const rnn_span *s, rnn_visit visit, void *arg) {
    if (s->ext->hooks) visit(s->ext->hooks->object, arg);
    if (s->ext->function) visit(s->ext->function->object, arg);
}

/* A Function of several outputs is the operand of each: it goes with the last. */
void rnn_span_visit(rnn_engine *e, uint32_t id, rnn_visit visit, void *arg) {
    const rnn_span *s = &e->spans[id];
    if (!is_alone(e, id)) return;
    visit_objects(s, visit, arg);
    for (int k = 0; s->op == RNN_OP_CUSTOM && k < rnn_span_operands(s); k++) {
        const uint32_t o = rnn_span_operand(s, k);
        if (is_alone(e, o)) visit_objects(&e->spans[o], visit, arg);
    }
}

void rnn_span_forget(rnn_engine *e, uint32_t id) {
    rnn_span *s = &e->spans[id];
    if (!is_alone(e, id) || !(s->ext->hooks || s->op == RNN_OP_CUSTOM)) return;
    rnn_span_pass(e, id);
    rnn_orphan(e, s->ext->hooks); /* a leaf's */
    s->ext->hooks = NULL;
    s->flags &= (uint8_t)~RNN_S_HOOK;
}

/* ---- asking ---------------------------------------------------------------------------------- */

int64_t rnn_span_size(const rnn_span *s) { return s->flags & RNN_S_SCALAR ? 1 : s->ext->n; }

void *rnn_span_data(rnn_engine *e, uint32_t id) {
    const rnn_span *s = &e->spans[id];
    if (s->flags & RNN_S_SCALAR) return &e->data[id];
    return (char *)s->ext->data->data + (size_t)s->ext->data_offset * rnn_itemsize(s->dtype);
}

void *rnn_span_grad(rnn_engine *e, uint32_t id) {
    const rnn_span *s = &e->spans[id];
    if (!rnn_span_has_grad(s)) return NULL;
    return s->flags & RNN_S_SCALAR ? (void *)&e->grad[id] : s->ext->grad->data;
}

uint64_t rnn_span_written(rnn_engine *e, uint32_t id) {
    const rnn_span *s = &e->spans[id];
    return s->flags & RNN_S_SCALAR ? 0 : __atomic_load_n(&s->ext->data->written, __ATOMIC_RELAXED);
}

/* Its values change in place: whoever was made before now and needs the old ones must not run
 * backward. */
void rnn_span_stamp(rnn_engine *e, uint32_t id) {
    const uint32_t site = rnn_site(e);
    rnn_lock(e);
    const rnn_span *s = &e->spans[id];
    if (!(s->flags & RNN_S_SCALAR)) {
        __atomic_store_n(&s->ext->data->written, e->counter, __ATOMIC_RELAXED);
        s->ext->data->writer = site;
    }
    rnn_unlock(e);
}

/* ---- building -------------------------------------------------------------------------------- */

static void pack_operands(rnn_build *b, int64_t *dims) {
    for (int k = 0; k < b->count; k++) {
        const rnn_view *v = &b->in[k];
        size_t size = (size_t)v->ndim * sizeof(int64_t);
        b->ext->in[k] = (rnn_operand){v->span,   v->ndim, v->needs_grad, v->view_op,
                                      v->offset, dims,    v->site,       v->lost};
        if (v->ndim) {
            memcpy(dims, v->shape, size);
            memcpy(dims + v->ndim, v->stride, size);
        }
        dims += 2 * v->ndim;
    }
}

/* One allocation: the record, its operands, all their dimensions. */
static rnn_ext *new_ext(rnn_engine *e, rnn_build *b) {
    size_t dims = (size_t)b->ndim, count = b->record ? (size_t)b->count : 0;
    for (size_t k = 0; k < count; k++) dims += 2 * (size_t)b->in[k].ndim;
    rnn_ext *x = rnn_malloc(e, sizeof *x + count * sizeof(rnn_operand) + dims * sizeof(int64_t));
    if (!x) return NULL;
    memset(x, 0, sizeof *x);
    x->in = (rnn_operand *)(x + 1);
    x->shape = (int64_t *)(x->in + count);
    x->n = b->n;
    x->ndim = b->ndim;
    x->count = (int32_t)count;
    memcpy(x->p, b->p, sizeof x->p);
    memcpy(x->ip, b->ip, sizeof x->ip);
    if (b->ndim) memcpy(x->shape, b->shape, (size_t)b->ndim * sizeof(int64_t));
    b->ext = x;
    if (b->record) pack_operands(b, x->shape + b->ndim);
    return x;
}

bool rnn_span_inference(rnn_engine *e, uint32_t id) {
    const rnn_span *s = rnn_at(e, id);
    return __atomic_load_n(&e->inferred, __ATOMIC_RELAXED) && !(s->flags & RNN_S_SCALAR) &&
           s->ext->data->inference;
}

/* Would what is recorded keep values that were made in inference mode? */
static bool keeps_inference(rnn_engine *e, const rnn_build *b) {
    if (!__atomic_load_n(&e->inferred, __ATOMIC_RELAXED)) return false;
    for (int k = 0; k < b->count; k++)
        if (rnn_op_reads(b->op, k) && !b->in[k].needs_grad && rnn_span_inference(e, b->in[k].span))
            return true;
    return false;
}

static bool wants_record(const rnn_build *b) {
    if (!rnn_grad_mode()) return false;
    for (int k = 0; k < b->count; k++)
        if (b->in[k].needs_grad) return true;
    return false;
}

static rnn_tensor *new_tensor(rnn_engine *e, const rnn_build *b, rnn_store *store) {
    rnn_tensor *t = rnn_malloc(e, sizeof *t + 2 * (size_t)b->ndim * sizeof(int64_t));
    if (!t) return NULL;
    t->store = store;
    t->offset = 0;
    t->ndim = (uint8_t)b->ndim;
    t->dtype = (uint8_t)b->dtype;
    t->flags = 0;
    t->view_op = 0;
    t->site = 0;
    if (b->ndim) memcpy(t->dims, b->shape, (size_t)b->ndim * sizeof(int64_t));
    rnn_contiguous_strides(b->ndim, t->dims, t->dims + b->ndim);
    return t;
}

int rnn_build_begin(rnn_engine *e, rnn_build *b) {
    const char *name = rnn_ops[b->op].name;
    int failed = rnn_check_shape(e, name, b->ndim, b->shape, &b->n);
    if (failed) {
        rnn_build_abort(e, b);
        return failed;
    }
    b->record = wants_record(b);
    b->origin = rnn_here(e);
    b->check = rnn_thread_state()->check != RNN_CHECK_NOTHING;
    if (b->record && keeps_inference(e, b)) {
        rnn_build_abort(e, b);
        return rnn_fail(
            e, RNN_ERUNTIME,
            "Inference tensors cannot be saved for backward. Please do not use Tensors created in "
            "inference mode in computation tracked by autograd. To work around this, you can make a "
            "clone to get a normal tensor and use it in autograd, or use `rnn.no_grad()` instead "
            "of `rnn.inference_mode()`.");
    }
    if (!b->block && (b->block = rnn_block_new(e, name, b->n, b->dtype)) &&
        rnn_thread_state()->inference) {
        b->block->inference = true;
        __atomic_store_n(&e->inferred, true, __ATOMIC_RELAXED);
    }
    if (!b->block) {
        rnn_build_abort(e, b);
        return RNN_EMEMORY;
    }
    b->out = b->block->data;
    b->store = rnn_malloc(e, sizeof *b->store);
    if (b->store && new_ext(e, b)) b->tensor = new_tensor(e, b, b->store);
    if (!b->tensor) {
        rnn_build_abort(e, b);
        return rnn_fail(e, RNN_EMEMORY, "%s: no memory for the record of a span", name);
    }
    return 0;
}

void rnn_build_abort(rnn_engine *e, rnn_build *b) {
    rnn_lock(e);
    rnn_block_unref(e, b->block);
    rnn_unlock(e);
    free(b->function); /* its object is still the caller's */
    free(b->ext);
    free(b->store);
    free(b->tensor);
    rnn_unsave(e, b);
}

int rnn_save(rnn_engine *e, rnn_build *b, int64_t count, size_t size) {
    const char *name = rnn_ops[b->op].name;
    uint64_t bytes;
    if (count < 0 || !rnn_mul_size((uint64_t)count, size, &bytes)) bytes = (uint64_t)INT64_MAX;
    b->saved_bytes = (size_t)bytes;
    if (bytes < SAVED_LARGE) {
        b->saved = rnn_malloc(e, bytes);
        return b->saved ? 0
                        : rnn_fail(e, RNN_EMEMORY, "%s: no memory for %lld numbers", name,
                                   (long long)count);
    }
    b->room = rnn_block_new(e, name, (int64_t)(bytes / sizeof(double) + 1), RNN_F64);
    if (!b->room) return RNN_EMEMORY;
    b->saved = b->room->data;
    return 0;
}

void rnn_unsave(rnn_engine *e, rnn_build *b) {
    if (b->room) rnn_drop_block(e, b->room);
    else free(b->saved);
    b->saved = b->room = NULL;
}

/* Under the lock: the span, filled in. */
static void fill_span(rnn_engine *e, rnn_build *b, uint32_t id) {
    rnn_span *s = &e->spans[id];
    rnn_ext *x = b->ext;
    s->op = (uint8_t)(b->record ? b->op : RNN_OP_LEAF);
    s->dtype = (uint8_t)b->dtype;
    s->flags = b->record ? RNN_S_NEEDS_GRAD : RNN_S_LEAF;
    s->refs = 1;
    s->first = e->counter;
    e->counter += (uint64_t)(b->n > 0 ? b->n : 1);
    s->ext = x;
    x->data = b->block;
    x->origin = b->origin;
    if (!b->record) {
        rnn_remember_cut(e, b, x);
        return;
    }
    x->saved = b->saved;
    x->saved_bytes = b->saved_bytes;
    x->function = b->function;
    x->room = b->room;
    b->saved = b->room = NULL;
    b->function = NULL;
    const int needs = rnn_ops[b->op].needs;
    if (needs & RNN_NEEDS_Z) s->flags |= RNN_S_NEEDED;
    for (int k = 0; k < b->count; k++) {
        rnn_span_ref(e, b->in[k].span);
        rnn_span *o = rnn_at(e, b->in[k].span);
        if (rnn_op_reads(b->op, k) && !(o->flags & RNN_S_NEEDED)) o->flags |= RNN_S_NEEDED;
    }
}

uint32_t rnn_build_span(rnn_engine *e, rnn_build *b) {
    rnn_lock(e);
    uint32_t id = rnn_span_new(e, 0);
    if (id) fill_span(e, b, id);
    if (id) rnn_orphan(e, b->function);
    rnn_unlock(e);
    if (!id) {
        rnn_build_abort(e, b);
        return 0;
    }
    rnn_unsave(e, b);
    return id;
}

rnn_ref rnn_build_finish(rnn_engine *e, rnn_build *b) {
    rnn_store *store = b->store;
    rnn_tensor *t = b->tensor;
    uint32_t id = rnn_build_span(e, b);
    if (!id)
        return rnn_fail(e, RNN_EMEMORY, "%s: no memory for the record of a span",
                        rnn_ops[b->op].name);
    *store = (rnn_store){1, id};
    const rnn_ref made = (rnn_ref)(intptr_t)t;
    return b->check ? rnn_check_result(e, b->op, made, b->count, b->in, b->clean) : made;
}
