/*
 * threads.h: a small pool of POSIX threads and one way to use it, rnn_parallel_for.
 *
 * What it is: fork and join over a range of integers, with blocks handed out as threads come
 * for them. What it is not: a task graph, a queue or a scheduler. It knows nothing of tensors.
 *
 * Example:
 *
 *     static void scale(void *ctx, int64_t begin, int64_t end)
 *     {
 *         float *x = ctx;
 *         for (int64_t i = begin; i < end; i++) x[i] *= 2;
 *     }
 *     rnn_pool *pool = rnn_pool_new(0);
 *     rnn_parallel_for(pool, n, 4096, scale, x);
 *     rnn_pool_free(pool);
 */
#ifndef RNN_THREADS_H
#define RNN_THREADS_H

#include <stdint.h>

enum { RNN_POOL_MAX = 256 }; /* threads, the caller included */

typedef struct rnn_pool rnn_pool;

/* Work on items begin <= i < end. Must not unwind (longjmp) out of the pool. */
typedef void (*rnn_task)(void *ctx, int64_t begin, int64_t end);

/* A pool of `threads` threads, counting the caller; 0 or less means one for each processor this
 * process may run on. No thread is started before the first job that has a use for it.
 * NULL when memory is short. */
rnn_pool *rnn_pool_new(int threads);

/* Stops and joins the workers. No job may be running. NULL is allowed. After a fork the child
 * may free the pool that it inherited. */
void rnn_pool_free(rnn_pool *pool);

/* Threads that a job may use, the caller included; 1 for NULL. */
int rnn_pool_threads(const rnn_pool *pool);

/* Sets the number of threads (0 or less: as in rnn_pool_new) and returns the number that will
 * be used. Takes effect with the next job, so it may be called at any time by any thread. */
int rnn_pool_resize(rnn_pool *pool, int threads);

/*
 * Calls fn(ctx, i * grain, min(n, (i + 1) * grain)) for every i, each exactly once, in no
 * particular order, and returns when all have returned. The blocks depend on n and grain alone,
 * never on the number of threads: a reduction that keeps one partial result a block
 * (index begin / grain) gives the same bits on every machine and every run.
 *
 * - n <= grain, a NULL pool or a pool of one thread: runs in the caller, no lock, no atomic.
 * - The caller works too, and never waits for a worker that has not claimed a block.
 * - A call from inside a task, or while another thread's job has the pool, runs in its caller.
 * - grain should be worth some 10 microseconds of work; less than 1 counts as 1.
 */
void rnn_parallel_for(rnn_pool *pool, int64_t n, int64_t grain, rnn_task fn, void *ctx);

#endif
