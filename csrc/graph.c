/* graph.c: the spans behind some tensors as a list that holds them, for inspection: what is shown
 * stays there to be looked at, whatever becomes of the handles and of the graph.
 *
 * What it is not: it runs no pass and knows no derivative. */
#include "pass.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- tape order ------------------------------------------------------------------------------ */

enum { DIGIT = 11, BUCKETS = 1 << DIGIT };

/* One digit of a radix sort: stable, from `a` to `b`. */
static void sort_digit(const uint64_t *first, const uint32_t *a, uint32_t *b, int64_t count,
                       int shift, uint64_t low) {
    int64_t at[BUCKETS] = {0}, sum = 0;
    for (int64_t i = 0; i < count; i++) at[(first[a[i]] - low) >> shift & (BUCKETS - 1)]++;
    for (int k = 0; k < BUCKETS; k++) {
        const int64_t here = at[k];
        at[k] = sum;
        sum += here;
    }
    for (int64_t i = 0; i < count; i++)
        b[at[(first[a[i]] - low) >> shift & (BUCKETS - 1)]++] = a[i];
}

/* Where spans' ids lie close together each goes to the place of its own. */
static bool place_by_id(rnn_engine *e, uint32_t *spans, int64_t count, uint64_t low,
                        uint64_t range) {
    uint32_t *at = calloc((size_t)range + 1, sizeof *at);
    if (!at) return false;
    for (int64_t i = 0; i < count; i++) at[rnn_at(e, spans[i])->first - low] = spans[i];
    for (uint64_t id = 0; id <= range; id++)
        if (at[id]) *spans++ = at[id];
    free(at);
    return true;
}

/* Elsewhere: a radix sort. The ids are copied first, so that it does not jump about in the
 * records. */
static bool sort_by_id(rnn_engine *e, uint32_t *spans, int64_t count, uint64_t low,
                       uint64_t range) {
    uint64_t *first = rnn_malloc(e, (size_t)count * sizeof *first);
    uint32_t *order = rnn_malloc(e, (size_t)count * sizeof *order);
    uint32_t *other = rnn_malloc(e, (size_t)count * sizeof *other);
    const bool ready = first && order && other;
    for (int64_t i = 0; ready && i < count; i++) {
        first[i] = rnn_at(e, spans[i])->first;
        order[i] = (uint32_t)i;
    }
    for (int shift = 0; ready && shift < 64 && range >> shift; shift += DIGIT) {
        sort_digit(first, order, other, count, shift, low);
        uint32_t *swapped = order;
        order = other;
        other = swapped;
    }
    for (int64_t i = 0; ready && i < count; i++) other[i] = spans[order[i]];
    if (ready) memcpy(spans, other, (size_t)count * sizeof *spans);
    free(first);
    free(order);
    free(other);
    return ready;
}

/* What is seen of the ids while the list is made. */
typedef struct {
    uint64_t low, high, last;
    bool mixed; /* not in order */
} id_range;

/* Orders `spans` by the ids of their first nodes, in time linear in their number. */
static bool sort_by_tape(rnn_engine *e, uint32_t *spans, int64_t count, const id_range *ids) {
    const uint64_t range = ids->high - ids->low;
    if (!ids->mixed) return true;
    if (range / 8 <= (uint64_t)count && place_by_id(e, spans, count, ids->low, range)) return true;
    return sort_by_id(e, spans, count, ids->low, range);
}

/* ---- making it ------------------------------------------------------------------------------- */

/* Under the lock: takes a span from the search into the list, unless it is an inner one. */
static void take(rnn_engine *e, rnn_graph *g, uint32_t id, id_range *ids) {
    rnn_span *s = rnn_at(e, id);
    rnn_state_set(s, RNN_G_HAS | RNN_G_TARGET | RNN_G_OUTER, 0);
    if (rnn_is_inner(s)) return;
    ids->mixed |= s->first < ids->last;
    ids->last = s->first;
    if (s->first < ids->low) ids->low = s->first;
    if (s->first > ids->high) ids->high = s->first;
    g->spans[g->count++] = id;
    g->nodes += rnn_span_size(s);
    rnn_span_ref(e, id);
}

/* All that the search has found. Of many spans the records are read in their own order, which is
 * that of memory and nearly that of the tape. */
static rnn_graph *graph_of(rnn_engine *e, rnn_pass *p) {
    rnn_graph *g = rnn_malloc(e, sizeof *g);
    uint32_t *spans = rnn_malloc(e, (size_t)p->count * sizeof *spans);
    if (!g || !spans) {
        free(g);
        free(spans);
        rnn_fail(e, RNN_EMEMORY, "no memory for a list of %lld spans", (long long)p->count);
        return NULL;
    }
    *g = (rnn_graph){0, 0, spans};
    id_range ids = {UINT64_MAX, 0, 0, false};
    rnn_lock(e);
    if (p->count >= e->span_top / 8) {
        for (uint32_t id = 1; id < e->span_top; id++)
            if (rnn_at(e, id)->state & RNN_G_SEEN && g->count < p->count) take(e, g, id, &ids);
    } else {
        for (uint32_t id = p->head; id; id = rnn_at(e, id)->after) take(e, g, id, &ids);
    }
    rnn_unlock(e);
    p->head = 0;
    if (sort_by_tape(e, spans, g->count, &ids)) return g;
    rnn_graph_free(e, g);
    rnn_fail(e, RNN_EMEMORY, "no memory to order %lld spans", (long long)p->count);
    return NULL;
}

