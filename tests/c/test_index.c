/* test_index.c: elements picked and put by index, and where a mask is not 0, against plain loops:
 * values, gradients, what is refused, and that memory that ends leaves nothing behind. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "scene.h"

enum { PICKED = 5 }; /* along a dimension, some of them twice */

/* A tensor as (outer, length, inner) around the dimension that an index is along. */
typedef struct {
    int64_t outer, length, inner, places; /* places: of outer * PICKED * inner */
} around;

static around around_dim(const int64_t *shape, int dim) {
    around s = {1, shape[dim], 1, 0};
    for (int d = 0; d < 3; d++)
        if (d != dim) *(d < dim ? &s.outer : &s.inner) *= shape[d];
    s.places = s.outer * PICKED * s.inner;
    return s;
}

/* The row-major position, in a tensor, that place `at` of (outer, PICKED, inner) means. */
static int64_t meant(const around *s, const int64_t *index, bool each, int64_t at) {
    const int64_t o = at / s->inner / PICKED, k = at / s->inner % PICKED, i = at % s->inner;
    return (o * s->length + index[each ? at : k]) * s->inner + i;
}

static void *zeros(int64_t n, size_t size) {
    void *p = calloc((size_t)n + 1, size);
    if (!p) abort();
    return p;
}

static int64_t *indices(int64_t n, int64_t length) {
    int64_t *index = zeros(n, sizeof *index);
    for (int64_t i = 0; i < n; i++) index[i] = (i * 7 + i / 3 + 1) % length;
    return index;
}

/* start, start + 1, ..: of the shape, or of its reverse seen with its dimensions turned */
static rnn_ref counted(scene *s, int dtype, const int64_t *shape, double start, bool turned) {
    const int64_t n = shape[0] * shape[1] * shape[2], order[] = {2, 1, 0},
                  reverse[] = {shape[2], shape[1], shape[0]};
    rnn_ref flat = s->failed ? 0 : keep(s, rnn_arange(s->e, dtype, n, start, 1));
    rnn_ref t = s->failed ? 0 : keep(s, rnn_reshape(s->e, flat, 3, turned ? reverse : shape, 0));
    return s->failed || !turned ? t : keep(s, rnn_permute(s->e, t, 3, order));
}

static rnn_ref leaf_of(scene *s, rnn_ref t) {
    if (s->failed || rnn_set_requires_grad(s->e, t, 1)) s->failed = true;
    return t;
}

/* The gradient of sum(z * w), w counted from 1, is w. */
static void backward_counted(scene *s, int dtype, rnn_ref z) {
    int64_t shape[RNN_MAX_DIMS], stride[RNN_MAX_DIMS];
    if (s->failed) return;
    rnn_dims(z, shape, stride);
    rnn_ref w = counted(s, dtype, shape, 1, false);
    STEP(product, rnn_binary(s->e, op("mul"), z, w, 1));
    STEP(sum, rnn_sum(s->e, product, 0, NULL, 0, 0));
    if (run(s->e, rnn_backward_begin(s->e, 1, &sum, NULL, 0, NULL, 0))) s->failed = true;
}

static void check_equal(scene *s, rnn_ref t, const double *right) {
    if (s->failed) return;
    for (int64_t i = 0, n = rnn_count(t); i < n; i++) CHECK(rnn_item(s->e, t, i) == right[i]);
}

static void check_gradient(scene *s, rnn_ref t, const double *right) {
    rnn_ref g = s->failed ? 0 : keep(s, rnn_grad(s->e, t));
    if (g) check_equal(s, g, right);
}

/* ---- picked ---------------------------------------------------------------------------------- */

static void select_along(scene *s, int dtype, const int64_t *shape, int dim, bool turned) {
    const around r = around_dim(shape, dim);
    const int64_t n = r.outer * r.length * r.inner;
    int64_t *index = indices(PICKED, r.length);
    double *right = zeros(r.places, sizeof *right), *gradient = zeros(n, sizeof *gradient);
    rnn_ref a = leaf_of(s, counted(s, dtype, shape, 10, turned));
    rnn_ref z = s->failed ? 0 : keep(s, rnn_index_select(s->e, a, dim, index, PICKED));
    for (int64_t i = 0; !s->failed && i < r.places; i++) {
        const int64_t at = meant(&r, index, false, i);
        right[i] = rnn_item(s->e, a, at);
        gradient[at] += (double)(i + 1);
    }
    check_equal(s, z, right);
    backward_counted(s, dtype, z);
    check_gradient(s, a, gradient);
    free(index), free(right), free(gradient);
}

