/* recurrent.c: a layer of an Elman RNN, an LSTM or a GRU over all of its steps, fused. (Elman 1990;
 * Hochreiter and Schmidhuber 1997; Cho et al. 2014, with the reset after the product, as in cuDNN;
 * torch.nn.RNN, LSTM, GRU.)
 *
 * The input's share of the gates' sums comes in as x, (T, B, G H), one product for all steps, made
 * by rnn_linear; here is what goes from state to state. The batch's rows do not touch each other:
 * threads share them, each from the first step to the last. Rows may stop early (packed sequences):
 * `sizes` says how many are left at each step, never more than before.
 *
 * The result is (T, B, H), or (rows, H) for packed sequences; an LSTM's (T, B, 2, H): c, then h.
 * Steps lie in the order in which they are made, also where x is read backwards. `saved`: the plan,
 * the sizes, then the gates' values. */
#include "recurrent.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    rnn_engine *e;
    const plan *p;
    int dtype, failed, save; /* save: every row's gates; else only the present step's */
    int64_t size;            /* of an element */
    int64_t each;            /* rows of the batch that one task takes */
    const char *x, *w, *b, *h0, *c0, *zeros;
    int64_t x_step, x_row; /* strides, in elements */
    char *kept, *out;
    /* backward */
    const char *dout;
    char *dx, *ds; /* of the sums: the input's share, the state's. dx NULL: not wanted */
    int64_t dx_step, dx_row, ds_row;
    char *dh, *dc; /* (batch, hidden): what flows from step to step */
    rnn_gemm_env env;
} layer;

static void gemm(const layer *l, const rnn_gemm_env *env, int ta, int tb, int64_t m, int64_t n,
                 int64_t k, const void *a, int64_t lda, const void *b, int64_t ldb, double beta,
                 void *c, int64_t ldc) {
    if (l->dtype == RNN_F64) rnn_dgemm(env, ta, tb, m, n, k, 1, a, lda, b, ldb, beta, c, ldc);
    else rnn_sgemm(env, ta, tb, m, n, k, 1, a, lda, b, ldb, (float)beta, c, ldc);
}

/* ---- rows: at step t, row b of the batch ----------------------------------------------------- */

static int64_t x_at(const layer *l, int64_t t, int64_t b, int64_t step, int64_t row) {
    const plan *p = l->p;
    if (p->packed) return (starts(p)[t] + b) * row * l->size;
    return ((p->reverse ? p->steps - 1 - t : t) * step + b * row) * l->size;
}

static char *kept_of(const layer *l, int64_t t, int64_t b) {
    return l->kept + (l->save ? starts(l->p)[t] + b : b) * l->p->kept * l->size;
}

static int64_t out_at(const layer *l, int64_t t, int64_t b) {
    return (starts(l->p)[t] + b) * l->p->out * l->size;
}

/* h lies behind c in an LSTM's rows */
static int64_t h_in_row(const layer *l) { return (l->p->out - l->p->hidden) * l->size; }

/* The state before step t, and the distance between its rows. */
static const char *before(const layer *l, int64_t t, int64_t b, int cell, int64_t *row) {
    *row = t ? l->p->out : l->p->hidden;
    if (t) return l->out + out_at(l, t - 1, b) + (cell ? 0 : h_in_row(l));
    const char *first = cell ? l->c0 : l->h0;
    return (first ? first : l->zeros) + b * l->p->hidden * l->size;
}

/* How many rows of [begin, end) are left at step t. */
static int64_t rows_left(const plan *p, int64_t t, int64_t begin, int64_t end) {
    const int64_t stop = p->sizes[t] < end ? p->sizes[t] : end;
    return stop > begin ? stop - begin : 0;
}

/* ---- forward --------------------------------------------------------------------------------- */

