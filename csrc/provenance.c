/* provenance.c: where spans come from: the call of a module and the line of Python that made them,
 * and, for results that no graph leads to, where it was lost.
 *
 * A span's record keeps numbers alone; what they mean is Python's (module_object.c, site.c), which
 * holds one entry for a path of modules and one for a line, however often they are run. Scalar
 * spans have theirs in an array of its own, which is not there before it is needed.
 *
 * What it is not: nothing here holds a span. What a result was cut from is known by its id. */
#include "internal.h"

#include <string.h>

rnn_origin rnn_here(rnn_engine *e) {
    const rnn_thread *me = rnn_thread_state();
    return (rnn_origin){me->scope, me->trace && e->site ? e->site() : 0};
}

void rnn_scalar_origin(rnn_engine *e, uint32_t id, rnn_origin origin) {
    if (!e->origins && (origin.scope || origin.site)) rnn_arena_origins(e);
    if (e->origins) e->origins[id] = origin;
}

const char *rnn_site_text(rnn_engine *e, uint32_t site, char *text, size_t size) {
    *text = 0;
    if (site && e->site_text) e->site_text(site, text, size);
    return text;
}

/* ---- where a graph ended --------------------------------------------------------------------- */

static void add_cut(rnn_ext *x, uint64_t id) {
    for (int k = 0; k < RNN_CUTS; k++) {
        if (x->cut[k] == id) return;
        if (x->cut[k]) continue;
        x->cut[k] = id;
        return;
    }
}

static void set_lost(rnn_ext *x, int lost, int made, uint32_t site) {
    if (x->lost) return;
    x->lost = (uint8_t)lost;
    x->made = (uint8_t)made;
    x->cut_site = site;
}

/* What an unrecorded operand was cut from, its result was cut from too. */
static void inherit_cut(rnn_ext *x, const rnn_span *o) {
    const bool scalar = o->flags & RNN_S_SCALAR;
    const int lost = scalar ? o->lost : o->ext->lost;
    if (!lost) return;
    set_lost(x, lost, scalar ? o->made : o->ext->made, scalar ? o->cut_site : o->ext->cut_site);
    for (int k = 0; k < (scalar ? 1 : RNN_CUTS); k++)
        if (scalar || o->ext->cut[k]) add_cut(x, scalar ? o->cut : o->ext->cut[k]);
}

void rnn_remember_cut(rnn_engine *e, const rnn_build *b, rnn_ext *x) {
    memset(x->cut, 0, sizeof x->cut);
    for (int k = 0; k < b->count; k++) {
        const rnn_view *v = &b->in[k];
        const rnn_span *o = rnn_at(e, v->span);
        if (o->flags & RNN_S_NEEDS_GRAD) {
            set_lost(x, v->needs_grad ? RNN_L_NO_GRAD : v->lost, b->op,
                     v->needs_grad ? b->origin.site : v->site);
            add_cut(x, o->first);
        } else if (o->flags & RNN_S_LEAF) {
            inherit_cut(x, o);
        }
    }
}

/* A detached tensor gets nodes of its own. */
void rnn_own_cut(rnn_engine *e, const rnn_tensor *t, rnn_ext *x) {
    const rnn_span *o = rnn_at(e, t->store->span);
    if (o->flags & RNN_S_NEEDS_GRAD && t->flags & RNN_T_DETACHED) {
        set_lost(x, rnn_tensor_lost(t), RNN_OP_LEAF, t->site);
        add_cut(x, o->first);
    } else if (o->flags & RNN_S_LEAF) {
        inherit_cut(x, o);
    }
}

void rnn_scalar_cut(rnn_engine *e, uint32_t id, int op, uint32_t site, int count,
                    const uint32_t *operands) {
    rnn_span *s = rnn_at(e, id);
    for (int k = 0; k < count && !s->lost; k++) {
        const rnn_span *o = rnn_at(e, operands[k]);
        if (o->flags & RNN_S_NEEDS_GRAD) {
            s->lost = RNN_L_NO_GRAD;
            s->made = (uint8_t)op;
            s->cut = o->first;
            s->cut_site = site;
        } else if (o->flags & RNN_S_LEAF) {
            const bool scalar = o->flags & RNN_S_SCALAR;
            s->lost = scalar ? o->lost : o->ext->lost;
            s->made = scalar ? o->made : o->ext->made;
            s->cut = scalar ? o->cut : o->ext->lost ? o->ext->cut[0] : 0;
            s->cut_site = scalar ? o->cut_site : o->ext->cut_site;
        }
    }
}

/* ---- asking ---------------------------------------------------------------------------------- */

rnn_origin rnn_origin_of(rnn_engine *e, uint32_t id) {
    const rnn_span *s = rnn_at(e, id);
    if (!(s->flags & RNN_S_SCALAR)) return s->ext->origin;
    return e->origins ? e->origins[id] : (rnn_origin){0, 0};
}

void rnn_describe_origin(rnn_engine *e, uint32_t span, rnn_span_info *out) {
    const rnn_span *s = rnn_at(e, span);
    const bool scalar = s->flags & RNN_S_SCALAR, leaf = s->flags & RNN_S_LEAF;
    const rnn_origin origin = rnn_origin_of(e, span);
    out->scope = origin.scope;
    out->site = origin.site;
    if (!leaf) return;
    out->lost = scalar ? s->lost : s->ext->lost;
    out->made = scalar ? s->made : s->ext->made;
    out->cut_site = scalar ? s->cut_site : s->ext->cut_site;
    if (!out->lost) return;
    for (int k = 0; k < (scalar ? 1 : RNN_CUTS); k++)
        out->cut[k] = (int64_t)(scalar ? s->cut : s->ext->cut[k]);
}

int rnn_operand_lost(rnn_engine *e, uint32_t span, int k, uint32_t *site) {
    *site = 0;
    const rnn_span *s = rnn_at(e, span);
    if (s->flags & RNN_S_SCALAR || k < 0 || k >= rnn_span_operands(s)) return RNN_L_NONE;
    *site = s->ext->in[k].site;
    return s->ext->in[k].lost;
}

uint32_t rnn_writer(rnn_engine *e, uint32_t span) {
    return rnn_span_written(e, span) ? rnn_at(e, span)->ext->data->writer : 0;
}