/* ---- put ------------------------------------------------------------------------------------- */

typedef struct {
    int dtype, dim;
    bool each, add, turned, record;
} put;

/* A copy of `a` that is written, and sources. */
static void scatter_along(scene *s, const int64_t *shape, put p) {
    const around r = around_dim(shape, p.dim);
    const int64_t n = r.outer * r.length * r.inner;
    int64_t *index = indices(p.each ? r.places : PICKED, r.length), from[3];
    double *right = zeros(n, sizeof *right), *da = zeros(n, sizeof *da),
           *dsrc = zeros(r.places, sizeof *dsrc);
    int64_t *last = zeros(n, sizeof *last); /* 1 + the place that was put there; 0: none */
    memcpy(from, shape, sizeof from);
    from[p.dim] = PICKED;
    rnn_ref a = counted(s, p.dtype, shape, 10, p.turned);
    rnn_ref src = counted(s, p.dtype, from, 1000, p.turned);
    if (p.record) leaf_of(s, a), leaf_of(s, src);
    rnn_ref z = s->failed ? 0 : keep(s, rnn_clone(s->e, a));
    for (int64_t i = 0; !s->failed && i < n; i++) right[i] = rnn_item(s->e, a, i);
    for (int64_t i = 0; !s->failed && i < r.places; i++) {
        const int64_t at = meant(&r, index, p.each, i);
        right[at] = p.add ? right[at] + rnn_item(s->e, src, i) : rnn_item(s->e, src, i);
        last[at] = i + 1;
    }
    if (!s->failed && rnn_scatter_along(s->e, z, p.dim, index, PICKED, p.each, src, p.add))
        s->failed = true;
    check_equal(s, z, right);
    if (p.record) {
        for (int64_t i = 0; i < n; i++) da[i] = p.add || !last[i] ? (double)(i + 1) : 0;
        for (int64_t i = 0; i < r.places; i++) {
            const int64_t at = meant(&r, index, p.each, i);
            dsrc[i] = p.add || last[at] == i + 1 ? (double)(at + 1) : 0;
        }
        backward_counted(s, p.dtype, z);
        check_gradient(s, a, da);
        check_gradient(s, src, dsrc);
    }
    free(index), free(right), free(da), free(dsrc), free(last);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void test_values(const int64_t *shape) {
    scene s = {.e = rnn_new()};
    rnn_set_threads(s.e, 2);
    for (int i = 0; i < 3 * 32; i++) {
        const int dim = i / 32;
        const put p = {i & 1, dim, i >> 1 & 1, i >> 2 & 1, i >> 3 & 1, i >> 4 & 1};
        if (!p.each && !p.add) select_along(&s, p.dtype, shape, dim, p.turned);
        clear(&s);
        scatter_along(&s, shape, p);
        clear(&s);
    }
    CHECK(!s.failed);
    rnn_free(s.e);
}

static double scenario(rnn_engine *e) {
    const int64_t shape[] = {60, 3, 30}; /* an index of each element is a large one */
    scene s = {.e = e};
    select_along(&s, RNN_F32, shape, 1, true);
    clear(&s);
    for (int i = 0; i < 4; i++) {
        scatter_along(&s, shape, (put){RNN_F32, 1, i & 1, i >> 1, true, i != 0});
        clear(&s);
    }
    return s.failed ? NAN : 1;
}

/* What is refused changes nothing. */
static void test_refusals(void) {
    scene s = {.e = rnn_new()};
    rnn_engine *e = s.e;
    const int64_t shape[] = {2, 3, 4}, below[] = {0, 1, -1, 2, 0}, beyond[] = {0, 1, 3, 2, 0};
    rnn_ref a = counted(&s, RNN_F32, shape, 0, false);
    rnn_ref src = counted(&s, RNN_F32, (const int64_t[]){2, PICKED, 4}, 0, false);
    rnn_ref wide = keep(&s, rnn_full(e, RNN_F32, 2, (const int64_t[]){1, 1}, 1));
    wide = keep(&s, rnn_expand(e, wide, 2, (const int64_t[]){(int64_t)1 << 40, 1}));
    const state before = state_of(e);
    CHECK(rnn_index_select(e, a, 1, below, PICKED) == RNN_EINDEX);
    CHECK(strstr(rnn_message(e), "index -1 is out of bounds for dimension 0 with size 3"));
    CHECK(rnn_index_select(e, a, 1, beyond, PICKED) == RNN_EINDEX);
    CHECK(rnn_index_select(e, a, 3, below, PICKED) == RNN_EINDEX);
    CHECK(rnn_index_select(e, a, 1, below, -1) == RNN_EVALUE);
    CHECK(rnn_gather(e, a, below, 2, 5, 1, (const int64_t[]){10}) == RNN_EVALUE);
    CHECK(rnn_gather(e, a, below, 2, 4, 1, (const int64_t[]){9}) == RNN_EVALUE);
    CHECK(rnn_gather(e, wide, below, (int64_t)1 << 24, (int64_t)1 << 40, 1, (const int64_t[]){0}) ==
          RNN_EVALUE);
    CHECK(rnn_scatter_along(e, a, 1, beyond, PICKED, 0, src, 0) == RNN_EINDEX);
    CHECK(rnn_scatter_along(e, a, 1, below, PICKED, 0, src, 1) == RNN_EINDEX);
    CHECK(rnn_scatter_along(e, a, 1, below, PICKED - 1, 0, src, 1) == RNN_EVALUE);
    CHECK(rnn_scatter_along(e, wide, 1, below, (int64_t)1 << 24, 0, src, 1) == RNN_EVALUE);
    for (int64_t i = 0; i < 24; i++) CHECK(rnn_item(e, a, i) == (double)i);
    CHECK(state_of(e).live == before.live && state_of(e).spans == before.spans);
    clear(&s);
    rnn_free(e);
}

/* ---- where a mask is not 0 ------------------------------------------------------------------- */

static void check_nonzero(rnn_engine *e, int ndim, const int64_t *shape) {
    const int64_t n = rnn_numel(ndim, shape);
    uint8_t *mask = zeros(n, 1);
    int64_t count = 0, at = 0;
    for (int64_t i = 0; i < n; i++)
        count += (mask[i] = (uint8_t)(i % 11 % 3 == 1 ? i % 255 : 0)) != 0;
    int64_t *rows = zeros(count * ndim, sizeof *rows), *columns = zeros(count * ndim, sizeof *rows);
    CHECK(!rnn_nonzero(e, mask, ndim, shape, count, 0, rows));
    CHECK(!rnn_nonzero(e, mask, ndim, shape, count, 1, columns));
    for (int64_t i = 0; i < n; i++) {
        if (!mask[i]) continue;
        int64_t rest = i;
        for (int d = ndim - 1; d >= 0; rest /= shape[d--]) {
            CHECK(rows[at * ndim + d] == rest % shape[d]);
            CHECK(columns[d * count + at] == rest % shape[d]);
        }
        at++;
    }
    CHECK(rnn_nonzero(e, mask, ndim, shape, count + 1, 0, rows) == RNN_ERUNTIME);
    rnn_fail_after(e, 1);
    CHECK(rnn_nonzero(e, mask, ndim, shape, count, 0, rows) == RNN_EMEMORY);
    rnn_fail_after(e, 0);
    free(mask), free(rows), free(columns);
}

static void test_nonzero(void) {
    rnn_engine *e = rnn_new();
    rnn_set_threads(e, 2);
    check_nonzero(e, 1, (const int64_t[]){0});
    check_nonzero(e, 1, (const int64_t[]){1});
    check_nonzero(e, 1, (const int64_t[]){50000});
    check_nonzero(e, 2, (const int64_t[]){20000, 3});
    check_nonzero(e, 2, (const int64_t[]){3, 0});
    check_nonzero(e, 3, (const int64_t[]){7, 3, 2000});
    CHECK(rnn_nonzero(e, NULL, 0, NULL, 0, 0, NULL) == RNN_EVALUE);
    CHECK(rnn_nonzero(e, NULL, RNN_MAX_DIMS + 1, NULL, 0, 0, NULL) == RNN_EVALUE);
    rnn_free(e);
}

int main(void) {
    test_values((const int64_t[]){2, 3, 4});
    test_values((const int64_t[]){12, 5, 300}); /* threads share it */
    test_refusals();
    test_nonzero();
    test_failures(scenario);
    printf(failures ? "%d failures\n" : "ok\n", failures);
    return failures != 0;
}
