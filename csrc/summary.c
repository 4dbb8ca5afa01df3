/* summary.c: a graph of any size in few rows, for a drawing: each row a stretch of the tape with a
 * summary of what lies in it, the links between rows, and the uses of the nodes that are looked at.
 * Each function reads the tape once, from its beginning to its end.
 *
 * What it is not: it chooses no rows and draws nothing (rnn/inspect/rows.py does). */
#include "pass.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- summaries ------------------------------------------------------------------------------- */

/* The value of the larger magnitude; NaN where one is. */
static double further(double a, double b) {
    if (isnan(a)) return a;
    return isnan(b) || fabs(b) > fabs(a) ? b : a;
}

static double furthest(const void *data, int dtype, int64_t n) {
    double most = 0;
    for (int64_t i = 0; i < n; i++)
        most =
            further(most, dtype == RNN_F64 ? ((const double *)data)[i] : ((const float *)data)[i]);
    return most;
}

static void add_span(rnn_engine *e, uint32_t id, rnn_row *row, double *strip) {
    const rnn_span *s = rnn_at(e, id);
    const int64_t n = rnn_span_size(s);
    if (!row->nodes) row->first = (int64_t)s->first;
    row->last = (int64_t)s->first + n - 1;
    row->nodes += n;
    if (s->flags & RNN_S_LEAF) row->leaves++;
    else if (s->flags & RNN_S_PASSED) row->freed = 1;
    row->value = further(row->value, furthest(rnn_span_data(e, id), s->dtype, n));
    if (!rnn_span_has_grad(s)) return;
    const double grad = furthest(rnn_span_grad(e, id), s->dtype, n);
    row->has_grad = 1;
    row->grad = further(row->grad, grad);
    *strip = further(*strip, grad);
}

/* ---- rows and links -------------------------------------------------------------------------- */

typedef struct {
    int64_t capacity, count;
    int32_t *a, *b;
    uint32_t *row_of; /* by the numbers of spans that have been read */
    int64_t *last;    /* by rows: the last row that a link went to */
} links;

static void add_links(rnn_engine *e, const rnn_span *s, int64_t row, bool single, links *out) {
    for (int k = 0; k < rnn_span_operands(s); k++) {
        if (rnn_is_inner(rnn_at(e, rnn_span_operand(s, k)))) continue;
        const int64_t from = out->row_of[rnn_span_operand(s, k)];
        if (from == row || (!single && out->last[from] == row)) continue;
        out->last[from] = row;
        if (out->count < out->capacity) {
            out->a[out->count] = (int32_t)from;
            out->b[out->count] = (int32_t)row;
        }
        out->count++;
    }
}

int64_t rnn_graph_fold(rnn_engine *e, const rnn_graph *g, int64_t rows, const int64_t *begin,
                       rnn_row *out, int64_t *ops, int64_t capacity, int32_t *a, int32_t *b) {
    const int op_count = rnn_op_count();
    links found = {capacity,
                   0,
                   a,
                   b,
                   rnn_malloc(e, (size_t)e->span_top * sizeof(uint32_t)),
                   rnn_malloc(e, (size_t)rows * sizeof(int64_t))};
    if (!found.row_of || !found.last) {
        free(found.row_of);
        free(found.last);
        return rnn_fail(e, RNN_EMEMORY, "no memory to fold %lld spans", (long long)g->count);
    }
    memset(out, 0, (size_t)rows * sizeof *out);
    memset(ops, 0, (size_t)rows * (size_t)op_count * sizeof *ops);
    memset(found.last, 0xff, (size_t)rows * sizeof *found.last);
    for (int64_t r = 0; r < rows; r++) {
        const int64_t length = begin[r + 1] - begin[r];
        for (int64_t i = begin[r]; i < begin[r + 1]; i++) {
            const uint32_t id = g->spans[i];
            const rnn_span *s = rnn_at(e, id);
            found.row_of[id] = (uint32_t)r;
            ops[r * op_count + s->op]++;
            add_span(e, id, &out[r], &out[r].strip[(i - begin[r]) * RNN_STRIP / length]);
            add_links(e, s, r, length == 1, &found);
        }
        out[r].value = fabs(out[r].value);
        out[r].grad = fabs(out[r].grad);
    }
    free(found.row_of);
    free(found.last);
    return found.count;
}

int64_t rnn_graph_scopes(rnn_engine *e, const rnn_graph *g, int64_t capacity, int64_t *place,
                         uint32_t *scope) {
    int64_t count = 0;
    uint32_t before = 0;
    for (int64_t i = 0; i < g->count; i++) {
        const uint32_t id = g->spans[i];
        const rnn_span *s = rnn_at(e, id);
        if (s->flags & RNN_S_LEAF) continue;
        const uint32_t here = rnn_origin_of(e, id).scope;
        if (here == before) continue;
        before = here;
        if (count < capacity) {
            place[count] = i;
            scope[count] = here;
        }
        count++;
    }
    return count;
}

