/* backward.c: the walk back through the order that sort.c makes: one kernel a span, each adding to
 * its operands' gradients, in slices, so that Python can handle signals between them. Hooks and
 * autograd.Functions are handed to Python.
 *
 * What it is not: it knows no derivative. */
#include "pass.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FRESH, HOOKED, COMPUTED, ADDED }; /* how far the span at the head is */
enum {
    ASK_HOOKS = 2,
    ASK_FUNCTION = 3,
    ASK_POST_ACCUMULATE = 4
}; /* what rnn_backward_step asks of Python */

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int no_memory(rnn_engine *e) {
    return rnn_fail(e, RNN_EMEMORY, "backward: no memory for the record of a pass");
}

/* ---- beginning ------------------------------------------------------------------------------- */

static int add_root(rnn_engine *e, rnn_pass *p, rnn_ref ref, rnn_ref grad_ref) {
    rnn_view view, grad;
    int failed = rnn_view_of(e, ref, &view);
    if (!failed && grad_ref > 0) failed = rnn_view_of(e, grad_ref, &grad);
    if (failed) return failed;
    if (!view.needs_grad)
        return rnn_fail(e, RNN_ERUNTIME,
                        "element %lld of tensors does not require grad and does not have a grad_fn",
                        (long long)p->root_count);
    rnn_block *block = NULL;
    if (grad_ref > 0) {
        block = rnn_block_new(e, "backward", rnn_numel(grad.ndim, grad.shape), grad.dtype);
        if (!block) return RNN_EMEMORY;
        failed = rnn_pack_view(e, &grad, block->data);
    }
    p->roots[p->root_count++] = (rnn_root){view, block};
    rnn_lock(e);
    rnn_span_ref(e, view.span);
    rnn_unlock(e);
    return failed;
}

static void add_input(rnn_engine *e, rnn_pass *p, rnn_ref ref) {
    const uint32_t id = rnn_span_of(ref);
    p->inputs[p->input_count++] = id;
    rnn_lock(e);
    rnn_span_ref(e, id);
    rnn_unlock(e);
}

rnn_pass *rnn_backward_begin(rnn_engine *e, int count, const rnn_ref *roots, const rnn_ref *grads,
                             int input_count, const rnn_ref *inputs, int flags) {
    rnn_pass *p = rnn_malloc(e, sizeof *p);
    int failed = 0;
    if (p) {
        memset(p, 0, sizeof *p);
        p->flags = flags;
        p->check = rnn_checking() && !(flags & RNN_PRIVATE);
        p->roots = rnn_malloc(e, (size_t)count * sizeof *p->roots);
        p->inputs = rnn_malloc(e, (size_t)input_count * sizeof *p->inputs);
    }
    if (!p || !p->roots || !p->inputs) failed = no_memory(e);
    for (int i = 0; i < count && !failed; i++) {
        failed = add_root(e, p, roots[i], grads ? grads[i] : 0);
        if (!failed && p->check) failed = rnn_check_root(e, roots[i]);
    }
    for (int i = 0; i < input_count && !failed; i++) add_input(e, p, inputs[i]);
    if (!failed) return p;
    rnn_backward_end(e, p);
    return NULL;
}

/* Inputs are marked; where nothing shall change (autograd.grad), their own gradients are put
 * aside. */
static int begin_inputs(rnn_engine *e, rnn_pass *p) {
    int failed = 0;
    for (int64_t i = 0; i < p->input_count && !failed; i++) {
        rnn_span *s = rnn_at(e, p->inputs[i]);
        if (s->state & RNN_G_TARGET) continue;
        if (p->flags & RNN_KEEP) failed = rnn_stash_put(e, p, p->inputs[i], false);
        if (!failed) rnn_state_set(s, 0xff, RNN_G_TARGET);
    }
    return failed;
}

static void end_inputs(rnn_engine *e, rnn_pass *p) {
    for (int64_t i = 0; i < p->input_count; i++)
        rnn_state_set(rnn_at(e, p->inputs[i]), ~RNN_G_TARGET, 0);
}

