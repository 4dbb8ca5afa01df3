/* sort.c: the topological order of the spans that a pass reaches: depth first, operands in order,
 * no recursion and no memory: the search and the order are threaded through the spans themselves.
 *
 * What it is not: it runs nothing, and knows no derivative. */
#include "pass.h"

#include <stdlib.h>

/* ---- searching ------------------------------------------------------------------------------- */

int rnn_check_freed(rnn_engine *e, uint32_t span) {
    const rnn_span *s = rnn_at(e, span);
    if ((s->flags & (RNN_S_PASSED | RNN_S_LEAF)) != RNN_S_PASSED) return 0;
    return rnn_fail(
        e, RNN_ERUNTIME,
        "Trying to backward through the graph a second time (or directly access saved tensors after they "
        "have already been freed). Saved intermediate values of the graph are freed when you call "
        ".backward() or autograd.grad(). Specify retain_graph=True if you need to backward through the "
        "graph a second time or if you need to access saved tensors after calling backward. (The graph "
        "behind %s was freed.)",
        rnn_ops[s->op].torch_name);
}

/* The search goes into a span that it has not seen. */
static void look_into(rnn_engine *e, rnn_pass *p, uint32_t id) {
    rnn_span *s = rnn_at(e, id);
    rnn_state_set(s, 0xff, RNN_G_SEEN);
    s->above = p->top;
    s->after = 0;
    p->top = id;
}

static int enter(rnn_engine *e, rnn_pass *p, uint32_t id) {
    /* a freed span's own gradient can be asked for: see rnn_pass_cut */
    const bool wanted = p->flags & RNN_KEEP && rnn_at(e, id)->state & RNN_G_TARGET;
    const int failed = wanted ? 0 : rnn_check_freed(e, id);
    if (!failed) look_into(e, p, id);
    return failed;
}

/* After the search: inputs that it has not come to may lie behind those that are freed. */
int rnn_pass_cut(rnn_engine *e, const rnn_pass *p) {
    bool missed = false;
    int failed = 0;
    for (int64_t i = 0; i < p->input_count && !missed; i++)
        missed = !(rnn_at(e, p->inputs[i])->state & RNN_G_SEEN);
    for (int64_t i = 0; i < p->input_count && missed && !failed; i++)
        if (rnn_at(e, p->inputs[i])->state & RNN_G_SEEN) failed = rnn_check_freed(e, p->inputs[i]);
    return failed;
}

/* -1: this operand takes no gradient. */
static int64_t wanting_operand(rnn_engine *e, const rnn_span *s, int k) {
    if (!(s->flags & RNN_S_SCALAR) && !s->ext->in[k].needs_grad) return -1;
    uint32_t o = rnn_span_operand(s, k);
    return rnn_at(e, o)->flags & RNN_S_NEEDS_GRAD ? (int64_t)o : -1;
}

static bool leads_to_input(rnn_engine *e, const rnn_span *s) {
    if (s->state & RNN_G_TARGET) return true;
    for (int k = 0; k < rnn_span_operands(s); k++) {
        int64_t o = wanting_operand(e, s, k);
        if (o >= 0 && !(rnn_at(e, (uint32_t)o)->state & RNN_G_SKIP)) return true;
    }
    return false;
}

/* What earlier passes left here goes, or is put aside. */
static int prepare(rnn_engine *e, rnn_pass *p, uint32_t id) {
    rnn_span *s = rnn_at(e, id);
    const bool leaf = s->flags & RNN_S_LEAF;
    if (p->input_count && !leads_to_input(e, s)) {
        rnn_state_set(s, 0xff, RNN_G_SKIP);
        return 0;
    }
    if (p->flags & RNN_PRIVATE && !(s->state & RNN_G_TARGET)) {
        const bool restore = rnn_span_has_grad(s) || p->until;
        return restore ? rnn_stash_put(e, p, id, false) : 0;
    }
    if (s->state & RNN_G_OUTER && !leaf && !(s->state & RNN_G_TARGET))
        return rnn_stash_put(e, p, id, false);
    if (p->flags & RNN_KEEP && s->state & RNN_G_TARGET) return 0;
    if (leaf) {
        const int failed = rnn_span_grad_unlink(e, id);
        return s->flags & RNN_S_HOOK && !failed ? rnn_stash_put(e, p, id, true) : failed;
    }
    if (!rnn_span_has_grad(s)) return 0;
    if (s->flags & RNN_S_RETAIN || s->state & RNN_G_TARGET) {
        const int failed = rnn_span_grad_unlink(e, id);
        return failed ? failed : rnn_stash_put(e, p, id, true);
    }
    if (s->flags & RNN_S_SCALAR) {
        rnn_state_set(s, ~RNN_G_HAS, 0);
        return 0;
    }
    rnn_lock(e);
    rnn_span_clear_grad(e, id);
    rnn_unlock(e);
    return 0;
}

