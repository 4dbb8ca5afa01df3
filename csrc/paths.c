/* paths.c: the k paths between two nodes with the largest |product of local derivatives|, and the
 * sum over all paths, which is the gradient.
 *
 * From the target back, in reverse tape order: every node that the target was made from gets a list
 * of its k best ways there. A node's list is whole when its users have been left, because they come
 * later on the tape. An edge of a path goes from a node to a node: where an operation uses a node
 * twice (x * x), its two derivatives add up to one edge.
 *
 * The edges of an autograd.Function are Python's to find: when such a span is come to, the search
 * asks for those of all its nodes at once, and goes on with the answer.
 *
 * What it is not: it knows no derivative (edges does), and no source but spans that it is given. */
#include "internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NONE UINT32_MAX
enum { RANK_SHIFT = 56 };

/* A way to the target: its product, and the user that it goes to: its id, and in the upper byte
 * which of that user's ways it follows. */
typedef struct {
    double product;
    uint64_t next;
} way;

/* What is known of one node. */
typedef struct {
    double grad, count; /* the sum over its ways, and how many there are */
    uint32_t visit;     /* the user that is at work, and this node's place in its edges */
    uint32_t place;
    uint8_t ways; /* in its list */
} state;

/* A span between source and target. The records are made when a way first comes there. */
typedef struct {
    uint32_t span;
    int unwanted; /* operands that the source does not lead to: a bit each, of the first few */
    uint64_t first;
    rnn_block *block;
    state *states;
    way *ways; /* k for each node, the largest first */
} layer;

typedef struct {
    uint32_t layer;
    int64_t node;
    double local;
} edge;

/* The edges of a Function's nodes, the caller's memory: those of the i-th of the nodes that have
 * ways are begin[i] to begin[i + 1] - 1. */
typedef struct {
    int64_t layer, left; /* for which it is, -1: none; how many of its nodes have not been left */
    const int64_t *begin, *nodes;
    const uint32_t *spans;
    const double *locals;
} answer;

struct rnn_paths {
    int64_t count;
    layer *layers;      /* in tape order */
    uint32_t *layer_of; /* by span; NONE */
    uint32_t spans;
    int k;
    rnn_node source, target;
    int64_t at, node; /* next: layers and nodes, downwards */
    uint32_t visits;
    /* the edges of the node at work */
    int64_t room;
    uint32_t *span_list;
    int64_t *nodes;
    double *locals;
    uint8_t *flows;
    edge *edges;
    answer given;
};

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int no_memory(rnn_engine *e) { return rnn_fail(e, RNN_EMEMORY, "paths: no memory"); }

/* ---- beginning ------------------------------------------------------------------------------- */

/* Does a gradient flow from the span to one that has a layer? */
static bool leads_on(rnn_engine *e, const rnn_paths *p, uint32_t id) {
    const rnn_span *s = rnn_at(e, id);
    for (int k = 0; k < rnn_span_operands(s); k++) {
        const bool flows = s->flags & RNN_S_SCALAR || s->ext->in[k].needs_grad;
        if (flows && p->layer_of[rnn_span_operand(s, k)] != NONE) return true;
    }
    return false;
}

static int unwanted(rnn_engine *e, const rnn_paths *p, uint32_t id) {
    const rnn_span *s = rnn_at(e, id);
    int bits = 0;
    for (int k = 0; k < rnn_span_operands(s) && k < 16; k++)
        if (p->layer_of[rnn_span_operand(s, k)] == NONE) bits |= 1 << k;
    return bits;
}

/* The spans that the source leads to, of those behind the target. */
static void find_layers(rnn_engine *e, rnn_paths *p, int64_t count, const uint32_t *spans) {
    for (int64_t i = 0; i < count; i++) {
        const uint32_t id = spans[i];
        if (id != p->source.span && !leads_on(e, p, id)) continue;
        if (!(rnn_at(e, id)->flags & RNN_S_NEEDS_GRAD)) continue;
        p->layer_of[id] = (uint32_t)p->count;
        p->layers[p->count++] =
            (layer){.span = id, .unwanted = unwanted(e, p, id), .first = rnn_at(e, id)->first};
    }
}

static int open_layer(rnn_engine *e, const rnn_paths *p, layer *l) {
    const int64_t n = rnn_span_size(rnn_at(e, l->span));
    const size_t each = sizeof(state) + (size_t)p->k * sizeof(way);
    uint64_t bytes;
    if (l->block) return 0;
    if (!rnn_mul_size((uint64_t)n, each, &bytes)) return no_memory(e);
    l->block = rnn_block_new(e, "paths", (int64_t)(bytes / 8), RNN_F64);
    if (!l->block) return RNN_EMEMORY;
    l->states = l->block->data;
    l->ways = (way *)(void *)(l->states + n);
    memset(l->states, 0, (size_t)n * sizeof(state));
    return 0;
}