/* sums (m, gates) = start + h_prev W^T, where start is x's rows, the bias, both or nothing */
static void sum_gates(const layer *l, int64_t t, int64_t b, int64_t m, bool with_x, char *sums,
                      int64_t row) {
    const plan *p = l->p;
    const double one[4] = {1};
    const size_t bytes = (size_t)(p->gates * l->size);
    int64_t prev_row;
    const char *prev = before(l, t, b, 0, &prev_row);
    const bool product = t || l->h0, start = with_x || l->b;
    for (int64_t i = 0; i < m; i++) {
        char *to = sums + i * row * l->size;
        const char *x = l->x + x_at(l, t, b + i, l->x_step, l->x_row);
        if (with_x && l->b) l->e->k->forward[l->dtype][RNN_OP_ADD](p->gates, x, l->b, to, one);
        else if (start) memcpy(to, with_x ? x : l->b, bytes);
        else if (!product) memset(to, 0, bytes);
    }
    if (product)
        gemm(l, &l->env, 0, 1, m, p->gates, p->hidden, prev, prev_row, l->w, p->hidden, start, sums,
             row);
}

static void forward_step(const layer *l, int64_t t, int64_t b, int64_t m, char *room) {
    const plan *p = l->p;
    const rnn_kernels *k = l->e->k;
    int64_t h_row, c_row;
    const char *h_prev = before(l, t, b, 0, &h_row), *c_prev = before(l, t, b, 1, &c_row);
    char *out = l->out + out_at(l, t, b);
    const int64_t out_row = p->out * l->size, kept_row = p->kept * l->size;
    if (p->op == RNN_OP_RNN_TANH || p->op == RNN_OP_RNN_RELU) {
        const double none[4] = {0};
        sum_gates(l, t, b, m, true, out, p->out);
        const int op = p->op == RNN_OP_RNN_TANH ? RNN_OP_TANH : RNN_OP_RELU;
        k->forward[l->dtype][op](m * p->hidden, out, NULL, out, none);
    } else if (p->op == RNN_OP_LSTM) {
        char *kept = kept_of(l, t, b);
        sum_gates(l, t, b, m, true, kept, p->kept);
        for (int64_t i = 0; i < m; i++)
            k->lstm_forward[l->dtype](p->hidden, kept + i * kept_row, c_prev + i * c_row * l->size,
                                      out + i * out_row, out + i * out_row + h_in_row(l));
    } else {
        sum_gates(l, t, b, m, false, room, p->gates);
        for (int64_t i = 0; i < m; i++)
            k->gru_forward[l->dtype](p->hidden, l->x + x_at(l, t, b + i, l->x_step, l->x_row),
                                     room + i * p->gates * l->size, h_prev + i * h_row * l->size,
                                     kept_of(l, t, b + i), out + i * out_row);
    }
}

static void forward_task(void *ctx, int64_t begin, int64_t end) {
    layer *l = ctx;
    for (int64_t chunk = begin; chunk < end; chunk++) {
        const int64_t from = chunk * l->each,
                      to = from + l->each < l->p->batch ? from + l->each : l->p->batch;
        char *room = malloc((size_t)((to - from) * l->p->gates * l->size) + 1);
        if (!room) __atomic_store_n(&l->failed, 1, __ATOMIC_RELAXED);
        for (int64_t t = 0; room && t < l->p->steps; t++) {
            const int64_t m = rows_left(l->p, t, from, to);
            if (m) forward_step(l, t, from, m, room);
        }
        free(room);
    }
}

/* ---- backward -------------------------------------------------------------------------------- */

/* One row of one step: dh and dc (the carried gradients, the result's own added) become those of
 * the sums. */