/* ---- seeding --------------------------------------------------------------------------------- */

static int seed(rnn_engine *e, const rnn_root *r) {
    const rnn_view *v = &r->view;
    rnn_span *s = rnn_at(e, v->span);
    int failed = rnn_span_has_grad(s) ? 0 : rnn_span_grad_begin(e, v->span, true);
    if (failed) return failed;
    const double one64 = 1;
    const float one32 = 1;
    rnn_accumulate_job job = {.ndim = v->ndim,
                              .dtype = v->dtype,
                              .scale = 1,
                              .dst = (char *)rnn_span_grad(e, v->span) +
                                     v->offset * (int64_t)rnn_itemsize(v->dtype)};
    memcpy(job.shape, v->shape, sizeof job.shape);
    memcpy(job.dst_stride, v->stride, sizeof job.dst_stride);
    if (r->grad) rnn_contiguous_strides(v->ndim, v->shape, job.src_stride);
    job.src = r->grad               ? r->grad->data
              : v->dtype == RNN_F64 ? (const void *)&one64
                                    : (const void *)&one32;
    return rnn_accumulate(e, &job);
}

static int seed_roots(rnn_engine *e, rnn_pass *p) {
    int failed = 0;
    for (int64_t i = 0; i < p->root_count && !failed; i++)
        if (!(rnn_at(e, p->roots[i].view.span)->state & RNN_G_SKIP)) failed = seed(e, &p->roots[i]);
    return failed;
}

/* ---- private passes -------------------------------------------------------------------------- */

static bool asked_for(const rnn_pass *p, uint32_t id) {
    for (int64_t i = 0; i < p->input_count; i++)
        if (p->inputs[i] == id) return true;
    return false;
}

/* What the pass has put into a span goes, unless it is what was asked for: that is read, then
 * restored when the pass ends. */
static void undo(rnn_engine *e, rnn_pass *p, uint32_t id) {
    if (p->flags & RNN_PRIVATE && !p->until && !(rnn_at(e, id)->state & RNN_G_SKIP) &&
        !asked_for(p, id))
        rnn_stash_undo(e, p, id);
}

/* A private pass that has failed leaves parts of gradients in spans that it has not come to. */
static void undo_rest(rnn_engine *e, rnn_pass *p) {
    if (!(p->flags & RNN_PRIVATE) || p->phase <= RNN_SORTING) return;
    for (int64_t i = p->at; p->array && i < p->count; i++) undo(e, p, (uint32_t)p->array[i]);
    for (uint32_t id = p->array ? 0 : p->head; id; id = rnn_at(e, id)->after) undo(e, p, id);
}

/* ---- running --------------------------------------------------------------------------------- */

static int overwritten(rnn_engine *e, uint32_t id, uint32_t what) {
    char text[256] = "", writer[256], user[256];
    const rnn_span *s = rnn_at(e, what);
    rnn_shape_text(s->ext->ndim, s->ext->shape, text, sizeof text);
    rnn_site_text(e, s->ext->data->writer, writer, sizeof writer);
    rnn_site_text(e, rnn_origin_of(e, id).site, user, sizeof user);
    const bool traced = *writer && *user;
    return rnn_fail(
        e, RNN_ERUNTIME,
        "one of the variables needed for gradient computation has been modified by an inplace operation: "
        "[rnn.%sTensor %s], %s%s, was overwritten%s%s after %s%s%s%s had used it%s",
        s->dtype == RNN_F64 ? "Double" : "Float", text, what == id ? "the output of " : "",
        s->flags & RNN_S_LEAF ? "a leaf" : rnn_ops[s->op].torch_name, traced ? " by " : "",
        traced ? writer : "", rnn_ops[rnn_at(e, id)->op].torch_name, traced ? " (" : "",
        traced ? user : "", traced ? ")" : "",
        traced ? "" : "; with rnn.trace() on, this message names both lines");
}

/* Of a product, no gradient goes to the other operand: its derivative, this operand's value, is not
 * read. */
