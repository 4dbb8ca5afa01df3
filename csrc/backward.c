/* backward.c: the topological sort and the walk back through it.
 *
 * A pass first sorts the spans that its roots reach (depth first, operands in order, no recursion), then runs one kernel
 * a span in reverse, each adding to its operands' gradients. It does both in slices, so that Python can handle signals
 * between them, and hands hooks and autograd.Functions to Python. Passes of two threads take turns.
 *
 * What it is not: it knows no derivative. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RETAIN_GRAPH = 1, KEEP_LEAVES = 2 };
enum { SORTING, SEEDING, RUNNING, DONE };

typedef struct {
    uint32_t span;
    int32_t next; /* the operand to visit next */
} frame;

typedef struct {
    uint32_t span;
    bool had;
    rnn_block *block;
    double value;
} stashed;

typedef struct {
    rnn_view view;
    rnn_block *grad; /* contiguous, of the view's shape; NULL: ones */
} root;

struct rnn_pass {
    int flags, phase;
    bool locked, resumed; /* resumed: Python has had its turn at this span */
    uint32_t *order;
    int64_t count, capacity, pinned, at;
    frame *stack;
    int64_t depth, stack_capacity;
    stashed *stash; /* gradients put aside: of leaves under KEEP_LEAVES, and of spans that add up over passes */
    int64_t stash_count, stash_capacity;
    root *roots;
    int64_t root_count, root_capacity, root_at;
    rnn_owner *key;
};

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static bool grow(rnn_engine *e, void **array, int64_t *capacity, int64_t count, size_t item) {
    if (count < *capacity) return true;
    int64_t larger = *capacity ? *capacity * 2 : 64;
    void *moved = rnn_allocation_fails(e) ? NULL : realloc(*array, (size_t)larger * item);
    if (!moved) return false;
    *array = moved;
    *capacity = larger;
    return true;
}
#define GROW(e, array, capacity, count) grow(e, (void **)&(array), &(capacity), count, sizeof *(array))

static int no_memory(rnn_engine *e) { return rnn_fail(e, RNN_EMEMORY, "backward: no memory to sort the graph"); }

/* ---- beginning ------------------------------------------------------------------------------------ */

rnn_pass *rnn_pass_new(rnn_engine *e, int flags) {
    rnn_pass *p = rnn_malloc(e, sizeof *p);
    if (!p) {
        no_memory(e);
        return NULL;
    }
    memset(p, 0, sizeof *p);
    p->flags = flags;
    return p;
}

/* The root is pinned until the end of the pass. */
int rnn_pass_root(rnn_engine *e, rnn_pass *p, const rnn_view *view, const rnn_view *grad) {
    if (!view->needs_grad)
        return rnn_fail(e, RNN_ERUNTIME, "element %lld of tensors does not require grad and does not have a grad_fn",
                        (long long)p->root_count);
    rnn_block *block = NULL;
    if (!GROW(e, p->roots, p->root_capacity, p->root_count)) return no_memory(e);
    if (grad) {
        block = rnn_block_new(e, "backward", rnn_numel(grad->ndim, grad->shape), grad->dtype);
        if (!block) return RNN_EMEMORY;
        rnn_pack_view(e, grad, block->data);
    }
    p->roots[p->root_count++] = (root){*view, block};
    rnn_lock(e);
    rnn_span_ref(e, view->span);
    rnn_unlock(e);
    return 0;
}

rnn_pass *rnn_backward_begin(rnn_engine *e, int count, const rnn_ref *roots, const rnn_ref *grads, int flags) {
    rnn_pass *p = rnn_pass_new(e, flags);
    int failed = 0;
    for (int i = 0; p && i < count && !failed; i++) {
        rnn_view v, g;
        failed = rnn_view_of(e, roots[i], &v);
        const bool given = grads && grads[i] > 0;
        if (!failed && given) failed = rnn_view_of(e, grads[i], &g);
        if (!failed) failed = rnn_pass_root(e, p, &v, given ? &g : NULL);
    }
    if (!failed) return p;
    rnn_backward_end(e, p);
    return NULL;
}

