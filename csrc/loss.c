/* loss.c: cross_entropy of class indices, fused: log_softmax and nll_loss without the matrix
 * between them. `saved` keeps each row's target (-1: ignored) and log(sum(exp)). ip: rows, classes,
 * reduction, rows that count. */
#include "internal.h"

#include <math.h>
#include <string.h>

enum { NONE, MEAN, SUM };

typedef struct {
    int64_t target;
    double lse;
} entry;

typedef struct {
    rnn_engine *e;
    int dtype, add, reduction;
    int64_t rows, classes;
    const char *x, *dz;
    char *out;
    entry *entries;
    double scale;
} loss;

static double at(const void *data, int dtype, int64_t i) {
    return dtype == RNN_F64 ? ((const double *)data)[i] : ((const float *)data)[i];
}

static void put(void *data, int dtype, int64_t i, double value) {
    if (dtype == RNN_F64) ((double *)data)[i] = value;
    else ((float *)data)[i] = (float)value;
}

static int64_t grain(int64_t classes) { return 8192 / (classes > 0 ? classes : 1) + 1; }

static void lse_task(void *ctx, int64_t begin, int64_t end) {
    const loss *j = ctx;
    const size_t row = (size_t)j->classes * rnn_itemsize(j->dtype);
    for (int64_t i = begin; i < end; i++)
        if (j->entries[i].target >= 0)
            j->entries[i].lse = j->e->k->logsumexp[j->dtype](j->classes, j->x + (size_t)i * row);
}

static int take_targets(rnn_engine *e, loss *j, const int64_t *target, int64_t ignore_index,
                        int64_t *counted) {
    *counted = 0;
    for (int64_t i = 0; i < j->rows; i++) {
        const bool ignored = target[i] == ignore_index;
        j->entries[i] = (entry){ignored ? -1 : target[i], 0};
        if (ignored) continue;
        if (target[i] < 0 || target[i] >= j->classes)
            return rnn_fail(e, RNN_EINDEX, "Target %lld is out of bounds.", (long long)target[i]);
        (*counted)++;
    }
    return 0;
}

/* Each row's loss, or their sum or mean (nan where no row counts, as in PyTorch). */
static void finish(const loss *j, void *out, int64_t counted) {
    double total = 0;
    for (int64_t i = 0; i < j->rows; i++) {
        const entry *t = &j->entries[i];
        const double one =
            t->target < 0 ? 0 : t->lse - at(j->x, j->dtype, i * j->classes + t->target);
        if (j->reduction == NONE) put(out, j->dtype, i, one);
        total += one;
    }
    if (j->reduction != NONE)
        put(out, j->dtype, 0, j->reduction == MEAN ? total / (double)counted : total);
}

rnn_ref rnn_cross_entropy(rnn_engine *e, rnn_ref logits, const int64_t *target,
                          int64_t ignore_index, int reduction) {
    rnn_view x;
    if (rnn_view_of(e, logits, &x)) return RNN_ETYPE;
    if (x.ndim != 2)
        return rnn_fail(e, RNN_EVALUE, "cross_entropy: the logits have %d dimensions, not 2",
                        x.ndim);
    if (rnn_resolution()) return RNN_COMPOSE;
    loss j = {.e = e,
              .dtype = x.dtype,
              .reduction = reduction,
              .rows = x.shape[0],
              .classes = x.shape[1]};
    rnn_build b = {.op = RNN_OP_CROSS_ENTROPY,
                   .dtype = x.dtype,
                   .count = 1,
                   .in = &x,
                   .ndim = reduction == NONE,
                   .shape = {j.rows},
                   .ip = {j.rows, j.classes, reduction}};
    int failed = rnn_save(e, &b, j.rows, sizeof(entry));
    if (failed) return failed;
    j.entries = b.saved;
    if ((failed = take_targets(e, &j, target, ignore_index, &b.ip[3]))) {
        rnn_unsave(e, &b);
        return failed;
    }
    if ((failed = rnn_build_begin(e, &b))) return failed;
    rnn_block *temp;
    if ((failed = rnn_packed(e, "cross_entropy", &x, &j.x, &temp))) {
        rnn_build_abort(e, &b);
        return failed;
    }
    rnn_parallel_for(e->pool, j.rows, grain(j.classes), lse_task, &j);
    finish(&j, b.out, b.ip[3]);
    rnn_drop_block(e, temp);
    return rnn_build_finish(e, &b);
}

