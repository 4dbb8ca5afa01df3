/* optim_list.c: lists of parameters: what is packed, cut into blocks and shared among threads. See
 * optim_list.h. What it is not: what is done to the parameters, optim.c and optim_grads.c say. */
#include "optim_list.h"

#include "isa.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = 16384, SERIAL = 32768 }; /* elements */

void rnn_list_drop(list *l) {
    for (int64_t i = 0; i < l->count; i++)
        for (int k = 0; k < RUNS; k++) free(l->items[i].packed[k]);
    free(l->items);
    free(l->first);
    free(l->partial);
}

int rnn_list_make(rnn_engine *e, list *l, int count) {
    *l = (list){.e = e, .k = RNN_ISA_PICK(rnn_optim_kernels, e->isa)};
    if (count < 0) return rnn_fail(e, RNN_EVALUE, "a list cannot have %d tensors", count);
    l->items = rnn_malloc(e, (size_t)count * sizeof *l->items);
    return l->items ? 0 : rnn_fail(e, RNN_EMEMORY, "no memory for a list of %d tensors", count);
}

/* A run of the item: the memory of `view`, whose first element is at `data`. */
int rnn_list_add_run(rnn_engine *e, item *it, int run, const rnn_view *view, void *data) {
    it->run[run] = data;
    if (rnn_view_is_contiguous(view)) return 0;
    copy *c = rnn_malloc(e, sizeof *c + (size_t)it->n * rnn_itemsize(view->dtype));
    if (!c) return rnn_fail(e, RNN_EMEMORY, "no memory for a contiguous copy of a parameter");
    c->view = *view;
    it->packed[run] = c;
    it->run[run] = c->data;
    rnn_accumulate_job job = {.ndim = view->ndim,
                              .dtype = view->dtype,
                              .dst = c->data,
                              .src = data,
                              .scale = 1,
                              .overwrite = true};
    memcpy(job.shape, view->shape, sizeof job.shape);
    memcpy(job.src_stride, view->stride, sizeof job.src_stride);
    rnn_contiguous_strides(view->ndim, view->shape, job.dst_stride);
    return rnn_accumulate(e, &job);
}

/* The tensor t joins the list: its values, and its gradient if there is one and it is asked for. 1:
 * it joined. */
int rnn_list_add(list *l, rnn_ref t, int64_t index, bool values, bool grad) {
    rnn_engine *e = l->e;
    if (t <= 0) return 0;
    item *it = &l->items[l->count];
    memset(it, 0, sizeof *it);
    rnn_view view;
    rnn_view_of(e, t, &view);
    const rnn_span *s = rnn_at(e, view.span);
    if (grad && (!rnn_span_has_grad(s) || rnn_tensor_of(t)->flags & RNN_T_DETACHED)) return 0;
    it->n = rnn_numel(view.ndim, view.shape);
    it->dtype = view.dtype;
    it->span = view.span;
    it->index = index;
    l->count++;
    int failed = values ? rnn_list_add_run(e, it, 0, &view, rnn_view_data(e, &view)) : 0;
    if (failed || !grad) return failed ? failed : 1;
    char *g = rnn_span_grad(e, view.span);
    failed = rnn_list_add_run(e, it, 1, &view, g + view.offset * (int64_t)rnn_itemsize(view.dtype));
    return failed ? failed : 1;
}

/* Values that were packed go back to where they came from: parameter and states, or the gradient
 * alone. */
void rnn_list_write_back(list *l, bool grad) {
    for (int64_t i = 0; i < l->count; i++) {
        item *it = &l->items[i];
        for (int k = 0; k < RUNS; k++) {
            if (!it->packed[k] || (k == 1) != grad) continue;
            const rnn_view *v = &it->packed[k]->view;
            char *base = k == 1 ? rnn_span_grad(l->e, v->span) : rnn_span_data(l->e, v->span);
            rnn_accumulate_job job = {.ndim = v->ndim,
                                      .dtype = v->dtype,
                                      .src = it->packed[k]->data,
                                      .scale = 1,
                                      .dst = base + v->offset * (int64_t)rnn_itemsize(v->dtype),
                                      .overwrite = true};
            memcpy(job.shape, v->shape, sizeof job.shape);
            memcpy(job.dst_stride, v->stride, sizeof job.dst_stride);
            rnn_contiguous_strides(v->ndim, v->shape, job.src_stride);
            rnn_accumulate(l->e, &job);
        }
    }
}

/* ---- sharing the work ------------------------------------------------------------------------ */

static void run_block(void *ctx, int64_t begin, int64_t end) {
    list *l = ctx;
    for (int64_t block = begin; block < end; block++) {
        int64_t lo = 0, hi = l->count;
        while (hi - lo > 1) { /* the last item whose first block is not after this one */
            int64_t middle = (lo + hi) / 2;
            *(l->first[middle] <= block ? &lo : &hi) = middle;
        }
        const item *it = &l->items[lo];
        int64_t from = (block - l->first[lo]) * BLOCK,
                to = it->n - from < BLOCK ? it->n : from + BLOCK;
        l->work(l, it, from, to, block);
    }
}

/* Cuts the list into blocks. `results`: one of each block is wanted in l->partial. */
int rnn_list_plan(list *l, bool results) {
    l->blocks = l->total = 0;
    l->first = rnn_malloc(l->e, (size_t)l->count * sizeof *l->first);
    if (!l->first)
        return rnn_fail(l->e, RNN_EMEMORY, "no memory for a list of %lld tensors",
                        (long long)l->count);
    for (int64_t i = 0; i < l->count; i++) {
        l->first[i] = l->blocks;
        l->blocks += l->items[i].n > BLOCK ? (l->items[i].n + BLOCK - 1) / BLOCK : 1;
        l->total += l->items[i].n;
    }
    if (results) {
        l->partial = rnn_malloc(l->e, (size_t)l->blocks * sizeof *l->partial);
        if (!l->partial) return rnn_fail(l->e, RNN_EMEMORY, "no memory for the results of a list");
    }
    return 0;
}

/* Runs l->work over everything. */
void rnn_list_run(list *l) {
    if (l->total <= SERIAL) run_block(l, 0, l->blocks);
    else rnn_parallel_for(l->e->pool, l->blocks, 1, run_block, l);
}