/* One step: into the next operand, or out of a span whose operands are all in order. */
static int step(rnn_engine *e, rnn_pass *p) {
    const uint32_t id = p->top;
    rnn_span *s = rnn_at(e, id);
    const int count = rnn_span_operands(s);
    for (int k = (int)s->after; k < count; k++) {
        int64_t o = wanting_operand(e, s, k);
        if (o < 0 || rnn_at(e, (uint32_t)o)->state & RNN_G_SEEN) continue;
        s->after = (uint32_t)k + 1;
        return enter(e, p, (uint32_t)o);
    }
    int failed = prepare(e, p, id);
    if (failed) return failed;
    p->top = s->above;
    s->after = p->head;
    p->head = id;
    return 0;
}

int rnn_pass_sort(rnn_engine *e, rnn_pass *p, int64_t steps) {
    int failed = 0;
    for (; steps > 0 && !failed; steps--) {
        if (p->top) {
            failed = step(e, p);
            continue;
        }
        while (p->root_at < p->root_count &&
               rnn_at(e, p->roots[p->root_at].view.span)->state & RNN_G_SEEN)
            p->root_at++;
        if (p->root_at == p->root_count) return 0;
        failed = enter(e, p, p->roots[p->root_at++].view.span);
    }
    return failed ? failed : 1;
}

/* ---- a checked pass -------------------------------------------------------------------------- */

/* No Python runs in the pass: nobody takes hold of a span meanwhile. */
static bool is_undisturbed(rnn_engine *e, const rnn_pass *p) {
    for (uint32_t id = p->head; id; id = rnn_at(e, id)->after)
        if (rnn_at(e, id)->flags & RNN_S_HOOK || rnn_at(e, id)->op == RNN_OP_CUSTOM) return false;
    return true;
}

/* The spans that are held by spans of the pass alone: nobody will look at their gradients when it
 * has left them. */
static void find_brief(rnn_engine *e, rnn_pass *p) {
    const int kinds = RNN_S_SCALAR | RNN_S_LEAF | RNN_S_RETAIN, states = RNN_G_TARGET | RNN_G_SKIP;
    for (uint32_t id = p->head; id; id = rnn_at(e, id)->after) rnn_at(e, id)->above = 0;
    for (uint32_t id = p->head; id; id = rnn_at(e, id)->after) {
        const rnn_span *s = rnn_at(e, id);
        for (int k = 0; k < rnn_span_operands(s); k++) rnn_at(e, rnn_span_operand(s, k))->above++;
    }
    rnn_lock(e);
    for (uint32_t id = p->head; id; id = rnn_at(e, id)->after) {
        rnn_span *s = rnn_at(e, id);
        if (s->refs != s->above || s->flags & kinds || s->state & states) continue;
        rnn_state_set(s, 0xff, RNN_G_BRIEF);
        p->brief = true;
    }
    rnn_unlock(e);
}

/* A NaN is explained by the graph that led to it: it goes when the pass has ended well. The
 * gradients within it, as in a plain pass, go at once; a private pass makes those again. */
int rnn_pass_keep_graph(rnn_engine *e, rnn_pass *p) {
    int64_t count = 0, scalars = 0;
    for (uint32_t id = p->head; id; id = rnn_at(e, id)->after) {
        count++;
        scalars += !!(rnn_at(e, id)->flags & RNN_S_SCALAR);
    }
    p->left = rnn_malloc(e, (size_t)count * sizeof *p->left);
    if (!p->left) return rnn_fail(e, RNN_EMEMORY, "backward: no memory to keep the graph");
    if (scalars < count && is_undisturbed(e, p)) find_brief(e, p);
    return 0;
}