/* dx = (softmax(x) - 1 at the target) times the row's gradient */
static void backward_task(void *ctx, int64_t begin, int64_t end) {
    const loss *j = ctx;
    const size_t size = rnn_itemsize(j->dtype), row = (size_t)j->classes * size;
    for (int64_t i = begin; i < end; i++) {
        const entry *t = &j->entries[i];
        char *d = j->out + (size_t)i * row;
        if (t->target < 0) {
            if (!j->add) memset(d, 0, row);
            continue;
        }
        const double g = at(j->dz, j->dtype, j->reduction == NONE ? i : 0) * j->scale;
        j->e->k->scaled_softmax[j->dtype](j->classes, j->x + (size_t)i * row, t->lse, g, d, j->add);
        put(d, j->dtype, t->target, at(d, j->dtype, t->target) - g);
    }
}

int rnn_cross_entropy_backward(rnn_engine *e, uint32_t id) {
    const rnn_span *s = rnn_at(e, id);
    const rnn_ext *x = s->ext;
    rnn_view in;
    rnn_target t;
    loss j = {.e = e,
              .dtype = s->dtype,
              .reduction = (int)x->ip[2],
              .rows = x->ip[0],
              .classes = x->ip[1],
              .dz = rnn_span_grad(e, id),
              .entries = x->saved,
              .scale = 1};
    if (j.reduction == MEAN) j.scale = 1 / (double)x->ip[3];
    int failed = rnn_target_reuse(e, id, 0, j.rows * j.classes, &t);
    if (failed || !t.wanted) return failed;
    rnn_operand_view(e, id, 0, &in);
    rnn_block *temp, *made = NULL;
    if ((failed = rnn_packed(e, "cross_entropy", &in, &j.x, &temp))) return failed;
    j.out = t.grad;
    j.add = !t.fresh;
    if (!rnn_view_is_contiguous(&t.v)) {
        made = rnn_block_new(e, "cross_entropy backward", j.rows * j.classes, j.dtype);
        if (made) j.out = made->data;
        else failed = RNN_EMEMORY;
        j.add = 0;
    }
    if (!failed) rnn_parallel_for(e->pool, j.rows, grain(j.classes), backward_task, &j);
    if (!failed && made) failed = rnn_target_add(e, &t, j.dtype, made->data);
    rnn_drop_block(e, temp);
    rnn_drop_block(e, made);
    return failed;
}

int rnn_cross_entropy_edges(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out) {
    const rnn_ext *x = rnn_at(e, id)->ext;
    const entry *entries = x->saved;
    const int64_t rows = x->ip[0], classes = x->ip[1];
    const int reduction = (int)x->ip[2];
    const double scale = reduction == MEAN ? 1 / (double)x->ip[3] : 1;
    rnn_view in;
    rnn_operand_view(e, id, 0, &in);
    for (int64_t i = reduction == NONE ? node : 0; i < (reduction == NONE ? node + 1 : rows); i++) {
        if (entries[i].target < 0) continue;
        for (int64_t c = 0; c < classes; c++) {
            const int64_t place = rnn_flat_to_offset(&in, i * classes + c);
            const double p = exp(rnn_node_value(e, in.span, place) - entries[i].lse);
            rnn_push_edge(e, out, &in, place, scale * (p - (c == entries[i].target)));
        }
    }
    return 0;
}

int rnn_cross_entropy_uses(rnn_engine *e, uint32_t id, int k, int64_t node, rnn_use_list *out) {
    const rnn_ext *x = rnn_at(e, id)->ext;
    const entry *entries = x->saved;
    const double scale = x->ip[2] == MEAN ? 1 / (double)x->ip[3] : 1;
    rnn_view in;
    rnn_places place;
    rnn_operand_view(e, id, k, &in);
    for (rnn_places_begin(&place, &in, node); rnn_places_next(&place);) {
        const int64_t flat = rnn_place_flat(&place), row = flat / x->ip[1], c = flat % x->ip[1];
        if (entries[row].target < 0) continue;
        const double p = exp(rnn_node_value(e, in.span, node) - entries[row].lse);
        rnn_push_use(out, x->ip[2] == NONE ? row : 0, scale * (p - (c == entries[row].target)));
    }
    return 0;
}
