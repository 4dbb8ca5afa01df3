/* test_engine.c: the engine without Python, for the sanitizers: what several threads do at once,
 * what happens when memory ends at any point, and that everything comes back.
 *
 *   S=$(find csrc -name "*.c" | xargs grep -L 'python.h"')     all but what needs Python
 *   clang -std=gnu11 -O1 -g -fsanitize=thread -Icsrc tests/c/test_engine.c $S -lm -lpthread -o t && ./t threads
 *   gcc -std=gnu11 -O1 -g -fsanitize=address,undefined -Icsrc tests/c/test_engine.c $S -lm -lpthread -o t && ./t
 * / */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "scene.h"

/* ---- what is done ---------------------------------------------------------------------------- */

/* Everything once, the gradient of b's first element at the end; NAN where memory ended. */
static double scenario(rnn_engine *e) {
    scene s = {.e = e};
    double found = NAN;
    rnn_ref loss = 0, w = leaf(&s, 2, (const int64_t[]){3, 4}, 0.25),
            b = leaf(&s, 1, (const int64_t[]){4}, 0.5);
    if (!s.failed) forward(&s, w, b, &loss);
    if (!s.failed && rnn_retain_grad(e, s.all[5])) s.failed = true;
    if (!s.failed && run(e, rnn_backward_begin(e, 1, &loss, NULL, 0, NULL, 1))) s.failed = true;
    if (!s.failed && run(e, rnn_backward_begin(e, 1, &loss, NULL, 1, &w, 2 | 1))) s.failed = true;
    if (!s.failed && run(e, rnn_backward_begin(e, 1, &loss, NULL, 0, NULL, 0))) s.failed = true;
    rnn_ref g = s.failed ? 0 : keep(&s, rnn_grad(e, b));
    if (g) found = rnn_item(e, g, 0);
    if (!s.failed && rnn_set_grad(e, b, 0)) s.failed = true;
    clear(&s);
    return found;
}

/* The same under detect_anomaly. */
static double checked(rnn_engine *e) {
    rnn_set_checking(RNN_CHECK_ALL);
    const double found = scenario(e);
    rnn_set_checking(RNN_CHECK_NOTHING);
    return found;
}

static double values(rnn_engine *e) {
    uint32_t all[32], count = 0;
    rnn_node x = {rnn_value_leaf(e, RNN_F64, 0.5, true), 0};
    double found = NAN;
    if (!x.span) return found;
    all[count++] = x.span;
    uint32_t last = x.span;
    for (int i = 0; i < 8 && last; i++) {
        rnn_node at = {last, 0};
        last = i % 2 ? rnn_value_unary(e, op("tanh"), at, 0, false)
                     : rnn_value_binary(e, op("mul"), at, x);
        if (last) all[count++] = last;
    }
    if (last) {
        rnn_lock(e);
        rnn_span_ref(e, last);
        rnn_unlock(e);
        rnn_ref t = rnn_tensor_wrap(e, last);
        if (t > 0) {
            if (!run(e, rnn_backward_begin(e, 1, &t, NULL, 0, NULL, 1)))
                found = rnn_node_grad(e, x.span, 0);
            rnn_release(e, t);
        }
    }
    rnn_lock(e);
    while (count) rnn_span_unref(e, all[--count]);
    rnn_unlock(e);
    return found;
}

/* ---- threads --------------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 60 };

typedef struct {
    rnn_engine *e;
    double right;
    rnn_ref w, b; /* shared */
} work;

static void *alone(void *ctx) {
    const work *k = ctx;
    for (int i = 0; i < ROUNDS; i++) {
        CHECK((i % 2 ? checked : scenario)(k->e) == k->right);
        CHECK(!isnan(values(k->e)));
    }
    return NULL;
}

static void *together(void *ctx) {
    const work *k = ctx;
    for (int i = 0; i < ROUNDS; i++) {
        scene s = {.e = k->e};
        rnn_ref loss = 0;
        forward(&s, k->w, k->b, &loss);
        CHECK(!s.failed && !run(k->e, rnn_backward_begin(k->e, 1, &loss, NULL, 0, NULL, i % 2)));
        rnn_ref g = rnn_grad(k->e, k->b);
        CHECK(g >= 0);
        rnn_release(k->e, g);
        clear(&s);
    }
    return NULL;
}

static void in_threads(void *(*what)(void *), work *k) {
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++) pthread_create(&thread[i], NULL, what, k);
    for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
}

