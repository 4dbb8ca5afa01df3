/* test_inspect.c: the graph read forwards and along its paths, without Python: every use is an edge
 * seen from its other end, the sum over all paths is the gradient that backward gives, and a search
 * that runs out of memory leaves nothing behind. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "scene.h"

enum { ROOM = 256, BEST = 3 };

typedef struct {
    int64_t count;
    uint32_t spans[ROOM];
    int64_t nodes[ROOM];
    double locals[ROOM];
    uint8_t flows[ROOM];
} edges;

static bool near(double a, double b) { return fabs(a - b) <= 1e-6 * (1 + fabs(b)); }

static void edges_of(rnn_engine *e, uint32_t span, int64_t node, edges *out) {
    out->count = rnn_edges(e, span, node, ROOM, out->spans, out->nodes, out->locals, out->flows);
    CHECK(out->count >= 0 && out->count <= ROOM);
}

/* The derivatives of one node by another, by the edges of the one. */
static double by_edges(rnn_engine *e, uint32_t user, int64_t at, uint32_t span, int64_t node) {
    edges of;
    double sum = 0;
    edges_of(e, user, at, &of);
    for (int64_t i = 0; i < of.count; i++)
        if (of.spans[i] == span && of.nodes[i] == node) sum += of.locals[i];
    return sum;
}

/* Each node of `span` in turn, against all nodes of `user`. */
static void check_uses(rnn_engine *e, uint32_t user, uint32_t span) {
    const int64_t n = rnn_span_size(rnn_at(e, user));
    for (int64_t node = 0; node < rnn_span_size(rnn_at(e, span)); node++) {
        int64_t at[ROOM];
        double locals[ROOM], sums[ROOM] = {0};
        uint8_t flows[ROOM];
        const int64_t count = rnn_uses(e, user, span, node, ROOM, at, locals, flows);
        CHECK(n <= ROOM && count >= 0 && count <= ROOM);
        for (int64_t i = 0; i < count; i++) {
            CHECK(at[i] >= 0 && at[i] < n);
            sums[at[i]] += locals[i];
        }
        for (int64_t i = 0; i < n; i++) CHECK(near(sums[i], by_edges(e, user, i, span, node)));
        /* counts all the same */
        CHECK(rnn_uses(e, user, span, node, 0, NULL, NULL, NULL) == count);
    }
}

/* The product of the derivatives along a path. */
static double product_along(rnn_engine *e, int64_t count, const uint32_t *spans,
                            const int64_t *nodes) {
    double product = 1;
    for (int64_t i = 1; i < count; i++)
        product *= by_edges(e, spans[i], nodes[i], spans[i - 1], nodes[i - 1]);
    return product;
}

/* The sum over all paths, NAN where memory ended; the best ones are looked at. */
static double search(rnn_engine *e, const rnn_graph *g, rnn_node source, rnn_node target) {
    double total = NAN, count, last = INFINITY;
    rnn_paths *p = rnn_paths_begin(e, rnn_graph_count(g), rnn_graph_spans(g), source.span,
                                   source.node, target.span, target.node, BEST);
    if (!p) return total;
    int more = 1;
    while (more > 0) more = rnn_paths_step(e, p, 1000);
    if (more == 0) {
        const int found = rnn_paths_found(p, &total, &count);
        CHECK(found == (count < BEST ? (int)count : BEST));
        for (int i = 0; i < found; i++) {
            uint32_t spans[ROOM];
            int64_t nodes[ROOM];
            double product;
            const int64_t length = rnn_paths_get(p, i, &product, ROOM, spans, nodes);
            CHECK(length > 1 && length <= ROOM);
            CHECK(spans[0] == source.span && nodes[0] == source.node);
            CHECK(spans[length - 1] == target.span && nodes[length - 1] == target.node);
            CHECK(near(product_along(e, length, spans, nodes), product));
            CHECK(fabs(product) <= last);
            last = fabs(product);
        }
    }
    rnn_paths_end(e, p);
    return total;
}

static uint64_t live_bytes(rnn_engine *e) {
    uint64_t out[6];
    rnn_memory(e, out);
    return out[1];
}

/* Memory ends at the first allocation, at the second, ... */
static void check_failures(rnn_engine *e, const rnn_graph *g, rnn_node source, rnn_node target) {
    const double right = search(e, g, source, target);
    const uint64_t before = live_bytes(e);
    int64_t n = 1;
    for (bool failed = true; failed && n < 1000; n++) {
        rnn_fail_after(e, n);
        const double found = search(e, g, source, target);
        rnn_fail_after(e, 0);
        failed = isnan(found);
        if (failed) CHECK(rnn_failure() == RNN_EMEMORY);
        CHECK(live_bytes(e) == before);
        CHECK(search(e, g, source, target) == right);
    }
    CHECK(n > 3 && n < 1000);
}

static void check_model(void) {
    rnn_engine *e = rnn_new();
    scene s = {.e = e};
    rnn_ref loss = 0, w = leaf(&s, 2, (const int64_t[]){3, 4}, 0.25),
            b = leaf(&s, 1, (const int64_t[]){4}, 0.5);
    forward(&s, w, b, &loss);
    CHECK(!s.failed);
    rnn_graph *g = rnn_graph_new(e, 1, &loss);
    const uint32_t *spans = rnn_graph_spans(g);
    for (int64_t user = 0; user < rnn_graph_count(g); user++)
        for (int64_t span = 0; span <= user; span++) check_uses(e, spans[user], spans[span]);
    CHECK(!run(e, rnn_backward_begin(e, 1, &loss, NULL, 0, NULL, 1)));
    const rnn_node target = {rnn_span_of(loss), 0};
    const rnn_ref leaves[] = {w, b};
    for (int i = 0; i < 2; i++) {
        const uint32_t span = rnn_span_of(leaves[i]);
        for (int64_t node = 0; node < rnn_span_size(rnn_at(e, span)); node++) {
            double value, grad;
            CHECK(rnn_look(e, span, node, &value, &grad) == 1);
            CHECK(near(search(e, g, (rnn_node){span, node}, target), grad));
        }
    }
    check_failures(e, g, (rnn_node){rnn_span_of(b), 0}, target);
    CHECK(rnn_uses(e, target.span, target.span, 5, 0, NULL, NULL, NULL) == RNN_EINDEX);
    CHECK(!rnn_paths_begin(e, 1, spans, target.span, 7, target.span, 0, 1));
    rnn_graph_free(e, g);
    clear(&s);
    rnn_free(e);
}

int main(void) {
    check_model();
    printf(failures ? "%d failures\n" : "ok\n", failures);
    return failures != 0;
}
