/* provenance.c: where spans come from: the call of a module and the line of Python that made them,
 * and, for results that no graph leads to, where it was lost.
 *
 * A span's record keeps numbers alone; what they mean is Python's (module_object.c, site.c), which
 * holds one entry for a path of modules and one for a line, however often they are run. Scalar
 * spans have theirs in an array of its own, which is not there before it is needed.
 *
 * What it is not: nothing here holds a span. What a result was cut from is known by its id. */
#include "internal.h"

#include <stdlib.h>
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

/* ---- sets of ids --------------------------------------------------------------------------------
 *
 * What a result was cut from is a set of ids: 0 is the empty one; an odd number is one id, times 2
 * and 1; any other is the address of a list, in order, which results share. A list has at most MOST
 * ids, the oldest ones: those are the parameters, where a loop goes on and on. All under the
 * lock. */

enum { MOST = 1024 };

typedef struct {
    uint32_t refs, count;
    bool more; /* than there was room for */
    uint64_t ids[];
} id_list;

static id_list *list_of(uint64_t set) { return (id_list *)(uintptr_t)set; }
static bool is_list(uint64_t set) { return set && !(set & 1); }
static uint64_t one_id(uint64_t id) { return id << 1 | 1; }

static uint64_t hold_set(uint64_t set) {
    if (is_list(set)) list_of(set)->refs++;
    return set;
}

void rnn_cuts_drop(uint64_t set) {
    if (is_list(set) && !--list_of(set)->refs) free(list_of(set));
}

static uint32_t ids_of(uint64_t set, uint64_t *room, const uint64_t **ids) {
    *room = set >> 1;
    *ids = is_list(set) ? list_of(set)->ids : room;
    return is_list(set) ? list_of(set)->count : set ? 1 : 0;
}

/* Both lists in order, without repetitions; `to` may be NULL. Returns how many. */
static uint32_t merge_ids(uint32_t n, const uint64_t *a, uint32_t m, const uint64_t *b,
                          uint64_t *to, uint32_t most) {
    uint32_t count = 0;
    while ((n || m) && count < most) {
        const uint64_t next = !m || (n && *a < *b) ? *a : *b;
        if (n && *a == next) a++, n--;
        if (m && *b == next) b++, m--;
        if (to) to[count] = next;
        count++;
    }
    return count;
}

/* Takes over `set`, holds `other`. Where there is no memory, `set` stays what it is. */
static uint64_t unite(uint64_t set, uint64_t other) {
    uint64_t room[2];
    const uint64_t *a, *b;
    if (!other || set == other) return set;
    if (!set) return hold_set(other);
    const uint32_t n = ids_of(set, &room[0], &a), m = ids_of(other, &room[1], &b);
    const uint32_t count = merge_ids(n, a, m, b, NULL, 2 * MOST);
    if (count == n) return set;
    if (count == m) {
        rnn_cuts_drop(set);
        return hold_set(other);
    }
    const uint32_t kept = count < MOST ? count : MOST;
    id_list *made = malloc(sizeof *made + kept * sizeof(uint64_t));
    if (!made) return set;
    made->refs = 1;
    made->count = merge_ids(n, a, m, b, made->ids, kept);
    made->more = count > MOST || (is_list(set) && list_of(set)->more) ||
                 (is_list(other) && list_of(other)->more);
    rnn_cuts_drop(set);
    return (uint64_t)(uintptr_t)made;
}

/* ---- where a graph ended --------------------------------------------------------------------- */

/* Of an unrecorded span, scalar or not. */
typedef struct {
    uint64_t set;
    uint8_t lost, made;
    uint32_t site;
} cut;

static cut cut_of(const rnn_span *s) {
    if (!(s->flags & RNN_S_LEAF)) return (cut){0, 0, 0, 0};
    if (s->flags & RNN_S_SCALAR) return (cut){s->cut, s->lost, s->made, s->cut_site};
    return (cut){s->ext->cut, s->ext->lost, s->ext->made, s->ext->cut_site};
}

