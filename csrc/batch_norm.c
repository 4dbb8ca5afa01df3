/* batch_norm.c: batch_norm, fused: statistics of channels. (Ioffe and Szegedy 2015;
 * torch.nn.functional.batch_norm.)
 *
 * A channel of x (N, C, S) is N runs of S elements; where S is small, channels are first laid side
 * by side in memory; where S is 1, they are columns. Operands: x, then weight and bias where they are given (ip[1], ip[2] say
 * which); ip[0]: training. `saved`: mean and rstd of each channel. Threads share channels. */
#include "internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    rnn_engine *e;
    int dtype, training, add;
    int64_t images, channels, places; /* N, C, S of the tensor */
    int64_t runs, length, step;       /* of a channel, as it lies: runs of `length`, `step` apart */
    const char *x, *dz;
    char *out; /* forward: the result; backward: dx, or NULL */
    double eps;
    double *stats; /* mean, rstd */
    double *sums;  /* backward: of dz, of dz (x - mean) */
    double *scale; /* the weight, or ones */
    double *shift; /* the bias, or zeros */
} norm;

static int64_t at(const norm *j, int64_t channel, int64_t run) {
    return (channel * j->length + run * j->step) * (int64_t)rnn_itemsize(j->dtype);
}

/* ---- kernels over the runs of channels ------------------------------------------------------- */

static void take_statistics(const norm *j, int64_t c) {
    const rnn_kernels *k = j->e->k;
    const double n = fmax((double)(j->runs * j->length), 1);
    double total = 0, squares = 0;
    for (int64_t i = 0; i < j->runs; i++) total += k->sum[j->dtype](j->length, j->x + at(j, c, i));
    const double mean = total / n;
    for (int64_t i = 0; i < j->runs; i++)
        squares += k->centred_squares[j->dtype](j->length, j->x + at(j, c, i), mean);
    j->stats[2 * c] = mean;
    j->stats[2 * c + 1] = squares / n; /* the variance, until the running one has seen it */
}

static void normalize(const norm *j, int64_t c) {
    for (int64_t i = 0; i < j->runs; i++)
        j->e->k->centred_scale[j->dtype](j->length, j->x + at(j, c, i), j->stats[2 * c],
                                         j->stats[2 * c + 1] * j->scale[c], j->shift[c],
                                         j->out + at(j, c, i));
}

/* dx = w rstd (dz - mean(dz) - xhat mean(dz xhat)) = a dz + b (x - mean) + c; where the statistics
 * are constants, w rstd dz. abc: these three, `apart` from each other. */
static void chain_factors(const norm *j, int64_t c, double sum, double dot, double *abc,
                          int64_t apart) {
    const double n = (double)(j->runs * j->length), rstd = j->stats[2 * c + 1],
                 a = j->scale[c] * rstd;
    j->sums[2 * c] = sum;
    j->sums[2 * c + 1] = dot * rstd;
    abc[0] = a;
    abc[apart] = j->training ? -a * rstd * rstd * dot / n : 0;
    abc[2 * apart] = j->training ? -a * sum / n : 0;
}

static void go_back(const norm *j, int64_t c) {
    const rnn_kernels *k = j->e->k;
    const double mean = j->stats[2 * c];
    double sum = 0, dot = 0, abc[3];
    for (int64_t i = 0; i < j->runs; i++) {
        sum += k->sum[j->dtype](j->length, j->dz + at(j, c, i));
        dot += k->centred_dot[j->dtype](j->length, j->x + at(j, c, i), mean, j->dz + at(j, c, i));
    }
    chain_factors(j, c, sum, dot, abc, 1);
    for (int64_t i = 0; j->out && i < j->runs; i++)
        k->centred_chain[j->dtype](j->length, j->dz + at(j, c, i), j->x + at(j, c, i), mean, abc,
                                   j->out + at(j, c, i), j->add);
}

/* ---- the same of n channels that are columns: their runs are elements ------------------------ */

