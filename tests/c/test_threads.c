/*
 * test_threads.c: tests of csrc/threads.c. Prints what failed and returns 1, or prints "ok".
 *
 *     cc -std=gnu11 -O2 -g -Wall -Wextra -pthread -Icsrc tests/c/test_threads.c csrc/threads.c
 *
 * plain, with -fsanitize=address,undefined, and with -fsanitize=thread.
 */
#include "threads.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

/* ThreadSanitizer cannot follow threads that a forked child starts: no fork under it. */
#if defined(__SANITIZE_THREAD__)
#define CAN_FORK 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CAN_FORK 0
#endif
#endif
#ifndef CAN_FORK
#define CAN_FORK 1
#endif

typedef struct {
    unsigned char *hits; /* n counts, one an item */
    int64_t n, grain;
    atomic_int bad; /* blocks that are not [i * grain, (i + 1) * grain) */
} cover;

static void cover_task(void *ctx, int64_t begin, int64_t end) {
    cover *c = ctx;
    int64_t last = begin + c->grain < c->n ? begin + c->grain : c->n;
    if (begin % c->grain != 0 || end != last) atomic_fetch_add(&c->bad, 1);
    for (int64_t i = begin; i < end; i++) c->hits[i]++;
}

static int covers(rnn_pool *pool, int64_t n, int64_t grain) {
    cover c = {.hits = calloc((size_t)n + 1, 1), .n = n, .grain = grain};
    if (c.hits == NULL) return 0;
    rnn_parallel_for(pool, n, grain, cover_task, &c);
    int good = atomic_load(&c.bad) == 0 && c.hits[n] == 0;
    for (int64_t i = 0; i < n; i++) good &= c.hits[i] == 1;
    free(c.hits);
    return good;
}

static void test_every_item_once(void) {
    static const int64_t sizes[] = {0, 1, 2, 3, 7, 64, 100, 1000, 4097, 100003};
    static const int64_t grains[] = {1, 2, 3, 10, 64, 5000};
    for (int threads = 1; threads <= 5; threads++) {
        rnn_pool *pool = rnn_pool_new(threads);
        CHECK_SAYING(rnn_pool_threads(pool) == threads, "threads %d", rnn_pool_threads(pool));
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            for (size_t j = 0; j < sizeof grains / sizeof *grains; j++)
                CHECK_SAYING(covers(pool, sizes[i], grains[j]), "threads %d n %lld grain %lld",
                             threads, (long long)sizes[i], (long long)grains[j]);
        rnn_pool_free(pool);
    }
    CHECK_SAYING(covers(NULL, 100, 7), "NULL pool");
    rnn_pool_free(NULL);
}

static void count_items(void *ctx, int64_t begin, int64_t end) {
    atomic_fetch_add((_Atomic int64_t *)ctx, end - begin);
}

static void test_huge_range(void) {
    rnn_pool *pool = rnn_pool_new(3);
    _Atomic int64_t sum = 0;
    rnn_parallel_for(pool, INT64_MAX, INT64_MAX / 1000, count_items, &sum);
    CHECK_SAYING(sum == INT64_MAX, "huge range: %lld", (long long)sum);
    sum = 0;
    rnn_parallel_for(pool, INT64_MAX, INT64_MAX - 1, count_items, &sum);
    CHECK_SAYING(sum == INT64_MAX, "huge range, two blocks: %lld", (long long)sum);
    sum = 0;
    rnn_parallel_for(pool, -5, 0, count_items, &sum);
    CHECK_SAYING(sum == 0, "negative n");
    rnn_parallel_for(pool, 5, -1, count_items, &sum);
    CHECK_SAYING(sum == 5, "negative grain");
    rnn_pool_free(pool);
}

/* Many short jobs in a row: the window between the end of one and the start of the next. */
static void test_many_jobs(void) {
    rnn_pool *pool = rnn_pool_new(4);
    for (int i = 0; i < 20000; i++) {
        _Atomic int64_t sum = 0;
        int64_t n = 2 + i % 13;
        rnn_parallel_for(pool, n, 1, count_items, &sum);
        if (sum != n) {
            CHECK_SAYING(0, "job %d: %lld of %lld", i, (long long)sum, (long long)n);
            break;
        }
    }
    rnn_pool_free(pool);
}

static void pause_between(long ns) {
    struct timespec t = {0, ns};
    nanosleep(&t, NULL);
}

/* Jobs after pauses of about the time that workers spin: the edge between spinning and sleep. */
static void test_sleep_edge(void) {
    rnn_pool *pool = rnn_pool_new(3);
    for (int i = 0; i < 500; i++) {
        CHECK_SAYING(covers(pool, 40, 1), "after a pause");
        pause_between(i % 100 * 1000);
    }
    rnn_pool_free(pool);
}

typedef struct {
    rnn_pool *pool;
    _Atomic int64_t sum;
} nest;

static void nested_task(void *ctx, int64_t begin, int64_t end) {
    nest *t = ctx;
    for (int64_t i = begin; i < end; i++) rnn_parallel_for(t->pool, 100, 9, count_items, &t->sum);
}