/* ---- sorting -------------------------------------------------------------------------------------- */

/* -1: this operand takes no gradient. */
static int64_t visit_operand(rnn_engine *e, const rnn_span *s, int k) {
    if (!(s->flags & RNN_S_SCALAR) && !s->ext->in[k].needs_grad) return -1;
    uint32_t o = rnn_span_operand(s, k);
    return rnn_at(e, o)->flags & RNN_S_NEEDS_GRAD ? (int64_t)o : -1;
}

static int push(rnn_engine *e, rnn_pass *p, uint32_t id) {
    rnn_span *s = rnn_at(e, id);
    if (s->mark) return 0;
    if (s->flags & RNN_S_PASSED && !(s->flags & RNN_S_LEAF))
        return rnn_fail(e, RNN_ERUNTIME,
                        "Trying to backward through the graph a second time: the graph behind %s was freed by an "
                        "earlier backward(). Specify retain_graph=True there if you need to backward through the "
                        "graph a second time.", rnn_ops[s->op].torch_name);
    if (!GROW(e, p->stack, p->stack_capacity, p->depth)) return no_memory(e);
    s->mark = 1;
    p->stack[p->depth++] = (frame){id, 0};
    return 0;
}

static int sort_some(rnn_engine *e, rnn_pass *p, int64_t steps) {
    for (; p->depth && steps > 0; steps--) {
        frame *f = &p->stack[p->depth - 1];
        const rnn_span *s = rnn_at(e, f->span);
        if (f->next < rnn_span_operands(s)) {
            int64_t operand = visit_operand(e, s, f->next++);
            int failed = operand < 0 ? 0 : push(e, p, (uint32_t)operand);
            if (failed) return failed;
            continue;
        }
        if (!GROW(e, p->order, p->capacity, p->count)) return no_memory(e);
        p->order[p->count++] = f->span;
        p->depth--;
    }
    return 0;
}

/* Puts a gradient aside: a fresh one grows in its place. */
static int put_aside(rnn_engine *e, rnn_pass *p, uint32_t id) {
    rnn_span *s = rnn_at(e, id);
    if (!GROW(e, p->stash, p->stash_capacity, p->stash_count)) return no_memory(e);
    stashed *to = &p->stash[p->stash_count++];
    const bool had = s->flags & RNN_S_HAS_GRAD, scalar = s->flags & RNN_S_SCALAR;
    *to = (stashed){id, had, had && !scalar ? s->ext->grad : NULL, had ? rnn_node_grad(e, id, 0) : 0};
    if (!scalar) s->ext->grad = NULL;
    s->flags &= (uint8_t)~RNN_S_HAS_GRAD;
    return 0;
}

/* Spans found since the last slice: pinned, and their gradients of earlier passes cleared or put aside. */
static int pin_found(rnn_engine *e, rnn_pass *p) {
    int failed = 0;
    rnn_lock(e);
    for (; p->pinned < p->count && !failed; p->pinned++) {
        uint32_t id = p->order[p->pinned];
        rnn_span *s = rnn_at(e, id);
        rnn_span_ref(e, id);
        const bool leaf = s->flags & RNN_S_LEAF, adds = leaf ? s->flags & RNN_S_HOOK : s->flags & RNN_S_RETAIN;
        if ((leaf && p->flags & KEEP_LEAVES) || (adds && s->flags & RNN_S_HAS_GRAD)) failed = put_aside(e, p, id);
        else if (!leaf) rnn_span_clear_grad(e, id);
    }
    rnn_unlock(e);
    return failed;
}