/* The pass has left a span. Under the lock. */
static void leave_graph(rnn_engine *e, rnn_pass *p, uint32_t id) {
    const rnn_span *s = rnn_at(e, id);
    if (s->state & RNN_G_BRIEF) rnn_span_clear_grad(e, id);
    if (p->flags & RNN_RETAIN_GRAPH || s->state & RNN_G_SKIP) return;
    if (!p->left) {
        rnn_span_pass(e, id);
        return;
    }
    p->left[p->left_count++] = id;
    rnn_span_ref(e, id);
}

/* ---- the order ------------------------------------------------------------------------------- */

/* Under the lock: the list has done with a span, which nobody else may hold. */
static void let_go(rnn_engine *e, uint32_t id) {
    rnn_span *s = rnn_at(e, id);
    rnn_state_set(s, RNN_G_HAS | RNN_G_TARGET | RNN_G_OUTER, 0);
    if (s->refs) return;
    rnn_span_ref(e, id);
    rnn_span_unref(e, id);
}

static void let_go_list(rnn_engine *e, uint32_t *head) {
    rnn_lock(e);
    while (*head) {
        const uint32_t id = *head;
        *head = rnn_at(e, id)->after;
        let_go(e, id);
    }
    rnn_unlock(e);
}

void rnn_pass_unsort(rnn_engine *e, rnn_pass *p) {
    while (p->top) {
        rnn_span *s = rnn_at(e, p->top);
        rnn_state_set(s, RNN_G_HAS | RNN_G_TARGET | RNN_G_OUTER, 0);
        p->top = s->above;
    }
    let_go_list(e, &p->head);
    p->root_at = 0;
}

uint32_t rnn_pass_head(const rnn_pass *p) {
    if (!p->array) return p->head;
    return p->at < p->count ? (uint32_t)p->array[p->at] : 0;
}

void rnn_pass_leave(rnn_engine *e, rnn_pass *p) {
    const uint32_t id = rnn_pass_head(p);
    rnn_span *s = rnn_at(e, id);
    p->stage = 0;
    p->key = NULL;
    if (p->array) {
        p->at++;
        rnn_lock(e);
        leave_graph(e, p, id);
        rnn_state_set(s, RNN_G_HAS | RNN_G_OUTER, 0);
        rnn_span_unref(e, id);
        rnn_unlock(e);
        return;
    }
    p->head = s->after;
    if (p->flags & RNN_RETAIN_GRAPH) { /* its users hold it still, or the root's reference does */
        rnn_state_set(s, RNN_G_HAS | RNN_G_OUTER, 0);
        return;
    }
    rnn_lock(e);
    leave_graph(e, p, id);
    let_go(e, id);
    rnn_unlock(e);
}

void rnn_pass_drop(rnn_engine *e, rnn_pass *p) {
    if (!p->array) {
        let_go_list(e, &p->head);
        return;
    }
    rnn_lock(e);
    for (; p->at < p->count; p->at++) {
        rnn_state_set(rnn_at(e, (uint32_t)p->array[p->at]), RNN_G_HAS | RNN_G_OUTER, 0);
        rnn_span_unref(e, (uint32_t)p->array[p->at]);
    }
    rnn_unlock(e);
}

/* ---- another pass comes between -------------------------------------------------------------- */

static int copy_order(rnn_engine *e, rnn_pass *p) {
    int64_t count = 0;
    for (uint32_t id = p->head; id; id = rnn_at(e, id)->after) count++;
    p->array = rnn_malloc(e, (size_t)(count + 1) * sizeof *p->array);
    if (!p->array) return rnn_fail(e, RNN_EMEMORY, "backward: no memory for a pass within a pass");
    rnn_lock(e);
    for (uint32_t id = p->head; id; id = rnn_at(e, id)->after) {
        p->array[p->count++] = id | (uint64_t)(rnn_at(e, id)->state & RNN_G_SKIP ? 1 : 0) << 32;
        rnn_span_ref(e, id);
    }
    rnn_unlock(e);
    return 0;
}

