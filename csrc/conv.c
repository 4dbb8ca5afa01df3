/* conv.c: two-dimensional convolution (cross-correlation, as PyTorch's conv2d): each image's
 * windows as the columns of a matrix (im2col), then one matrix product a group. Images are what
 * threads share.
 *
 * x (N, C, H, W), weight (O, C / groups, KH, KW), bias (O) or none -> (N, O, OH, OW). The geometry
 * lies in `saved`. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

enum { X, WEIGHT, BIAS, CHUNKS = 8 };

typedef struct {
    int64_t images, channels, height, width;     /* of x */
    int64_t filters, kernel_h, kernel_w, groups; /* of the weight */
    int64_t out_h, out_w;
    int64_t stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
} geometry;

typedef struct {
    rnn_engine *e;
    const geometry *g;
    int dtype, failed, add;
    const char *x, *w, *b, *dz;
    char *out;        /* forward: the result */
    char *dx, *dw;    /* backward; NULL: not wanted. dw: one sum for each chunk of images */
    double *db;       /* likewise */
    rnn_gemm_env env; /* one thread where images are shared */
} conv;

static int64_t window(const geometry *g) {
    return g->channels / g->groups * g->kernel_h * g->kernel_w;
}
static int64_t places(const geometry *g) { return g->out_h * g->out_w; }

static void gemm(const conv *c, int ta, int tb, int64_t m, int64_t n, int64_t k, const void *a,
                 int64_t lda, const void *b, int64_t ldb, double beta, void *z, int64_t ldz) {
    if (c->dtype == RNN_F64) rnn_dgemm(&c->env, ta, tb, m, n, k, 1, a, lda, b, ldb, beta, z, ldz);
    else rnn_sgemm(&c->env, ta, tb, m, n, k, 1, a, lda, b, ldb, (float)beta, z, ldz);
}

/* First and one past the last output column whose window column `k` lies inside the image. */
static void inside(int64_t k, int64_t dilation, int64_t stride, int64_t pad, int64_t size,
                   int64_t out, int64_t *from, int64_t *to) {
    const int64_t shift = k * dilation - pad; /* input = output * stride + shift */
    *from = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
    *to = size - shift <= 0 ? 0 : (size - shift - 1) / stride + 1;
    if (*from > out) *from = out;
    if (*to > out) *to = out;
    if (*to < *from) *to = *from;
}

/* Most runs are a few elements long, so that a call to memcpy costs more than the copy. What is
 * left behind the last whole SOME is taken with elements that were copied before. */
#define RNN_COPY_RUN(T, name) \
    static void copy_run_##name(T *to, const T *from, int64_t n) { \
        enum { SOME = 4 }; \
        if (n > 64) { \
            memcpy(to, from, (size_t)n * sizeof(T)); \
            return; \
        } \
        if (n < SOME) { \
            for (int64_t i = 0; i < n; i++) to[i] = from[i]; \
            return; \
        } \
        for (int64_t i = 0; i + SOME <= n; i += SOME) memcpy(to + i, from + i, SOME * sizeof(T)); \
        memcpy(to + n - SOME, from + n - SOME, SOME * sizeof(T)); \
    }
RNN_COPY_RUN(float, f32)
RNN_COPY_RUN(double, f64)

