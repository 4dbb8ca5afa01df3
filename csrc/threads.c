/*
 * threads.c: the pool behind rnn_parallel_for.
 *
 * A job is cut into claims (runs of blocks). One 64-bit word, the ticket, holds the job's number
 * and how many claims are left; a thread takes the next one by compare-and-swap. A claim that
 * succeeds proves that the job's fields, read just before it, belong to that job, because they are
 * only written when no claim is left and every claim taken is done. So workers never register,
 * the caller never waits for one that has taken nothing, and a worker that oversleeps a job finds
 * it gone. Fields that may be read too early are relaxed atomics.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sched_getaffinity */
#endif
#include "threads.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    CLAIMS_PER_THREAD = 64, /* enough that the last one to finish costs 1/64 of the time */
    SPIN_NS = 25000,        /* how long a thread looks before it sleeps */
    STACK_BYTES = 2 << 20,  /* musl's default of 128 KiB is too small for a BLAS */
    LINE = 64,              /* bytes of a cache line */
};

struct rnn_pool {
    _Alignas(LINE) _Atomic uint64_t ticket; /* job number << 32 | claims left */
    _Alignas(LINE) _Atomic uint32_t done;   /* claims finished */

    /* The job. */
    _Alignas(LINE) _Atomic(rnn_task) fn;
    _Atomic(void *) ctx;
    _Atomic int64_t n, grain;
    _Atomic int64_t span; /* items of a claim, a multiple of grain */
    _Atomic uint32_t claims;

    _Alignas(LINE) atomic_bool busy; /* one job at a time: who sets it owns the job fields */
    atomic_bool stop;
    atomic_int wanted; /* threads asked for, the caller included */
    atomic_int pid;    /* the process that the workers live in; 0 while a child tidies up */
    int started_for;   /* the `wanted` that the workers were started for; by the owner only */
    int workers;       /* how many run: at most started_for - 1 */
    pthread_t worker[RNN_POOL_MAX];

    pthread_mutex_t lock;    /* guards sleeping only; never held while a task runs */
    pthread_cond_t wake;     /* workers wait for a job */
    pthread_cond_t finished; /* the caller waits for the last claim */
    atomic_int sleepers;     /* workers in or about to enter wake */
    atomic_bool waiting;     /* the caller is in or about to enter finished */
};

/* ---- helpers --------------------------------------------------------------------------------- */

static int processors(void) {
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > RNN_POOL_MAX ? RNN_POOL_MAX : (int)n;
}

static int clamp_threads(int threads) {
    if (threads <= 0) threads = processors();
    return threads < 1 ? 1 : threads > RNN_POOL_MAX ? RNN_POOL_MAX : threads;
}

static void cpu_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static bool has_claims(const rnn_pool *p) { return (uint32_t)atomic_load(&p->ticket) != 0; }

static bool all_done(const rnn_pool *p) {
    return atomic_load(&p->done) == atomic_load_explicit(&p->claims, memory_order_relaxed);
}

static bool roused(const rnn_pool *p) { return has_claims(p) || atomic_load(&p->stop); }

/* True as soon as ready(p), false when SPIN_NS have gone by. */
static bool spin(const rnn_pool *p, bool (*ready)(const rnn_pool *)) {
    if (ready(p)) return true;
    int64_t until = now_ns() + SPIN_NS;
    do {
        for (int i = 0; i < 16; i++) {
            cpu_pause();
            if (ready(p)) return true;
        }
    } while (now_ns() < until);
    return false;
}

static void run_blocks(rnn_task fn, void *ctx, int64_t begin, int64_t end, int64_t grain) {
    for (int64_t i = begin; i < end;) {
        int64_t next = end - i > grain ? i + grain : end;
        fn(ctx, i, next);
        i = next;
    }
}

/* ---- jobs ------------------------------------------------------------------------------------ */