static void backward_row(const layer *l, int64_t t, int64_t b, char *unwanted) {
    const plan *p = l->p;
    const rnn_kernels *k = l->e->k;
    int64_t row;
    char *dh = l->dh + b * p->hidden * l->size,
         *ds = l->ds + (starts(p)[t] + b) * l->ds_row * l->size;
    char *dx = l->dx ? l->dx + x_at(l, t, b, l->dx_step, l->dx_row) : unwanted;
    const char *out = l->out + out_at(l, t, b), *dout = l->dout + out_at(l, t, b);
    k->add_scaled[l->dtype](p->hidden, dh, dout + h_in_row(l), 1);
    if (p->op == RNN_OP_GRU) {
        const char *prev = before(l, t, b, 0, &row);
        k->gru_backward[l->dtype](p->hidden, kept_of(l, t, b), prev, dh, dx, ds);
        return;
    }
    if (p->op == RNN_OP_LSTM) {
        char *dc = l->dc + b * p->hidden * l->size;
        const char *prev = before(l, t, b, 1, &row);
        k->add_scaled[l->dtype](p->hidden, dc, dout, 1);
        k->lstm_backward[l->dtype](p->hidden, kept_of(l, t, b), prev, out, dh, dc, ds);
    } else {
        const double none[4] = {0};
        const int op = p->op == RNN_OP_RNN_TANH ? RNN_OP_TANH : RNN_OP_RELU;
        k->backward[l->dtype][0][op](p->hidden, out, NULL, out, dh, ds, none);
    }
    if (l->dx && dx != ds) memcpy(dx, ds, (size_t)(p->gates * l->size));
}

static void backward_task(void *ctx, int64_t begin, int64_t end) {
    layer *l = ctx;
    const plan *p = l->p;
    char *unwanted = malloc((size_t)(p->gates * l->size) + 1);
    if (!unwanted) __atomic_store_n(&l->failed, 1, __ATOMIC_RELAXED);
    for (int64_t chunk = begin; unwanted && chunk < end; chunk++) {
        const int64_t from = chunk * l->each,
                      to = from + l->each < p->batch ? from + l->each : p->batch;
        for (int64_t t = p->steps - 1; t >= 0; t--) {
            const int64_t m = rows_left(p, t, from, to);
            if (!m) continue;
            for (int64_t b = from; b < from + m; b++) backward_row(l, t, b, unwanted);
            if (!t && !l->h0) continue;
            /* a GRU's dh keeps its direct share */
            gemm(l, &l->env, 0, 0, m, p->hidden, p->gates,
                 l->ds + (starts(p)[t] + from) * l->ds_row * l->size, l->ds_row, l->w, p->hidden,
                 p->op == RNN_OP_GRU, l->dh + from * p->hidden * l->size, p->hidden);
        }
    }
    free(unwanted);
}

/* dw (+)= ds^T h_prev: one product for all steps that follow one with as many rows */
static void weight_gradient(const layer *l, char *dw, double beta) {
    const plan *p = l->p;
    for (int64_t t = 0; t < p->steps;) {
        int64_t last = t + 1, row;
        while (t && last < p->steps && p->sizes[last] == p->sizes[last - 1]) last++;
        const int64_t rows = starts(p)[last] - starts(p)[t];
        const char *prev = before(l, t, 0, 0, &row);
        const bool whole = last == t + 1 || p->sizes[t - 1] == p->sizes[t];
        const int64_t count = whole ? rows : p->sizes[t];
        if (!whole) last = t + 1; /* the step before has more rows: this one stands alone */
        if ((t || l->h0) && count) {
            gemm(l, &l->e->gemm, 1, 0, p->gates, p->hidden, count,
                 l->ds + starts(p)[t] * l->ds_row * l->size, l->ds_row, prev, row, beta, dw,
                 p->hidden);
            beta = 1;
        }
        t = last;
    }
    if (beta == 0) memset(dw, 0, (size_t)(p->gates * p->hidden * l->size));
}

/* ---- tensors --------------------------------------------------------------------------------- */

static int no_memory(rnn_engine *e) {
    return rnn_fail(e, RNN_EMEMORY, "recurrent: no memory for a layer's gates");
}

/* A task has some rows of the batch; few where all of the work is little. */
static int64_t rows_each(rnn_engine *e, const plan *p) {
    const int64_t threads = rnn_pool_threads(e->pool), least = 8;
    if ((double)p->rows * (double)p->gates * (double)p->hidden < 1 << 20 || threads < 2)
        return p->batch;
    const int64_t share = (p->batch + threads - 1) / threads;
    return share < least ? least : share;
}

