/* pool.c: max_pool2d and avg_pool2d, fused. x (N, C, H, W) -> (N, C, OH, OW); planes are what
 * threads share. `saved`: the geometry, then for max the place in its plane that each output
 * took. */
#include "internal.h"

#include <math.h>
#include <string.h>

typedef struct {
    int64_t planes, height, width, out_h, out_w;
    int64_t kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
    int64_t ceil_mode, count_pad, divisor; /* of avg: include padding in the count; 0: the count */
} geometry;

typedef struct {
    rnn_engine *e;
    const geometry *g;
    int dtype;
    bool max;
    const char *x, *dz;
    char *out; /* forward: the result; backward: dx */
    int64_t *taken;
} pool;

/* The window of one output: rows [h0, h1) and columns [w0, w1), in steps, clipped to the image. */
typedef struct {
    int64_t h0, h1, w0, w1;
    double divisor;
} window;

static window window_of(const geometry *g, int64_t oh, int64_t ow) {
    window w;
    w.h0 = oh * g->stride_h - g->pad_h;
    w.w0 = ow * g->stride_w - g->pad_w;
    w.h1 = w.h0 + (g->kernel_h - 1) * g->dilation_h + 1;
    w.w1 = w.w0 + (g->kernel_w - 1) * g->dilation_w + 1;
    const int64_t h_pad = w.h1 < g->height + g->pad_h ? w.h1 : g->height + g->pad_h;
    const int64_t w_pad = w.w1 < g->width + g->pad_w ? w.w1 : g->width + g->pad_w;
    const int64_t padded = (h_pad - w.h0) * (w_pad - w.w0);
    while (w.h0 < 0) w.h0 += g->dilation_h;
    while (w.w0 < 0) w.w0 += g->dilation_w;
    if (w.h1 > g->height) w.h1 = g->height;
    if (w.w1 > g->width) w.w1 = g->width;
    w.divisor = g->divisor     ? (double)g->divisor
                : g->count_pad ? (double)padded
                               : (double)((w.h1 - w.h0) * (w.w1 - w.w0));
    return w;
}

/* The rows or columns [from, to) of one window, in steps of `dilation`, clipped to the image. */
typedef struct {
    int64_t from, to;
} span;

static span clipped(int64_t from, int64_t kernel, int64_t dilation, int64_t size) {
    const int64_t to = from + (kernel - 1) * dilation + 1;
    while (from < 0) from += dilation;
    return (span){from, to < size ? to : size};
}

enum { RUN = 64 }; /* outputs that are made in step */