static void take_statistics_of_columns(const norm *j, int64_t c, int64_t n) {
    double mean[RNN_COLUMNS], variance[RNN_COLUMNS];
    j->e->k->column_statistics[j->dtype](j->runs, n, j->step, j->x + at(j, c, 0), mean, variance);
    for (int64_t i = 0; i < n; i++) {
        j->stats[2 * (c + i)] = mean[i];
        j->stats[2 * (c + i) + 1] = variance[i];
    }
}

static void normalize_columns(const norm *j, int64_t c, int64_t n) {
    double mean[RNN_COLUMNS] = {0}, factor[RNN_COLUMNS];
    for (int64_t i = 0; i < n; i++) {
        mean[i] = j->stats[2 * (c + i)];
        factor[i] = j->stats[2 * (c + i) + 1] * j->scale[c + i];
    }
    j->e->k->column_scale[j->dtype](j->runs, n, j->step, j->x + at(j, c, 0), mean, factor,
                                    j->shift + c, j->out + at(j, c, 0));
}

static void go_back_columns(const norm *j, int64_t c, int64_t n) {
    const rnn_kernels *k = j->e->k;
    const char *x = j->x + at(j, c, 0), *dz = j->dz + at(j, c, 0);
    double mean[RNN_COLUMNS] = {0}, sum[RNN_COLUMNS], dot[RNN_COLUMNS], abc[3 * RNN_COLUMNS];
    for (int64_t i = 0; i < n; i++) mean[i] = j->stats[2 * (c + i)];
    k->column_dots[j->dtype](j->runs, n, j->step, x, dz, mean, sum, dot);
    for (int64_t i = 0; i < n; i++) chain_factors(j, c + i, sum[i], dot[i], abc + i, n);
    if (j->out)
        k->column_chain[j->dtype](j->runs, n, j->step, dz, x, mean, abc, j->out + at(j, c, 0),
                                  j->add);
}

/* ---- tasks ----------------------------------------------------------------------------------- */

static bool are_columns(const norm *j) { return j->length == 1; }

static void each(const norm *j, int64_t begin, int64_t end, void (*channel)(const norm *, int64_t),
                 void (*columns)(const norm *, int64_t, int64_t)) {
    for (int64_t c = begin; c < end && !are_columns(j); c++) channel(j, c);
    for (int64_t c = begin; c < end && are_columns(j); c += RNN_COLUMNS)
        columns(j, c, end - c < RNN_COLUMNS ? end - c : RNN_COLUMNS);
}

static void statistics_task(void *ctx, int64_t begin, int64_t end) {
    each(ctx, begin, end, take_statistics, take_statistics_of_columns);
}

static void forward_task(void *ctx, int64_t begin, int64_t end) {
    each(ctx, begin, end, normalize, normalize_columns);
}

static void backward_task(void *ctx, int64_t begin, int64_t end) {
    each(ctx, begin, end, go_back, go_back_columns);
}

static int64_t grain(const norm *j) {
    const int64_t enough = 8192 / (j->images * j->places + 1) + 1;
    return are_columns(j) && enough < 16 ? 16 : enough; /* a cache line of a row */
}

/* ---- memory ---------------------------------------------------------------------------------- */

enum { SHORT = 16 }; /* runs of fewer elements are laid side by side first */

/* How channels lie: `side` when each is one run. */
static void lay(norm *j, const rnn_view *x, bool side) {
    j->images = x->shape[0];
    j->channels = x->shape[1];
    j->places = rnn_numel(x->ndim - 2, x->shape + 2);
    j->runs = side ? 1 : j->images;
    j->length = side ? j->images * j->places : j->places;
    j->step = j->channels * j->places;
}

static bool lies_short(const rnn_view *x) {
    const int64_t places = rnn_numel(x->ndim - 2, x->shape + 2);
    return places > 1 && places < SHORT && x->shape[0] > 1;
}

/* dst (+)= src, where one of them has channels side by side and the other is v's elements with
 * these strides */