/* One row of the column matrix: channel plane `x` shifted by (kh, kw), zeros outside. */
#define RNN_COLUMN_ROWS(T, name) \
    static void take_row_##name(const geometry *g, int64_t kh, int64_t kw, const T *x, T *row) { \
        int64_t from, to; \
        inside(kw, g->dilation_w, g->stride_w, g->pad_w, g->width, g->out_w, &from, &to); \
        for (int64_t oh = 0; oh < g->out_h; oh++, row += g->out_w) { \
            const int64_t ih = oh * g->stride_h + kh * g->dilation_h - g->pad_h; \
            if (ih < 0 || ih >= g->height) { \
                memset(row, 0, (size_t)g->out_w * sizeof(T)); \
                continue; \
            } \
            const T *line = x + ih * g->width + kw * g->dilation_w - g->pad_w; \
            for (int64_t ow = 0; ow < from; ow++) row[ow] = 0; \
            if (g->stride_w == 1) copy_run_##name(row + from, line + from, to - from); \
            else \
                for (int64_t ow = from; ow < to; ow++) row[ow] = line[ow * g->stride_w]; \
            for (int64_t ow = to; ow < g->out_w; ow++) row[ow] = 0; \
        } \
    } \
    static void add_row_##name(const geometry *g, int64_t kh, int64_t kw, T *x, const T *row) { \
        int64_t from, to; \
        inside(kw, g->dilation_w, g->stride_w, g->pad_w, g->width, g->out_w, &from, &to); \
        for (int64_t oh = 0; oh < g->out_h; oh++, row += g->out_w) { \
            const int64_t ih = oh * g->stride_h + kh * g->dilation_h - g->pad_h; \
            if (ih < 0 || ih >= g->height) continue; \
            T *line = x + ih * g->width + kw * g->dilation_w - g->pad_w; \
            if (g->stride_w == 1) \
                for (int64_t ow = from; ow < to; ow++) line[ow] += row[ow]; \
            else \
                for (int64_t ow = from; ow < to; ow++) line[ow * g->stride_w] += row[ow]; \
        } \
    }
RNN_COLUMN_ROWS(float, f32)
RNN_COLUMN_ROWS(double, f64)

/* columns (C/groups * KH * KW, OH * OW) of one image and group; or, `back`, added from there into
 * the image */
static void columns(const conv *c, char *image, int64_t group, char *cols, bool back) {
    const geometry *g = c->g;
    const int64_t size = (int64_t)rnn_itemsize(c->dtype), each = g->channels / g->groups;
    const int64_t row = places(g) * size, plane = g->height * g->width * size;
    for (int64_t i = 0; i < each; i++) {
        char *x = image + (group * each + i) * plane;
        for (int64_t k = 0; k < g->kernel_h * g->kernel_w; k++, cols += row) {
            const int64_t kh = k / g->kernel_w, kw = k % g->kernel_w;
            void *to = x, *at = cols;
            if (c->dtype == RNN_F64 && back) add_row_f64(g, kh, kw, to, at);
            else if (c->dtype == RNN_F64) take_row_f64(g, kh, kw, to, at);
            else if (back) add_row_f32(g, kh, kw, to, at);
            else take_row_f32(g, kh, kw, to, at);
        }
    }
}

/* A 1x1 kernel over every place: the image is its own column matrix. */
static bool is_pointwise(const geometry *g) {
    return g->kernel_h == 1 && g->kernel_w == 1 && g->stride_h == 1 && g->stride_w == 1 &&
           !g->pad_h && !g->pad_w;
}

static void start_rows(const conv *c, char *out, int64_t first, int64_t count) {
    for (int64_t o = 0; o < count; o++) {
        for (int64_t i = 0; i < places(c->g); i++) {
            if (c->dtype == RNN_F64)
                ((double *)(void *)out)[o * places(c->g) + i] =
                    ((const double *)(const void *)c->b)[first + o];
            else
                ((float *)(void *)out)[o * places(c->g) + i] =
                    ((const float *)(const void *)c->b)[first + o];
        }
    }
}

static void forward_image(const conv *c, int64_t n, char *cols) {
    const geometry *g = c->g;
    const int64_t size = (int64_t)rnn_itemsize(c->dtype), filters = g->filters / g->groups;
    char *image = (char *)(uintptr_t)c->x + n * g->channels * g->height * g->width * size;
    for (int64_t group = 0; group < g->groups; group++) {
        char *out = c->out + (n * g->filters + group * filters) * places(g) * size;
        const char *matrix =
            image + group * (g->channels / g->groups) * g->height * g->width * size;
        if (!is_pointwise(g)) {
            columns(c, image, group, cols, false);
            matrix = cols;
        }
        if (c->b) start_rows(c, out, group * filters, filters);
        gemm(c, 0, 0, filters, places(g), window(g), c->w + group * filters * window(g) * size,
             window(g), matrix, places(g), c->b ? 1 : 0, out, places(g));
    }
}

