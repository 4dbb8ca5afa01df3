/* statistics.c: reductions by folds (fold.h): sum, mean, var, std, vector_norm, logsumexp, prod,
 * and the extremes whose gradient equal elements share. One table says which fold each of them
 * is. */
#include "internal.h"

#include <math.h>
#include <string.h>

static double load(const void *data, int dtype, int64_t at) {
    return dtype == RNN_F64 ? ((const double *)data)[at] : (double)((const float *)data)[at];
}

static void save(void *data, int dtype, int64_t at, double x) {
    if (dtype == RNN_F64) ((double *)data)[at] = x;
    else ((float *)data)[at] = (float)x;
}

/* ---- what a row folds into ------------------------------------------------------------------- */

/* f->out: the results, f->more: what backward wants to know, or NULL. */

static void finish_scaled(rnn_fold *f, int64_t row, const rnn_fold_state *s) {
    save(f->out, f->dtype, row, s->a / f->scale);
}

static void finish_same(rnn_fold *f, int64_t row, const rnn_fold_state *s) {
    save(f->out, f->dtype, row, s->a);
}

static void finish_var(rnn_fold *f, int64_t row, const rnn_fold_state *s) {
    save(f->out, f->dtype, row, s->b / f->scale);
    if (f->more) save(f->more, f->dtype, row, s->a);
}

static void finish_std(rnn_fold *f, int64_t row, const rnn_fold_state *s) {
    save(f->out, f->dtype, row, sqrt(s->b / f->scale));
    if (f->more) save(f->more, f->dtype, row, s->a);
}

static void finish_norm(rnn_fold *f, int64_t row, const rnn_fold_state *s) {
    const double p = f->power;
    save(f->out, f->dtype, row, p == 2 ? sqrt(s->a) : p == 1 ? s->a : pow(s->a, 1 / p));
}

static void finish_logsumexp(rnn_fold *f, int64_t row, const rnn_fold_state *s) {
    save(f->out, f->dtype, row, rnn_fold_logsumexp(s));
    if (f->more) /* of large numbers the rounding would be the derivatives' error */
        save(f->more, f->dtype, row, rnn_fold_logsumexp_rest(s, load(f->out, f->dtype, row)));
}

static const struct {
    int kind;
    rnn_fold_finish finish;
    bool more;
} folds[RNN_OP_COUNT] = {
    [RNN_OP_SUM] = {RNN_FOLD_SUM, finish_same, false},
    [RNN_OP_SUM_DIM] = {RNN_FOLD_SUM, finish_same, false},
    [RNN_OP_MEAN] = {RNN_FOLD_SUM, finish_scaled, false},
    [RNN_OP_MEAN_DIM] = {RNN_FOLD_SUM, finish_scaled, false},
    [RNN_OP_VAR] = {RNN_FOLD_MOMENTS, finish_var, true},
    [RNN_OP_STD] = {RNN_FOLD_MOMENTS, finish_std, true},
    [RNN_OP_VECTOR_NORM] = {RNN_FOLD_NORMP, finish_norm, false},
    [RNN_OP_LOGSUMEXP] = {RNN_FOLD_LOGSUMEXP, finish_logsumexp, true},
    [RNN_OP_PROD] = {RNN_FOLD_PROD, finish_same, false},
    [RNN_OP_PROD_DIM] = {RNN_FOLD_PROD, finish_same, false},
    [RNN_OP_AMAX] = {RNN_FOLD_MAX, finish_same, false},
    [RNN_OP_MAX] = {RNN_FOLD_MAX, finish_same, false},
    [RNN_OP_AMIN] = {RNN_FOLD_MIN, finish_same, false},
    [RNN_OP_MIN] = {RNN_FOLD_MIN, finish_same, false},
};

static bool is_var(int op) { return op == RNN_OP_VAR || op == RNN_OP_STD; }

