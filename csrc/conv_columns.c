/* conv_columns.c: an image's windows as the columns of a matrix (im2col), and back. */
#include "conv.h"

#include <string.h>

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

void rnn_conv_columns(const geometry *g, int dtype, char *image, int64_t group, char *cols,
                      bool back) {
    const int64_t size = (int64_t)rnn_itemsize(dtype), each = g->channels / g->groups;
    const int64_t row = places(g) * size, plane = g->height * g->width * size;
    for (int64_t i = 0; i < each; i++) {
        char *x = image + (group * each + i) * plane;
        for (int64_t k = 0; k < g->kernel_h * g->kernel_w; k++, cols += row) {
            const int64_t kh = k / g->kernel_w, kw = k % g->kernel_w;
            void *to = x, *at = cols;
            if (dtype == RNN_F64 && back) add_row_f64(g, kh, kw, to, at);
            else if (dtype == RNN_F64) take_row_f64(g, kh, kw, to, at);
            else if (back) add_row_f32(g, kh, kw, to, at);
            else take_row_f32(g, kh, kw, to, at);
        }
    }
}