static char *column_room(conv *c) {
    char *room = malloc((size_t)window(c->g) * (size_t)places(c->g) * rnn_itemsize(c->dtype) + 1);
    if (!room) __atomic_store_n(&c->failed, 1, __ATOMIC_RELAXED);
    return room;
}

static void forward_task(void *ctx, int64_t begin, int64_t end) {
    conv *c = ctx;
    char *cols = column_room(c);
    for (int64_t n = begin; cols && n < end; n++) forward_image(c, n, cols);
    free(cols);
}

/* ---- backward: dw += dz cols^T; dx += col2im(w^T dz); db += the sums of dz's planes ---------- */

static void bias_image(const conv *c, int64_t n, double *db) {
    const geometry *g = c->g;
    const int64_t plane = places(g) * (int64_t)rnn_itemsize(c->dtype);
    const char *dz = c->dz + n * g->filters * plane;
    for (int64_t o = 0; o < g->filters; o++, dz += plane)
        db[o] += c->e->k->sum[c->dtype](places(g), dz);
}

static void backward_image(const conv *c, int64_t n, char *cols, char *dw) {
    const geometry *g = c->g;
    const int64_t size = (int64_t)rnn_itemsize(c->dtype), filters = g->filters / g->groups;
    const int64_t image = n * g->channels * g->height * g->width * size;
    for (int64_t group = 0; group < g->groups; group++) {
        const char *dz = c->dz + (n * g->filters + group * filters) * places(g) * size;
        const int64_t part = group * filters * window(g) * size;
        if (dw) {
            columns(c, (char *)(uintptr_t)c->x + image, group, cols, false);
            gemm(c, 0, 1, filters, window(g), places(g), dz, places(g), cols, places(g), 1,
                 dw + part, window(g));
        }
        if (c->dx) {
            gemm(c, 1, 0, window(g), places(g), filters, c->w + part, window(g), dz, places(g), 0,
                 cols, places(g));
            columns(c, c->dx + image, group, cols, true);
        }
    }
}

static void backward_task(void *ctx, int64_t begin, int64_t end) {
    conv *c = ctx;
    const geometry *g = c->g;
    const int64_t each = (g->images + CHUNKS - 1) / CHUNKS;
    const size_t bytes = (size_t)(g->filters * window(g)) * rnn_itemsize(c->dtype);
    char *cols = column_room(c);
    for (int64_t chunk = begin; cols && chunk < end; chunk++)
        for (int64_t n = chunk * each; n < (chunk + 1) * each && n < g->images; n++) {
            if (c->db) bias_image(c, n, c->db + chunk * g->filters);
            backward_image(c, n, cols, c->dw ? c->dw + (size_t)chunk * bytes : NULL);
        }
    free(cols);
}

/* ---- tensors --------------------------------------------------------------------------------- */

static int contiguous(rnn_engine *e, const rnn_view *v, const char **data, rnn_block **temp) {
    *temp = NULL;
    *data = rnn_view_data(e, v);
    if (rnn_view_is_contiguous(v)) return 0;
    *temp = rnn_block_new(e, "conv2d", rnn_numel(v->ndim, v->shape), v->dtype);
    if (!*temp) return RNN_EMEMORY;
    *data = (*temp)->data;
    return rnn_pack_view(e, v, (*temp)->data);
}

/* The sizes of the padded image and of the dilated kernel in one dimension. */
static int take_reach(rnn_engine *e, int64_t size, int64_t kernel, int64_t stride, int64_t pad,
                      int64_t dilation, int64_t *padded, int64_t *reach) {
    if (pad < 0) return rnn_fail(e, RNN_ERUNTIME, "negative padding is not supported");
    if (stride < 1) return rnn_fail(e, RNN_ERUNTIME, "non-positive stride is not supported");
    if (dilation < 1) return rnn_fail(e, RNN_ERUNTIME, "non-positive dilation is not supported");
    if (__builtin_mul_overflow(dilation, kernel - 1, reach) ||
        __builtin_mul_overflow(pad, 2, padded) || __builtin_add_overflow(*padded, size, padded) ||
        __builtin_add_overflow(*reach, 1, reach))
        return rnn_fail(e, RNN_EVALUE, "conv2d: sizes that cannot be counted");
    return 0;
}

