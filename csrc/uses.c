/* uses.c: the graph, read forwards: for one node, the nodes of a span that were made from it, with
 * their local derivatives. It is the transpose of edges.c: every edge is found from its other end,
 * and the tests hold the one to the other.
 *
 * A row of the table has its own rule, which knows where to look. Here is what the rules share, and
 * those of the operations that move values or take them one by one; the others stand beside their
 * kernels and edges.
 *
 * What it is not: no path is followed here (paths.c). */
#include "internal.h"

#include <math.h>
#include <stdlib.h>

void rnn_push_use(rnn_use_list *out, int64_t node, double local) {
    if (out->count < out->capacity) {
        out->nodes[out->count] = node;
        out->locals[out->count] = local;
        if (out->flows) out->flows[out->count] = out->flow;
    }
    out->count++;
}

void rnn_add_use(rnn_use_list *out, int64_t back, double local) {
    const int64_t at = out->count - back;
    if (at < out->capacity) out->locals[at] += local;
}

/* ---- places: all indices at which a view sees a node ----------------------------------------- */

/* An expanded view sees a node at many places, an overlapping one at some. The dimensions are
 * tried from the longest stride to the shortest; `low` and `high` bound what those that follow
 * can reach. */
void rnn_places_begin(rnn_places *p, const rnn_view *v, int64_t node) {
    p->v = v;
    p->begun = false;
    p->count = 0;
    for (int d = 0; d < v->ndim; d++) {
        int at = p->count++;
        const int64_t stride = llabs(v->stride[d]);
        for (; at > 0 && llabs(v->stride[p->order[at - 1]]) < stride; at--)
            p->order[at] = p->order[at - 1];
        p->order[at] = d;
    }
    p->low[p->count] = p->high[p->count] = 0;
    for (int i = p->count - 1; i >= 0; i--) {
        const int64_t reach = (v->shape[p->order[i]] - 1) * v->stride[p->order[i]];
        p->low[i] = p->low[i + 1] + (reach < 0 ? reach : 0);
        p->high[i] = p->high[i + 1] + (reach > 0 ? reach : 0);
    }
    p->rest[0] = node - v->offset;
}

static int64_t divide_down(int64_t a, int64_t b) { return a / b - (a % b < 0); } /* b > 0 */
static int64_t divide_up(int64_t a, int64_t b) { return a / b + (a % b > 0); }

/* The indices of one dimension from which the rest can still be reached. */
static void open_level(rnn_places *p, int i) {
    const int d = p->order[i];
    const int64_t stride = p->v->stride[d], size = p->v->shape[d];
    const int64_t least = p->rest[i] - p->high[i + 1], most = p->rest[i] - p->low[i + 1];
    int64_t from = 0, to = size - 1;
    if (stride > 0) {
        from = divide_up(least, stride);
        to = divide_down(most, stride);
    } else if (stride < 0) {
        from = divide_up(-most, -stride);
        to = divide_down(-least, -stride);
    } else if (least > 0 || most < 0) {
        to = -1;
    }
    p->index[d] = (from > 0 ? from : 0) - 1;
    p->last[i] = to < size - 1 ? to : size - 1;
}

bool rnn_places_next(rnn_places *p) {
    int i = p->count - 1;
    if (!p->begun) {
        p->begun = true;
        if (!p->count) return p->rest[0] == 0;
        open_level(p, i = 0);
    }
    while (i >= 0) {
        const int d = p->order[i];
        if (++p->index[d] > p->last[i]) {
            i--;
            continue;
        }
        p->rest[i + 1] = p->rest[i] - p->index[d] * p->v->stride[d];
        if (i + 1 == p->count) return true;
        open_level(p, ++i);
    }
    return false;
}

int64_t rnn_place_flat(const rnn_places *p) {
    int64_t flat = 0;
    for (int d = 0; d < p->v->ndim; d++) flat = flat * p->v->shape[d] + p->index[d];
    return flat;
}

/* ---- what rules share ------------------------------------------------------------------------ */

/* The local derivative of the edge that `edges` gives at a place in its list. */
double rnn_edge_local(rnn_engine *e, uint32_t id, int64_t node, int64_t place) {
    uint32_t span;
    int64_t at;
    double local = NAN;
    uint8_t flow;
    rnn_edge_list one = {1, 0, &span, &at, &local, &flow, place, 0};
    rnn_ops[rnn_at(e, id)->op].edges(e, id, node, &one);
    return local;
}