/* Takes claims of whatever job there is and runs them until none is left. */
static void work(rnn_pool *p) {
    for (;;) {
        uint64_t ticket = atomic_load(&p->ticket);
        uint32_t left = (uint32_t)ticket;
        if (left == 0) return;
        rnn_task fn = atomic_load_explicit(&p->fn, memory_order_relaxed);
        void *ctx = atomic_load_explicit(&p->ctx, memory_order_relaxed);
        int64_t n = atomic_load_explicit(&p->n, memory_order_relaxed);
        int64_t grain = atomic_load_explicit(&p->grain, memory_order_relaxed);
        int64_t span = atomic_load_explicit(&p->span, memory_order_relaxed);
        uint32_t claims = atomic_load_explicit(&p->claims, memory_order_relaxed);
        if (!atomic_compare_exchange_weak(&p->ticket, &ticket, ticket - 1)) continue;

        int64_t begin = (int64_t)(claims - left) * span;
        run_blocks(fn, ctx, begin, n - begin > span ? begin + span : n, grain);

        /* From here on the caller may return and start another job. */
        if (atomic_fetch_add(&p->done, 1) + 1 == claims && atomic_load(&p->waiting)) {
            pthread_mutex_lock(&p->lock);
            pthread_cond_signal(&p->finished);
            pthread_mutex_unlock(&p->lock);
        }
    }
}

static void *worker_main(void *arg) {
    rnn_pool *p = arg;
    while (!atomic_load(&p->stop)) {
        if (spin(p, roused)) {
            work(p);
            continue;
        }
        pthread_mutex_lock(&p->lock);
        atomic_fetch_add(&p->sleepers, 1); /* before looking: publish() looks the other way round */
        while (!roused(p)) pthread_cond_wait(&p->wake, &p->lock);
        atomic_fetch_sub(&p->sleepers, 1);
        pthread_mutex_unlock(&p->lock);
    }
    return NULL;
}

/* Makes the job of `claims` claims visible and wakes as many sleepers as it can feed. */
static void publish(rnn_pool *p, uint32_t claims) {
    uint64_t job = (atomic_load(&p->ticket) >> 32) + 1;
    atomic_store(&p->ticket, job << 32 | claims);
    if (atomic_load(&p->sleepers) == 0) return;
    pthread_mutex_lock(&p->lock);
    if (claims > (uint32_t)p->workers) {
        pthread_cond_broadcast(&p->wake);
    } else {
        for (uint32_t i = 1; i < claims; i++) pthread_cond_signal(&p->wake);
    }
    pthread_mutex_unlock(&p->lock);
}

static void wait_until_done(rnn_pool *p) {
    if (spin(p, all_done)) return;
    /* Perhaps the worker has lost its processor: by sleeping we offer it ours. */
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->waiting, true);
    while (!all_done(p)) pthread_cond_wait(&p->finished, &p->lock);
    atomic_store(&p->waiting, false);
    pthread_mutex_unlock(&p->lock);
}

/* The caller owns `busy`, and n > grain. */
static void run_job(rnn_pool *p, int64_t n, int64_t grain, rnn_task fn, void *ctx) {
    int64_t blocks = n / grain + (n % grain != 0);
    int64_t most = (int64_t)(p->workers + 1) * CLAIMS_PER_THREAD;
    int64_t span = grain * (blocks / most > 1 ? blocks / most : 1); /* <= n: no overflow */
    uint32_t claims = (uint32_t)(n / span + (n % span != 0));       /* < 2 * most + 1 */

    atomic_store_explicit(&p->fn, fn, memory_order_relaxed);
    atomic_store_explicit(&p->ctx, ctx, memory_order_relaxed);
    atomic_store_explicit(&p->n, n, memory_order_relaxed);
    atomic_store_explicit(&p->grain, grain, memory_order_relaxed);
    atomic_store_explicit(&p->span, span, memory_order_relaxed);
    atomic_store_explicit(&p->claims, claims, memory_order_relaxed);
    atomic_store_explicit(&p->done, 0, memory_order_relaxed);
    publish(p, claims);
    work(p);
    wait_until_done(p);
}

/* ---- workers --------------------------------------------------------------------------------- */

