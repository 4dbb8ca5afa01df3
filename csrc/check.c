/* check.c: detect_anomaly: the first NaN stops the program: one in the result of an operation, or
 * in a gradient that an operation's backward has just added to. What it was made from is then still
 * there for Python to look at (rnn/inspect/anomaly.py).
 *
 * A NaN in the branch that a where() does not take harms no value. So one that is made element by
 * element is a suspect first: its result is held until something reads it. What reads it and has no
 * NaN has thrown it away; what has one, and may itself be thrown away, is the suspect then, made by
 * the same origin; a sum, a matrix product and their like, which spread it, stop. So does a
 * backward pass that begins at it, and the end of detect_anomaly() while it is there unread.
 *
 * Infinities pass: masks are made of them. Operations that only move values do not make a NaN. */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "pass.h"

enum { MOST_SUSPECTS = 256 };

int rnn_checking(void) { return rnn_thread_state()->check; }

int rnn_set_checking(int what) {
    rnn_thread *me = rnn_thread_state();
    const int was = me->check;
    me->check = (uint8_t)what;
    return was;
}

/* ---- what stopped ---------------------------------------------------------------------------- */

static void take(rnn_anomaly *from, rnn_anomaly *out) {
    *out = *from;
    memset(from, 0, sizeof *from);
}

void rnn_take_anomaly(rnn_anomaly *out) { take(&rnn_thread_state()->anomaly, out); }
void rnn_take_origin(rnn_anomaly *out) { take(&rnn_thread_state()->origin, out); }

static void release(rnn_engine *e, rnn_anomaly *old) {
    rnn_release(e, old->made);
    for (int k = 0; k < RNN_SHOWN; k++) rnn_release(e, old->read[k]);
    memset(old, 0, sizeof *old);
}

/* Both are taken over. */
static int stop(rnn_engine *e, const rnn_anomaly *found, const rnn_anomaly *origin) {
    rnn_thread *me = rnn_thread_state();
    release(e, &me->anomaly);
    release(e, &me->origin);
    me->anomaly = *found;
    if (origin) me->origin = *origin;
    return rnn_fail(e, RNN_EANOMALY, "%s made a NaN", rnn_ops[found->op].name);
}

static rnn_ref held(rnn_engine *e, const rnn_view *v) {
    const rnn_ref made = rnn_look_at(e, v, 0);
    return made > 0 ? made : 0;
}

static rnn_anomaly record(rnn_engine *e, int op, int64_t node, int count, const rnn_view *in) {
    rnn_anomaly found = {.node = node, .op = op, .operands = count, .site = rnn_site(e)};
    for (int k = 0; k < count && k < RNN_SHOWN; k++) found.read[k] = held(e, &in[k]);
    return found;
}

static bool only_moves(int op) {
    return op == RNN_OP_LEAF || (op >= RNN_OP_CLONE && op <= RNN_OP_STACK) ||
           (op >= RNN_OP_GATHER && op <= RNN_OP_SCATTER) || op == RNN_OP_WHERE ||
           op == RNN_OP_MASKED_FILL;
}

typedef struct {
    rnn_engine *e;
    int dtype;
    const char *x;
    _Atomic int64_t first;
} search;

static void search_task(void *ctx, int64_t begin, int64_t end) {
    search *s = ctx;
    const char *from = s->x + begin * (int64_t)rnn_itemsize(s->dtype);
    const int64_t at = begin + s->e->k->first_nan[s->dtype](end - begin, from);
    int64_t first = atomic_load_explicit(&s->first, memory_order_relaxed);
    while (at < end && at < first && !atomic_compare_exchange_weak(&s->first, &first, at)) {
    }
}

/* The place of the first NaN among n numbers, or n. */
static int64_t first_of(rnn_engine *e, int dtype, int64_t n, const char *x) {
    enum { GRAIN = 32768 };
    search s = {e, dtype, x, n};
    rnn_parallel_for(e->pool, n, GRAIN, search_task, &s);
    return atomic_load(&s.first);
}

/* The first NaN in row-major order, as a node of the span; -1: there is none. */
static int64_t first_nan(rnn_engine *e, const rnn_view *v, const void *nodes) {
    const size_t size = rnn_itemsize(v->dtype);
    const char *base = nodes;
    const int64_t n = rnn_numel(v->ndim, v->shape);
    if (rnn_view_is_contiguous(v)) {
        const int64_t at = first_of(e, v->dtype, n, base + v->offset * (int64_t)size);
        return at < n ? v->offset + at : -1;
    }
    /* The smallest stretch of nodes that holds the view, where it holds little else. */
    int64_t low = v->offset, high = v->offset;
    for (int d = 0; d < v->ndim && n; d++) {
        const int64_t reach = (v->shape[d] - 1) * v->stride[d];
        if (reach < 0) low += reach;
        else high += reach;
    }
    if (n && high - low < 4 * n) {
        const int64_t all = high - low + 1;
        if (first_of(e, v->dtype, all, base + low * (int64_t)size) == all) return -1;
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = rnn_flat_to_offset(v, i);
        const double x = v->dtype == RNN_F64 ? ((const double *)(const void *)base)[at]
                                             : (double)((const float *)(const void *)base)[at];
        if (isnan(x)) return at;
    }
    return -1;
}