static bool is_idle(const rnn_span *s, int k) {
    if (s->flags & RNN_S_SCALAR || k > 1 || s->ext->count < 2) return false;
    return rnn_ops[s->op].needs & (k ? RNN_B_FOR_A : RNN_A_FOR_B) && !s->ext->in[1 - k].needs_grad;
}

/* Refuses where a value that derivatives need was written after the span was made: those that the
 * pass takes, or all. */
int rnn_check_values(rnn_engine *e, uint32_t id, int all) {
    const rnn_span *s = rnn_at(e, id);
    const int count = rnn_span_operands(s);
    for (int k = 0; k < count; k++) {
        const bool needed = rnn_op_reads(s->op, k) && (all || !is_idle(s, k));
        const uint32_t o = rnn_span_operand(s, k);
        if (needed && rnn_span_written(e, o) > s->first) return overwritten(e, id, o);
    }
    const bool result = rnn_ops[s->op].needs & RNN_NEEDS_Z;
    if (result && rnn_span_written(e, id) > s->first) return overwritten(e, id, id);
    return 0;
}

static int run_kernel(rnn_engine *e, const rnn_pass *p, uint32_t id) {
    const rnn_span *s = rnn_at(e, id);
    if (s->flags & RNN_S_PASSED)
        return rnn_fail(e, RNN_ERUNTIME,
                        "backward: a pass within this one has freed the graph behind %s",
                        rnn_ops[s->op].torch_name);
    int failed = rnn_check_values(e, id, false);
    if (failed) return failed;
    e->spends = !(p->flags & (RNN_RETAIN_GRAPH | RNN_PRIVATE)) && !p->check;
    e->spent = false;
    failed = s->flags & RNN_S_SCALAR ? rnn_value_backward(e, id) : rnn_ops[s->op].backward(e, id);
    e->spends = false;
    if (failed && e->spent) { /* nobody shall read them */
        rnn_lock(e);
        rnn_span_pass(e, id);
        rnn_unlock(e);
    }
    return failed;
}

/* The span at the head of the pass, as far as it goes without Python: what to ask of Python, then
 * call again. */
static int run_span(rnn_engine *e, rnn_pass *p, uint32_t id) {
    const rnn_span *s = rnn_at(e, id);
    const bool leaf = s->flags & RNN_S_LEAF, private = p->flags & RNN_PRIVATE;
    const bool hooks = s->flags & RNN_S_HOOK && !private;
    int failed = 0;
    if (!rnn_span_has_grad(s)) return private ? 0 : rnn_stash_add(e, p, id);
    if (p->stage == FRESH) {
        p->stage = HOOKED;
        if (hooks) {
            p->key = s->ext->hooks;
            return ASK_HOOKS;
        }
    }
    if (p->stage == HOOKED) {
        p->stage = COMPUTED;
        if (hooks) failed = rnn_span_grad_own(e, id);
        if (!failed && !leaf && s->op == RNN_OP_CUSTOM && !(s->flags & RNN_S_PASSED)) {
            p->key = s->ext->function;
            return ASK_FUNCTION;
        }
        const bool end = s->flags & RNN_S_PASSED && !p->array && asked_for(p, id);
        if (!failed && !leaf && !end) failed = run_kernel(e, p, id);
    }
    if (!failed && p->stage == COMPUTED && !private) {
        p->stage = ADDED;
        if (p->check && !leaf) failed = rnn_check_gradients(e, id, &p->anomaly);
        if (!failed) failed = rnn_stash_add(e, p, id);
        if (!failed && leaf && hooks && !(p->flags & RNN_KEEP)) {
            p->key = s->ext->hooks;
            return ASK_POST_ACCUMULATE;
        }
    }
    return failed;
}

static int run_slice(rnn_engine *e, rnn_pass *p, int64_t until) {
    int64_t work = 0;
    for (uint32_t id; (id = rnn_pass_head(p));) {
        const rnn_span *s = rnn_at(e, id);
        if (work > (1 << 14)) {
            if (now() > until) return 1;
            work = 0;
        }
        work += 32 + rnn_span_size(s);
        int code = s->state & RNN_G_SKIP ? 0 : run_span(e, p, id);
        if (code) return code;
        if (id == p->until) { /* others may pass while it stands here */
            rnn_pass_drop(e, p);
            break;
        }
        undo(e, p, id);
        rnn_pass_leave(e, p);
    }
    p->phase = RNN_DONE;
    return 0;
}

