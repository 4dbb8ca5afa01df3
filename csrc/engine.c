/* engine.c: the engine's life, its failures, its limits and this thread's modes. No operation is
 * here. */
#include "internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "isa.h"

static _Thread_local rnn_thread thread_state;

rnn_thread *rnn_thread_state(void) { return &thread_state; }

/* The choke point of every failure: writes the message, returns the code. */
int rnn_fail(rnn_engine *e, int code, const char *format, ...) {
    (void)e;
    va_list args;
    va_start(args, format);
    vsnprintf(thread_state.message, sizeof thread_state.message, format, args);
    va_end(args);
    thread_state.code = code;
    return code;
}

int rnn_failure(void) { return thread_state.code; }

const char *rnn_message(rnn_engine *e) {
    (void)e;
    return thread_state.message;
}

void rnn_lock(rnn_engine *e) { pthread_mutex_lock(&e->lock); }
void rnn_unlock(rnn_engine *e) { pthread_mutex_unlock(&e->lock); }

bool rnn_mul_size(uint64_t a, uint64_t b, uint64_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}

/* Every allocation of the engine counts down fail_after, so that tests can fail each in turn. */
bool rnn_allocation_fails(rnn_engine *e) {
    if (__atomic_load_n(&e->fail_after, __ATOMIC_RELAXED) == 0) return false;
    int64_t left = __atomic_sub_fetch(&e->fail_after, 1, __ATOMIC_RELAXED);
    if (left > 0) return false;
    __atomic_store_n(&e->fail_after, 1, __ATOMIC_RELAXED);
    return true;
}

void *rnn_malloc(rnn_engine *e, size_t bytes) {
    if (rnn_allocation_fails(e)) return NULL;
    return malloc(bytes ? bytes : 1);
}

/* Memory of the machine or of the container, whichever is less. */
static uint64_t machine_memory(void) {
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    uint64_t bytes = pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : (uint64_t)4 << 30;
    static const char *const files[] = {"/sys/fs/cgroup/memory.max",
                                        "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    for (int i = 0; i < 2; i++) {
        FILE *f = fopen(files[i], "r");
        unsigned long long limit = 0;
        if (f && fscanf(f, "%llu", &limit) == 1 && limit > 0 && limit < bytes) bytes = limit;
        if (f) fclose(f);
    }
    return bytes;
}

static int init_locks(rnn_engine *e) {
    if (pthread_mutex_init(&e->lock, NULL) || pthread_mutex_init(&e->random_lock, NULL)) return -1;
    return rnn_turn_init(e) ? -1 : 0;
}

static void choose_kernels(rnn_engine *e) {
    e->isa = rnn_isa_detect();
    e->k = RNN_ISA_PICK(rnn_kernels, e->isa);
    rnn_gemm_env_init(&e->gemm, e->pool, (rnn_blas){NULL, NULL}, e->isa);
}

/* One engine a process, for fork's sake: see below. */
static rnn_engine *forked;

static void before_fork(void) {
    if (!forked) return;
    pthread_mutex_lock(&forked->lock);
    pthread_mutex_lock(&forked->random_lock);
}

static void after_fork_parent(void) {
    if (!forked) return;
    pthread_mutex_unlock(&forked->random_lock);
    pthread_mutex_unlock(&forked->lock);
}

/* The child has one thread, this one, which took the locks: it may make them anew. */
static void after_fork_child(void) {
    if (!forked) return;
    pthread_mutex_init(&forked->lock, NULL);
    pthread_mutex_init(&forked->random_lock, NULL);
    rnn_turn_after_fork(forked);
}

rnn_engine *rnn_new(void) {
    rnn_engine *e = calloc(1, sizeof *e);
    if (!e) return NULL;
    e->limit = machine_memory() / 10 * 9;
    e->counter = 1;
    e->pool = rnn_pool_new(0);
    if (init_locks(e) || !e->pool || rnn_arena_init(e)) {
        rnn_free(e);
        return NULL;
    }
    choose_kernels(e);
    rnn_rng_seed(&e->rng, RNN_RNG_DEFAULT_SEED);
    static bool registered;
    if (!registered) registered = !pthread_atfork(before_fork, after_fork_parent, after_fork_child);
    if (!forked) forked = e;
    return e;
}

void rnn_free(rnn_engine *e) {
    if (!e) return;
    if (forked == e) forked = NULL;
    rnn_gemm_env_free(&e->gemm);
    rnn_pool_free(e->pool);
    rnn_arena_free(e);
    free(e);
}

const char *rnn_compiler(void) {
#if defined(__clang__)
    return "clang " __clang_version__;
#elif defined(__GNUC__)
    return "gcc " __VERSION__;
#else
    return "unknown";
#endif
}

const char *rnn_isa(rnn_engine *e) { return rnn_isa_name(e->isa); }

void rnn_set_blas(rnn_engine *e, void *sgemm, void *dgemm) {
    e->gemm.blas = (rnn_blas){sgemm, dgemm};
}

int rnn_has_blas(rnn_engine *e) { return e->gemm.blas.sgemm && e->gemm.blas.dgemm; }

int rnn_set_threads(rnn_engine *e, int threads) {
    if (threads < 1) return rnn_fail(e, RNN_ERUNTIME, "set_num_threads expects a positive integer");
    return rnn_pool_resize(e->pool, threads);
}

int rnn_threads(rnn_engine *e) { return rnn_pool_threads(e->pool); }

void rnn_set_memory_limit(rnn_engine *e, uint64_t bytes) {
    rnn_lock(e);
    e->limit = bytes;
    rnn_unlock(e);
}

void rnn_memory(rnn_engine *e, uint64_t *out) {
    rnn_lock(e);
    const uint64_t all[] = {e->limit, e->live, e->peak, e->cached, e->live_spans, e->counter - 1};
    memcpy(out, all, sizeof all);
    rnn_unlock(e);
}

void rnn_reset_peak(rnn_engine *e) {
    rnn_lock(e);
    e->peak = e->live;
    rnn_unlock(e);
}

void rnn_fail_after(rnn_engine *e, int64_t n) {
    __atomic_store_n(&e->fail_after, n, __ATOMIC_RELAXED);
}

/* ---- this thread's modes --------------------------------------------------------------------- */

int rnn_grad_mode(void) { return !(thread_state.no_grad | thread_state.inference); }

int rnn_set_grad_mode(int on) {
    int was = !thread_state.no_grad;
    thread_state.no_grad = !on;
    return was;
}

int rnn_inference_mode(void) { return thread_state.inference; }

int rnn_set_inference_mode(int on) {
    int was = thread_state.inference;
    thread_state.inference = on != 0;
    return was;
}

int rnn_tracing(void) { return thread_state.trace; }

int rnn_set_tracing(int on) {
    int was = thread_state.trace;
    thread_state.trace = on != 0;
    return was;
}

int rnn_resolution(void) { return thread_state.scalar; }

int rnn_set_resolution(int scalar) {
    int was = thread_state.scalar;
    thread_state.scalar = scalar != 0;
    return was;
}