/* I: an integer as wide as T. */
#define RNN_POOL_PLANE(T, I, name) \
    /* One output whose window may be clipped. */ \
    static void max_one_##name(const geometry *g, const T *x, span h, span w, T *z, \
                               int64_t *taken) { \
        *taken = h.from * g->width + w.from; \
        *z = -(T)INFINITY; \
        for (int64_t i = h.from; i < h.to; i += g->dilation_h) \
            for (int64_t j = w.from; j < w.to; j += g->dilation_w) { \
                const T v = x[i * g->width + j]; \
                if (v > *z || v != v) *z = v, *taken = i * g->width + j; \
            } \
    } \
    /* `count` outputs side by side, `stride` apart, whose windows begin at column w and lie inside: \
     * in step and without branches, which could not be foreseen. */ \
    static inline void max_run_##name(const geometry *g, const int64_t stride, const T *x, span h, \
                                      int64_t w, int64_t count, T *z, int64_t *taken) { \
        T top[RUN]; \
        I at[RUN]; \
        for (int64_t k = 0; k < count; k++) { \
            top[k] = -(T)INFINITY; \
            at[k] = (I)(h.from * g->width + w + k * stride); \
        } \
        for (int64_t i = h.from; i < h.to; i += g->dilation_h) \
            for (int64_t j = 0; j < g->kernel_w; j++) { \
                const int64_t place = i * g->width + w + j * g->dilation_w; \
                for (int64_t k = 0; k < count; k++) { \
                    const T v = x[place + k * stride]; \
                    const bool take = (v > top[k]) | (v != v); \
                    top[k] = take ? v : top[k]; \
                    at[k] = take ? (I)(place + k * stride) : at[k]; \
                } \
            } \
        for (int64_t k = 0; k < count; k++) z[k] = top[k], taken[k] = at[k]; \
    } \
    static void max_row_##name(const geometry *g, const T *x, span h, T *z, int64_t *taken) { \
        const int64_t reach = (g->kernel_w - 1) * g->dilation_w + 1; \
        for (int64_t ow = 0; ow < g->out_w;) { \
            const int64_t from = ow * g->stride_w - g->pad_w; \
            const int64_t room = g->width - reach - from; \
            int64_t count = from < 0 || room < 0 ? 0 : room / g->stride_w + 1; \
            if (count > g->out_w - ow) count = g->out_w - ow; \
            if (count > RUN) count = RUN; \
            if (count == 0 || g->height * g->width > INT32_MAX) { \
                const span w = clipped(from, g->kernel_w, g->dilation_w, g->width); \
                max_one_##name(g, x, h, w, z + ow, taken + ow); \
                count = 1; \
            } else if (g->stride_w == 1) { \
                max_run_##name(g, 1, x, h, from, count, z + ow, taken + ow); \
            } else if (g->stride_w == 2) { \
                max_run_##name(g, 2, x, h, from, count, z + ow, taken + ow); \
            } else { \
                max_run_##name(g, g->stride_w, x, h, from, count, z + ow, taken + ow); \
            } \
            ow += count; \
        } \
    } \
    static void max_plane_##name(const geometry *g, const T *x, T *z, int64_t *taken) { \
        for (int64_t oh = 0; oh < g->out_h; oh++, z += g->out_w, taken += g->out_w) { \
            const span h = \
                clipped(oh * g->stride_h - g->pad_h, g->kernel_h, g->dilation_h, g->height); \
            max_row_##name(g, x, h, z, taken); \
        } \
    } \
    static void avg_plane_##name(const geometry *g, const T *x, T *z) { \
        for (int64_t i = 0; i < g->out_h * g->out_w; i++) { \
            const window w = window_of(g, i / g->out_w, i % g->out_w); \
            T total = 0; \
            for (int64_t h = w.h0; h < w.h1; h++) \
                for (int64_t v = w.w0; v < w.w1; v++) total += x[h * g->width + v]; \
            z[i] = total / (T)w.divisor; \
        } \
    } \
    static void avg_plane_back_##name(const geometry *g, const T *dz, T *dx) { \
        for (int64_t i = 0; i < g->out_h * g->out_w; i++) { \
            const window w = window_of(g, i / g->out_w, i % g->out_w); \
            const T each = dz[i] / (T)w.divisor; \
            for (int64_t h = w.h0; h < w.h1; h++) \
                for (int64_t v = w.w0; v < w.w1; v++) dx[h * g->width + v] += each; \
        } \
    }
RNN_POOL_PLANE(float, int32_t, f32)
RNN_POOL_PLANE(double, int64_t, f64)

static void forward_task(void *ctx, int64_t begin, int64_t end) {
    const pool *p = ctx;
    const geometry *g = p->g;
    const int64_t size = (int64_t)rnn_itemsize(p->dtype), out = g->out_h * g->out_w;
    for (int64_t i = begin; i < end; i++) {
        const void *x = p->x + i * g->height * g->width * size;
        void *z = p->out + i * out * size;
        if (p->max && p->dtype == RNN_F64) max_plane_f64(g, x, z, p->taken + i * out);
        else if (p->max) max_plane_f32(g, x, z, p->taken + i * out);
        else if (p->dtype == RNN_F64) avg_plane_f64(g, x, z);
        else avg_plane_f32(g, x, z);
    }
}

static void backward_task(void *ctx, int64_t begin, int64_t end) {
    const pool *p = ctx;
    const geometry *g = p->g;
    const int64_t size = (int64_t)rnn_itemsize(p->dtype), out = g->out_h * g->out_w;
    for (int64_t i = begin; i < end; i++) {
        void *dx = p->out + i * g->height * g->width * size;
        const void *dz = p->dz + i * out * size;
        if (p->max && p->dtype == RNN_F64)
            for (int64_t k = 0; k < out; k++)
                ((double *)dx)[p->taken[i * out + k]] += ((const double *)dz)[k];
        else if (p->max)
            for (int64_t k = 0; k < out; k++)
                ((float *)dx)[p->taken[i * out + k]] += ((const float *)dz)[k];
        else if (p->dtype == RNN_F64) avg_plane_back_f64(g, dz, dx);
        else avg_plane_back_f32(g, dz, dx);
    }
}

static int64_t grain(const geometry *g) { return 4096 / (g->height * g->width + 1) + 1; }

/* PyTorch's size: with ceil_mode a last window may hang over, but must start inside the image or
 * its left padding. */
static int64_t out_size(int64_t size, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation,
                        bool ceil_mode) {
    const int64_t room =
        size + 2 * pad - dilation * (kernel - 1) - 1 + (ceil_mode ? stride - 1 : 0);
    int64_t out = (room >= 0 ? room / stride : -((stride - 1 - room) / stride)) + 1;
    if (ceil_mode && (out - 1) * stride >= size + pad) out--;
    return out;
}