static int take_places(rnn_engine *e, geometry *g) {
    int64_t height = 0, width = 0, reach_h = 0, reach_w = 0;
    int failed = take_reach(e, g->height, g->kernel_h, g->stride_h, g->pad_h, g->dilation_h,
                            &height, &reach_h);
    if (!failed)
        failed = take_reach(e, g->width, g->kernel_w, g->stride_w, g->pad_w, g->dilation_w, &width,
                            &reach_w);
    if (failed) return failed;
    if (height < reach_h || width < reach_w)
        return rnn_fail(
            e, RNN_ERUNTIME,
            "Calculated padded input size per channel: (%lld x %lld). Kernel size: (%lld x %lld). Kernel size "
            "can't be greater than actual input size",
            (long long)height, (long long)width, (long long)reach_h, (long long)reach_w);
    g->out_h = (height - reach_h) / g->stride_h + 1;
    g->out_w = (width - reach_w) / g->stride_w + 1;
    return 0;
}

static int take_geometry(rnn_engine *e, const rnn_view *in, int count, const int64_t *p,
                         geometry *g) {
    char s[128], t[128];
    if (in[X].ndim != 4 || in[WEIGHT].ndim != 4)
        return rnn_fail(e, RNN_ERUNTIME, "conv2d: input %s and weight %s must have 4 dimensions",
                        rnn_shape_text(in[X].ndim, in[X].shape, s, sizeof s),
                        rnn_shape_text(in[WEIGHT].ndim, in[WEIGHT].shape, t, sizeof t));
    *g = (geometry){in[X].shape[0],
                    in[X].shape[1],
                    in[X].shape[2],
                    in[X].shape[3],
                    in[WEIGHT].shape[0],
                    in[WEIGHT].shape[2],
                    in[WEIGHT].shape[3],
                    p[6],
                    0,
                    0,
                    p[0],
                    p[1],
                    p[2],
                    p[3],
                    p[4],
                    p[5]};
    if (g->groups < 1) return rnn_fail(e, RNN_ERUNTIME, "non-positive groups is not supported");
    if (g->filters % g->groups)
        return rnn_fail(
            e, RNN_ERUNTIME,
            "Given groups=%lld, expected weight to be divisible by %lld at dimension 0, but "
            "got weight of size [%s] instead",
            (long long)g->groups, (long long)g->groups,
            rnn_shape_text(4, in[WEIGHT].shape, t, sizeof t));
    if (in[WEIGHT].shape[1] * g->groups != g->channels)
        return rnn_fail(
            e, RNN_ERUNTIME,
            "Given groups=%lld, weight of size %s, expected input%s to have %lld channels, but got %lld "
            "channels instead",
            (long long)g->groups, rnn_shape_text(4, in[WEIGHT].shape, t, sizeof t),
            rnn_shape_text(4, in[X].shape, s, sizeof s),
            (long long)(in[WEIGHT].shape[1] * g->groups), (long long)g->channels);
    if (count > 2 && (in[BIAS].ndim != 1 || in[BIAS].shape[0] != g->filters))
        return rnn_fail(e, RNN_ERUNTIME,
                        "Given weight of size %s, expected bias to be 1-dimensional with %lld "
                        "elements, but got bias of size %s instead",
                        rnn_shape_text(4, in[WEIGHT].shape, t, sizeof t), (long long)g->filters,
                        rnn_shape_text(in[BIAS].ndim, in[BIAS].shape, s, sizeof s));
    for (int k = 1; k < count; k++)
        if (in[k].dtype != in[X].dtype) return RNN_EDTYPE;
    return take_places(e, g);
}

