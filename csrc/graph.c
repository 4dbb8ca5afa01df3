/* graph.c: the spans behind some tensors as a list that holds them, for inspection: what is shown
 * stays there to be looked at, whatever becomes of the handles and of the graph.
 *
 * What it is not: it runs no pass and knows no derivative. */
#include "pass.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static rnn_graph *graph_of(rnn_engine *e, const rnn_pass *p) {
    int64_t count = 0;
    for (uint32_t id = p->head; id; id = rnn_at(e, id)->after) count++;
    rnn_graph *g = rnn_malloc(e, sizeof *g);
    uint32_t *spans = rnn_malloc(e, (size_t)count * sizeof *spans);
    if (!g || !spans) {
        free(g);
        free(spans);
        rnn_fail(e, RNN_EMEMORY, "no memory for a list of %lld spans", (long long)count);
        return NULL;
    }
    *g = (rnn_graph){count, spans};
    rnn_lock(e);
    for (uint32_t id = p->head; id; id = rnn_at(e, id)->after) {
        *spans++ = id;
        rnn_span_ref(e, id);
    }
    rnn_unlock(e);
    return g;
}

rnn_graph *rnn_graph_new(rnn_engine *e, int count, const rnn_ref *roots) {
    rnn_pass p = {0};
    rnn_turn_take(e, -1);
    rnn_graph *g = rnn_pass_reach(e, &p, count, roots) ? NULL : graph_of(e, &p);
    rnn_pass_unsort(e, &p);
    rnn_turn_give(e);
    return g;
}

void rnn_graph_free(rnn_engine *e, rnn_graph *g) {
    if (!g) return;
    rnn_lock(e);
    for (int64_t i = 0; i < g->count; i++) rnn_span_unref(e, g->spans[i]);
    rnn_unlock(e);
    free(g->spans);
    free(g);
}

int64_t rnn_graph_count(const rnn_graph *g) { return g->count; }

void rnn_graph_columns(rnn_engine *e, const rnn_graph *g, uint32_t *span, int64_t *first,
                       int64_t *nodes, uint8_t *op, uint8_t *flags) {
    for (int64_t i = 0; i < g->count; i++) {
        const rnn_span *s = rnn_at(e, g->spans[i]);
        span[i] = g->spans[i];
        first[i] = (int64_t)s->first;
        nodes[i] = rnn_span_size(s);
        op[i] = s->op;
        flags[i] =
            (uint8_t)((s->flags & RNN_S_LEAF ? RNN_C_LEAF : 0) |
                      (s->flags & RNN_S_NEEDS_GRAD ? RNN_C_NEEDS_GRAD : 0) |
                      (rnn_span_has_grad(s) ? RNN_C_HAS_GRAD : 0) |
                      ((s->flags & (RNN_S_PASSED | RNN_S_LEAF)) == RNN_S_PASSED ? RNN_C_FREED : 0) |
                      (s->dtype == RNN_F64 ? RNN_C_DOUBLE : 0));
    }
}

int64_t rnn_graph_links(rnn_engine *e, const rnn_graph *g, int64_t capacity, uint32_t *user,
                        int32_t *place, uint32_t *operand) {
    int64_t count = 0;
    for (int64_t i = 0; i < g->count; i++) {
        const rnn_span *s = rnn_at(e, g->spans[i]);
        for (int k = 0; k < rnn_span_operands(s); k++, count++) {
            if (count >= capacity) continue;
            user[count] = g->spans[i];
            place[count] = k;
            operand[count] = rnn_span_operand(s, k);
        }
    }
    return count;
}

/* Every living span is asked for its operands; those that are kept are held before the lock goes. */
rnn_graph *rnn_graph_users(rnn_engine *e, uint32_t span) {
    rnn_graph *g = rnn_malloc(e, sizeof *g);
    int64_t room = 8;
    uint32_t *spans = rnn_malloc(e, (size_t)room * sizeof *spans);
    if (g) *g = (rnn_graph){0, spans};
    rnn_lock(e);
    for (uint32_t id = 1; g && g->spans && id < e->span_top; id++) {
        const rnn_span *s = rnn_at(e, id);
        if (!s->refs || s->first <= rnn_at(e, span)->first) continue;
        for (int k = 0; k < rnn_span_operands(s); k++) {
            if (rnn_span_operand(s, k) != span) continue;
            if (g->count == room) {
                room *= 2;
                spans = realloc(g->spans, (size_t)room * sizeof *spans);
                if (!spans) break;
                g->spans = spans;
            }
            g->spans[g->count++] = id;
            rnn_span_ref(e, id);
            break;
        }
        if (!spans) break;
    }
    rnn_unlock(e);
    if (g && spans) return g;
    if (g && g->spans) rnn_graph_free(e, g);
    else free(g);
    if (!g) free(spans);
    rnn_fail(e, RNN_EMEMORY, "no memory for a list of users");
    return NULL;
}

/* ---- many nodes at once ------------------------------------------------------------------------ */

void rnn_read(rnn_engine *e, int64_t count, const uint32_t *spans, double *values, double *grads,
              uint8_t *has_grad) {
    for (int64_t i = 0; i < count; i++) {
        const rnn_span *s = rnn_at(e, spans[i]);
        const int64_t n = rnn_span_size(s);
        has_grad[i] = rnn_span_has_grad(s);
        for (int64_t at = 0; at < n; at++) {
            *values++ = rnn_node_value(e, spans[i], at);
            *grads++ = has_grad[i] ? rnn_node_grad(e, spans[i], at) : NAN;
        }
    }
}

int64_t rnn_edge_list_of(rnn_engine *e, int64_t count, const uint32_t *spans, int64_t capacity,
                         int64_t *users, int64_t *operands, double *locals, uint8_t *flows) {
    uint32_t *from = rnn_malloc(e, (size_t)capacity * sizeof *from);
    int64_t total = 0;
    if (!from) return rnn_fail(e, RNN_EMEMORY, "no memory for a list of edges");
    for (int64_t i = 0; i < count && total >= 0; i++) {
        const rnn_span *s = rnn_at(e, spans[i]);
        for (int64_t at = 0; at < rnn_span_size(s); at++) {
            const int64_t begin = total < capacity ? total : capacity;
            const int64_t found = rnn_edges(e, spans[i], at, capacity - begin, from + begin,
                                            operands + begin, locals + begin, flows + begin);
            if (found < 0) {
                total = found;
                break;
            }
            total += found;
            for (int64_t k = begin; k < total && k < capacity; k++) {
                users[k] = (int64_t)s->first + at;
                operands[k] += (int64_t)rnn_at(e, from[k])->first;
            }
        }
    }
    free(from);
    return total;
}