/* An operand, as large as the result. */
void rnn_operand_expanded(rnn_engine *e, uint32_t id, int k, rnn_view *v) {
    const rnn_ext *x = rnn_at(e, id)->ext;
    rnn_operand_view(e, id, k, v);
    rnn_expand_view(v, x->ndim, x->shape);
}

/* ---- value by value -------------------------------------------------------------------------- */

int rnn_elementwise_uses(rnn_engine *e, uint32_t id, int k, int64_t node, rnn_use_list *out) {
    rnn_view v;
    rnn_places p;
    rnn_operand_expanded(e, id, k, &v);
    for (rnn_places_begin(&p, &v, node); rnn_places_next(&p);) {
        const int64_t at = rnn_place_flat(&p);
        rnn_push_use(out, at, rnn_edge_local(e, id, at, k));
    }
    return 0;
}

int rnn_copy_uses(rnn_engine *e, uint32_t id, int k, int64_t node, rnn_use_list *out) {
    rnn_view v;
    rnn_places p;
    rnn_operand_expanded(e, id, k, &v);
    for (rnn_places_begin(&p, &v, node); rnn_places_next(&p);)
        rnn_push_use(out, rnn_place_flat(&p), 1);
    return 0;
}

int rnn_where_uses(rnn_engine *e, uint32_t id, int k, int64_t node, rnn_use_list *out) {
    const uint8_t *mask = rnn_at(e, id)->ext->saved;
    rnn_view v;
    rnn_places p;
    rnn_operand_expanded(e, id, k, &v);
    for (rnn_places_begin(&p, &v, node); rnn_places_next(&p);) {
        const int64_t at = rnn_place_flat(&p);
        if ((k == 0) == (mask[at] != 0)) rnn_push_use(out, at, 1);
    }
    return 0;
}

int rnn_masked_fill_uses(rnn_engine *e, uint32_t id, int k, int64_t node, rnn_use_list *out) {
    const rnn_ext *x = rnn_at(e, id)->ext;
    rnn_view v;
    rnn_places p;
    rnn_operand_view(e, id, k, &v);
    for (rnn_places_begin(&p, &v, node); rnn_places_next(&p);) {
        const int64_t at = rnn_place_flat(&p);
        if (!((const uint8_t *)x->saved)[at % x->ip[0]]) rnn_push_use(out, at, 1);
    }
    return 0;
}

/* ---- a span's -------------------------------------------------------------------------------- */

static void scalar_uses(rnn_engine *e, uint32_t user, uint32_t span, int64_t node,
                        rnn_use_list *out) {
    const rnn_span *s = rnn_at(e, user);
    uint32_t spans[2];
    int64_t nodes[2];
    double locals[2];
    uint8_t flows[2];
    rnn_edges(e, user, 0, 2, spans, nodes, locals, flows);
    for (int k = 0; k < rnn_span_operands(s); k++)
        if (spans[k] == span && nodes[k] == node) rnn_push_use(out, 0, locals[k]);
}

/* Nodes of such a span are made from earlier ones of it. */
static bool uses_itself(int op) {
    switch (op) {
    case RNN_OP_CUMSUM:
    case RNN_OP_CUMPROD:
    case RNN_OP_LOGCUMSUMEXP:
    case RNN_OP_RNN_TANH:
    case RNN_OP_RNN_RELU:
    case RNN_OP_LSTM:
    case RNN_OP_GRU:
        return true;
    default:
        return false;
    }
}

static int span_uses(rnn_engine *e, uint32_t user, uint32_t span, int64_t node, rnn_use_list *out) {
    const rnn_span *s = rnn_at(e, user);
    const rnn_op *op = &rnn_ops[s->op];
    out->flow = 1;
    if (user == span) return uses_itself(s->op) ? op->uses(e, user, RNN_ITSELF, node, out) : 0;
    for (int k = 0; k < s->ext->count; k++) {
        const rnn_operand *o = &s->ext->in[k];
        if (o->span != span) continue;
        out->flow = o->needs_grad && rnn_at(e, span)->flags & RNN_S_NEEDS_GRAD ? 1 : 0;
        int failed = op->uses(e, user, k, node, out);
        if (failed) return failed;
    }
    return 0;
}