static void test_threads(void) {
    rnn_engine *e = rnn_new();
    work k = {.e = e, .right = scenario(e)};
    const state before = state_of(e);
    in_threads(alone, &k);
    CHECK(state_of(e).spans == before.spans && state_of(e).live == before.live);
    scene s = {.e = e};
    k.w = leaf(&s, 2, (const int64_t[]){3, 4}, 0.25);
    k.b = leaf(&s, 1, (const int64_t[]){4}, 0.5);
    in_threads(together, &k);
    rnn_ref g = keep(&s, rnn_grad(e, k.b));
    /* the scenario has three passes, one of which adds nothing to b */
    CHECK(fabs(rnn_item(e, g, 0) - k.right / 2 * THREADS * ROUNDS) <
          1e-3 * fabs(k.right) * THREADS * ROUNDS);
    clear(&s);
    CHECK(state_of(e).spans == before.spans && state_of(e).live == before.live);
    rnn_free(e);
}

/* ---- long graphs ----------------------------------------------------------------------------- */

static void test_chain(int64_t length) {
    rnn_engine *e = rnn_new();
    const state before = state_of(e);
    uint32_t x = rnn_value_leaf(e, RNN_F64, 1, true), at = x;
    for (int64_t i = 0; i < length; i++) {
        const uint32_t next = rnn_value_binary(e, op("add"), (rnn_node){at, 0}, (rnn_node){x, 0});
        rnn_lock(e);
        if (at != x) rnn_span_unref(e, at);
        rnn_unlock(e);
        at = next;
    }
    rnn_ref root = rnn_tensor_wrap(e, at);
    CHECK(rnn_graph_size(e, 1, &root) == length + 1);
    rnn_pass *p = rnn_backward_begin(e, 1, &root, NULL, 0, NULL, 1);
    CHECK(rnn_backward_step(e, p, 1) == 1); /* begun, and given up */
    rnn_backward_end(e, p);
    CHECK(!run(e, rnn_backward_begin(e, 1, &root, NULL, 0, NULL, 1)));
    CHECK(rnn_node_grad(e, x, 0) == (double)length + 1);
    rnn_node_set_grad(e, x, 0, 0);
    CHECK(!run(e, rnn_backward_begin(e, 1, &root, NULL, 0, NULL, 0)));
    CHECK(rnn_node_grad(e, x, 0) == (double)length + 1);
    CHECK(state_of(e).spans == before.spans + 2);
    rnn_release(e, root);
    rnn_lock(e);
    rnn_span_unref(e, x);
    rnn_unlock(e);
    CHECK(state_of(e).spans == before.spans && state_of(e).live == before.live);
    rnn_free(e);
}

/* ---- fork, limits ---------------------------------------------------------------------------- */

static void *busy(void *ctx) {
    const work *k = ctx;
    for (int i = 0; i < 400; i++) scenario(k->e);
    return NULL;
}

static void test_fork(void) {
    rnn_engine *e = rnn_new();
    work k = {.e = e, .right = scenario(e)};
    pthread_t other;
    pthread_create(&other, NULL, busy, &k);
    for (int i = 0; i < 20; i++) {
        const pid_t child = fork();
        if (child == 0) _exit(scenario(e) == k.right ? 0 : 1);
        int status = 1;
        waitpid(child, &status, 0);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        CHECK(scenario(e) == k.right);
    }
    pthread_join(other, NULL);
    rnn_free(e);
}

static void test_limit(void) {
    rnn_engine *e = rnn_new();
    const double right = scenario(e);
    const state before = state_of(e);
    rnn_set_memory_limit(e, before.live + (1 << 20));
    CHECK(rnn_full(e, RNN_F32, 1, (const int64_t[]){1 << 20}, 1) == RNN_EMEMORY);
    CHECK(strstr(rnn_message(e), "1048576 nodes need 4194304 bytes"));
    CHECK(rnn_full(e, RNN_F32, 2, (const int64_t[]){(int64_t)1 << 40, (int64_t)1 << 40}, 1) ==
          RNN_EVALUE);
    CHECK(rnn_full(e, RNN_F32, 1, (const int64_t[]){-1}, 1) == RNN_EVALUE);
    CHECK(scenario(e) == right);
    CHECK(state_of(e).live == before.live);
    rnn_free(e);
}

int main(int argc, char **argv) {
    const bool threads_only = argc > 1 && !strcmp(argv[1], "threads");
    test_threads();
    if (!threads_only) {
        test_failures(scenario);
        test_failures(checked);
        test_failures(values);
        test_chain(200000);
        test_limit();
        test_fork();
    }
    printf(failures ? "%d failures\n" : "ok\n", failures);
    return failures != 0;
}