/* PyTorch's texts: an extreme of nothing has no value. */
static int check_not_empty(rnn_engine *e, int op, const rnn_view *a, int count, uint32_t mask) {
    const int kind = folds[op].kind;
    if (kind != RNN_FOLD_MAX && kind != RNN_FOLD_MIN) return 0;
    if (!count && rnn_numel(a->ndim, a->shape) == 0)
        return rnn_fail(e, RNN_ERUNTIME,
                        "%s(): Expected reduction dim to be specified for input.numel() == 0. "
                        "Specify the reduction dim with the 'dim' argument.",
                        rnn_ops[op].name);
    for (int d = 0; d < a->ndim; d++)
        if (mask >> d & 1 && a->shape[d] == 0)
            return rnn_fail(e, RNN_EINDEX, "%s(): Expected reduction dim %d to have non-zero size.",
                            rnn_ops[op].name, d);
    return 0;
}

/* p: of var and std, the correction; of vector_norm, the power. Fills in what finish and
 * backward need. */
static void set_numbers(rnn_fold *f, rnn_build *b, double p) {
    const double n = (double)f->length;
    b->p[1] = p;
    b->p[0] = 1;
    f->scale = n;
    f->power = p;
    if (b->op == RNN_OP_MEAN || b->op == RNN_OP_MEAN_DIM) b->p[0] = 1 / n;
    if (is_var(b->op)) {
        f->scale = n > p ? n - p : 0;
        b->p[0] = (b->op == RNN_OP_VAR ? 2 : 1) / (n - p);
    }
    if (f->kind == RNN_FOLD_NORMP && (p == 1 || p == 2))
        f->kind = p == 1 ? RNN_FOLD_NORM1 : RNN_FOLD_NORM2;
}

/* The median is Python's find; only its gradient is done here. */
static int fold(rnn_engine *e, rnn_build *b, rnn_fold *f, const rnn_view *a) {
    f->out = b->out;
    f->more = b->saved;
    f->data = rnn_view_data(e, a);
    if (b->op != RNN_OP_MEDIAN && b->op != RNN_OP_NANMEDIAN) return rnn_fold_run(e, f);
    save(b->out, b->dtype, 0, f->power);
    return 0;
}

rnn_ref rnn_reduce(rnn_engine *e, int op, rnn_ref ref, int count, const int64_t *dims, int keepdim,
                   double p) {
    rnn_view a;
    rnn_fold f;
    uint32_t mask;
    if (rnn_view_of(e, ref, &a)) return RNN_ETYPE;
    int failed = rnn_reduced_dims(e, a.ndim, count, dims, &mask);
    if (!failed) failed = check_not_empty(e, op, &a, count, mask);
    if (failed) return failed;
    if (rnn_resolution()) return RNN_COMPOSE;
    rnn_build b = {.op = op, .dtype = a.dtype, .count = 1, .in = &a, .ip = {mask}};
    rnn_reduced_shape(&b, &a, mask, keepdim);
    rnn_fold_begin(&f, a.ndim, a.shape, a.stride, mask);
    f.kind = folds[op].kind;
    f.dtype = a.dtype;
    f.finish = folds[op].finish;
    set_numbers(&f, &b, p);
    if (folds[op].more && a.needs_grad && rnn_grad_mode() &&
        (failed = rnn_save(e, &b, f.rows, rnn_itemsize(a.dtype))))
        return failed;
    if ((failed = rnn_build_begin(e, &b))) return failed;
    if (!(failed = fold(e, &b, &f, &a))) return rnn_build_finish(e, &b);
    rnn_build_abort(e, &b);
    return failed;
}

/* ---- backward -------------------------------------------------------------------------------- */

/* Another fold over the rows that span `id` folded: its results go to `out`. */
static int fold_again(rnn_engine *e, uint32_t id, const rnn_view *a, rnn_fold given) {
    rnn_fold f;
    rnn_fold_begin(&f, a->ndim, a->shape, a->stride, (uint32_t)rnn_at(e, id)->ext->ip[0]);
    f.kind = given.kind;
    f.finish = given.finish;
    f.equal = given.equal;
    f.more = given.more;
    f.out = given.out;
    f.dtype = a->dtype;
    f.data = rnn_view_data(e, a);
    return rnn_fold_run(e, &f);
}

static void finish_share(rnn_fold *f, int64_t row, const rnn_fold_state *s) {
    save(f->out, f->dtype, row, load(f->more, f->dtype, row) / s->a);
}