static void mark_rest(rnn_engine *e, const rnn_pass *p, int keep, int add) {
    for (int64_t i = p->at; i < p->count; i++) {
        rnn_span *s = rnn_at(e, (uint32_t)p->array[i]);
        rnn_state_set(s, keep, add);
    }
}

int rnn_pass_suspend(rnn_engine *e, rnn_pass *p) {
    if (p->suspended) return 0;
    if (p->phase == RNN_SORTING) { /* a signal handler's pass: ours begins anew */
        rnn_stash_restore(e, p);
        rnn_pass_unsort(e, p);
        p->phase = RNN_BEGINNING;
        return 0;
    }
    if (p->phase == RNN_BEGINNING || p->phase == RNN_DONE) return 0;
    int failed = p->array ? 0 : copy_order(e, p);
    if (failed) return failed;
    p->suspended = true;
    mark_rest(e, p, RNN_G_HAS, RNN_G_OUTER);
    return 0;
}

void rnn_pass_resume(rnn_engine *e, rnn_pass *p) {
    if (!p->suspended) return;
    p->suspended = false;
    mark_rest(e, p, RNN_G_HAS, 0);
    for (int64_t i = p->at; i < p->count; i++)
        if (p->array[i] >> 32) rnn_state_set(rnn_at(e, (uint32_t)p->array[i]), 0xff, RNN_G_SKIP);
    for (const rnn_pass *outer = p->outer; outer; outer = outer->outer)
        mark_rest(e, outer, 0xff, RNN_G_OUTER);
}

/* ---- counting -------------------------------------------------------------------------------- */

/* The list from `p->head` on becomes all spans that the roots reach, constants included; or those
 * that gradients flow to. The caller has the turn, and ends with rnn_pass_unsort. */
int rnn_pass_reach(rnn_engine *e, rnn_pass *p, int count, const rnn_ref *roots, bool flows) {
    int failed = e->running ? rnn_pass_suspend(e, e->running) : 0;
    for (int i = 0; i < count && !failed; i++) {
        if (!(rnn_at(e, rnn_span_of(roots[i]))->state & RNN_G_SEEN))
            look_into(e, p, rnn_span_of(roots[i]));
        while (p->top) {
            const uint32_t id = p->top;
            rnn_span *s = rnn_at(e, id);
            if ((int)s->after < rnn_span_operands(s)) {
                const int k = (int)s->after++;
                const int64_t o = flows ? wanting_operand(e, s, k) : rnn_span_operand(s, k);
                if (o >= 0 && !(rnn_at(e, (uint32_t)o)->state & RNN_G_SEEN))
                    look_into(e, p, (uint32_t)o);
                continue;
            }
            p->top = s->above;
            s->after = p->head;
            p->head = id;
            p->count++;
        }
    }
    return failed;
}

int64_t rnn_graph_size(rnn_engine *e, int count, const rnn_ref *roots) {
    rnn_pass p = {0};
    int64_t nodes = 0;
    rnn_turn_take(e, -1);
    int failed = rnn_pass_reach(e, &p, count, roots, false);
    for (uint32_t id = p.head; id; id = rnn_at(e, id)->after) nodes += rnn_span_size(rnn_at(e, id));
    rnn_pass_unsort(e, &p);
    rnn_turn_give(e);
    return failed ? failed : nodes;
}

static bool is_one_of(uint32_t id, int count, const rnn_ref *tensors) {
    for (int i = 0; i < count; i++)
        if (rnn_span_of(tensors[i]) == id) return true;
    return false;
}

int rnn_flows_elsewhere(rnn_engine *e, int count, const rnn_ref *roots, int own_count,
                        const rnn_ref *own) {
    rnn_pass p = {0};
    bool found = false;
    rnn_turn_take(e, -1);
    const int failed = rnn_pass_reach(e, &p, count, roots, true);
    for (uint32_t id = p.head; id && !found; id = rnn_at(e, id)->after) {
        const int kind = rnn_at(e, id)->flags & (RNN_S_LEAF | RNN_S_NEEDS_GRAD);
        found = kind == (RNN_S_LEAF | RNN_S_NEEDS_GRAD) && !is_one_of(id, own_count, own);
    }
    rnn_pass_unsort(e, &p);
    rnn_turn_give(e);
    return failed ? failed : found;
}
