/* elementwise.c: operations element by element, their gradients, and copies and sums of whole
 * tensors: each fills in a job of box.h and runs it.
 *
 * What it is not: it knows no derivative; those stand in ops.h. */
#include "box.h"

#include <string.h>

/* ---- forward --------------------------------------------------------------------------------- */

/* clean: whether there is no NaN; NULL: nobody asks. */
static void forward(rnn_engine *e, int op, const rnn_view *dst, void *dst_data, const rnn_view *a,
                    const rnn_view *b, const double *p, bool *clean) {
    job j = {
        .e = e, .dtype = dst->dtype, .forward = e->k->forward[dst->dtype][op], .p = p, .scale = 1};
    rnn_box_begin(&j.x, dst->ndim, dst->shape);
    rnn_box_add(&j.x, DST, dst, dst_data);
    rnn_box_add(&j.x, A, a, rnn_view_data(e, a));
    if (b) rnn_box_add(&j.x, B, b, rnn_view_data(e, b));
    rnn_box_finish(&j.x);
    if (clean) *clean = rnn_job_run_checked(&j);
    else rnn_job_run(&j);
}

static void result_view(const rnn_build *b, rnn_view *v) {
    v->ndim = (int16_t)b->ndim;
    v->dtype = (uint8_t)b->dtype;
    v->offset = 0;
    for (int d = 0; d < b->ndim; d++) v->shape[d] = b->shape[d];
    rnn_contiguous_strides(b->ndim, b->shape, v->stride);
}

static bool composes(int op) { return rnn_resolution() && rnn_ops[op].needs & RNN_COMPOSITE; }

rnn_ref rnn_unary(rnn_engine *e, int op, rnn_ref ra, double p0, double p1) {
    rnn_view a, z;
    if (rnn_view_of(e, ra, &a)) return RNN_ETYPE;
    if (composes(op)) return RNN_COMPOSE;
    rnn_build b = {.op = op, .dtype = a.dtype, .ndim = a.ndim, .count = 1, .in = &a, .p = {p0, p1}};
    memcpy(b.shape, a.shape, sizeof b.shape);
    int failed = rnn_build_begin(e, &b);
    if (failed) return failed;
    result_view(&b, &z);
    forward(e, op, &z, b.out, &a, NULL, b.p, b.check ? &b.clean : NULL);
    return rnn_build_finish(e, &b);
}

rnn_ref rnn_binary(rnn_engine *e, int op, rnn_ref ra, rnn_ref rb, double p0) {
    rnn_view in[2], z;
    if (rnn_view_of(e, ra, &in[0]) || rnn_view_of(e, rb, &in[1])) return RNN_ETYPE;
    if (in[0].dtype != in[1].dtype) return RNN_EDTYPE;
    if (composes(op)) return RNN_COMPOSE;
    rnn_build b = {.op = op, .dtype = in[0].dtype, .count = 2, .in = in, .p = {p0}};
    int failed = rnn_broadcast(e, rnn_ops[op].name, &in[0], &in[1], &b.ndim, b.shape);
    if (!failed) failed = rnn_build_begin(e, &b);
    if (failed) return failed;
    result_view(&b, &z);
    forward(e, op, &z, b.out, &in[0], &in[1], b.p, b.check ? &b.clean : NULL);
    return rnn_build_finish(e, &b);
}

/* Would the result in `out` have to be recorded? */
static bool must_record(rnn_engine *e, rnn_ref out, rnn_ref a, rnn_ref b) {
    if (!rnn_grad_mode()) return false;
    return rnn_requires_grad(e, out) || rnn_requires_grad(e, a) || (b && rnn_requires_grad(e, b));
}

static int check_into(rnn_engine *e, int op, rnn_ref out, const rnn_view *a, const rnn_view *b,
                      bool clean) {
    const rnn_view in[2] = {*a, b ? *b : *a};
    const rnn_ref made = rnn_alias(e, out);
    if (made < 0) return (int)made;
    const rnn_ref checked = rnn_check_result(e, op, made, b ? 2 : 1, in, clean);
    if (checked < 0) return (int)checked;
    rnn_release(e, checked);
    return 0;
}

