/* conv_edges.c: the edges of a convolution, and from the other end their uses. */
#include "conv.h"

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