static int run_forward(conv *c, const rnn_view *in, int count) {
    rnn_engine *e = c->e;
    rnn_block *temp[3] = {NULL, NULL, NULL};
    int failed = contiguous(e, &in[X], &c->x, &temp[X]);
    if (!failed) failed = contiguous(e, &in[WEIGHT], &c->w, &temp[WEIGHT]);
    if (!failed && count > 2) failed = contiguous(e, &in[BIAS], &c->b, &temp[BIAS]);
    if (!failed) {
        c->env = e->gemm;
        if (c->g->images > 1) c->env.pool = NULL;
        rnn_parallel_for(e->pool, c->g->images, 1, forward_task, c);
        if (c->failed)
            failed = rnn_fail(e, RNN_EMEMORY, "conv2d: no memory for the windows of an image");
    }
    for (int k = X; k <= BIAS; k++) rnn_drop_block(e, temp[k]);
    return failed;
}

rnn_ref rnn_conv2d(rnn_engine *e, rnn_ref x, rnn_ref weight, rnn_ref bias,
                   const int64_t *parameters) {
    rnn_view in[3];
    geometry g;
    if (rnn_view_of(e, x, &in[X]) || rnn_view_of(e, weight, &in[WEIGHT])) return RNN_ETYPE;
    if (bias && rnn_view_of(e, bias, &in[BIAS])) return RNN_ETYPE;
    int failed = take_geometry(e, in, bias ? 3 : 2, parameters, &g);
    if (failed) return failed;
    if (rnn_resolution()) return RNN_COMPOSE;
    rnn_build b = {.op = RNN_OP_CONV2D,
                   .dtype = in[X].dtype,
                   .ndim = 4,
                   .count = bias ? 3 : 2,
                   .in = in,
                   .shape = {g.images, g.filters, g.out_h, g.out_w},
                   .saved_bytes = sizeof g};
    b.saved = rnn_malloc(e, sizeof g);
    if (!b.saved) return rnn_fail(e, RNN_EMEMORY, "conv2d: no memory for the record of a span");
    memcpy(b.saved, &g, sizeof g);
    if ((failed = rnn_build_begin(e, &b))) return failed;
    conv c = {.e = e, .g = &g, .dtype = b.dtype, .out = b.out};
    failed = run_forward(&c, in, b.count);
    if (!failed) return rnn_build_finish(e, &b);
    rnn_build_abort(e, &b);
    return failed;
}

/* The bias's gradient gains the chunks' sums. */
static void add_bias_sums(const conv *c, const rnn_target *t) {
    for (int64_t o = 0; o < c->g->filters; o++) {
        const int64_t at = o * t->v.stride[0];
        double total = 0;
        for (int i = 0; i < CHUNKS; i++) total += c->db[i * c->g->filters + o];
        if (c->dtype == RNN_F64) ((double *)t->grad)[at] += total;
        else ((float *)t->grad)[at] = (float)(((float *)t->grad)[at] + total);
    }
}

/* Of an operand that may be missing. */
static int bias_target(const conv *c, uint32_t id, rnn_target *t) {
    t->wanted = false;
    return rnn_at(c->e, id)->ext->count < 3 ? 0 : rnn_target_zero(c->e, id, BIAS, t);
}

/* Room for what an operand's gradient gains, zeroed: `copies` of it. */
static int gradient_room(rnn_engine *e, const rnn_target *t, int copies, rnn_block **block) {
    const int64_t n = rnn_numel(t->v.ndim, t->v.shape) * copies;
    *block = NULL;
    if (!t->wanted) return 0;
    *block = rnn_block_new(e, "conv2d backward", n, t->v.dtype);
    if (!*block) return RNN_EMEMORY;
    memset((*block)->data, 0, (size_t)n * rnn_itemsize(t->v.dtype));
    return 0;
}