/* Results go straight into `out`: nothing is recorded, its memory is stamped. */
static int into(rnn_engine *e, int op, rnn_ref out, const rnn_view *a, const rnn_view *b,
                const double *p) {
    rnn_view z, whole = *a;
    char want[256], have[256];
    if (rnn_view_of(e, out, &z)) return RNN_ETYPE;
    if (z.dtype != a->dtype) return RNN_EDTYPE;
    int failed = 0;
    if (b) {
        int ndim;
        failed = rnn_broadcast(e, rnn_ops[op].name, a, b, &ndim, whole.shape);
        whole.ndim = (int16_t)ndim;
    }
    if (failed) return failed;
    if (whole.ndim != z.ndim || memcmp(whole.shape, z.shape, (size_t)z.ndim * sizeof(int64_t)))
        return rnn_fail(e, RNN_ERUNTIME,
                        "output with shape %s doesn't match the broadcast shape %s",
                        rnn_shape_text(z.ndim, z.shape, have, sizeof have),
                        rnn_shape_text(whole.ndim, whole.shape, want, sizeof want));
    if (!rnn_view_is_injective(&z))
        return rnn_fail(
            e, RNN_ERUNTIME,
            "unsupported operation: more than one element of the written-to tensor refers to a single "
            "memory location. Please clone() the tensor before performing the operation.");
    if ((failed = rnn_check_inplace(e, out))) return failed;
    bool clean = false;
    forward(e, op, &z, rnn_view_data(e, &z), a, b, p, rnn_checking() ? &clean : NULL);
    failed = rnn_touch(e, out);
    return rnn_checking() && !failed ? check_into(e, op, out, a, b, clean) : failed;
}

/* Reading and writing one memory in two orders gives nonsense: such an operand is copied first. */
static rnn_ref untangle(rnn_engine *e, rnn_ref out, rnn_ref a) {
    const rnn_tensor *o = rnn_tensor_of(out), *t = rnn_tensor_of(a);
    bool same = o->ndim == t->ndim && rnn_data(e, out) == rnn_data(e, a) &&
                !memcmp(o->dims, t->dims, 2 * (size_t)o->ndim * sizeof(int64_t));
    if (same || !rnn_same_memory(e, out, a)) return rnn_alias(e, a);
    int was = rnn_set_grad_mode(0);
    rnn_ref copy = rnn_clone(e, a);
    rnn_set_grad_mode(was);
    return copy;
}

int rnn_unary_into(rnn_engine *e, int op, rnn_ref out, rnn_ref ra, double p0, double p1) {
    if (out <= 0 || ra <= 0) return RNN_ETYPE;
    if (must_record(e, out, ra, 0)) return RNN_ERECORD;
    rnn_ref ca = untangle(e, out, ra);
    if (ca < 0) return (int)ca;
    rnn_view a;
    rnn_view_of(e, ca, &a);
    const double p[4] = {p0, p1};
    int code = into(e, op, out, &a, NULL, p);
    rnn_release(e, ca);
    return code;
}

int rnn_binary_into(rnn_engine *e, int op, rnn_ref out, rnn_ref ra, rnn_ref rb, double p0) {
    if (out <= 0 || ra <= 0 || rb <= 0) return RNN_ETYPE;
    if (rnn_dtype(ra) != rnn_dtype(rb)) return RNN_EDTYPE;
    if (must_record(e, out, ra, rb)) return RNN_ERECORD;
    rnn_ref ca = untangle(e, out, ra), cb = ca < 0 ? ca : untangle(e, out, rb);
    int code = (int)cb;
    if (cb > 0) {
        rnn_view a, b;
        rnn_view_of(e, ca, &a);
        rnn_view_of(e, cb, &b);
        const double p[4] = {p0};
        code = into(e, op, out, &a, &b, p);
        rnn_release(e, cb);
    }
    if (ca > 0) rnn_release(e, ca);
    return code;
}

/* ---- backward -------------------------------------------------------------------------------- */

/* One operand's share: its gradient gains dz times the local derivative, summed where it was
 * broadcast. last: dz is not read again. */
static int backward_operand(rnn_engine *e, uint32_t id, int k, const rnn_view *in, int count,
                            bool last) {
    const rnn_span *s = rnn_at(e, id);
    const rnn_ext *x = s->ext;
    rnn_target target;
    void *dz = rnn_span_grad(e, id);
    int failed = (last ? rnn_target_inherit : rnn_target_begin)(e, id, k, x->n, &target);
    if (failed || !target.wanted) return failed;
    job j = {.e = e,
             .dtype = s->dtype,
             .backward = e->k->backward[s->dtype][k][s->op],
             .p = x->p,
             .scale = 1,
             .add = !target.fresh};
    rnn_view z = {.ndim = (int16_t)x->ndim};
    for (int d = 0; d < x->ndim; d++) z.shape[d] = x->shape[d];
    rnn_contiguous_strides(x->ndim, x->shape, z.stride);
    rnn_box_begin(&j.x, x->ndim, x->shape);
    rnn_box_add(&j.x, DST, &target.v, target.grad);
    const int needs = rnn_ops[s->op].needs;
    if (needs & RNN_NEEDS_A) rnn_box_add(&j.x, A, &in[0], rnn_view_data(e, &in[0]));
    if (count > 1 && needs & RNN_NEEDS_B) rnn_box_add(&j.x, B, &in[1], rnn_view_data(e, &in[1]));
    if (needs & RNN_NEEDS_Z) rnn_box_add(&j.x, Z, &z, rnn_span_data(e, id));
    rnn_box_add(&j.x, DZ, &z, dz);
    rnn_box_finish(&j.x);
    if (!rnn_checking()) rnn_job_run(&j);
    else if (rnn_job_run_checked(&j)) rnn_thread_state()->clean |= (uint8_t)(1 << k);
    return 0;
}