static int contiguous(rnn_engine *e, const rnn_view *v, const char **data, rnn_block **temp) {
    *data = rnn_view_data(e, v);
    if (rnn_view_is_contiguous(v)) return 0;
    *temp = rnn_block_new(e, "recurrent", rnn_numel(v->ndim, v->shape), v->dtype);
    if (!*temp) return RNN_EMEMORY;
    *data = (*temp)->data;
    return rnn_pack_view(e, v, (*temp)->data);
}

/* Strides of x or of its gradient where a row is contiguous; false: a packed copy is needed. */
static bool strides_of(const plan *p, const rnn_view *v, int64_t *step, int64_t *row) {
    *step = p->packed ? 0 : v->stride[0];
    *row = v->stride[v->ndim - 2];
    return v->stride[v->ndim - 1] == 1 || p->gates == 1;
}

static int operands_of(layer *l, const rnn_view *in, rnn_block **temp) {
    rnn_engine *e = l->e;
    const plan *p = l->p;
    int failed = 0;
    l->x = rnn_view_data(e, &in[X]);
    if (!strides_of(p, &in[X], &l->x_step, &l->x_row)) {
        failed = contiguous(e, &in[X], &l->x, &temp[X]);
        l->x_step = p->batch * p->gates;
        l->x_row = p->gates;
    }
    if (!failed) failed = contiguous(e, &in[WEIGHT], &l->w, &temp[WEIGHT]);
    if (!failed && p->bias) failed = contiguous(e, &in[p->bias], &l->b, &temp[p->bias]);
    if (!failed && p->h0) failed = contiguous(e, &in[p->h0], &l->h0, &temp[p->h0]);
    if (!failed && p->c0) failed = contiguous(e, &in[p->c0], &l->c0, &temp[p->c0]);
    if (failed || (p->h0 && (p->c0 || p->op != RNN_OP_LSTM))) return failed;
    temp[OPERANDS] = rnn_block_new(e, "recurrent", p->batch * p->hidden, l->dtype);
    if (!temp[OPERANDS]) return RNN_EMEMORY;
    memset(temp[OPERANDS]->data, 0, (size_t)(p->batch * p->hidden * l->size));
    l->zeros = temp[OPERANDS]->data;
    return 0;
}

static void drop_all(rnn_engine *e, rnn_block **temp, int count) {
    for (int i = 0; i < count; i++) rnn_drop_block(e, temp[i]);
}

static int expect(rnn_engine *e, const rnn_view *v, const char *what, int ndim, int64_t rows,
                  int64_t cols) {
    char s[128];
    if (v->ndim == ndim && v->shape[0] == rows && (ndim == 1 || v->shape[1] == cols)) return 0;
    return rnn_fail(
        e, RNN_ERUNTIME, "recurrent: %s of shape %s does not fit %lld rows and %lld columns", what,
        rnn_shape_text(v->ndim, v->shape, s, sizeof s), (long long)rows, (long long)cols);
}

static int check_operands(rnn_engine *e, const rnn_view *in, const plan *p) {
    int failed = expect(e, &in[WEIGHT], "the weight", 2, p->gates, p->hidden);
    if (!failed && p->bias) failed = expect(e, &in[p->bias], "the bias", 1, p->gates, 1);
    if (!failed && p->h0)
        failed = expect(e, &in[p->h0], "the hidden state", 2, p->batch, p->hidden);
    if (!failed && p->c0) failed = expect(e, &in[p->c0], "the cell state", 2, p->batch, p->hidden);
    for (int k = 1; !failed && k < p->count; k++)
        if (in[k].dtype != in[X].dtype) failed = RNN_EDTYPE;
    return failed;
}