static int make_room(rnn_engine *e, rnn_paths *p, int64_t room) {
    free(p->span_list);
    free(p->nodes);
    free(p->locals);
    free(p->flows);
    free(p->edges);
    p->room = room;
    p->span_list = rnn_malloc(e, (size_t)room * sizeof *p->span_list);
    p->nodes = rnn_malloc(e, (size_t)room * sizeof *p->nodes);
    p->locals = rnn_malloc(e, (size_t)room * sizeof *p->locals);
    p->flows = rnn_malloc(e, (size_t)room);
    p->edges = rnn_malloc(e, (size_t)room * sizeof *p->edges);
    return p->span_list && p->nodes && p->locals && p->flows && p->edges ? 0 : no_memory(e);
}

static int begin(rnn_engine *e, rnn_paths *p, int64_t count, const uint32_t *spans) {
    p->spans = e->span_top;
    p->layers = rnn_malloc(e, (size_t)count * sizeof *p->layers);
    p->layer_of = rnn_malloc(e, (size_t)p->spans * sizeof *p->layer_of);
    if (!p->layers || !p->layer_of) return no_memory(e);
    memset(p->layer_of, 0xff, (size_t)p->spans * sizeof *p->layer_of);
    find_layers(e, p, count, spans);
    int failed = make_room(e, p, 64);
    if (failed || p->layer_of[p->target.span] == NONE) return failed;
    layer *l = &p->layers[p->at = p->layer_of[p->target.span]];
    if ((failed = open_layer(e, p, l))) return failed;
    l->states[p->node = p->target.node] = (state){.grad = 1, .count = 1, .ways = 1};
    l->ways[p->node * p->k] = (way){1, 0};
    return 0;
}

rnn_paths *rnn_paths_begin(rnn_engine *e, int64_t count, const uint32_t *spans, uint32_t source,
                           int64_t source_node, uint32_t target, int64_t target_node, int k) {
    if (rnn_check_node(e, source, source_node) || rnn_check_node(e, target, target_node))
        return NULL;
    rnn_paths *p = rnn_malloc(e, sizeof *p);
    if (!p) {
        no_memory(e);
        return NULL;
    }
    *p = (rnn_paths){.k = k,
                     .source = {source, source_node},
                     .target = {target, target_node},
                     .at = -1,
                     .given = {.layer = -1}};
    if (!begin(e, p, count, spans)) return p;
    rnn_paths_end(e, p);
    return NULL;
}

void rnn_paths_end(rnn_engine *e, rnn_paths *p) {
    if (!p) return;
    for (int64_t i = 0; p->layers && i < p->count; i++) rnn_drop_block(e, p->layers[i].block);
    free(p->layers);
    free(p->layer_of);
    free(p->span_list);
    free(p->nodes);
    free(p->locals);
    free(p->flows);
    free(p->edges);
    free(p);
}

/* ---- one node -------------------------------------------------------------------------------- */

/* NaN is the largest: it is what is looked for. */
static double size_of(double x) { return x != x ? INFINITY : fabs(x); }

/* False: it is not among the k best. */
static bool insert(state *to, way *list, int k, double product, uint64_t next) {
    const double size = size_of(product);
    if (to->ways == k && size_of(list[k - 1].product) >= size) return false;
    int at = to->ways < k ? to->ways++ : k - 1;
    for (; at > 0 && size_of(list[at - 1].product) < size; at--) list[at] = list[at - 1];
    list[at] = (way){product, next};
    return true;
}

static int64_t list_edges(rnn_engine *e, const rnn_paths *p, const layer *l, int64_t node) {
    return rnn_edges_but(e, l->span, node, l->unwanted, p->room, p->span_list, p->nodes, p->locals,
                         p->flows);
}

/* Those of the next node of a Function: the answer is read from its end. */
static int64_t given_edges(rnn_engine *e, rnn_paths *p) {
    const answer *a = &p->given;
    const int64_t from = a->begin[--p->given.left], count = a->begin[a->left + 1] - from;
    int failed = count > p->room ? make_room(e, p, count) : 0;
    int64_t kept = 0;
    for (int64_t i = from; i < from + count && !failed; i++) {
        const uint32_t to = p->layer_of[a->spans[i]];
        if (to == NONE) continue;
        failed = open_layer(e, p, &p->layers[to]);
        p->edges[kept++] = (edge){to, a->nodes[i], a->locals[i]};
    }
    return failed ? failed : kept;
}

/* The edges of a node to spans of ours, one for each operand node: how many, or negative. */
static int64_t edges_of(rnn_engine *e, rnn_paths *p, const layer *l, int64_t node) {
    if (p->given.layer == p->at) return given_edges(e, p);
    int64_t count = list_edges(e, p, l, node);
    if (count > p->room) {
        int failed = make_room(e, p, count);
        if (failed) return failed;
        count = list_edges(e, p, l, node);
    }
    int64_t kept = 0;
    p->visits++;
    for (int64_t i = 0; i < count; i++) {
        const uint32_t to = p->layer_of[p->span_list[i]];
        if (to == NONE || !p->flows[i]) continue;
        int failed = open_layer(e, p, &p->layers[to]);
        if (failed) return failed;
        state *s = &p->layers[to].states[p->nodes[i]];
        if (s->visit == p->visits) {
            p->edges[s->place].local += p->locals[i];
            continue;
        }
        s->visit = p->visits;
        s->place = (uint32_t)kept;
        p->edges[kept++] = (edge){to, p->nodes[i], p->locals[i]};
    }
    return count < 0 ? count : kept;
}

