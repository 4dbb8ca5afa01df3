/* recurrent_edges.c: what inspection asks of a recurrent layer: the edges of one node, the nodes
 * that use one, and the numbers of a plan. How a layer is computed stands in recurrent.c. */
#include "recurrent.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- edges ----------------------------------------------------------------------------------- */

typedef struct {
    rnn_engine *e;
    uint32_t id;
    const plan *p;
    rnn_view in[OPERANDS], self;
    rnn_edge_list *out;
    int64_t t, b, row; /* of the node: step, row of the batch, row of the result */
} edge_job;

static double kept_value(const edge_job *j, int which, int64_t at) {
    const int64_t i = j->row * j->p->kept + which * j->p->hidden + at;
    const void *kept = saved_values(j->p);
    return rnn_at(j->e, j->id)->dtype == RNN_F64 ? ((const double *)kept)[i]
                                                 : ((const float *)kept)[i];
}

/* Element `at` of the state before: its node, and whose; false: it is a constant 0. */
static bool state_node(const edge_job *j, int cell, int64_t at, const rnn_view **owner,
                       int64_t *node, double *value) {
    const plan *p = j->p;
    const int operand = cell ? p->c0 : p->h0;
    *value = 0;
    if (j->t) {
        *owner = &j->self;
        *node = (starts(p)[j->t - 1] + j->b) * p->out + (cell ? 0 : p->out - p->hidden) + at;
    } else if (operand) {
        *owner = &j->in[operand];
        *node = rnn_flat_to_offset(&j->in[operand], j->b * p->hidden + at);
    } else {
        return false;
    }
    *value = rnn_node_value(j->e, (*owner)->span, *node);
    return true;
}

static void push_state(const edge_job *j, int cell, int64_t at, double local) {
    const rnn_view *owner;
    int64_t node;
    double value;
    if (state_node(j, cell, at, &owner, &node, &value))
        rnn_push_edge(j->e, j->out, owner, node, local);
}

/* The input's share of the sum of `gate`. */
static void push_input(const edge_job *j, int64_t gate, double local) {
    const plan *p = j->p;
    const int64_t step = p->reverse ? p->steps - 1 - j->t : j->t,
                  row = p->packed ? j->row : step * p->batch + j->b;
    rnn_push_edge(j->e, j->out, &j->in[X], rnn_flat_to_offset(&j->in[X], row * p->gates + gate),
                  local);
}

/* The state's share: the bias, and weight times state. */
static void push_recurrent(const edge_job *j, int64_t gate, double local) {
    const plan *p = j->p;
    if (p->bias)
        rnn_push_edge(j->e, j->out, &j->in[p->bias], rnn_flat_to_offset(&j->in[p->bias], gate),
                      local);
    for (int64_t k = 0; k < p->hidden; k++) {
        const rnn_view *owner;
        int64_t node, w = rnn_flat_to_offset(&j->in[WEIGHT], gate * p->hidden + k);
        double value;
        if (!state_node(j, 0, k, &owner, &node, &value)) continue;
        rnn_push_edge(j->e, j->out, &j->in[WEIGHT], w, local * value);
        rnn_push_edge(j->e, j->out, owner, node,
                      local * rnn_node_value(j->e, j->in[WEIGHT].span, w));
    }
}

static void push_sum(const edge_job *j, int64_t gate, double local) {
    push_input(j, gate, local);
    push_recurrent(j, gate, local);
}

static void lstm_edges(const edge_job *j, int64_t node, int64_t at) {
    const int64_t n = j->p->hidden;
    const double i = kept_value(j, 0, at), f = kept_value(j, 1, at), g = kept_value(j, 2, at),
                 o = kept_value(j, 3, at);
    const bool is_c = node % j->p->out < n;
    const rnn_view *owner;
    int64_t prev;
    double c_prev;
    if (is_c) {
        state_node(j, 1, at, &owner, &prev, &c_prev);
        push_state(j, 1, at, f);
        push_sum(j, at, g * i * (1 - i));
        push_sum(j, n + at, c_prev * f * (1 - f));
        push_sum(j, 2 * n + at, i * (1 - g * g));
        return;
    }
    const double t = tanh(rnn_node_value(j->e, j->id, node - n));
    rnn_push_edge(j->e, j->out, &j->self, node - n, o * (1 - t * t));
    push_sum(j, 3 * n + at, t * o * (1 - o));
}

static void gru_edges(const edge_job *j, int64_t at) {
    const int64_t n = j->p->hidden;
    const double r = kept_value(j, 0, at), z = kept_value(j, 1, at), m = kept_value(j, 2, at),
                 s = kept_value(j, 3, at);
    const double dm = (1 - z) * (1 - m * m);
    const rnn_view *owner;
    int64_t prev;
    double h_prev;
    state_node(j, 0, at, &owner, &prev, &h_prev);
    push_state(j, 0, at, z);
    push_sum(j, at, dm * s * r * (1 - r));
    push_sum(j, n + at, (h_prev - m) * z * (1 - z));
    push_input(j, 2 * n + at, dm);
    push_recurrent(j, 2 * n + at, dm * r);
}