static int sort_slice(rnn_engine *e, rnn_pass *p) {
    int failed = 0;
    if (!p->depth && p->root_at < p->root_count) failed = push(e, p, p->roots[p->root_at++].view.span);
    if (!failed) failed = sort_some(e, p, 1 << 16);
    int pinned = pin_found(e, p);
    if (failed || pinned) return failed ? failed : pinned;
    if (p->depth || p->root_at < p->root_count) return 0;
    for (int64_t i = 0; i < p->count; i++) rnn_at(e, p->order[i])->mark = 0;
    p->phase = SEEDING;
    return 0;
}

/* ---- seeding --------------------------------------------------------------------------------------- */

static int seed(rnn_engine *e, const root *r) {
    const rnn_view *v = &r->view;
    rnn_span *s = rnn_at(e, v->span);
    int failed = s->flags & RNN_S_HAS_GRAD ? 0 : rnn_span_grad_begin(e, v->span, true);
    if (failed) return failed;
    const double one64 = 1;
    const float one32 = 1;
    rnn_accumulate_job job = {.ndim = v->ndim, .dtype = v->dtype, .scale = 1,
                              .dst = (char *)rnn_span_grad(e, v->span) + v->offset * (int64_t)rnn_itemsize(v->dtype)};
    memcpy(job.shape, v->shape, sizeof job.shape);
    memcpy(job.dst_stride, v->stride, sizeof job.dst_stride);
    if (r->grad) rnn_contiguous_strides(v->ndim, v->shape, job.src_stride);
    job.src = r->grad ? r->grad->data : v->dtype == RNN_F64 ? (const void *)&one64 : (const void *)&one32;
    return rnn_accumulate(e, &job);
}

/* ---- running ---------------------------------------------------------------------------------------- */

static int overwritten(rnn_engine *e, uint32_t id, uint32_t what) {
    char text[256] = "";
    const rnn_span *s = rnn_at(e, what);
    if (!(s->flags & RNN_S_SCALAR)) rnn_shape_text(s->ext->ndim, s->ext->shape, text, sizeof text);
    return rnn_fail(e, RNN_ERUNTIME,
                    "one of the variables needed for gradient computation has been modified by an inplace operation: "
                    "%s needs a value of %s%s that was overwritten after it was used",
                    rnn_ops[rnn_at(e, id)->op].torch_name,
                    s->flags & RNN_S_LEAF ? "a leaf tensor of shape " : rnn_ops[s->op].torch_name, text);
}

/* Refuses where a value that the kernel needs was written after the span was made. */
static int check_versions(rnn_engine *e, uint32_t id) {
    const rnn_span *s = rnn_at(e, id);
    const int needs = rnn_ops[s->op].needs, count = rnn_span_operands(s);
    for (int k = 0; k < count; k++) {
        const bool needed = needs & RNN_NEEDS_ALL || (k == 0 && needs & RNN_NEEDS_A) || (k == 1 && needs & RNN_NEEDS_B);
        const uint32_t o = rnn_span_operand(s, k);
        if (needed && rnn_span_written(e, o) > s->first) return overwritten(e, id, o);
    }
    if (needs & RNN_NEEDS_Z && rnn_span_written(e, id) > s->first) return overwritten(e, id, id);
    return 0;
}

/* A Value's operation: the same formulas as the loops, on one element. */
static int scalar_backward(rnn_engine *e, uint32_t id) {
    const rnn_span *s = rnn_at(e, id);
    const int count = rnn_span_operands(s), wide = s->dtype;
    double v[2] = {0, 0}, p[4] = {s->flags & RNN_S_PARAM ? s->param : 1, 0, 0, 0};
    for (int k = 0; k < count; k++) v[k] = rnn_node_value(e, s->in[k].span, s->in[k].offset);
    const double z = rnn_node_value(e, id, 0), dz = rnn_node_grad(e, id, 0);
    for (int k = 0; k < count; k++) {
        if (!(rnn_at(e, s->in[k].span)->flags & RNN_S_NEEDS_GRAD)) continue;
        double d;
        if (wide) {
            rnn_kernels_base.backward[1][k][s->op](1, &v[0], &v[1], &z, &dz, &d, p);
        } else {
            const float a = (float)v[0], b = (float)v[1], zf = (float)z, dzf = (float)dz;
            float df;
            rnn_kernels_base.backward[0][k][s->op](1, &a, &b, &zf, &dzf, &df, p);
            d = df;
        }
        int failed = rnn_node_add_grad(e, s->in[k].span, s->in[k].offset, d);
        if (failed) return failed;
    }
    return 0;
}