static int run_backward(conv *c, const rnn_target *tx, const rnn_target *tw, const rnn_target *tb,
                        rnn_block *dx, rnn_block *dw) {
    rnn_engine *e = c->e;
    const size_t bytes = (size_t)(c->g->filters * window(c->g)) * rnn_itemsize(c->dtype);
    c->env = e->gemm;
    if (c->g->images > 1) c->env.pool = NULL;
    c->dx = dx ? dx->data : tx->wanted ? tx->grad : NULL;
    c->dw = dw ? dw->data : NULL;
    c->db = tb->wanted ? calloc((size_t)c->g->filters * CHUNKS + 1, sizeof(double)) : NULL;
    if (tb->wanted && !c->db) c->failed = 1;
    else rnn_parallel_for(e->pool, CHUNKS, 1, backward_task, c);
    if (c->db && !c->failed) add_bias_sums(c, tb);
    free(c->db);
    if (c->failed) return rnn_fail(e, RNN_EMEMORY, "conv2d: no memory for the windows of an image");
    int failed = dx ? rnn_target_add(e, tx, c->dtype, dx->data) : 0;
    for (int i = 0; i < CHUNKS && dw && !failed; i++)
        failed = rnn_target_add(e, tw, c->dtype, (char *)dw->data + (size_t)i * bytes);
    return failed;
}

int rnn_conv2d_backward(rnn_engine *e, uint32_t id) {
    const rnn_span *s = rnn_at(e, id);
    rnn_view in[2];
    rnn_target tx, tw, tb;
    rnn_block *temp[2] = {NULL, NULL}, *dx = NULL, *dw = NULL;
    conv c = {.e = e, .g = s->ext->saved, .dtype = s->dtype, .dz = rnn_span_grad(e, id)};
    for (int k = X; k <= WEIGHT; k++) rnn_operand_view(e, id, k, &in[k]);
    int failed = bias_target(&c, id, &tb);
    if (!failed) failed = rnn_target_zero(e, id, X, &tx);
    if (!failed) failed = rnn_target_zero(e, id, WEIGHT, &tw);
    if (!failed) failed = contiguous(e, &in[X], &c.x, &temp[X]);
    if (!failed) failed = contiguous(e, &in[WEIGHT], &c.w, &temp[WEIGHT]);
    if (!failed && tx.wanted && !rnn_view_is_contiguous(&tx.v))
        failed = gradient_room(e, &tx, 1, &dx);
    if (!failed) failed = gradient_room(e, &tw, CHUNKS, &dw);
    if (!failed) failed = run_backward(&c, &tx, &tw, &tb, dx, dw);
    rnn_drop_block(e, temp[X]);
    rnn_drop_block(e, temp[WEIGHT]);
    rnn_drop_block(e, dx);
    rnn_drop_block(e, dw);
    return failed;
}

/* out = bias + sum over c, kh, kw of weight x */
int rnn_conv2d_edges(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out) {
    const rnn_ext *x = rnn_at(e, id)->ext;
    const geometry *g = x->saved;
    rnn_view in[3];
    int64_t at[4];
    for (int k = 0; k < x->count; k++) rnn_operand_view(e, id, k, &in[k]);
    rnn_result_index(x, node, at);
    const int64_t each = g->channels / g->groups, group = at[1] / (g->filters / g->groups);
    for (int64_t i = 0; i < each * g->kernel_h * g->kernel_w; i++) {
        const int64_t channel = i / (g->kernel_h * g->kernel_w),
                      k = i % (g->kernel_h * g->kernel_w);
        const int64_t kh = k / g->kernel_w, kw = k % g->kernel_w;
        const int64_t ih = at[2] * g->stride_h + kh * g->dilation_h - g->pad_h;
        const int64_t iw = at[3] * g->stride_w + kw * g->dilation_w - g->pad_w;
        if (ih < 0 || ih >= g->height || iw < 0 || iw >= g->width) continue;
        const int64_t *s = in[X].stride, *t = in[WEIGHT].stride;
        const int64_t xn =
            in[X].offset + at[0] * s[0] + (group * each + channel) * s[1] + ih * s[2] + iw * s[3];
        const int64_t wn =
            in[WEIGHT].offset + at[1] * t[0] + channel * t[1] + kh * t[2] + kw * t[3];
        rnn_push_edge(e, out, &in[X], xn, rnn_node_value(e, in[WEIGHT].span, wn));
        rnn_push_edge(e, out, &in[WEIGHT], wn, rnn_node_value(e, in[X].span, xn));
    }
    if (x->count > 2)
        rnn_push_edge(e, out, &in[BIAS], in[BIAS].offset + at[1] * in[BIAS].stride[0], 1);
    return 0;
}