/* Steps, rows and sizes, from x and `sizes` (NULL: x is (T, B, gates)). */
static int take_rows(rnn_engine *e, const rnn_view *x, int64_t steps, const int64_t *sizes,
                     plan *p) {
    int64_t rows = 0;
    for (int64_t t = 0; t < steps; t++) {
        p->sizes[t] = sizes ? sizes[t] : x->shape[1];
        p->sizes[steps + t] = rows;
        if (p->sizes[t] < 0 || (t && p->sizes[t] > p->sizes[t - 1]))
            return rnn_fail(e, RNN_ERUNTIME,
                            "recurrent: batch sizes must not grow from step to step");
        rows += p->sizes[t];
    }
    p->sizes[2 * steps] = p->rows = rows;
    p->batch = steps ? p->sizes[0] : sizes ? 0 : x->shape[1];
    if (sizes && rows != x->shape[0])
        return rnn_fail(e, RNN_ERUNTIME, "recurrent: the batch sizes add up to %lld rows, not %lld",
                        (long long)rows, (long long)x->shape[0]);
    return 0;
}

/* The plan with room for `extra` elements behind it. */
static int make_plan(rnn_engine *e, int op, const rnn_view *in, int64_t steps, const int64_t *sizes,
                     plan **made) {
    const int ndim = sizes ? 2 : 3, per_unit = op == RNN_OP_LSTM ? 4 : op == RNN_OP_GRU ? 3 : 1;
    char s[128];
    if (in[X].ndim != ndim || in[X].shape[ndim - 1] % per_unit)
        return rnn_fail(e, RNN_ERUNTIME, "recurrent: gates of shape %s",
                        rnn_shape_text(in[X].ndim, in[X].shape, s, sizeof s));
    if (!sizes) steps = in[X].shape[0];
    plan *p = steps < 0 || steps > INT32_MAX
                  ? NULL
                  : rnn_malloc(e, sizeof *p + (2 * (size_t)steps + 1) * sizeof(int64_t));
    if (!p) return no_memory(e);
    memset(p, 0, sizeof *p);
    p->op = op;
    p->packed = sizes != NULL;
    p->steps = steps;
    p->gates = in[X].shape[ndim - 1];
    p->hidden = p->gates / per_unit;
    p->out = op == RNN_OP_LSTM ? 2 * p->hidden : p->hidden;
    p->kept = per_unit == 1 ? 0 : 4 * p->hidden;
    int failed = take_rows(e, &in[X], steps, sizes, p);
    if (failed) free(p);
    else *made = p;
    return failed;
}

static void result_shape(const plan *p, rnn_build *b) {
    b->ndim = 0;
    if (p->packed) b->shape[b->ndim++] = p->rows;
    else b->shape[b->ndim++] = p->steps, b->shape[b->ndim++] = p->batch;
    if (p->op == RNN_OP_LSTM) b->shape[b->ndim++] = 2;
    b->shape[b->ndim++] = p->hidden;
}

/* The plan moves to the front of memory that also has room for the gates. */
static int add_room(rnn_engine *e, rnn_build *b, plan **p) {
    const size_t head = sizeof **p + (2 * (size_t)(*p)->steps + 1) * sizeof(int64_t);
    uint64_t bytes;
    const uint64_t rows = (uint64_t)(b->record ? (*p)->rows : (*p)->batch);
    if (!rnn_mul_size(rows, (uint64_t)(*p)->kept * rnn_itemsize(b->dtype), &bytes))
        return no_memory(e);
    plan *larger = rnn_allocation_fails(e) ? NULL : realloc(*p, head + bytes + 1);
    if (!larger) return no_memory(e);
    b->saved = *p = larger;
    b->saved_bytes = head + bytes;
    return 0;
}

static int run_forward(layer *l, const rnn_view *in) {
    rnn_block *temp[OPERANDS + 1] = {NULL};
    int failed = operands_of(l, in, temp);
    if (!failed) {
        const int64_t chunks = l->each ? (l->p->batch + l->each - 1) / l->each : 0;
        rnn_parallel_for(l->e->pool, chunks, 1, forward_task, l);
        if (l->failed) failed = no_memory(l->e);
    }
    drop_all(l->e, temp, OPERANDS + 1);
    return failed;
}

