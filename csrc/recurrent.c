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

/* ---- tensors --------------------------------------------------------------------------------- */

/* A task has some rows of the batch; few where all of the work is little. */
int64_t rnn_layer_rows(rnn_engine *e, const plan *p) {
    const int64_t threads = rnn_pool_threads(e->pool), least = 8;
    if ((double)p->rows * (double)p->gates * (double)p->hidden < 1 << 20 || threads < 2)
        return p->batch;
    const int64_t share = (p->batch + threads - 1) / threads;
    return share < least ? least : share;
}

int rnn_layer_operands(layer *l, const rnn_view *in, rnn_block **temp) {
    rnn_engine *e = l->e;
    const plan *p = l->p;
    int failed = 0;
    l->x = rnn_view_data(e, &in[X]);
    if (!strides_of(p, &in[X], &l->x_step, &l->x_row)) {
        failed = rnn_packed(e, "recurrent", &in[X], &l->x, &temp[X]);
        l->x_step = p->batch * p->gates;
        l->x_row = p->gates;
    }
    if (!failed) failed = rnn_packed(e, "recurrent", &in[WEIGHT], &l->w, &temp[WEIGHT]);
    if (!failed && p->bias)
        failed = rnn_packed(e, "recurrent", &in[p->bias], &l->b, &temp[p->bias]);
    if (!failed && p->h0) failed = rnn_packed(e, "recurrent", &in[p->h0], &l->h0, &temp[p->h0]);
    if (!failed && p->c0) failed = rnn_packed(e, "recurrent", &in[p->c0], &l->c0, &temp[p->c0]);
    if (failed || (p->h0 && (p->c0 || p->op != RNN_OP_LSTM))) return failed;
    temp[OPERANDS] = rnn_block_new(e, "recurrent", p->batch * p->hidden, l->dtype);
    if (!temp[OPERANDS]) return RNN_EMEMORY;
    memset(temp[OPERANDS]->data, 0, (size_t)(p->batch * p->hidden * l->size));
    l->zeros = temp[OPERANDS]->data;
    return 0;
}

void rnn_layer_drop(rnn_engine *e, rnn_block **temp, int count) {
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

/* The plan, malloc'ed. */
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

/* What the span saves: the plan, and room for the gates. */
static int save_plan(rnn_engine *e, rnn_build *b, const plan *p) {
    const size_t head = sizeof *p + (2 * (size_t)p->steps + 1) * sizeof(int64_t);
    uint64_t bytes;
    const uint64_t rows = (uint64_t)(b->record ? p->rows : p->batch);
    if (!rnn_mul_size(rows, (uint64_t)p->kept * rnn_itemsize(b->dtype), &bytes) ||
        bytes > INT64_MAX - head)
        return no_memory(e);
    const int failed = rnn_save(e, b, (int64_t)(head + bytes), 1);
    if (!failed) memcpy(b->saved, p, head);
    return failed;
}

static int run_forward(layer *l, const rnn_view *in) {
    rnn_block *temp[OPERANDS + 1] = {NULL};
    int failed = rnn_layer_operands(l, in, temp);
    if (!failed) {
        const int64_t chunks = l->each ? (l->p->batch + l->each - 1) / l->each : 0;
        rnn_parallel_for(l->e->pool, chunks, 1, forward_task, l);
        if (l->failed) failed = no_memory(l->e);
    }
    rnn_layer_drop(l->e, temp, OPERANDS + 1);
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
    rnn_build b = {.op = op, .dtype = in[X].dtype, .count = count, .in = in};
    result_shape(p, &b);
    if (!(failed = rnn_build_begin(e, &b)) && (failed = save_plan(e, &b, p)))
        rnn_build_abort(e, &b);
    free(p);
    if (failed) return failed;
    p = b.saved;
    layer l = {.e = e,
               .p = p,
               .dtype = b.dtype,
               .save = b.record,
               .size = (int64_t)rnn_itemsize(b.dtype),
               .each = rnn_layer_rows(e, p),
               .kept = saved_values(p),
               .out = b.out,
               .env = e->gemm};
    if (l.each < p->batch) l.env.pool = NULL;
    failed = run_forward(&l, in);
    if (!failed) return rnn_build_finish(e, &b);
    rnn_build_abort(e, &b);
    return failed;
}