/* ---- uses ------------------------------------------------------------------------------------ */

static double value_of(rnn_engine *e, const rnn_view *v, int64_t a, int64_t b, int64_t c,
                       int64_t d) {
    const int64_t *s = v->stride;
    return rnn_node_value(e, v->span, v->offset + a * s[0] + b * s[1] + c * s[2] + d * s[3]);
}

/* The output row (or column) that reads input `at` through kernel place k; -1: none does. */
static int64_t reader(int64_t at, int64_t k, int64_t dilation, int64_t stride, int64_t pad,
                      int64_t out) {
    const int64_t shifted = at - k * dilation + pad;
    return shifted < 0 || shifted % stride || shifted / stride >= out ? -1 : shifted / stride;
}

static int64_t out_node(const geometry *g, int64_t n, int64_t o, int64_t h, int64_t w) {
    return ((n * g->filters + o) * g->out_h + h) * g->out_w + w;
}

static void input_uses(rnn_engine *e, const geometry *g, const rnn_view *weight, const int64_t *at,
                       rnn_use_list *out) {
    const int64_t each = g->channels / g->groups, filters = g->filters / g->groups;
    const int64_t group = at[1] / each;
    for (int64_t kh = 0; kh < g->kernel_h; kh++) {
        const int64_t h = reader(at[2], kh, g->dilation_h, g->stride_h, g->pad_h, g->out_h);
        for (int64_t kw = 0; kw < g->kernel_w && h >= 0; kw++) {
            const int64_t w = reader(at[3], kw, g->dilation_w, g->stride_w, g->pad_w, g->out_w);
            for (int64_t o = group * filters; o < (group + 1) * filters && w >= 0; o++)
                rnn_push_use(out, out_node(g, at[0], o, h, w),
                             value_of(e, weight, o, at[1] % each, kh, kw));
        }
    }
}

static void weight_uses(rnn_engine *e, const geometry *g, const rnn_view *x, const int64_t *at,
                        rnn_use_list *out) {
    const int64_t channel = at[0] / (g->filters / g->groups) * (g->channels / g->groups) + at[1];
    for (int64_t i = 0; i < g->images * places(g); i++) {
        const int64_t n = i / places(g), h = i % places(g) / g->out_w, w = i % g->out_w;
        const int64_t ih = h * g->stride_h + at[2] * g->dilation_h - g->pad_h;
        const int64_t iw = w * g->stride_w + at[3] * g->dilation_w - g->pad_w;
        if (ih >= 0 && ih < g->height && iw >= 0 && iw < g->width)
            rnn_push_use(out, out_node(g, n, at[0], h, w), value_of(e, x, n, channel, ih, iw));
    }
}

int rnn_conv2d_uses(rnn_engine *e, uint32_t id, int k, int64_t node, rnn_use_list *out) {
    const geometry *g = rnn_at(e, id)->ext->saved;
    rnn_view v, other;
    rnn_places p;
    rnn_operand_view(e, id, k, &v);
    rnn_operand_view(e, id, k == X ? WEIGHT : X, &other);
    for (rnn_places_begin(&p, &v, node); rnn_places_next(&p);) {
        if (k == X) input_uses(e, g, &other, p.index, out);
        else if (k == WEIGHT) weight_uses(e, g, &other, p.index, out);
        for (int64_t i = 0; k == BIAS && i < g->images * places(g); i++)
            rnn_push_use(out, (i / places(g) * g->filters + p.index[0]) * places(g) + i % places(g),
                         1);
    }
    return 0;
}

/* stride, padding, dilation (height and width of each), groups */
int64_t rnn_conv2d_numbers(const rnn_ext *x, int64_t capacity, int64_t *out) {
    const geometry *g = x->saved;
    const int64_t numbers[] = {g->stride_h,   g->stride_w,   g->pad_h, g->pad_w,
                               g->dilation_h, g->dilation_w, g->groups};
    return rnn_copy_numbers(7, numbers, capacity, out);
}