static int64_t leave(rnn_engine *e, rnn_paths *p, layer *l, int64_t node) {
    const int64_t count = edges_of(e, p, l, node);
    const state *from = &l->states[node];
    const way *ways = &l->ways[node * p->k];
    for (int64_t i = 0; i < count; i++) {
        const edge *edge = &p->edges[i];
        layer *to = &p->layers[edge->layer];
        state *s = &to->states[edge->node];
        if (edge->local == 0) continue;
        s->grad += edge->local * from->grad;
        s->count += from->count;
        way *list = &to->ways[edge->node * p->k];
        const uint64_t id = l->first + (uint64_t)node;
        for (int r = 0; r < from->ways; r++)
            if (!insert(s, list, p->k, edge->local * ways[r].product,
                        id | (uint64_t)r << RANK_SHIFT))
                break;
    }
    return count;
}

int rnn_paths_step(rnn_engine *e, rnn_paths *p, int64_t nanoseconds) {
    const int64_t until = now() + nanoseconds;
    int64_t work = 0;
    for (; p->at >= 0; p->at--, p->node = INT64_MAX) {
        layer *l = &p->layers[p->at];
        if (!l->block) continue;
        const int64_t n = rnn_span_size(rnn_at(e, l->span));
        int failed = p->node >= n ? rnn_check_values(e, l->span, true) : 0;
        if (failed) return failed;
        const bool custom = rnn_at(e, l->span)->op == RNN_OP_CUSTOM;
        if (custom && l->span == p->source.span) continue;
        if (custom && p->given.layer != p->at) return RNN_PATHS_ASK;
        for (p->node = p->node < n ? p->node : n - 1; p->node >= 0; p->node--) {
            if (!l->states[p->node].ways) continue;
            if (work > 1 << 16) {
                if (now() > until) return 1;
                work = 0;
            }
            const int64_t count = leave(e, p, l, p->node);
            if (count < 0) return (int)count;
            work += 16 + count;
        }
    }
    return 0;
}

int64_t rnn_paths_asked(rnn_engine *e, rnn_paths *p, uint32_t *span, int64_t capacity,
                        int64_t *nodes) {
    const layer *l = &p->layers[p->at];
    const int64_t n = rnn_span_size(rnn_at(e, l->span));
    int64_t count = 0;
    *span = l->span;
    for (int64_t i = 0; i < n; i++) {
        if (!l->states[i].ways) continue;
        if (count < capacity) nodes[count] = i;
        count++;
    }
    p->given.left = count;
    return count;
}

int rnn_paths_lead(const rnn_paths *p, uint32_t span) {
    return span < p->spans && p->layer_of[span] != NONE;
}

void rnn_paths_answer(rnn_paths *p, const int64_t *begin, const uint32_t *spans,
                      const int64_t *nodes, const double *locals) {
    p->given = (answer){p->at, p->given.left, begin, nodes, spans, locals};
}

/* ---- what was found -------------------------------------------------------------------------- */

int rnn_paths_found(rnn_paths *p, double *total, double *count) {
    const uint32_t at = p->layer_of[p->source.span];
    *total = *count = 0;
    if (at == NONE || !p->layers[at].block) return 0;
    const state *s = &p->layers[at].states[p->source.node];
    *total = s->grad;
    *count = s->count;
    return s->ways;
}

/* The layer of a node's id: the last that begins at or below it. */
static const layer *layer_at(const rnn_paths *p, uint64_t id) {
    int64_t low = 0, high = p->count - 1;
    while (low < high) {
        const int64_t middle = (low + high + 1) / 2;
        if (p->layers[middle].first <= id) low = middle;
        else high = middle - 1;
    }
    return &p->layers[low];
}

int64_t rnn_paths_get(rnn_paths *p, int which, double *product, int64_t capacity, uint32_t *spans,
                      int64_t *nodes) {
    const layer *l = &p->layers[p->layer_of[p->source.span]];
    int64_t node = p->source.node, count = 0;
    uint64_t rank = (uint64_t)which;
    *product = l->ways[node * p->k + which].product;
    for (;; count++) {
        if (count < capacity) {
            spans[count] = l->span;
            nodes[count] = node;
        }
        if (l->span == p->target.span && node == p->target.node) return count + 1;
        const uint64_t next = l->ways[node * p->k + (int64_t)rank].next;
        const uint64_t id = next & (((uint64_t)1 << RANK_SHIFT) - 1);
        rank = next >> RANK_SHIFT;
        l = layer_at(p, id);
        node = (int64_t)(id - l->first);
    }
}