static int take_geometry(rnn_engine *e, const rnn_view *x, const int64_t *p, geometry *g) {
    if (x->ndim != 4)
        return rnn_fail(e, RNN_ERUNTIME, "pooling: the input has %d dimensions, not 4", x->ndim);
    *g = (geometry){x->shape[0] * x->shape[1],
                    x->shape[2],
                    x->shape[3],
                    0,
                    0,
                    p[0],
                    p[1],
                    p[2],
                    p[3],
                    p[4],
                    p[5],
                    p[6],
                    p[7],
                    p[8],
                    p[9],
                    p[10]};
    if (p[0] < 1 || p[1] < 1)
        return rnn_fail(e, RNN_ERUNTIME,
                        "kernel size should be greater than zero, but got kH: %lld kW: %lld",
                        (long long)p[0], (long long)p[1]);
    if (p[2] < 1 || p[3] < 1) return rnn_fail(e, RNN_ERUNTIME, "stride should not be zero");
    if (g->dilation_h < 1 || g->dilation_w < 1)
        return rnn_fail(
            e, RNN_ERUNTIME,
            "dilation should be greater than zero, but got dilationH: %lld dilationW: %lld",
            (long long)g->dilation_h, (long long)g->dilation_w);
    for (int i = 0; i < 11; i++)
        if (p[i] > (int64_t)1 << 31)
            return rnn_fail(e, RNN_EVALUE, "pooling: sizes that cannot be counted");
    for (int i = 1; i >= 0; i--) {
        const int64_t pad = p[4 + i], effective = (p[i] - 1) * p[6 + i] + 1;
        if (pad < 0)
            return rnn_fail(e, RNN_ERUNTIME, "pad must be non-negative, but got pad: %lld",
                            (long long)pad);
        if (pad > effective / 2)
            return rnn_fail(
                e, RNN_ERUNTIME,
                "pad should be at most half of effective kernel size, but got pad=%lld, "
                "kernel_size=%lld and dilation=%lld",
                (long long)pad, (long long)p[i], (long long)p[6 + i]);
        if (pad > p[i] / 2)
            return rnn_fail(e, RNN_ERUNTIME,
                            "pad should be smaller than or equal to half of kernel size, but got "
                            "padW = %lld, padH = %lld, kW = %lld, kH = %lld",
                            (long long)p[5], (long long)p[4], (long long)p[1], (long long)p[0]);
    }
    g->out_h = out_size(g->height, g->kernel_h, g->stride_h, g->pad_h, g->dilation_h, g->ceil_mode);
    g->out_w = out_size(g->width, g->kernel_w, g->stride_w, g->pad_w, g->dilation_w, g->ceil_mode);
    if (g->out_h < 1 || g->out_w < 1)
        return rnn_fail(e, RNN_ERUNTIME,
                        "Given input size: (%lldx%lldx%lld). Calculated output size: "
                        "(%lldx%lldx%lld). Output size is too small",
                        (long long)x->shape[1], (long long)g->height, (long long)g->width,
                        (long long)x->shape[1], (long long)g->out_h, (long long)g->out_w);
    return 0;
}

rnn_ref rnn_pool2d(rnn_engine *e, rnn_ref ref, const int64_t *parameters, int max, int64_t *taken) {
    rnn_view x;
    geometry g;
    if (rnn_view_of(e, ref, &x)) return RNN_ETYPE;
    int failed = take_geometry(e, &x, parameters, &g);
    if (failed) return failed;
    if (rnn_resolution() && !taken) return RNN_COMPOSE;
    rnn_build b = {.op = max ? RNN_OP_MAX_POOL2D : RNN_OP_AVG_POOL2D,
                   .dtype = x.dtype,
                   .ndim = 4,
                   .count = 1,
                   .in = &x,
                   .shape = {x.shape[0], x.shape[1], g.out_h, g.out_w}};
    if ((failed = rnn_check_shape(e, "pooling", 4, b.shape, &b.n))) return failed;
    const int64_t numbers = (int64_t)(sizeof g / sizeof(int64_t)) + (max ? b.n : 0);
    if ((failed = rnn_save(e, &b, numbers, sizeof(int64_t)))) return failed;
    memcpy(b.saved, &g, sizeof g);
    if ((failed = rnn_build_begin(e, &b))) return failed;
    pool p = {.e = e,
              .g = &g,
              .dtype = x.dtype,
              .max = max,
              .out = b.out,
              .taken = (int64_t *)(void *)((char *)b.saved + sizeof g)};
    rnn_block *temp;
    if ((failed = rnn_packed(e, "pooling", &x, &p.x, &temp))) {
        rnn_build_abort(e, &b);
        return failed;
    }
    rnn_parallel_for(e->pool, g.planes, grain(&g), forward_task, &p);
    rnn_drop_block(e, temp);
    if (max && taken) memcpy(taken, p.taken, (size_t)b.n * sizeof(int64_t));
    return rnn_build_finish(e, &b);
}

