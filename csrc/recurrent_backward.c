/* recurrent_backward.c: the gradients of a recurrent layer's operands, from the last step to the
 * first. */
#include "recurrent.h"

#include <stdlib.h>
#include <string.h>

/* ---- steps ----------------------------------------------------------------------------------- */

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
               .each = rnn_layer_rows(e, p),
               .kept = saved_values(p),
               .out = rnn_span_data(e, id),
               .dout = rnn_span_grad(e, id),
               .env = e->gemm};
    if (l.each < p->batch) l.env.pool = NULL;
    for (int k = 0; k < p->count; k++) rnn_operand_view(e, id, k, &in[k]);
    int failed = rnn_layer_operands(&l, in, temp);
    if (!failed) failed = rnn_target_reuse(e, id, X, p->rows * p->gates, &t); /* x is not read */
    if (!failed) failed = begin_sums(&l, &t, &made[0], &made[1]);
    if (!failed) failed = begin_states(&l, &made[2]);
    if (!failed) failed = run_backward(&l, id, made[0], &t);
    rnn_layer_drop(e, temp, OPERANDS + 1);
    rnn_layer_drop(e, made, 3);
    return failed;
}