static stashed *find_stash(rnn_pass *p, uint32_t id) {
    for (int64_t i = 0; i < p->stash_count; i++)
        if (p->stash[i].span == id) return &p->stash[i];
    return NULL;
}

/* What was put aside joins what this pass found. */
static int add_stash(rnn_engine *e, stashed *from) {
    rnn_span *s = rnn_at(e, from->span);
    if (s->flags & RNN_S_SCALAR) return rnn_node_add_grad(e, from->span, 0, from->value);
    if (!from->block) return 0;
    if (s->flags & RNN_S_HAS_GRAD) {
        e->k->add_scaled[s->dtype](s->ext->n, from->block->data, s->ext->grad->data, 1);
        rnn_lock(e);
        rnn_block_unref(e, s->ext->grad);
        rnn_unlock(e);
    }
    s->ext->grad = from->block;
    s->flags |= RNN_S_HAS_GRAD;
    from->block = NULL;
    return 0;
}

/* The span at the head of the pass. 2: Python's turn, then again. */
static int run_span(rnn_engine *e, rnn_pass *p, uint32_t id) {
    rnn_span *s = rnn_at(e, id);
    int failed = 0;
    const bool has = s->flags & RNN_S_HAS_GRAD;
    if (has && s->flags & RNN_S_HOOK && !p->resumed) {
        p->key = s->ext->hooks;
        return 2;
    }
    if (has && s->op == RNN_OP_CUSTOM && !(s->flags & RNN_S_LEAF)) {
        if (p->key != s->ext->function) {
            p->key = s->ext->function;
            return 2;
        }
    } else if (has && !(s->flags & RNN_S_LEAF)) {
        failed = check_versions(e, id);
        if (!failed) failed = s->flags & RNN_S_SCALAR ? scalar_backward(e, id) : rnn_ops[s->op].backward(e, id);
    }
    if (failed) return failed;
    if (s->flags & (RNN_S_RETAIN | RNN_S_HOOK) && !(p->flags & KEEP_LEAVES && s->flags & RNN_S_LEAF)) {
        stashed *aside = find_stash(p, id);
        if (aside) failed = add_stash(e, aside);
    }
    return failed;
}

/* The span is behind the pass. */
static void leave_span(rnn_engine *e, rnn_pass *p, uint32_t id) {
    p->resumed = false;
    p->key = NULL;
    rnn_lock(e);
    if (!(p->flags & RETAIN_GRAPH)) rnn_span_pass(e, id);
    rnn_span_unref(e, id);
    rnn_unlock(e);
}

static int run_slice(rnn_engine *e, rnn_pass *p, int64_t until) {
    int64_t work = 0;
    for (; p->at > 0; p->at--) {
        uint32_t id = p->order[p->at - 1];
        if (work > (1 << 14)) {
            if (now() > until) return 1;
            work = 0;
        }
        work += 32 + rnn_span_size(rnn_at(e, id));
        int code = run_span(e, p, id);
        if (code == 2) p->resumed = true;
        if (code) return code;
        leave_span(e, p, id);
    }
    p->phase = DONE;
    return 0;
}

int rnn_backward_step(rnn_engine *e, rnn_pass *p, int64_t nanoseconds) {
    const int64_t until = now() + nanoseconds;
    if (!p->locked) {
        pthread_mutex_lock(&e->backward_lock);
        p->locked = true;
    }
    while (p->phase == SORTING) {
        int failed = sort_slice(e, p);
        if (failed) return failed;
        if (now() > until) return 1;
    }
    if (p->phase == SEEDING) {
        for (int64_t i = 0; i < p->root_count; i++) {
            int failed = seed(e, &p->roots[i]);
            if (failed) return failed;
        }
        p->at = p->count;
        p->phase = RUNNING;
    }
    return p->phase == RUNNING ? run_slice(e, p, until) : 0;
}