static void test_nested(void) {
    nest t = {.pool = rnn_pool_new(3)};
    rnn_parallel_for(t.pool, 50, 1, nested_task, &t);
    CHECK_SAYING(t.sum == 5000, "nested: %lld", (long long)t.sum);
    rnn_pool_free(t.pool);
}

static void *hammer(void *arg) {
    int bad = 0;
    for (int i = 0; i < 400; i++) bad += !covers(arg, 50 + i, 3);
    return (void *)(intptr_t)bad;
}

static void *resizer(void *arg) {
    for (int i = 0; i < 40; i++) {
        rnn_pool_resize(arg, 1 + i % 5);
        pause_between(300000);
    }
    return NULL;
}

static void test_two_callers_and_resize(void) {
    rnn_pool *pool = rnn_pool_new(2);
    pthread_t thread[3];
    int made = 0;
    made += pthread_create(&thread[0], NULL, hammer, pool) == 0;
    made += pthread_create(&thread[1], NULL, hammer, pool) == 0;
    made += pthread_create(&thread[2], NULL, resizer, pool) == 0;
    CHECK_SAYING(made == 3, "no threads to test with");
    for (int i = 0; i < made; i++) {
        void *bad;
        pthread_join(thread[i], &bad);
        CHECK_SAYING(bad == NULL, "caller %d: %d bad jobs", i, (int)(intptr_t)bad);
    }
    CHECK_SAYING(rnn_pool_resize(pool, 1000000) == RNN_POOL_MAX, "clamped");
    CHECK_SAYING(rnn_pool_resize(pool, 0) >= 1, "resize 0");
    CHECK_SAYING(rnn_pool_resize(NULL, 3) == 1 && rnn_pool_threads(NULL) == 1, "NULL");
    rnn_pool_free(pool);
}

static int child_failed(pid_t child) {
    int status;
    return waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

static void test_fork(void) {
    rnn_pool *pool = rnn_pool_new(3);
    CHECK_SAYING(covers(pool, 1000, 10), "before fork");
    pid_t child = fork();
    if (child == 0) {
        int bad = !covers(pool, 1000, 10) + !covers(pool, 1000, 10);
        rnn_pool_free(pool);
        _exit(bad);
    }
    CHECK_SAYING(covers(pool, 1000, 10), "parent after fork");
    CHECK_SAYING(!child_failed(child), "child after fork");
    child = fork(); /* a child that frees a pool it never used */
    if (child == 0) {
        rnn_pool_free(pool);
        _exit(0);
    }
    CHECK_SAYING(!child_failed(child), "child that frees");
    CHECK_SAYING(covers(pool, 1000, 10), "parent");
    rnn_pool_free(pool);
}

/* Fork while another thread is inside a job: the pool is copied busy, perhaps locked. */
static void test_fork_in_the_middle(void) {
    rnn_pool *pool = rnn_pool_new(2);
    pthread_t thread;
    if (pthread_create(&thread, NULL, hammer, pool) != 0) return;
    for (int i = 0; i < 10; i++) {
        pid_t child = fork();
        if (child == 0) { /* no malloc here: the other thread may have held its lock */
            _Atomic int64_t sum = 0;
            for (int j = 0; j < 3; j++) rnn_parallel_for(pool, 1000, 10, count_items, &sum);
            _exit(sum != 3000);
        }
        CHECK_SAYING(!child_failed(child), "child forked in the middle of a job");
        pause_between(200000);
    }
    pthread_join(thread, NULL);
    rnn_pool_free(pool);
}

/* Sums of floats, one partial a block: the same bits for any number of threads. */
typedef struct {
    const float *x;
    float partial[64];
} reduction;

static void sum_block(void *ctx, int64_t begin, int64_t end) {
    reduction *r = ctx;
    float s = 0;
    for (int64_t i = begin; i < end; i++) s += r->x[i];
    r->partial[begin / 1000] = s;
}

static void test_same_bits(void) {
    static float x[60500];
    float first = 0;
    for (int i = 0; i < 60500; i++) x[i] = 1.0f / (float)(i + 1);
    for (int threads = 1; threads <= 4; threads++) {
        reduction r = {.x = x};
        rnn_pool *pool = rnn_pool_new(threads);
        rnn_parallel_for(pool, 60500, 1000, sum_block, &r);
        float s = 0;
        for (int i = 0; i < 61; i++) s += r.partial[i];
        if (threads == 1) first = s;
        CHECK_SAYING(memcmp(&s, &first, sizeof s) == 0, "%d threads: %.9g, not %.9g", threads, s,
                     first);
        rnn_pool_free(pool);
    }
}

int main(void) {
    test_every_item_once();
    test_huge_range();
    test_many_jobs();
    test_sleep_edge();
    test_nested();
    test_two_callers_and_resize();
    if (CAN_FORK) {
        test_fork();
        test_fork_in_the_middle();
    }
    test_same_bits();
    for (int i = 0; i < 200; i++) { /* started and freed at once */
        rnn_pool *pool = rnn_pool_new(3);
        _Atomic int64_t sum = 0;
        if (i % 2) rnn_parallel_for(pool, 10, 1, count_items, &sum);
        rnn_pool_free(pool);
    }
    printf(failures ? "%d failures\n" : "ok\n", failures);
    return failures != 0;
}