/* dz shared by the elements that equal z: out = dz / how many they are. */
static int share_of_equals(rnn_engine *e, uint32_t id, const rnn_view *a, void *out) {
    return fold_again(e, id, a,
                      (rnn_fold){.kind = RNN_FOLD_EQUAL,
                                 .finish = finish_share,
                                 .out = out,
                                 .equal = rnn_span_data(e, id),
                                 .more = rnn_span_grad(e, id)});
}

static void finish_others(rnn_fold *f, int64_t row, const rnn_fold_state *s) {
    save(f->out, f->dtype, row, load(f->more, f->dtype, row) > 1 ? 0 : s->a);
}

/* What an element that is 0 is multiplied by: the product of the others, 0 where two are 0. */
static int product_of_others(rnn_engine *e, uint32_t id, const rnn_view *a, void *out) {
    const rnn_span *s = rnn_at(e, id);
    rnn_block *zeros = rnn_block_new(e, rnn_ops[s->op].name, s->ext->n, s->dtype);
    if (!zeros) return RNN_EMEMORY;
    memset(out, 0, (size_t)s->ext->n * rnn_itemsize(s->dtype));
    int failed = fold_again(
        e, id, a,
        (rnn_fold){
            .kind = RNN_FOLD_EQUAL, .finish = finish_same, .equal = out, .out = zeros->data});
    if (!failed)
        failed = fold_again(e, id, a,
                            (rnn_fold){.kind = RNN_FOLD_NONZERO,
                                       .finish = finish_others,
                                       .more = zeros->data,
                                       .out = out});
    rnn_drop_block(e, zeros);
    return failed;
}

static bool some_product_is_zero(rnn_engine *e, uint32_t id) {
    const rnn_span *s = rnn_at(e, id);
    for (int64_t i = 0; i < s->ext->n; i++) {
        const double z = load(rnn_span_data(e, id), s->dtype, i);
        if (z == 0 || z != z) return true;
    }
    return false;
}

/* std's: var's gradient of dz / z; none where z is 0, as in PyTorch. */
static void share_of_std(const rnn_span *s, const void *z, const void *dz, void *out) {
    for (int64_t i = 0; i < s->ext->n; i++) {
        const double zi = load(z, s->dtype, i);
        save(out, s->dtype, i, zi == 0 ? 0 : load(dz, s->dtype, i) / zi);
    }
}

static int spread_of(const rnn_span *s) {
    const double p = s->ext->p[1];
    switch (s->op) {
    case RNN_OP_VAR:
    case RNN_OP_STD:
        return RNN_SPREAD_VARIANCE;
    case RNN_OP_VECTOR_NORM:
        return p == 1 ? RNN_SPREAD_NORM1 : p == 2 ? RNN_SPREAD_NORM2 : RNN_SPREAD_NORMP;
    case RNN_OP_LOGSUMEXP:
        return RNN_SPREAD_LOGSUMEXP;
    case RNN_OP_PROD:
    case RNN_OP_PROD_DIM:
        return RNN_SPREAD_PROD;
    default:
        return RNN_SPREAD_EQUAL;
    }
}

int rnn_statistic_backward(rnn_engine *e, uint32_t id) {
    const rnn_span *s = rnn_at(e, id);
    const rnn_ext *x = s->ext;
    const int spread = spread_of(s);
    rnn_target t;
    rnn_operand_view(e, id, 0, &t.v);
    int failed = rnn_target_begin(e, id, 0, rnn_numel(t.v.ndim, t.v.shape), &t);
    if (failed || !t.wanted) return failed;
    const double p[4] = {s->op == RNN_OP_VECTOR_NORM ? x->p[1] : x->p[0]};
    rnn_spread_job job = {.loop = e->k->spread[s->dtype][spread],
                          .target = &t,
                          .reduced = (uint32_t)x->ip[0],
                          .b = rnn_span_data(e, id),
                          .z = x->saved ? x->saved : rnn_span_data(e, id),
                          .dz = rnn_span_grad(e, id),
                          .p = p};
    rnn_block *made = NULL;
    const bool others = spread == RNN_SPREAD_PROD && some_product_is_zero(e, id);
    if (others || spread == RNN_SPREAD_EQUAL || s->op == RNN_OP_STD) {
        if (!(made = rnn_block_new(e, rnn_ops[s->op].name, x->n, s->dtype))) return RNN_EMEMORY;
        if (others) failed = product_of_others(e, id, &t.v, made->data);
        else if (s->op == RNN_OP_STD) share_of_std(s, job.b, job.dz, made->data);
        else failed = share_of_equals(e, id, &t.v, made->data);
        *(others ? &job.z : &job.dz) = made->data;
    }
    if (!failed) rnn_spread(e, &job);
    if (made) rnn_drop_block(e, made);
    return failed;
}