static int64_t nan_in(rnn_engine *e, rnn_ref t, rnn_view *v) {
    return rnn_view_of(e, t, v) ? -1 : first_nan(e, v, rnn_span_data(e, v->span));
}

/* ---- suspects -------------------------------------------------------------------------------- */

static const rnn_block *memory_of(rnn_engine *e, uint32_t span) {
    const rnn_span *s = rnn_at(e, span);
    return s->flags & RNN_S_SCALAR ? NULL : s->ext->data;
}

static int over(rnn_engine *e, const rnn_block *memory) {
    const rnn_thread *me = rnn_thread_state();
    for (int i = 0; memory && i < me->suspect_count; i++)
        if (memory_of(e, rnn_span_of(me->suspects[i].made)) == memory) return i;
    return -1;
}

/* The first suspect that an operation has read, or whose memory it took over (an
 * autograd.Function); -1: none. */
static int read_by(rnn_engine *e, rnn_ref made, int count, const rnn_view *in) {
    int found = over(e, memory_of(e, rnn_span_of(made)));
    for (int k = 0; k < count && found < 0; k++) found = over(e, memory_of(e, in[k].span));
    return found;
}

/* It is one no more. */
static rnn_anomaly cleared(rnn_engine *e, int i) {
    rnn_thread *me = rnn_thread_state();
    const rnn_suspect found = me->suspects[i];
    memmove(&me->suspects[i], &me->suspects[i + 1],
            (size_t)(--me->suspect_count - i) * sizeof found);
    rnn_release(e, found.made);
    return found.birth;
}

static void clear_all(rnn_engine *e, rnn_ref made, int count, const rnn_view *in) {
    for (int i; rnn_thread_state()->suspect_count && (i = read_by(e, made, count, in)) >= 0;) {
        rnn_anomaly birth = cleared(e, i);
        release(e, &birth);
    }
}

static rnn_ref again(rnn_engine *e, rnn_ref t) {
    const rnn_ref copy = t ? rnn_alias(e, t) : 0;
    return copy > 0 ? copy : 0;
}

/* The suspect stays: who gets an error may ask once more, in another way. */
static rnn_anomaly birth_of(rnn_engine *e, int i) {
    rnn_anomaly out = rnn_thread_state()->suspects[i].birth;
    out.made = again(e, out.made);
    for (int k = 0; k < RNN_SHOWN; k++) out.read[k] = again(e, out.read[k]);
    return out;
}

/* False: there are too many, or there is no memory; the birth is still the caller's. */
static bool suspect(rnn_engine *e, const rnn_view *v, const rnn_anomaly *birth) {
    rnn_thread *me = rnn_thread_state();
    if (me->suspect_count == MOST_SUSPECTS) return false;
    if (me->suspect_count == me->suspect_capacity) {
        const int room = me->suspect_capacity ? 2 * me->suspect_capacity : 8;
        rnn_suspect *list = realloc(me->suspects, (size_t)room * sizeof *list);
        if (!list) return false;
        me->suspects = list;
        me->suspect_capacity = room;
    }
    const rnn_ref made = held(e, v);
    if (!made) return false;
    me->suspects[me->suspect_count++] = (rnn_suspect){made, *birth};
    return true;
}

void rnn_forget_rest(rnn_engine *e) {
    rnn_thread *me = rnn_thread_state();
    for (int i = 0; i < me->suspect_count; i++) {
        rnn_release(e, me->suspects[i].made);
        release(e, &me->suspects[i].birth);
    }
    free(me->suspects);
    me->suspects = NULL;
    me->suspect_count = me->suspect_capacity = 0;
}

int rnn_check_rest(rnn_engine *e) {
    const rnn_thread *me = rnn_thread_state();
    for (int i = 0; i < me->suspect_count; i++) {
        rnn_view v;
        const int64_t at = nan_in(e, me->suspects[i].made, &v);
        if (at < 0) continue; /* it was overwritten in place */
        const rnn_anomaly birth = birth_of(e, i),
                          found = {
                              .made = held(e, &v), .node = at, .op = birth.op, .where = RNN_AT_END};
        return stop(e, &found, &birth);
    }
    return 0;
}