/* Takes the turn; a pass of this thread that is under way makes room. 1: somebody else has it. */
static int enter(rnn_engine *e, rnn_pass *p, int64_t nanoseconds) {
    if (!rnn_turn_take(e, nanoseconds)) return 1;
    p->entered = true;
    p->outer = e->running;
    e->running = p;
    return p->outer ? rnn_pass_suspend(e, p->outer) : 0;
}

static int sort_slice(rnn_engine *e, rnn_pass *p, int64_t until) {
    int code;
    do code = rnn_pass_sort(e, p, 1 << 12);
    while (code == 1 && now() <= until);
    if (!code) code = rnn_pass_cut(e, p);
    if (!code && p->check && !(p->flags & RNN_RETAIN_GRAPH)) code = rnn_pass_keep_graph(e, p);
    if (code) return code;
    end_inputs(e, p);
    p->stash_at = p->stash_count;
    p->phase = RNN_SEEDING;
    return 0;
}

int rnn_backward_step(rnn_engine *e, rnn_pass *p, int64_t nanoseconds) {
    const int64_t until = now() + nanoseconds;
    int code = p->entered ? 0 : enter(e, p, nanoseconds);
    if (code) return code;
    rnn_pass_resume(e, p);
    if (p->phase == RNN_BEGINNING) {
        if ((code = begin_inputs(e, p))) return code;
        p->phase = RNN_SORTING;
    }
    if (p->phase == RNN_SORTING && (code = sort_slice(e, p, until))) return code;
    if (p->phase == RNN_SEEDING) {
        if ((code = seed_roots(e, p))) return code;
        p->phase = RNN_RUNNING;
    }
    return p->phase == RNN_RUNNING ? run_slice(e, p, until) : 0;
}

int rnn_pass_anomaly(const rnn_pass *p, rnn_anomaly *out) {
    *out = p->anomaly;
    return p->brief;
}

void rnn_pass_until(rnn_pass *p, uint32_t span) { p->until = span; }
int64_t rnn_pass_key(rnn_pass *p) { return p->key ? (int64_t)(intptr_t)p->key->object : 0; }
uint32_t rnn_pass_span(rnn_pass *p) { return rnn_pass_head(p); }

/* ---- ending ---------------------------------------------------------------------------------- */

static void release(rnn_engine *e, rnn_pass *p) {
    rnn_lock(e);
    for (int64_t i = 0; i < p->left_count; i++) rnn_span_unref(e, p->left[i]);
    for (int64_t i = 0; i < p->root_count; i++) {
        rnn_span_unref(e, p->roots[i].view.span);
        rnn_block_unref(e, p->roots[i].grad);
    }
    for (int64_t i = 0; i < p->input_count; i++) rnn_span_unref(e, p->inputs[i]);
    rnn_unlock(e);
    free(p->roots);
    free(p->inputs);
    free(p->left);
    free(p->stash);
    free(p->array);
    free(p);
}

static void free_graph(rnn_engine *e, const rnn_pass *p) {
    rnn_lock(e);
    for (int64_t i = 0; i < p->left_count; i++) rnn_span_pass(e, p->left[i]);
    rnn_unlock(e);
}

void rnn_backward_end(rnn_engine *e, rnn_pass *p) {
    if (!p) return;
    if (p->entered) {
        rnn_pass_resume(e, p);
        undo_rest(e, p);
        rnn_stash_restore(e, p); /* while the order keeps what nobody else does */
        if (p->phase <= RNN_SORTING) {
            end_inputs(e, p);
            rnn_pass_unsort(e, p);
        }
        rnn_pass_drop(e, p);
        if (p->phase == RNN_DONE) free_graph(e, p);
        e->running = p->outer;
        rnn_turn_give(e);
    }
    release(e, p);
}
