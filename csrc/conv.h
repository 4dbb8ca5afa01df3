/* conv.h: what a span of a two-dimensional convolution saves, and what its files share: conv.c runs
 * it, conv_columns.c makes matrices of images, conv_edges.c reads it. */
#ifndef RNN_CONV_H
#define RNN_CONV_H

#include "internal.h"

enum { X, WEIGHT, BIAS };

typedef struct {
    int64_t images, channels, height, width;     /* of x */
    int64_t filters, kernel_h, kernel_w, groups; /* of the weight */
    int64_t out_h, out_w;
    int64_t stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
} geometry;

/* rows of an image's column matrix, of one group, and its columns */
static inline int64_t window(const geometry *g) {
    return g->channels / g->groups * g->kernel_h * g->kernel_w;
}
static inline int64_t places(const geometry *g) { return g->out_h * g->out_w; }

/* columns (window, places) of one image and group; or, `back`, added from there into the image */
void rnn_conv_columns(const geometry *g, int dtype, char *image, int64_t group, char *cols,
                      bool back);

#endif
