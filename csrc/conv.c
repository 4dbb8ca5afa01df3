/* conv.c: two-dimensional convolution (cross-correlation, as PyTorch's conv2d): each image's
 * windows as the columns of a matrix (im2col), then one matrix product a group. Images are what
 * threads share.
 *
 * x (N, C, H, W), weight (O, C / groups, KH, KW), bias (O) or none -> (N, O, OH, OW). The geometry
 * lies in `saved`. */
#include "conv.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNKS = 8 };

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

static void gemm(const conv *c, int ta, int tb, int64_t m, int64_t n, int64_t k, const void *a,
                 int64_t lda, const void *b, int64_t ldb, double beta, void *z, int64_t ldz) {
    if (c->dtype == RNN_F64) rnn_dgemm(&c->env, ta, tb, m, n, k, 1, a, lda, b, ldb, beta, z, ldz);
    else rnn_sgemm(&c->env, ta, tb, m, n, k, 1, a, lda, b, ldb, (float)beta, z, ldz);
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
            rnn_conv_columns(g, c->dtype, image, group, cols, false);
            matrix = cols;
        }
        if (c->b) start_rows(c, out, group * filters, filters);
        gemm(c, 0, 0, filters, places(g), window(g), c->w + group * filters * window(g) * size,
             window(g), matrix, places(g), c->b ? 1 : 0, out, places(g));
    }
}

static char *column_room(conv *c) {
    uint64_t elements, bytes;
    const bool counted = rnn_mul_size((uint64_t)window(c->g), (uint64_t)places(c->g), &elements) &&
                         rnn_mul_size(elements, rnn_itemsize(c->dtype), &bytes);
    char *room = counted ? malloc(bytes + 1) : NULL;
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
            rnn_conv_columns(g, c->dtype, (char *)(uintptr_t)c->x + image, group, cols, false);
            gemm(c, 0, 1, filters, window(g), places(g), dz, places(g), cols, places(g), 1,
                 dw + part, window(g));
        }
        if (c->dx) {
            gemm(c, 1, 0, window(g), places(g), filters, c->w + part, window(g), dz, places(g), 0,
                 cols, places(g));
            rnn_conv_columns(g, c->dtype, c->dx + image, group, cols, true);
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

static int check_operands(rnn_engine *e, const rnn_view *in, int count, const geometry *g) {
    char s[128], t[128];
    int64_t channels;
    if (g->groups < 1) return rnn_fail(e, RNN_ERUNTIME, "non-positive groups is not supported");
    if (g->filters % g->groups)
        return rnn_fail(
            e, RNN_ERUNTIME,
            "Given groups=%lld, expected weight to be divisible by %lld at dimension 0, but "
            "got weight of size [%s] instead",
            (long long)g->groups, (long long)g->groups,
            rnn_shape_text(4, in[WEIGHT].shape, t, sizeof t));
    if (__builtin_mul_overflow(in[WEIGHT].shape[1], g->groups, &channels))
        return rnn_fail(e, RNN_EVALUE, "conv2d: sizes that cannot be counted");
    if (channels != g->channels)
        return rnn_fail(
            e, RNN_ERUNTIME,
            "Given groups=%lld, weight of size %s, expected input%s to have %lld channels, but got %lld "
            "channels instead",
            (long long)g->groups, rnn_shape_text(4, in[WEIGHT].shape, t, sizeof t),
            rnn_shape_text(4, in[X].shape, s, sizeof s), (long long)channels,
            (long long)g->channels);
    if (count > 2 && (in[BIAS].ndim != 1 || in[BIAS].shape[0] != g->filters))
        return rnn_fail(e, RNN_ERUNTIME,
                        "Given weight of size %s, expected bias to be 1-dimensional with %lld "
                        "elements, but got bias of size %s instead",
                        rnn_shape_text(4, in[WEIGHT].shape, t, sizeof t), (long long)g->filters,
                        rnn_shape_text(in[BIAS].ndim, in[BIAS].shape, s, sizeof s));
    return 0;
}

static int take_geometry(rnn_engine *e, const rnn_view *in, int count, const int64_t *p,
                         geometry *g) {
    char s[128], t[128];
    if (in[X].ndim != 4 || in[WEIGHT].ndim != 4)
        return rnn_fail(e, RNN_ERUNTIME, "conv2d: input %s and weight %s must have 4 dimensions",
                        rnn_shape_text(in[X].ndim, in[X].shape, s, sizeof s),
                        rnn_shape_text(in[WEIGHT].ndim, in[WEIGHT].shape, t, sizeof t));
    const int64_t *x = in[X].shape, *w = in[WEIGHT].shape;
    *g = (geometry){.images = x[0],
                    .channels = x[1],
                    .height = x[2],
                    .width = x[3],
                    .filters = w[0],
                    .kernel_h = w[2],
                    .kernel_w = w[3],
                    .groups = p[6],
                    .stride_h = p[0],
                    .stride_w = p[1],
                    .pad_h = p[2],
                    .pad_w = p[3],
                    .dilation_h = p[4],
                    .dilation_w = p[5]};
    int failed = check_operands(e, in, count, g);
    for (int k = 1; !failed && k < count; k++)
        if (in[k].dtype != in[X].dtype) failed = RNN_EDTYPE;
    return failed ? failed : take_places(e, g);
}

static int run_forward(conv *c, const rnn_view *in, int count) {
    rnn_engine *e = c->e;
    rnn_block *temp[3] = {NULL, NULL, NULL};
    int failed = rnn_packed(e, "conv2d", &in[X], &c->x, &temp[X]);
    if (!failed) failed = rnn_packed(e, "conv2d", &in[WEIGHT], &c->w, &temp[WEIGHT]);
    if (!failed && count > 2) failed = rnn_packed(e, "conv2d", &in[BIAS], &c->b, &temp[BIAS]);
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
                   .shape = {g.images, g.filters, g.out_h, g.out_w}};
    if ((failed = rnn_save(e, &b, 1, sizeof g))) return failed;
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
    if (!failed) failed = rnn_packed(e, "conv2d", &in[X], &c.x, &temp[X]);
    if (!failed) failed = rnn_packed(e, "conv2d", &in[WEIGHT], &c.w, &temp[WEIGHT]);
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
