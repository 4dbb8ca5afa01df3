/* scene.h: tensors of a test, kept until its end, a small model of every kind of operation, and
 * what is left of memory when it ends. */
#ifndef RNN_TEST_SCENE_H
#define RNN_TEST_SCENE_H

#include <math.h>

#include "check.h"
#include "internal.h"

enum { MOST = 64 };

typedef struct {
    rnn_engine *e;
    rnn_ref all[MOST];
    int count;
    bool failed;
} scene;

static rnn_ref keep(scene *s, rnn_ref t) {
    if (t <= 0) {
        s->failed = true;
        return 0;
    }
    s->all[s->count++] = t;
    return t;
}

static void clear(scene *s) {
    while (s->count) rnn_release(s->e, s->all[--s->count]);
}

static int run(rnn_engine *e, rnn_pass *p) {
    int code = p ? 1 : rnn_failure();
    while (code > 0) code = rnn_backward_step(e, p, 1000);
    rnn_backward_end(e, p);
    return code;
}

static int op(const char *name) { return rnn_op_find(name); }

#define STEP(name, call) \
    rnn_ref name = s->failed ? 0 : keep(s, call); \
    if (s->failed) return

/* The loss of a small model of everything; `w` (3, 4) and `b` (4) are its leaves. */
static inline void forward(scene *s, rnn_ref w, rnn_ref b, rnn_ref *loss) {
    rnn_engine *e = s->e;
    const int64_t two_four[] = {2, 4}, order[] = {1, 0}, six_two[] = {6, 2}, dims[] = {0},
                  rows[] = {1, 0, 1};
    const int64_t three_four[] = {3, 4};
    STEP(x, rnn_full(e, RNN_F32, 2, (const int64_t[]){2, 3}, 0.5));
    STEP(product, rnn_matmul(e, x, w));
    STEP(sum, rnn_binary(e, op("add"), product, b, 1));
    STEP(tanh, rnn_unary(e, op("tanh"), sum, 0, 0));
    STEP(soft, rnn_softmax(e, tanh, 1, 1));
    STEP(wide, rnn_expand(e, b, 2, two_four));
    STEP(mixed, rnn_binary(e, op("mul"), soft, wide, 1));
    STEP(turned, rnn_permute(e, mixed, 2, order));
    STEP(flat, rnn_reshape(e, turned, 1, (const int64_t[]){8}, 0));
    STEP(part, rnn_slice(e, flat, 0, 1, 7, 2));
    STEP(rows_of, rnn_gather(e, w, rows, 3, 4, 2, three_four));
    STEP(cast, rnn_cast(e, rows_of, RNN_F64));
    STEP(back, rnn_cast(e, cast, RNN_F32));
    STEP(six, rnn_reshape(e, back, 2, six_two, 0));
    STEP(summed, rnn_sum(e, six, 1, dims, 0, 0));
    const rnn_ref parts[] = {part, summed};
    STEP(joined, rnn_cat(e, 2, parts, 0, 0));
    STEP(copy, rnn_clone(e, joined));
    STEP(place, rnn_slice(e, copy, 0, 0, 2, 1));
    STEP(number, rnn_unary(e, op("exp"), summed, 0, 0));
    if (rnn_assign(e, place, number)) {
        s->failed = true;
        return;
    }
    STEP(running, rnn_cumsum(e, copy, 0));
    STEP(mean, rnn_sum(e, running, 0, NULL, 0, 1));
    *loss = mean;
}

static inline rnn_ref leaf(scene *s, int ndim, const int64_t *shape, double value) {
    rnn_ref t = s->failed ? 0 : keep(s, rnn_full(s->e, RNN_F32, ndim, shape, value));
    if (t && rnn_set_requires_grad(s->e, t, 1)) s->failed = true;
    return t;
}

typedef struct {
    uint64_t live, spans;
} state;

static inline state state_of(rnn_engine *e) {
    uint64_t out[6];
    rnn_memory(e, out);
    return (state){out[1], out[4]};
}

/* Memory ends at each allocation of `what` in turn (which then says NAN): it is the error, nothing
 * is left behind, and all goes well afterwards. */
static inline void test_failures(double (*what)(rnn_engine *)) {
    rnn_engine *e = rnn_new();
    const double right = what(e);
    const state before = state_of(e);
    CHECK(!isnan(right));
    int64_t n = 1;
    for (bool failed = true; failed && n < 10000; n++) {
        rnn_fail_after(e, n);
        const double found = what(e);
        rnn_fail_after(e, 0);
        failed = isnan(found);
        if (failed) CHECK(rnn_failure() == RNN_EMEMORY);
        const state after = state_of(e);
        CHECK(after.live == before.live && after.spans == before.spans);
        CHECK(what(e) == right);
    }
    CHECK(n > 10 && n < 10000);
    rnn_free(e);
}

#endif