static void stop_workers(rnn_pool *p) {
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->stop, true);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->workers; i++) pthread_join(p->worker[i], NULL);
    p->workers = 0;
    p->started_for = 0;
    atomic_store(&p->stop, false);
}

/* Starts what it can; with fewer threads, or none, jobs are slower and still right. */
static void start_workers(rnn_pool *p, int threads) {
    sigset_t all, old;
    pthread_attr_t attr;
    p->started_for = threads;
    if (pthread_attr_init(&attr) != 0) return;
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    sigfillset(&all); /* signals are the interpreter's: workers inherit a mask that blocks them */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    while (p->workers < threads - 1 &&
           pthread_create(&p->worker[p->workers], &attr, worker_main, p) == 0)
        p->workers++;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
}

static bool init_sync(rnn_pool *p) {
    if (pthread_mutex_init(&p->lock, NULL) != 0) return false;
    if (pthread_cond_init(&p->wake, NULL) == 0) {
        if (pthread_cond_init(&p->finished, NULL) == 0) return true;
        pthread_cond_destroy(&p->wake);
    }
    pthread_mutex_destroy(&p->lock);
    return false;
}

/* In a forked child: the workers stayed with the parent, and locks and flags are as they happened
 * to be. False where another thread of the child is at it, or where it cannot be done. */
static bool adopt_after_fork(rnn_pool *p, int me) {
    int owner = atomic_load(&p->pid);
    if (owner == me) return true;
    if (owner == 0 || !atomic_compare_exchange_strong(&p->pid, &owner, 0)) return false;
    p->workers = 0;
    p->started_for = 0;
    atomic_store(&p->ticket, atomic_load(&p->ticket) >> 32 << 32);
    atomic_store(&p->sleepers, 0);
    atomic_store(&p->waiting, false);
    atomic_store(&p->stop, false);
    if (!init_sync(p)) return false; /* stays 0: this process runs serially */
    atomic_store(&p->busy, false);
    atomic_store(&p->pid, me);
    return true;
}

/* ---- interface ------------------------------------------------------------------------------- */

rnn_pool *rnn_pool_new(int threads) {
    void *memory = NULL;
    if (posix_memalign(&memory, LINE, sizeof(rnn_pool)) != 0) return NULL;
    rnn_pool *p = memory;
    *p = (rnn_pool){.workers = 0};
    atomic_store(&p->wanted, clamp_threads(threads));
    atomic_store(&p->pid, (int)getpid());
    if (!init_sync(p)) {
        free(p);
        return NULL;
    }
    return p;
}

void rnn_pool_free(rnn_pool *p) {
    if (p == NULL) return;
    if (adopt_after_fork(p, (int)getpid())) {
        stop_workers(p);
        pthread_cond_destroy(&p->finished);
        pthread_cond_destroy(&p->wake);
        pthread_mutex_destroy(&p->lock);
    }
    free(p);
}

int rnn_pool_threads(const rnn_pool *p) {
    return p == NULL ? 1 : atomic_load_explicit(&p->wanted, memory_order_relaxed);
}

int rnn_pool_resize(rnn_pool *p, int threads) {
    if (p == NULL) return 1;
    threads = clamp_threads(threads);
    atomic_store(&p->wanted, threads);
    return threads;
}

void rnn_parallel_for(rnn_pool *p, int64_t n, int64_t grain, rnn_task fn, void *ctx) {
    if (n <= 0) return;
    if (grain < 1) grain = 1;
    if (n <= grain) {
        fn(ctx, 0, n);
        return;
    }
    int threads = rnn_pool_threads(p);
    if (threads == 1 || !adopt_after_fork(p, (int)getpid()) || atomic_exchange(&p->busy, true)) {
        run_blocks(fn, ctx, 0, n, grain);
        return;
    }
    if (p->started_for != threads) {
        stop_workers(p);
        start_workers(p, threads);
    }
    if (p->workers == 0) run_blocks(fn, ctx, 0, n, grain);
    else run_job(p, n, grain, fn, ctx);
    atomic_store(&p->busy, false);
}