rnn_ref rnn_recurrent(rnn_engine *e, int op, rnn_ref rx, rnn_ref rw, rnn_ref rb, rnn_ref rh,
                      rnn_ref rc, int reverse, int64_t steps, const int64_t *sizes) {
    rnn_view in[OPERANDS];
    const rnn_ref optional[3] = {rb, rh, rc};
    int32_t place[3] = {0, 0, 0}, count = 2;
    if (op != RNN_OP_RNN_TANH && op != RNN_OP_RNN_RELU && op != RNN_OP_LSTM && op != RNN_OP_GRU)
        return rnn_fail(e, RNN_EVALUE, "recurrent: operation %d is no recurrent layer", op);
    if (rnn_view_of(e, rx, &in[X]) || rnn_view_of(e, rw, &in[WEIGHT])) return RNN_ETYPE;
    for (int i = 0; i < 3; i++) {
        if (!optional[i]) continue;
        if (rnn_view_of(e, optional[i], &in[count])) return RNN_ETYPE;
        place[i] = count++;
    }
    plan *p = NULL;
    int failed = make_plan(e, op, in, steps, sizes, &p);
    if (failed) return failed;
    p->count = count, p->reverse = reverse, p->bias = place[0], p->h0 = place[1], p->c0 = place[2];
    failed = check_operands(e, in, p);
    if (!failed && rnn_resolution()) failed = RNN_COMPOSE;
    if (failed) {
        free(p);
        return failed;
    }
    rnn_build b = {.op = op, .dtype = in[X].dtype, .count = count, .in = in, .saved = p};
    result_shape(p, &b);
    if ((failed = rnn_build_begin(e, &b))) return failed;
    failed = add_room(e, &b, &p);
    layer l = {.e = e,
               .p = p,
               .dtype = b.dtype,
               .save = b.record,
               .size = (int64_t)rnn_itemsize(b.dtype),
               .each = rows_each(e, p),
               .kept = saved_values(p),
               .out = b.out,
               .env = e->gemm};
    if (l.each < p->batch) l.env.pool = NULL;
    if (!failed) failed = run_forward(&l, in);
    if (!failed) return rnn_build_finish(e, &b);
    rnn_build_abort(e, &b);
    return failed;
}

/* ---- backward: tensors ----------------------------------------------------------------------- */

/* Where the gradient of x goes: straight to its place where that is fresh, else to a copy. `ds`
 * shares dx's memory where both are the same, row for row. */
static int begin_sums(layer *l, rnn_target *t, rnn_block **dx, rnn_block **ds) {
    const plan *p = l->p;
    const int64_t n = p->rows * p->gates;
    if (t->wanted && t->fresh && strides_of(p, &t->v, &l->dx_step, &l->dx_row)) {
        l->dx = t->grad;
    } else if (t->wanted) {
        *dx = rnn_block_new(l->e, "recurrent backward", n, l->dtype);
        if (!*dx) return RNN_EMEMORY;
        l->dx = (*dx)->data;
        l->dx_step = p->batch * p->gates;
        l->dx_row = p->gates;
    }
    const bool in_order = p->packed || (!p->reverse && l->dx_step == p->batch * p->gates);
    l->ds_row = p->gates;
    if (l->dx && p->op != RNN_OP_GRU && in_order && l->dx_row == p->gates) {
        l->ds = l->dx;
        return 0;
    }
    if (l->e->spends && p->kept >= p->gates) {
        l->ds = l->kept; /* a row's saved values are read before its sums' gradients are written */
        l->ds_row = p->kept;
        return 0;
    }
    *ds = rnn_block_new(l->e, "recurrent backward", n, l->dtype);
    if (!*ds) return RNN_EMEMORY;
    l->ds = (*ds)->data;
    return 0;
}

static int begin_states(layer *l, rnn_block **states) {
    const int64_t n = l->p->batch * l->p->hidden;
    *states = rnn_block_new(l->e, "recurrent backward", 2 * n, l->dtype);
    if (!*states) return RNN_EMEMORY;
    memset((*states)->data, 0, (size_t)(2 * n * l->size));
    l->dh = (*states)->data;
    l->dc = l->dh + n * l->size;
    return 0;
}