static int relay(rnn_engine *e, const rnn_view *v, const int64_t *stride, void *dst,
                 const void *src, bool to_side, bool overwrite) {
    rnn_accumulate_job job = {.ndim = v->ndim,
                              .dtype = v->dtype,
                              .dst = dst,
                              .src = src,
                              .scale = 1,
                              .overwrite = overwrite};
    int64_t side[RNN_MAX_DIMS];
    memcpy(job.shape, v->shape, (size_t)v->ndim * sizeof(int64_t));
    rnn_contiguous_strides(v->ndim - 1, v->shape + 1, side + 1);
    side[0] = rnn_numel(v->ndim - 2, v->shape + 2);
    side[1] = v->shape[0] * side[0];
    memcpy(to_side ? job.dst_stride : job.src_stride, side, (size_t)v->ndim * sizeof(int64_t));
    memcpy(to_side ? job.src_stride : job.dst_stride, stride, (size_t)v->ndim * sizeof(int64_t));
    return rnn_accumulate(e, &job);
}

/* The elements of v as the kernels want them: as they lie, packed, or with channels side by
 * side. */
static int operand(rnn_engine *e, const rnn_view *v, const void *data, bool side, const char **out,
                   rnn_block **temp) {
    *out = data;
    if (!side && rnn_view_is_contiguous(v)) return 0;
    *temp = rnn_block_new(e, "batch_norm", rnn_numel(v->ndim, v->shape), v->dtype);
    if (!*temp) return RNN_EMEMORY;
    *out = (*temp)->data;
    if (side) return relay(e, v, v->stride, (*temp)->data, data, true, true);
    return rnn_pack_view(e, v, (*temp)->data);
}

/* Element i of a (C) view as a double; `missing` where there is none. */
static double element(rnn_engine *e, const rnn_view *v, int64_t i, double missing) {
    return v ? rnn_node_value(e, v->span, v->offset + i * v->stride[0]) : missing;
}

/* One allocation for what is kept of each channel: stats, sums, weight, bias. */
static int channel_room(rnn_engine *e, norm *j, const rnn_view *w, const rnn_view *b,
                        double **room) {
    uint64_t bytes;
    *room = NULL;
    if (rnn_mul_size((uint64_t)j->channels, 4 * sizeof(double), &bytes))
        *room = rnn_malloc(e, bytes + 1);
    if (!*room)
        return rnn_fail(e, RNN_EMEMORY, "batch_norm: no memory for %lld channels",
                        (long long)j->channels);
    j->sums = *room;
    j->scale = *room + 2 * j->channels;
    j->shift = *room + 3 * j->channels;
    for (int64_t c = 0; c < j->channels; c++) {
        j->scale[c] = element(e, w, c, 1);
        j->shift[c] = element(e, b, c, 0);
    }
    return 0;
}

/* ---- forward --------------------------------------------------------------------------------- */

enum { X, WEIGHT, BIAS, MEAN, VARIANCE, GIVEN };

static int check_channels(rnn_engine *e, const rnn_view *x, const rnn_view *v, const char *what) {
    if (v->dtype != x->dtype)
        return rnn_fail(e, RNN_ERUNTIME, "mixed dtype (CPU): %s",
                        v->dtype ? "expect parameter to have scalar type of Float"
                                 : "all inputs must share same datatype.");
    if (v->ndim == 1 && v->shape[0] == x->shape[1]) return 0;
    return rnn_fail(e, RNN_ERUNTIME, "%s should contain %lld elements not %lld", what,
                    (long long)x->shape[1], (long long)rnn_numel(v->ndim, v->shape));
}