/* ---- operations ------------------------------------------------------------------------------ */

static bool wait(rnn_engine *e, int op, const rnn_view *v, int64_t at, int read, rnn_ref made,
                 int count, const rnn_view *in) {
    rnn_anomaly birth = read < 0 ? record(e, op, at, count, in) : cleared(e, read);
    if (read < 0) birth.made = held(e, v);
    else clear_all(e, made, count, in);
    if (suspect(e, v, &birth)) return true;
    release(e, &birth);
    return false;
}

/* A result: `made` (which is taken over where there is a NaN in it that stops) of `op` on the
 * operands. clean: there is none. */
rnn_ref rnn_check_result(rnn_engine *e, int op, rnn_ref made, int count, const rnn_view *in,
                         bool clean) {
    const rnn_thread *me = rnn_thread_state();
    const bool moves = only_moves(op), waits = moves || rnn_ops[op].elementwise;
    int read = me->suspect_count ? read_by(e, made, count, in) : -1;
    rnn_view v;
    const int64_t at = clean || (moves && read < 0) ? -1 : nan_in(e, made, &v);
    if (at < 0) {
        if (read >= 0) clear_all(e, made, count, in);
        return made;
    }
    if (waits && me->check == RNN_CHECK_USED && me->suspect_count < MOST_SUSPECTS) {
        if (wait(e, op, &v, at, read, made, count, in)) return made;
        read = -1; /* no memory for a suspect: what it was read from is forgotten */
    }
    rnn_anomaly found = record(e, op, at, count, in), birth;
    found.made = made;
    if (read < 0) return stop(e, &found, NULL);
    birth = birth_of(e, read);
    return stop(e, &found, &birth);
}

/* A Value's: 0 where the span, which is then taken over, is a NaN. There is no where() of
 * Values. */
uint32_t rnn_check_value(rnn_engine *e, int op, uint32_t id, int count, const rnn_node *in) {
    if (!id || !rnn_thread_state()->check || !isnan(rnn_node_value(e, id, 0))) return id;
    rnn_view read[2];
    for (int k = 0; k < count; k++)
        read[k] = (rnn_view){
            .span = in[k].span, .dtype = rnn_at(e, in[k].span)->dtype, .offset = in[k].node};
    rnn_anomaly found = record(e, op, 0, count, read);
    found.made = rnn_tensor_wrap(e, id);
    if (found.made < 0) found.made = 0;
    stop(e, &found, NULL);
    return 0;
}

/* What a pass is asked to begin at. */
int rnn_check_root(rnn_engine *e, rnn_ref root) {
    rnn_view v;
    const int64_t at = nan_in(e, root, &v);
    if (at < 0) return 0;
    const int read = read_by(e, root, 0, NULL);
    const rnn_anomaly found = {
        .made = held(e, &v), .node = at, .op = rnn_at(e, v.span)->op, .where = RNN_AT_ROOT};
    if (read < 0) return stop(e, &found, NULL);
    const rnn_anomaly birth = birth_of(e, read);
    return stop(e, &found, &birth);
}

/* ---- gradients ------------------------------------------------------------------------------- */

/* After the backward of span `id`: the gradients that it has added to. What is found stays with the
 * pass, not with the thread: a signal handler may come before it is asked for. */
int rnn_check_gradients(rnn_engine *e, uint32_t id, rnn_anomaly *found) {
    const rnn_span *s = rnn_at(e, id);
    const bool scalar = s->flags & RNN_S_SCALAR;
    const int clean = rnn_ops[s->op].elementwise && !scalar ? rnn_thread_state()->clean : 0;
    for (int k = 0; k < rnn_span_operands(s); k++) {
        rnn_view v = {.needs_grad = true};
        if (k < 8 && clean >> k & 1) continue;
        if (scalar) {
            v.span = s->in[k].span;
            v.offset = s->in[k].offset;
            v.dtype = rnn_at(e, v.span)->dtype;
        } else {
            rnn_operand_view(e, id, k, &v);
        }
        const rnn_span *o = rnn_at(e, v.span);
        if (!v.needs_grad || !rnn_span_has_grad(o) || o->state & RNN_G_SKIP) continue;
        for (int d = 0; d < v.ndim; d++)
            if (v.stride[d] == 0 && v.shape[d] > 1) v.shape[d] = 1;
        const int64_t at = first_nan(e, &v, rnn_span_grad(e, v.span));
        if (at < 0) continue;
        *found = (rnn_anomaly){.node = at, .op = s->op, .user = id, .span = v.span};
        return rnn_fail(e, RNN_EANOMALY, "the backward of %s made a NaN", rnn_ops[s->op].name);
    }
    return 0;
}