static int check(rnn_engine *e, uint32_t user, uint32_t span, int64_t node) {
    int failed = rnn_check_node(e, span, node);
    if (!failed) failed = rnn_check_node(e, user, 0);
    return failed ? failed : rnn_check_graph(e, user);
}

int64_t rnn_uses(rnn_engine *e, uint32_t user, uint32_t span, int64_t node, int64_t capacity,
                 int64_t *nodes, double *locals, uint8_t *flows) {
    int failed = check(e, user, span, node);
    const rnn_span *s = rnn_at(e, user);
    rnn_use_list out = {capacity, 0, nodes, locals, flows, 1};
    if (failed || s->flags & RNN_S_LEAF) return failed;
    if (s->flags & RNN_S_SCALAR) scalar_uses(e, user, span, node, &out);
    else failed = span_uses(e, user, span, node, &out);
    return failed ? failed : out.count;
}

/* ---- through a span's own steps -------------------------------------------------------------- */

int rnn_is_running(rnn_engine *e, uint32_t span) {
    const rnn_span *s = rnn_at(e, span);
    const bool scan =
        s->op == RNN_OP_CUMSUM || s->op == RNN_OP_CUMPROD || s->op == RNN_OP_LOGCUMSUMEXP;
    /* at scalar resolution a scan's partial sums have gradients of their own:
     * rnn_cumsum_backward */
    return uses_itself(s->op) && !(scan && s->ext->ip[1]);
}

/* What the span's own edges hand on, from its first node to its last: a node is made from earlier
 * ones. */
static int hand_on(rnn_engine *e, uint32_t id, double *by) {
    enum { ROOM = 1 << 12 };
    const int64_t n = rnn_span_size(rnn_at(e, id));
    uint32_t *spans = rnn_malloc(e, ROOM * sizeof *spans);
    int64_t *nodes = rnn_malloc(e, ROOM * sizeof *nodes);
    double *locals = rnn_malloc(e, ROOM * sizeof *locals);
    uint8_t *flows = rnn_malloc(e, ROOM);
    const bool ready = spans && nodes && locals && flows;
    for (int64_t v = 0; v < n && ready; v++) {
        int64_t count = ROOM;
        for (int64_t from = 0; from < count; from += ROOM) {
            rnn_edge_list list = {ROOM, 0, spans, nodes, locals, flows, from, 0};
            rnn_ops[rnn_at(e, id)->op].edges(e, id, v, &list);
            count = list.count;
            for (int64_t i = 0; i < count - from && i < ROOM; i++)
                if (spans[i] == id) by[v] += locals[i] * by[nodes[i]];
        }
    }
    free(spans);
    free(nodes);
    free(locals);
    free(flows);
    return ready ? 0 : rnn_fail(e, RNN_EMEMORY, "no memory for the edges of a span");
}

int64_t rnn_effects(rnn_engine *e, uint32_t user, uint32_t span, int64_t node, int64_t capacity,
                    int64_t *nodes, double *locals, uint8_t *flows) {
    int failed = check(e, user, span, node);
    if (failed) return failed;
    if (!rnn_is_running(e, user) || user == span)
        return rnn_uses(e, user, span, node, capacity, nodes, locals, flows);
    const int64_t n = rnn_span_size(rnn_at(e, user));
    const int64_t direct = rnn_uses(e, user, span, node, 0, NULL, NULL, NULL);
    if (direct <= 0) return direct;
    int64_t *at = rnn_malloc(e, (size_t)direct * sizeof *at);
    double *local = rnn_malloc(e, (size_t)direct * sizeof *local), *by = calloc((size_t)n, 8);
    uint8_t *flow = rnn_malloc(e, (size_t)direct);
    failed = at && local && by && flow
                 ? 0
                 : rnn_fail(e, RNN_EMEMORY, "no memory for the uses of a node");
    if (!failed) rnn_uses(e, user, span, node, direct, at, local, flow);
    rnn_use_list out = {capacity, 0, nodes, locals, flows, 0};
    for (int64_t i = 0; i < direct && !failed; i++) out.flow |= flow[i];
    for (int64_t i = 0; i < direct && !failed; i++)
        if (flow[i] == out.flow) by[at[i]] += local[i];
    if (!failed) failed = hand_on(e, user, by);
    for (int64_t v = 0; v < n && !failed; v++)
        if (by[v] != 0) rnn_push_use(&out, v, by[v]);
    free(at);
    free(local);
    free(by);
    free(flow);
    return failed ? failed : out.count;
}