int rnn_elementwise_backward(rnn_engine *e, uint32_t id) {
    rnn_view in[2];
    int count = rnn_at(e, id)->ext->count;
    rnn_thread_state()->clean = 0;
    for (int k = 0; k < count; k++) rnn_operand_view(e, id, k, &in[k]);
    for (int k = 0; k < count; k++) {
        int failed = backward_operand(e, id, k, in, count, k == count - 1 || !in[1].needs_grad);
        if (failed) return failed;
    }
    return 0;
}

void rnn_spread(rnn_engine *e, const rnn_spread_job *in) {
    const rnn_target *t = in->target;
    rnn_view row;
    job j = {.e = e,
             .dtype = t->v.dtype,
             .backward = in->loop,
             .p = in->p,
             .scale = 1,
             .add = !t->fresh};
    rnn_reduced_view(&t->v, in->reduced, &row);
    rnn_box_begin(&j.x, t->v.ndim, t->v.shape);
    rnn_box_add(&j.x, DST, &t->v, t->grad);
    rnn_box_add(&j.x, A, &t->v, rnn_view_data(e, &t->v));
    if (in->b) rnn_box_add(&j.x, B, &row, (void *)(uintptr_t)in->b);
    rnn_box_add(&j.x, Z, &row, (void *)(uintptr_t)in->z);
    rnn_box_add(&j.x, DZ, &row, (void *)(uintptr_t)in->dz);
    rnn_box_finish(&j.x);
    rnn_job_run(&j);
}

/* ---- copies and sums ------------------------------------------------------------------------- */

int rnn_accumulate(rnn_engine *e, const rnn_accumulate_job *in) {
    if (rnn_move(e, in)) return 0;
    job j = {.e = e, .dtype = in->dtype, .scale = in->scale, .add = !in->overwrite};
    rnn_box_begin(&j.x, in->ndim, in->shape);
    memcpy(j.x.stride[DST], in->dst_stride, (size_t)in->ndim * sizeof(int64_t));
    memcpy(j.x.stride[A], in->src_stride, (size_t)in->ndim * sizeof(int64_t));
    j.x.used[DST] = j.x.used[A] = true;
    j.x.data[DST] = in->dst;
    j.x.data[A] = (char *)(uintptr_t)in->src;
    rnn_box_finish(&j.x);
    rnn_job_run(&j);
    return 0;
}

int rnn_pack_view(rnn_engine *e, const rnn_view *v, void *out) {
    rnn_accumulate_job job = {.ndim = v->ndim,
                              .dtype = v->dtype,
                              .dst = out,
                              .src = rnn_view_data(e, v),
                              .scale = 1,
                              .overwrite = true};
    memcpy(job.shape, v->shape, sizeof job.shape);
    memcpy(job.src_stride, v->stride, sizeof job.src_stride);
    rnn_contiguous_strides(v->ndim, v->shape, job.dst_stride);
    return rnn_accumulate(e, &job);
}

int rnn_packed(rnn_engine *e, const char *what, const rnn_view *v, const char **data,
               rnn_block **temp) {
    *temp = NULL;
    *data = rnn_view_data(e, v);
    if (rnn_view_is_contiguous(v)) return 0;
    *temp = rnn_block_new(e, what, rnn_numel(v->ndim, v->shape), v->dtype);
    if (!*temp) return RNN_EMEMORY;
    *data = (*temp)->data;
    return rnn_pack_view(e, v, (*temp)->data);
}

int rnn_target_add(rnn_engine *e, const rnn_target *t, int dtype, const void *contiguous) {
    rnn_accumulate_job job = {.ndim = t->v.ndim,
                              .dtype = dtype,
                              .dst = t->grad,
                              .src = contiguous,
                              .scale = 1,
                              .overwrite = t->fresh};
    memcpy(job.shape, t->v.shape, sizeof job.shape);
    memcpy(job.dst_stride, t->v.stride, sizeof job.dst_stride);
    rnn_contiguous_strides(t->v.ndim, t->v.shape, job.src_stride);
    return rnn_accumulate(e, &job);
}