static int pool_backward(rnn_engine *e, uint32_t id, bool max) {
    const rnn_span *s = rnn_at(e, id);
    const geometry *g = s->ext->saved;
    rnn_target t;
    int failed = rnn_target_zero(e, id, 0, &t);
    if (failed || !t.wanted) return failed;
    pool p = {.e = e,
              .g = g,
              .dtype = s->dtype,
              .max = max,
              .dz = rnn_span_grad(e, id),
              .out = t.grad,
              .taken = (int64_t *)(void *)((char *)s->ext->saved + sizeof *g)};
    rnn_block *temp = NULL;
    if (!rnn_view_is_contiguous(&t.v)) {
        const int64_t n = rnn_numel(t.v.ndim, t.v.shape);
        temp = rnn_block_new(e, "pooling backward", n, s->dtype);
        if (!temp) return RNN_EMEMORY;
        memset(temp->data, 0, (size_t)n * rnn_itemsize(s->dtype));
        p.out = temp->data;
    }
    rnn_parallel_for(e->pool, g->planes, grain(g), backward_task, &p);
    if (temp) failed = rnn_target_add(e, &t, s->dtype, temp->data);
    rnn_drop_block(e, temp);
    return failed;
}

int rnn_max_pool2d_backward(rnn_engine *e, uint32_t id) { return pool_backward(e, id, true); }
int rnn_avg_pool2d_backward(rnn_engine *e, uint32_t id) { return pool_backward(e, id, false); }

int rnn_max_pool2d_edges(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out) {
    const rnn_ext *x = rnn_at(e, id)->ext;
    const geometry *g = x->saved;
    const int64_t *taken = (const int64_t *)(const void *)((const char *)x->saved + sizeof *g);
    const int64_t plane = node / (g->out_h * g->out_w);
    rnn_view in;
    rnn_operand_view(e, id, 0, &in);
    rnn_push_edge(e, out, &in, rnn_flat_to_offset(&in, plane * g->height * g->width + taken[node]),
                  1);
    return 0;
}

int rnn_avg_pool2d_edges(rnn_engine *e, uint32_t id, int64_t node, rnn_edge_list *out) {
    const geometry *g = rnn_at(e, id)->ext->saved;
    const int64_t place = node % (g->out_h * g->out_w), plane = node / (g->out_h * g->out_w);
    const window w = window_of(g, place / g->out_w, place % g->out_w);
    rnn_view in;
    rnn_operand_view(e, id, 0, &in);
    for (int64_t h = w.h0; h < w.h1; h++)
        for (int64_t v = w.w0; v < w.w1; v++)
            rnn_push_edge(e, out, &in,
                          rnn_flat_to_offset(&in, (plane * g->height + h) * g->width + v),
                          1 / w.divisor);
    return 0;
}

int rnn_max_pool2d_uses(rnn_engine *e, uint32_t id, int k, int64_t node, rnn_use_list *out) {
    const geometry *g = rnn_at(e, id)->ext->saved;
    const int64_t *taken = (const int64_t *)(const void *)((const char *)g + sizeof *g);
    const int64_t plane = g->height * g->width, count = g->out_h * g->out_w;
    rnn_view in;
    rnn_places p;
    rnn_operand_view(e, id, k, &in);
    for (rnn_places_begin(&p, &in, node); rnn_places_next(&p);) {
        const int64_t flat = rnn_place_flat(&p), first = flat / plane * count;
        for (int64_t i = first; i < first + count; i++)
            if (taken[i] == flat % plane) rnn_push_use(out, i, 1);
    }
    return 0;
}

int rnn_avg_pool2d_uses(rnn_engine *e, uint32_t id, int k, int64_t node, rnn_use_list *out) {
    const geometry *g = rnn_at(e, id)->ext->saved;
    const int64_t plane = g->height * g->width, count = g->out_h * g->out_w;
    rnn_view in;
    rnn_places p;
    rnn_operand_view(e, id, k, &in);
    for (rnn_places_begin(&p, &in, node); rnn_places_next(&p);) {
        const int64_t flat = rnn_place_flat(&p), first = flat / plane * count;
        const int64_t h = flat % plane / g->width, v = flat % g->width;
        for (int64_t i = 0; i < count; i++) {
            const window w = window_of(g, i / g->out_w, i % g->out_w);
            if (h >= w.h0 && h < w.h1 && v >= w.w0 && v < w.w1)
                rnn_push_use(out, first + i, 1 / w.divisor);
        }
    }
    return 0;
}