static void set_lost(cut *c, int lost, int made, uint32_t site) {
    if (c->lost) return;
    c->lost = (uint8_t)lost;
    c->made = (uint8_t)made;
    c->site = site;
}

/* What an unrecorded operand was cut from, its result was cut from too. */
static void inherit_cut(cut *c, const rnn_span *o) {
    const cut from = cut_of(o);
    if (!from.lost) return;
    set_lost(c, from.lost, from.made, from.site);
    c->set = unite(c->set, from.set);
}

static void add_cut(cut *c, const rnn_span *o, int lost, int made, uint32_t site) {
    set_lost(c, lost, made, site);
    c->set = unite(c->set, one_id(o->first));
}

static void put_cut(rnn_ext *x, const cut *c) {
    x->cut = c->set;
    x->lost = c->lost;
    x->made = c->made;
    x->cut_site = c->site;
}

void rnn_remember_cut(rnn_engine *e, const rnn_build *b, rnn_ext *x) {
    cut c = {0, 0, 0, 0};
    for (int k = 0; k < b->count; k++) {
        const rnn_view *v = &b->in[k];
        const rnn_span *o = rnn_at(e, v->span);
        if (o->flags & RNN_S_NEEDS_GRAD)
            add_cut(&c, o, v->needs_grad ? RNN_L_NO_GRAD : v->lost, b->op,
                    v->needs_grad ? b->origin.site : v->site);
        else inherit_cut(&c, o);
    }
    put_cut(x, &c);
}

/* A detached tensor gets nodes of its own. */
void rnn_own_cut(rnn_engine *e, const rnn_tensor *t, rnn_ext *x) {
    const rnn_span *o = rnn_at(e, t->store->span);
    cut c = {x->cut, x->lost, x->made, x->cut_site};
    if (!(o->flags & RNN_S_NEEDS_GRAD)) inherit_cut(&c, o);
    else if (t->flags & RNN_T_DETACHED) add_cut(&c, o, rnn_tensor_lost(t), RNN_OP_LEAF, t->site);
    put_cut(x, &c);
}

void rnn_scalar_cut(rnn_engine *e, uint32_t id, int op, uint32_t site, int count,
                    const uint32_t *operands) {
    rnn_span *s = rnn_at(e, id);
    cut c = {0, 0, 0, 0};
    for (int k = 0; k < count; k++) {
        const rnn_span *o = rnn_at(e, operands[k]);
        if (o->flags & RNN_S_NEEDS_GRAD) add_cut(&c, o, RNN_L_NO_GRAD, op, site);
        else inherit_cut(&c, o);
    }
    s->cut = c.set;
    s->lost = c.lost;
    s->made = c.made;
    s->cut_site = c.site;
}

/* ---- asking ---------------------------------------------------------------------------------- */

rnn_origin rnn_origin_of(rnn_engine *e, uint32_t id) {
    const rnn_span *s = rnn_at(e, id);
    if (!(s->flags & RNN_S_SCALAR)) return s->ext->origin;
    return e->origins ? e->origins[id] : (rnn_origin){0, 0};
}

void rnn_describe_origin(rnn_engine *e, uint32_t span, rnn_span_info *out) {
    const rnn_span *s = rnn_at(e, span);
    const rnn_origin origin = rnn_origin_of(e, span);
    out->scope = origin.scope;
    out->site = origin.site;
    const cut c = cut_of(s);
    out->lost = c.lost;
    out->made = c.made;
    out->cut_site = c.site;
    out->cut_more = is_list(c.set) && list_of(c.set)->more;
}

int64_t rnn_span_cuts(rnn_engine *e, uint32_t span, int64_t capacity, int64_t *out) {
    uint64_t room;
    const uint64_t *ids;
    if (span == 0 || span >= e->span_top)
        return rnn_fail(e, RNN_EINDEX, "there is no span %u", span);
    rnn_lock(e);
    const uint32_t count = ids_of(cut_of(rnn_at(e, span)).set, &room, &ids);
    for (uint32_t i = 0; i < count && i < capacity; i++) out[i] = (int64_t)ids[i];
    rnn_unlock(e);
    return count;
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