int rnn_recurrent_edges(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out) {
    const plan *p = rnn_at(e, id)->ext->saved;
    edge_job j = {.e = e,
                  .id = id,
                  .p = p,
                  .self = {.span = id, .needs_grad = true},
                  .out = out,
                  .row = node / p->out};
    for (int k = 0; k < p->count; k++) rnn_operand_view(e, id, k, &j.in[k]);
    while (starts(p)[j.t + 1] <= j.row) j.t++;
    j.b = j.row - starts(p)[j.t];
    const double h = rnn_node_value(e, id, node);
    if (p->op == RNN_OP_LSTM) lstm_edges(&j, node, node % p->hidden);
    else if (p->op == RNN_OP_GRU) gru_edges(&j, node % p->hidden);
    else push_sum(&j, node % p->hidden, p->op == RNN_OP_RNN_TANH ? 1 - h * h : h > 0);
    return 0;
}

/* ---- uses ------------------------------------------------------------------------------------ */

/* Which nodes may be made from one: marked, a byte a node. Then their edges say whether they
 * are. */
typedef struct {
    const plan *p;
    uint8_t *marks;
} marker;

static void mark_row(const marker *m, int64_t t, int64_t b) {
    if (t < m->p->steps && b < m->p->sizes[t])
        memset(m->marks + (starts(m->p)[t] + b) * m->p->out, 1, (size_t)m->p->out);
}

/* Element `at` of c and of h of one row. */
static void mark_element(const marker *m, int64_t row, int64_t at) {
    for (int64_t i = at; i < m->p->out; i += m->p->hidden) m->marks[row * m->p->out + i] = 1;
}

static void mark_own(const marker *m, int64_t node) {
    const plan *p = m->p;
    const int64_t row = node / p->out;
    int64_t t = 0;
    while (starts(p)[t + 1] <= row) t++;
    mark_element(m, row, node % p->hidden);
    mark_row(m, t + 1, row - starts(p)[t]);
}

static void mark_operand(const marker *m, int k, const rnn_view *v, int64_t node) {
    const plan *p = m->p;
    rnn_places at;
    for (rnn_places_begin(&at, v, node); rnn_places_next(&at);) {
        const int64_t flat = rnn_place_flat(&at), row = flat / p->gates;
        if (k == X && p->packed) {
            mark_element(m, row, flat % p->gates % p->hidden);
        } else if (k == X) {
            const int64_t t = row / p->batch, step = p->reverse ? p->steps - 1 - t : t;
            mark_element(m, starts(p)[step] + row % p->batch, flat % p->gates % p->hidden);
        } else if (k == WEIGHT || k == p->bias) {
            const int64_t gate = k == WEIGHT ? flat / p->hidden : flat;
            for (int64_t i = 0; i < p->rows; i++) mark_element(m, i, gate % p->hidden);
        } else {
            mark_row(m, 0, flat / p->hidden);
        }
    }
}

/* The sum of a node's edges by another; false: there are none. */
static bool edges_by(rnn_engine *e, uint32_t id, int64_t at, uint32_t span, int64_t node,
                     rnn_edge_list *room, double *sum) {
    bool found = false;
    room->count = 0;
    *sum = 0;
    rnn_recurrent_edges(e, id, at, room);
    for (int64_t i = 0; i < room->count; i++) {
        if (room->spans[i] != span || room->nodes[i] != node) continue;
        *sum += room->locals[i];
        found = true;
    }
    return found;
}

/* All operands at once: k is the first of those that look at the node's span, or RNN_ITSELF. */
int rnn_recurrent_uses(rnn_engine *e, uint32_t id, int k, int64_t node, rnn_use_list *out) {
    const plan *p = rnn_at(e, id)->ext->saved;
    const uint32_t span = k == RNN_ITSELF ? id : rnn_span_operand(rnn_at(e, id), k);
    for (int i = 0; i < k; i++)
        if (rnn_span_operand(rnn_at(e, id), i) == span) return 0;
    const int64_t most = 4 * (2 * p->hidden + 2) + 2; /* edges of a node */
    marker m = {p, calloc((size_t)(p->rows * p->out) + 1, 1)};
    char *room = rnn_malloc(e, (size_t)most * 21);
    int failed = m.marks && room ? 0 : rnn_fail(e, RNN_EMEMORY, "uses: no memory for the marks");
    if (!failed && k == RNN_ITSELF) mark_own(&m, node);
    for (int i = 0; i < p->count && !failed && k != RNN_ITSELF; i++) {
        rnn_view v;
        rnn_operand_view(e, id, i, &v);
        if (v.span == span) mark_operand(&m, i, &v, node);
    }
    for (int64_t at = 0; at < p->rows * p->out && !failed; at++) {
        double *locals = (double *)(void *)room, sum;
        int64_t *nodes = (int64_t *)(void *)(locals + most);
        uint32_t *spans = (uint32_t *)(void *)(nodes + most);
        rnn_edge_list list = {most, 0, spans, nodes, locals, (uint8_t *)(spans + most), 0, 0};
        if (m.marks[at] && edges_by(e, id, at, span, node, &list, &sum)) rnn_push_use(out, at, sum);
    }
    free(m.marks);
    free(room);
    return failed;
}

/* reverse, packed, then the places of bias, h0 and c0 among the operands (0: not given), the steps,
 * and how many rows each has */
int64_t rnn_recurrent_numbers(const rnn_ext *x, int64_t capacity, int64_t *out) {
    const plan *p = x->saved;
    const int64_t numbers[] = {p->reverse, p->packed, p->bias, p->h0, p->c0, p->steps};
    rnn_copy_numbers(6, numbers, capacity, out);
    return 6 + rnn_copy_numbers(p->steps, p->sizes, capacity - 6, out + 6);
}
