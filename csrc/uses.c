/* uses.c: the graph, read forwards: for one node, the nodes of a span that were made from it, and
 * their local derivatives. It is the transpose of edges.c.
 *
 * What it is not: no path is followed here (paths.c). */
#include "internal.h"

/* The plain definition: every edge of every node of the user is asked. */
static int64_t transposed(rnn_engine *e, uint32_t user, uint32_t span, int64_t node,
                          int64_t capacity, int64_t *nodes, double *locals) {
    enum { ROOM = 256 };
    uint32_t spans[ROOM];
    int64_t at[ROOM], found = 0;
    double local[ROOM];
    uint8_t flows[ROOM];
    const int64_t n = rnn_span_size(rnn_at(e, user));
    for (int64_t i = 0; i < n; i++) {
        const int64_t count = rnn_edges(e, user, i, ROOM, spans, at, local, flows);
        if (count < 0) return count;
        for (int64_t j = 0; j < count && j < ROOM; j++) {
            if (spans[j] != span || at[j] != node) continue;
            if (found < capacity) {
                nodes[found] = i;
                locals[found] = local[j];
            }
            found++;
        }
    }
    return found;
}

int64_t rnn_uses(rnn_engine *e, uint32_t user, uint32_t span, int64_t node, int64_t capacity,
                 int64_t *nodes, double *locals) {
    return transposed(e, user, span, node, capacity, nodes, locals);
}