/* ---- ledgers --------------------------------------------------------------------------------- */

typedef struct {
    rnn_engine *e;
    int64_t count;
    const uint32_t *spans;
    const int64_t *nodes;
    int keep;
    rnn_use *best;
    int64_t *total;
    int64_t room; /* of the following */
    int64_t *at;
    double *locals;
    uint8_t *flows;
} ledgers;

static double gain(const rnn_use *use) {
    const double adds = fabs(use->local * (isnan(use->grad) ? 0 : use->grad));
    return isnan(adds) ? INFINITY : adds;
}

/* Into the sorted few of a node, behind those that add as much. */
static void keep_use(ledgers *l, int64_t t, rnn_use use) {
    rnn_use *best = l->best + t * l->keep;
    int64_t k = l->total[t]++;
    if (k >= l->keep) {
        if (!l->keep || !(gain(&use) > gain(&best[l->keep - 1]))) return;
        k = l->keep - 1;
    }
    for (; k > 0 && gain(&use) > gain(&best[k - 1]); k--) best[k] = best[k - 1];
    best[k] = use;
}

static bool make_room(ledgers *l, int64_t room) {
    free(l->at);
    free(l->locals);
    free(l->flows);
    l->room = room;
    l->at = rnn_malloc(l->e, (size_t)room * sizeof *l->at);
    l->locals = rnn_malloc(l->e, (size_t)room * sizeof *l->locals);
    l->flows = rnn_malloc(l->e, (size_t)room);
    return l->at && l->locals && l->flows;
}

/* What node t is used for in a span. */
static int look_at_user(ledgers *l, int64_t t, uint32_t user) {
    rnn_engine *e = l->e;
    const rnn_span *s = rnn_at(e, user);
    if (l->total[t] < 0) return 0;
    int64_t count = s->op == RNN_OP_CUSTOM ? -1 : l->room + 1;
    for (int64_t asked = 0; count > l->room; asked = count) {
        if (asked > l->room && !make_room(l, asked))
            return rnn_fail(e, RNN_EMEMORY, "no memory for %lld uses", (long long)asked);
        count = (s->flags & RNN_S_SCALAR ? rnn_uses : rnn_effects)(
            e, user, l->spans[t], l->nodes[t], l->room, l->at, l->locals, l->flows);
    }
    if (count < 0) l->total[t] = -1;
    for (int64_t i = 0; i < count; i++) {
        if (!l->flows[i]) continue;
        const double grad = rnn_span_has_grad(s) ? rnn_node_grad(e, user, l->at[i]) : NAN;
        keep_use(l, t, (rnn_use){(int64_t)s->first + l->at[i], l->locals[i], grad});
    }
    return 0;
}

int rnn_graph_ledgers(rnn_engine *e, const rnn_graph *g, int64_t count, const uint32_t *spans,
                      const int64_t *nodes, int keep, rnn_use *best, int64_t *total) {
    ledgers l = {.e = e,
                 .count = count,
                 .spans = spans,
                 .nodes = nodes,
                 .keep = keep,
                 .best = best,
                 .total = total};
    /* by a span's number: 1 + the first of its nodes that are asked for; next[t]: 1 + the one
     * after */
    uint32_t *head = calloc(e->span_top, sizeof *head),
             *next = calloc((size_t)count + 1, sizeof *next);
    /* the last user that was looked at */
    int64_t *seen = rnn_malloc(e, (size_t)count * sizeof *seen);
    int failed = 0;
    if (!head || !next || !seen || !make_room(&l, 256))
        failed = rnn_fail(e, RNN_EMEMORY, "no memory for %lld ledgers", (long long)count);
    for (int64_t t = count - 1; t >= 0 && !failed; t--) {
        next[t] = head[spans[t]];
        head[spans[t]] = (uint32_t)t + 1;
        total[t] = 0;
        seen[t] = -1;
    }
    for (int64_t i = 0; i < g->count && count && !failed; i++) {
        const uint32_t id = g->spans[i];
        const rnn_span *s = rnn_at(e, id);
        const bool itself = head[id] && !(s->flags & (RNN_S_LEAF | RNN_S_PASSED | RNN_S_SCALAR)) &&
                            !rnn_is_running(e, id); /* a running sum of single operations */
        for (uint32_t t = itself ? head[id] : 0; t && !failed; t = next[t - 1])
            failed = look_at_user(&l, t - 1, id);
        for (int k = 0; k < rnn_span_operands(s); k++)
            for (uint32_t t = head[rnn_span_operand(s, k)]; t && !failed; t = next[t - 1]) {
                if (seen[t - 1] == i) continue;
                seen[t - 1] = i;
                failed = look_at_user(&l, t - 1, id);
            }
    }
    free(head);
    free(next);
    free(seen);
    free(l.at);
    free(l.locals);
    free(l.flows);
    return failed;
}