rnn_graph *rnn_graph_new(rnn_engine *e, int count, const rnn_ref *roots) {
    rnn_pass p = {0};
    rnn_turn_take(e, -1);
    rnn_graph *g = rnn_pass_reach(e, &p, count, roots, false) ? NULL : graph_of(e, &p);
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
int64_t rnn_graph_nodes(const rnn_graph *g) { return g->nodes; }
const uint32_t *rnn_graph_spans(const rnn_graph *g) { return g->spans; }

int64_t rnn_graph_find(rnn_engine *e, const rnn_graph *g, int64_t node) {
    int64_t low = 0, high = g->count;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if ((int64_t)rnn_at(e, g->spans[middle])->first <= node) low = middle + 1;
        else high = middle;
    }
    if (!low) return -1;
    const rnn_span *s = rnn_at(e, g->spans[low - 1]);
    const int64_t n = rnn_span_size(s);
    return node < (int64_t)s->first + (n ? n : 1) ? low - 1 : -1;
}

void rnn_graph_origins(rnn_engine *e, const rnn_graph *g, uint32_t *scope, uint32_t *site) {
    for (int64_t i = 0; i < g->count; i++) {
        const rnn_origin origin = rnn_origin_of(e, g->spans[i]);
        scope[i] = origin.scope;
        site[i] = origin.site;
    }
}

void rnn_graph_columns(rnn_engine *e, const rnn_graph *g, int64_t *first, int64_t *nodes,
                       uint8_t *op, uint8_t *flags) {
    for (int64_t i = 0; i < g->count; i++) {
        const rnn_span *s = rnn_at(e, g->spans[i]);
        if (first) first[i] = (int64_t)s->first;
        if (nodes) nodes[i] = rnn_span_size(s);
        if (op) op[i] = s->op;
        if (!flags) continue;
        flags[i] =
            (uint8_t)((s->flags & RNN_S_LEAF ? RNN_C_LEAF : 0) |
                      (s->flags & RNN_S_NEEDS_GRAD ? RNN_C_NEEDS_GRAD : 0) |
                      (rnn_span_has_grad(s) ? RNN_C_HAS_GRAD : 0) |
                      ((s->flags & (RNN_S_PASSED | RNN_S_LEAF)) == RNN_S_PASSED ? RNN_C_FREED : 0) |
                      (s->dtype == RNN_F64 ? RNN_C_DOUBLE : 0));
    }
}

/* ---- users ----------------------------------------------------------------------------------- */

/* place[number of a span] is where in the list it is. */
uint32_t *rnn_graph_places(rnn_engine *e, const rnn_graph *g) {
    uint32_t top = 0;
    for (int64_t i = 0; i < g->count; i++)
        if (g->spans[i] > top) top = g->spans[i];
    uint32_t *place = rnn_malloc(e, ((size_t)top + 1) * sizeof *place);
    if (!place) return NULL;
    for (int64_t i = 0; i < g->count; i++) place[g->spans[i]] = (uint32_t)i;
    return place;
}

/* A counting sort of all links by their operands, once to count and once to write: the users of
 * span i go to users[begin[i]] to users[begin[i + 1] - 1], in tape order, each once. */
int rnn_graph_users_of_all(rnn_engine *e, const rnn_graph *g, int64_t capacity, int64_t *begin,
                           uint32_t *users) {
    uint32_t *place = rnn_graph_places(e, g);
    uint32_t *last = rnn_malloc(e, (size_t)g->count * sizeof *last);
    if (!place || !last) {
        free(place);
        free(last);
        return rnn_fail(e, RNN_EMEMORY, "no memory for the users of %lld spans",
                        (long long)g->count);
    }
    memset(begin, 0, ((size_t)g->count + 1) * sizeof *begin);
    for (int writing = 0; writing < 2; writing++) {
        memset(last, 0xff, (size_t)g->count * sizeof *last);
        for (int64_t i = 0; i < g->count; i++) {
            const rnn_span *s = rnn_at(e, g->spans[i]);
            for (int k = 0; k < rnn_span_operands(s); k++) {
                if (rnn_is_inner(rnn_at(e, rnn_span_operand(s, k)))) continue;
                const uint32_t o = place[rnn_span_operand(s, k)];
                if (last[o] == (uint32_t)i) continue;
                last[o] = (uint32_t)i;
                const int64_t at = begin[o]++;
                if (writing && at < capacity) users[at] = g->spans[i];
            }
        }
        /* counts become the places of the first ones; and, written, these have moved on by one
         * span */
        int64_t sum = 0;
        for (int64_t i = 0; !writing && i <= g->count; i++) {
            const int64_t here = begin[i];
            begin[i] = sum;
            sum += here;
        }
    }
    memmove(begin + 1, begin, (size_t)g->count * sizeof *begin);
    begin[0] = 0;
    free(place);
    free(last);
    return 0;
}

/* Every living span is asked for its operands; those that are kept are held before the lock
 * goes. */
rnn_graph *rnn_graph_users(rnn_engine *e, uint32_t span) {
    rnn_graph *g = rnn_malloc(e, sizeof *g);
    int64_t room = 8;
    uint32_t *spans = rnn_malloc(e, (size_t)room * sizeof *spans);
    if (g) *g = (rnn_graph){0, 0, spans};
    rnn_lock(e);
    for (uint32_t id = 1; g && g->spans && id < e->span_top; id++) {
        const rnn_span *s = rnn_at(e, id);
        if (!s->refs || rnn_is_inner(s) || s->first <= rnn_at(e, span)->first) continue;
        for (int k = 0; k < rnn_span_operands(s); k++) {
            if (rnn_span_operand(s, k) != span) continue;
            if (g->count == room) {
                room *= 2;
                spans = realloc(g->spans, (size_t)room * sizeof *spans);
                if (!spans) break;
                g->spans = spans;
            }
            g->spans[g->count++] = id;
            g->nodes += rnn_span_size(s);
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

/* ---- many nodes at once ---------------------------------------------------------------------- */

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