int64_t rnn_pass_key(rnn_pass *p) { return p->key ? (int64_t)(intptr_t)p->key->object : 0; }
uint32_t rnn_pass_span(rnn_pass *p) { return p->at > 0 ? p->order[p->at - 1] : 0; }

/* ---- ending ------------------------------------------------------------------------------------------ */

/* Leaves' own gradients come back (autograd.grad), and what a failure left aside. */
static void restore(rnn_engine *e, rnn_pass *p) {
    for (int64_t i = 0; i < p->stash_count; i++) {
        stashed *from = &p->stash[i];
        rnn_span *s = rnn_at(e, from->span);
        if (!(p->flags & KEEP_LEAVES)) {
            if (from->block) add_stash(e, from);
            continue;
        }
        rnn_lock(e);
        rnn_span_clear_grad(e, from->span);
        rnn_unlock(e);
        if (s->flags & RNN_S_SCALAR) {
            if (from->had) rnn_node_add_grad(e, from->span, 0, from->value);
        } else if (from->block) {
            s->ext->grad = from->block;
            s->flags |= RNN_S_HAS_GRAD;
        }
    }
}

void rnn_backward_end(rnn_engine *e, rnn_pass *p) {
    if (!p) return;
    if (p->phase == SORTING) {
        for (int64_t i = 0; i < p->count; i++) rnn_at(e, p->order[i])->mark = 0;
        for (int64_t i = 0; i < p->depth; i++) rnn_at(e, p->stack[i].span)->mark = 0;
        p->at = p->pinned;
    } else if (p->phase == SEEDING) {
        p->at = p->count;
    }
    restore(e, p);
    rnn_lock(e);
    for (int64_t i = 0; i < p->at; i++) rnn_span_unref(e, p->order[i]);
    for (int64_t i = 0; i < p->root_count; i++) {
        rnn_span_unref(e, p->roots[i].view.span);
        rnn_block_unref(e, p->roots[i].grad);
    }
    rnn_unlock(e);
    if (p->locked) pthread_mutex_unlock(&e->backward_lock);
    free(p->order);
    free(p->stack);
    free(p->stash);
    free(p->roots);
    free(p);
}

/* ---- counting ------------------------------------------------------------------------------------------ */

/* Nodes of all spans that the roots reach, constants included: the sort, with every operand visited. */
int64_t rnn_graph_size(rnn_engine *e, int count, const rnn_ref *roots) {
    rnn_pass p = {0};
    int64_t nodes = 0;
    int failed = 0;
    pthread_mutex_lock(&e->backward_lock);
    for (int i = 0; i < count && !failed; i++) {
        if (!rnn_at(e, rnn_span_of(roots[i]))->mark) failed = push(e, &p, rnn_span_of(roots[i]));
        while (p.depth && !failed) {
            frame *f = &p.stack[p.depth - 1];
            const rnn_span *s = rnn_at(e, f->span);
            if (f->next < rnn_span_operands(s)) {
                failed = push(e, &p, rnn_span_operand(s, f->next++));
                continue;
            }
            if (!GROW(e, p.order, p.capacity, p.count)) failed = no_memory(e);
            else p.order[p.count++] = f->span;
            p.depth--;
            nodes += rnn_span_size(s);
        }
    }
    for (int64_t i = 0; i < p.count; i++) rnn_at(e, p.order[i])->mark = 0;
    for (int64_t i = 0; i < p.depth; i++) rnn_at(e, p.stack[i].span)->mark = 0;
    pthread_mutex_unlock(&e->backward_lock);
    free(p.order);
    free(p.stack);
    return failed ? failed : nodes;
}