static int end_weight(const layer *l, uint32_t id) {
    rnn_target t;
    const int64_t n = l->p->gates * l->p->hidden;
    int failed = rnn_target_begin(l->e, id, WEIGHT, n, &t);
    if (failed || !t.wanted) return failed;
    if (rnn_view_is_contiguous(&t.v)) {
        weight_gradient(l, t.grad, !t.fresh);
        return 0;
    }
    rnn_block *temp = rnn_block_new(l->e, "recurrent backward", n, l->dtype);
    if (!temp) return RNN_EMEMORY;
    weight_gradient(l, temp->data, 0);
    failed = rnn_target_add(l->e, &t, l->dtype, temp->data);
    rnn_drop_block(l->e, temp);
    return failed;
}

static int end_bias(const layer *l, uint32_t id) {
    rnn_target t;
    if (!l->p->bias) return 0;
    int failed = rnn_target_zero(l->e, id, l->p->bias, &t);
    if (failed || !t.wanted) return failed;
    rnn_accumulate_job job = {.ndim = 2,
                              .dtype = l->dtype,
                              .dst = t.grad,
                              .src = l->ds,
                              .scale = 1,
                              .shape = {l->p->rows, l->p->gates},
                              .src_stride = {l->ds_row, 1},
                              .dst_stride = {0, t.v.stride[0]}};
    return rnn_accumulate(l->e, &job);
}

static int end_state(const layer *l, uint32_t id, int operand, const char *grad) {
    rnn_target t;
    if (!operand) return 0;
    int failed = rnn_target_begin(l->e, id, operand, l->p->batch * l->p->hidden, &t);
    return failed || !t.wanted ? failed : rnn_target_add(l->e, &t, l->dtype, grad);
}

static int run_backward(layer *l, uint32_t id, rnn_block *dx, const rnn_target *t) {
    const plan *p = l->p;
    const int64_t chunks = l->each ? (p->batch + l->each - 1) / l->each : 0;
    if (l->ds == l->kept) l->e->spent = true;
    rnn_parallel_for(l->e->pool, chunks, 1, backward_task, l);
    if (l->failed) return no_memory(l->e);
    int failed = dx ? rnn_target_add(l->e, t, l->dtype, dx->data) : 0;
    if (!failed) failed = end_weight(l, id);
    if (!failed) failed = end_bias(l, id);
    if (!failed) failed = end_state(l, id, p->h0, l->dh);
    return failed ? failed : end_state(l, id, p->c0, l->dc);
}

int rnn_recurrent_backward(rnn_engine *e, uint32_t id) {
    const rnn_span *s = rnn_at(e, id);
    const plan *p = s->ext->saved;
    rnn_view in[OPERANDS];
    rnn_target t;
    rnn_block *temp[OPERANDS + 1] = {NULL}, *made[3] = {NULL, NULL, NULL};
    layer l = {.e = e,
               .p = p,
               .dtype = s->dtype,
               .save = 1,
               .size = (int64_t)rnn_itemsize(s->dtype),
               .each = rows_each(e, p),
               .kept = saved_values(p),
               .out = rnn_span_data(e, id),
               .dout = rnn_span_grad(e, id),
               .env = e->gemm};
    if (l.each < p->batch) l.env.pool = NULL;
    for (int k = 0; k < p->count; k++) rnn_operand_view(e, id, k, &in[k]);
    int failed = operands_of(&l, in, temp);
    if (!failed) failed = rnn_target_reuse(e, id, X, p->rows * p->gates, &t); /* x is not read */
    if (!failed) failed = begin_sums(&l, &t, &made[0], &made[1]);
    if (!failed) failed = begin_states(&l, &made[2]);
    if (!failed) failed = run_backward(&l, id, made[0], &t);
    drop_all(e, temp, OPERANDS + 1);
    drop_all(e, made, 3);
    return failed;
}