static int take_views(rnn_engine *e, const rnn_ref *refs, rnn_view *v, bool *given) {
    static const char *const names[GIVEN] = {"input", "weight", "bias", "running_mean",
                                             "running_var"};
    static const int order[GIVEN] = {X, MEAN, VARIANCE, WEIGHT,
                                     BIAS}; /* PyTorch's, of complaints */
    for (int k = 0; k < GIVEN; k++) {
        const int i = order[k];
        given[i] = refs[i] != 0 || i == X;
        if (given[i] && rnn_view_of(e, refs[i], &v[i])) return RNN_ETYPE;
        if (i == X && v[X].ndim < 2)
            return rnn_fail(
                e, RNN_EINDEX,
                "Dimension out of range (expected to be in range of [-%d, %d], but got 1)",
                v[X].ndim ? v[X].ndim : 1, v[X].ndim ? v[X].ndim - 1 : 0);
        int failed = given[i] && i ? check_channels(e, &v[X], &v[i], names[i]) : 0;
        if (failed) return failed;
    }
    return 0;
}

/* The batch's statistics, which move the running ones; or those. Then the variance becomes rstd. */
static void settle_statistics(norm *j, const rnn_view *mean, const rnn_view *variance,
                              double momentum) {
    rnn_engine *e = j->e;
    const double n = (double)(j->images * j->places);
    const bool moving = j->training && n > 0;
    for (int64_t c = 0; c < j->channels; c++) {
        double *m = &j->stats[2 * c], *v = &j->stats[2 * c + 1];
        if (!j->training) {
            *m = element(e, mean, c, 0);
            *v = element(e, variance, c, 1);
        }
        if (moving && mean)
            rnn_node_set(e, mean->span, mean->offset + c * mean->stride[0],
                         (1 - momentum) * element(e, mean, c, 0) + momentum * *m);
        if (moving && variance)
            rnn_node_set(e, variance->span, variance->offset + c * variance->stride[0],
                         (1 - momentum) * element(e, variance, c, 0) + momentum * *v * n / (n - 1));
        *v = 1 / sqrt(*v + j->eps);
    }
    if (moving && mean) rnn_span_stamp(e, mean->span);
    if (moving && variance) rnn_span_stamp(e, variance->span);
}

static int run_forward(norm *j, const rnn_view *v, const bool *given, double momentum, void *out) {
    rnn_engine *e = j->e;
    rnn_block *temp[2] = {NULL, NULL};
    double *room;
    const bool side = lies_short(&v[X]);
    int failed =
        channel_room(e, j, given[WEIGHT] ? &v[WEIGHT] : NULL, given[BIAS] ? &v[BIAS] : NULL, &room);
    if (!failed) failed = operand(e, &v[X], rnn_view_data(e, &v[X]), side, &j->x, &temp[0]);
    j->out = out;
    /* in place: elements are read before they are written */
    if (!failed && side) j->out = temp[0]->data;
    if (!failed) {
        if (j->training) rnn_parallel_for(e->pool, j->channels, grain(j), statistics_task, j);
        settle_statistics(j, given[MEAN] ? &v[MEAN] : NULL, given[VARIANCE] ? &v[VARIANCE] : NULL,
                          momentum);
        rnn_parallel_for(e->pool, j->channels, grain(j), forward_task, j);
        int64_t stride[RNN_MAX_DIMS];
        rnn_contiguous_strides(v[X].ndim, v[X].shape, stride);
        if (side) failed = relay(e, &v[X], stride, out, j->out, false, true);
    }
    free(room);
    rnn_drop_block(e, temp[0]);
    return failed;
}

rnn_ref rnn_batch_norm(rnn_engine *e, rnn_ref x, rnn_ref weight, rnn_ref bias, rnn_ref mean,
                       rnn_ref variance, int training, double momentum, double eps) {
    const rnn_ref refs[GIVEN] = {x, weight, bias, mean, variance};
    rnn_view v[GIVEN], in[3];
    bool given[GIVEN];
    int failed = take_views(e, refs, v, given);
    if (failed) return failed;
    if (rnn_resolution()) return RNN_COMPOSE;
    norm j = {.e = e, .dtype = v[X].dtype, .training = training, .eps = eps};
    lay(&j, &v[X], lies_short(&v[X]));
    rnn_build b = {.op = RNN_OP_BATCH_NORM,
                   .dtype = j.dtype,
                   .ndim = v[X].ndim,
                   .in = in,
                   .p = {eps},
                   .ip = {training}};
    for (int i = X; i <= BIAS; i++) {
        if (!given[i]) continue;
        if (i) b.ip[i] = b.count;
        in[b.count++] = v[i];
    }
    memcpy(b.shape, v[X].shape, sizeof b.shape);
    if ((failed = rnn_save(e, &b, j.channels, 2 * sizeof(double)))) return failed;
    j.stats = b.saved;
    if ((failed = rnn_build_begin(e, &b))) return failed;
    failed = run_forward(&j, v, given, momentum, b.out);
    if (!failed) return rnn_build_finish(e, &b);
    rnn_build_abort(e, &b);
    return failed;
}