/* ---- edges ----------------------------------------------------------------------------------- */

typedef struct {
    rnn_engine *e;
    rnn_view inner; /* the elements of one row */
    int64_t count;
} row;

static double element(const row *r, int64_t i) {
    return rnn_node_value(r->e, r->inner.span, rnn_flat_to_offset(&r->inner, i));
}

static double mean_of(const row *r) {
    double total = 0;
    for (int64_t i = 0; i < r->count; i++) total += element(r, i);
    return total / (double)r->count;
}

static double product_without(const row *r, int64_t but) {
    double product = 1;
    for (int64_t i = 0; i < r->count; i++) product *= i == but ? 1 : element(r, i);
    return product;
}

static bool same(double x, double z) { return x == z || (x != x && z != z); }

static double local_norm(double x, double z, double p) {
    if (p == 1) return x > 0 ? 1 : x < 0 ? -1 : 0;
    return z == 0 || x == 0 ? 0 : copysign(pow(fabs(x) / z, p - 1), x);
}

int rnn_statistic_edges(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out) {
    const rnn_span *s = rnn_at(e, id);
    const double z = rnn_node_value(e, id, node), *p = s->ext->p;
    rnn_view a;
    row r = {.e = e};
    rnn_operand_view(e, id, 0, &a);
    rnn_reduced_inner(&a, (uint32_t)s->ext->ip[0], node, &r.inner);
    r.count = rnn_numel(r.inner.ndim, r.inner.shape);
    const double mean = is_var(s->op) ? mean_of(&r) : 0;
    int64_t equal = 0;
    for (int64_t i = 0; i < r.count; i++) equal += same(element(&r, i), z);
    for (int64_t i = 0; i < r.count; i++) {
        const double x = element(&r, i);
        double local = same(x, z) ? 1 / (double)equal : 0;
        switch (spread_of(s)) {
        case RNN_SPREAD_VARIANCE:
            local = p[0] * (x - mean) / (s->op == RNN_OP_VAR ? 1 : z);
            break;
        case RNN_SPREAD_LOGSUMEXP:
            local = exp(x - z - (s->ext->saved ? load(s->ext->saved, s->dtype, node) : 0));
            break;
        case RNN_SPREAD_PROD:
            local = product_without(&r, i);
            break;
        case RNN_SPREAD_NORM1:
        case RNN_SPREAD_NORM2:
        case RNN_SPREAD_NORMP:
            local = local_norm(x, z, p[1]);
            break;
        }
        if (s->op == RNN_OP_STD && z == 0) local = 0;
        rnn_push_edge(e, out, &a, rnn_flat_to_offset(&r.inner, i), local);
    }
    return 0;
}

int rnn_statistic_uses(rnn_engine *e, uint32_t id, int k, int64_t node, rnn_use_list *out) {
    const uint32_t mask = (uint32_t)rnn_at(e, id)->ext->ip[0];
    rnn_view a, z;
    rnn_places p;
    rnn_operand_view(e, id, k, &a);
    rnn_reduced_view(&a, mask, &z);
    for (rnn_places_begin(&p, &a, node); rnn_places_next(&p);) {
        int64_t at = 0, place = 0; /* in its row */
        for (int d = 0; d < a.ndim; d++) {
            at += p.index[d] * z.stride[d];
            if (mask >> d & 1) place = place * a.shape[d] + p.index[d];
        }
        rnn_push_use(out, at, rnn_edge_local(e, id, at, place));
    }
    return 0;
}
