/* stash.c: gradients put aside while a pass makes fresh ones in their place. */
#include "pass.h"

#include <stdlib.h>

int rnn_stash_put(rnn_engine *e, rnn_pass *p, uint32_t id, bool adds) {
    if (p->stash_count == p->stash_capacity) {
        const int64_t larger = p->stash_capacity ? 2 * p->stash_capacity : 16;
        void *moved =
            rnn_allocation_fails(e) ? NULL : realloc(p->stash, (size_t)larger * sizeof *p->stash);
        if (!moved) return rnn_fail(e, RNN_EMEMORY, "backward: no memory to put a gradient aside");
        p->stash = moved;
        p->stash_capacity = larger;
    }
    rnn_span *s = rnn_at(e, id);
    const bool had = rnn_span_has_grad(s), scalar = s->flags & RNN_S_SCALAR;
    p->stash[p->stash_count++] = (rnn_stashed){id,
                                               adds,
                                               had,
                                               scalar,
                                               had && !scalar ? s->ext->grad : NULL,
                                               had && scalar ? rnn_node_grad(e, id, 0) : 0};
    if (!scalar) s->ext->grad = NULL;
    rnn_state_set(s, ~RNN_G_HAS, 0);
    return 0;
}

static void add_stashed(rnn_engine *e, rnn_stashed *from) {
    rnn_span *s = rnn_at(e, from->span);
    if (from->had && from->scalar) {
        rnn_node_add_grad(e, from->span, 0, from->value);
    } else if (from->had) {
        if (rnn_span_has_grad(s))
            e->k->add_scaled[s->dtype](s->ext->n, from->block->data, s->ext->grad->data, 1);
        rnn_span_grad_put(e, s, from->block);
    }
    from->span = 0;
}

/* Spans are put aside in the order of the search and left in the reverse order: so this is a
 * stack. */
int rnn_stash_add(rnn_engine *e, rnn_pass *p, uint32_t id) {
    while (p->stash_at > 0 && !p->stash[p->stash_at - 1].adds) p->stash_at--;
    if (!p->stash_at || p->stash[p->stash_at - 1].span != id) return 0;
    add_stashed(e, &p->stash[--p->stash_at]);
    return 0;
}

/* A private pass has left a span that it was not asked about. The stack's last is this span's, if
 * it had a gradient. */
void rnn_stash_undo(rnn_engine *e, rnn_pass *p, uint32_t id) {
    rnn_lock(e);
    rnn_span_clear_grad(e, id);
    rnn_unlock(e);
    if (p->stash_at > 0 && p->stash[p->stash_at - 1].span == id)
        add_stashed(e, &p->stash[--p->stash_at]);
}

void rnn_stash_restore(rnn_engine *e, rnn_pass *p) {
    while (p->stash_count > 0) {
        rnn_stashed *from = &p->stash[--p->stash_count];
        if (!from->span) continue;
        rnn_lock(e);
        rnn_span_clear_grad(e, from->span);
        rnn_unlock(e);
        add_stashed(e, from);
    }
    p->stash_at = 0;
}