/* ---- backward -------------------------------------------------------------------------------- */

/* Adds sums[2 c + which] to the gradient of the weight or the bias. */
static int end_channels(rnn_engine *e, uint32_t id, int k, const norm *j, int which) {
    rnn_target t;
    if (!k) return 0;
    int failed = rnn_target_zero(e, id, k, &t);
    for (int64_t c = 0; !failed && t.wanted && c < j->channels; c++)
        failed =
            rnn_node_add_grad(e, t.v.span, t.v.offset + c * t.v.stride[0], j->sums[2 * c + which]);
    return failed;
}

static int run_backward(rnn_engine *e, norm *j, rnn_target *t, bool side) {
    const int64_t n = j->images * j->channels * j->places;
    const bool direct = t->wanted && !side && rnn_view_is_contiguous(&t->v);
    rnn_block *made = NULL;
    if (t->wanted && !direct && !(made = rnn_block_new(e, "batch_norm backward", n, j->dtype)))
        return RNN_EMEMORY;
    j->out = direct ? t->grad : made ? made->data : NULL;
    j->add = direct && !t->fresh;
    rnn_parallel_for(e->pool, j->channels, grain(j), backward_task, j);
    int failed = 0;
    if (made && side) failed = relay(e, &t->v, t->v.stride, t->grad, made->data, false, t->fresh);
    else if (made) failed = rnn_target_add(e, t, j->dtype, made->data);
    rnn_drop_block(e, made);
    return failed;
}

int rnn_batch_norm_backward(rnn_engine *e, uint32_t id) {
    const rnn_ext *x = rnn_at(e, id)->ext;
    rnn_view in[2], dz = {.ndim = x->ndim, .dtype = rnn_at(e, id)->dtype};
    rnn_target t;
    rnn_block *temp[2] = {NULL, NULL};
    double *room = NULL;
    norm j = {.e = e, .dtype = dz.dtype, .training = (int)x->ip[0], .stats = x->saved};
    rnn_operand_view(e, id, 0, &in[0]);
    if (x->ip[WEIGHT]) rnn_operand_view(e, id, (int)x->ip[WEIGHT], &in[1]);
    const bool side = lies_short(&in[0]);
    lay(&j, &in[0], side);
    memcpy(dz.shape, x->shape, (size_t)x->ndim * sizeof(int64_t));
    rnn_contiguous_strides(dz.ndim, dz.shape, dz.stride);
    int failed = channel_room(e, &j, x->ip[WEIGHT] ? &in[1] : NULL, NULL, &room);
    if (!failed) failed = operand(e, &in[0], rnn_view_data(e, &in[0]), side, &j.x, &temp[0]);
    if (!failed) failed = operand(e, &dz, rnn_span_grad(e, id), side, &j.dz, &temp[1]);
    if (!failed) failed = rnn_target_begin(e, id, 0, x->n, &t);
    if (!failed) failed = run_backward(e, &j, &t, side);
    if (!failed) failed = end_channels(e, id, (int)x->ip[WEIGHT], &j, 1);
    if (!failed) failed = end_channels(e, id, (int)x->ip[BIAS], &j, 0);
    free(room);
    rnn_drop_block(e, temp[0]);
    rnn_drop_block(e, temp[1]);
    return failed;
}
