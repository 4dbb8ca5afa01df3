/*
 * gemm.c: chooses how a matrix product is computed and shares it out among threads. The arithmetic
 * is a BLAS's or that of gemm.inc; the choices, the same for float and double, are in
 * gemm_driver.inc.
 */
#define _GNU_SOURCE /* madvise */
#include "gemm.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "gemm_kernels.h"
#include "isa.h"

/* ---- scratch --------------------------------------------------------------------------------- */

enum { SLOTS = 32 };

/* Idle buffers of RNN_GEMM_SCRATCH bytes, and a larger one. Taking one empties its slot; nobody
 * waits. */
struct rnn_gemm_scratch {
    _Atomic(void *) slot[SLOTS];
    _Atomic(void *) large; /* begins with its size */
};

/* A buffer for packed operands: `at` is what may be used, aligned to a cache line. */
typedef struct {
    void *memory;
    void *at;
} large_buffer;

/* NULL where memory is short. */
static void *take_buffer(const rnn_gemm_env *env) {
    for (int i = 0; env->scratch != NULL && i < SLOTS; i++) {
        void *buffer = atomic_exchange(&env->scratch->slot[i], NULL);
        if (buffer != NULL) return buffer;
    }
    void *buffer = NULL;
    return posix_memalign(&buffer, 64, RNN_GEMM_SCRATCH) == 0 ? buffer : NULL;
}

static void give_buffer(const rnn_gemm_env *env, void *buffer) {
    for (int i = 0; buffer != NULL && env->scratch != NULL && i < SLOTS; i++) {
        void *empty = NULL;
        if (atomic_compare_exchange_strong(&env->scratch->slot[i], &empty, buffer)) return;
    }
    free(buffer);
}

/* At least `size` bytes; NULL where memory is short. The largest that was needed is kept. */
static large_buffer take_large(const rnn_gemm_env *env, size_t size) {
    enum { HEAD = 64, HUGE_PAGE = 2 << 20 };
    size_t *memory = env->scratch ? atomic_exchange(&env->scratch->large, NULL) : NULL;
    if (memory != NULL && *memory < size) {
        free(memory);
        memory = NULL;
    }
    if (memory == NULL) {
        void *fresh = NULL;
        const bool huge = size > HUGE_PAGE;
        if (posix_memalign(&fresh, huge ? HUGE_PAGE : HEAD, size + HEAD) != 0)
            return (large_buffer){NULL, NULL};
#ifdef MADV_HUGEPAGE
        if (huge) madvise(fresh, size + HEAD, MADV_HUGEPAGE); /* a refusal costs nothing */
#endif
        memory = fresh;
        *memory = size;
    }
    return (large_buffer){memory, (char *)memory + HEAD};
}

static void give_large(const rnn_gemm_env *env, large_buffer buffer) {
    void *empty = NULL;
    if (env->scratch == NULL ||
        !atomic_compare_exchange_strong(&env->scratch->large, &empty, buffer.memory))
        free(buffer.memory);
}

void rnn_gemm_env_init(rnn_gemm_env *env, rnn_pool *pool, rnn_blas blas, int isa) {
    env->pool = pool;
    env->blas = blas;
    env->kernels = RNN_ISA_PICK(rnn_gemm_kernels, isa);
    env->scratch = calloc(1, sizeof *env->scratch);
}

void rnn_gemm_env_free(rnn_gemm_env *env) {
    for (int i = 0; env->scratch != NULL && i < SLOTS; i++) free(env->scratch->slot[i]);
    if (env->scratch != NULL) free(env->scratch->large);
    free(env->scratch);
    env->scratch = NULL;
}

/* ---- both types ------------------------------------------------------------------------------ */

enum { CBLAS_ROW_MAJOR = 101, CBLAS_NO_TRANS = 111, CBLAS_TRANS = 112 };

static bool fits_int(int64_t a, int64_t b, int64_t c) {
    return a <= INT_MAX && b <= INT_MAX && c <= INT_MAX;
}

/* True where both operands, packed, fit what a kernel has on its stack. */
static bool packs_small(int64_t m, int64_t n, int64_t k, int64_t size) {
    enum { PADDING = 64, LARGE = RNN_GEMM_SMALL };
    return m < LARGE && n < LARGE && k < LARGE && (m + n + PADDING) * k * size < RNN_GEMM_SMALL;
}

/* How C (m, n) is cut into panels of at most (rows, cols) that threads compute one by one. */
typedef struct {
    int64_t rows, cols, count;
} panels;

static int64_t divide_up(int64_t a, int64_t b) { return a / b + (a % b != 0); }

/* Halves the longer side of the panels until there are some for each thread; then further, so that
 * no thread is waited for long, while they are so large that packing them costs little. */
static panels cut_panels(int64_t m, int64_t n, int64_t k, int threads) {
    enum { ALIGN = 16, FEW = 2, MANY = 4 };
    const double small = 1 << 20, large = 1 << 24; /* multiplications of a panel */
    panels p = {m, n, 1};
    while (threads > 1 && p.count < MANY * threads) {
        int64_t *side = p.rows >= p.cols ? &p.rows : &p.cols;
        double half = (double)p.rows * (double)p.cols * (double)k / 2;
        if (*side < 2 * ALIGN || half < (p.count < FEW * threads ? small : large)) break;
        *side = divide_up(divide_up(*side, 2), ALIGN) * ALIGN;
        p.count = divide_up(m, p.rows) * divide_up(n, p.cols);
    }
    return p;
}

/* Whether x (m, k) W (k, n) is faster by kernels that read W once than by packing it: measured. */
static bool rows_pay(bool dot, int64_t m, int64_t n, int64_t k, int64_t size) {
    const double cached = 32 << 10, large = 1 << 20; /* bytes of W */
    double bytes = (double)n * (double)k * (double)size;
    if (m > RNN_GEMM_ROWS) return dot && m <= 2 * RNN_GEMM_ROWS && bytes > large && k >= 256;
    if (m == 1) return !dot || k >= 16;
    return dot ? k >= 64 * m : n >= 64 && bytes > cached;
}

/* How a product W x is cut when few rows make it a matter of reading W (k, n) once: into slabs of
 * `depth` of its k, and tiles of `width` of its n. Depends on the sizes alone, so that sums are
 * added in the same order whatever the threads do. */
typedef struct {
    int64_t width, depth, tiles, slabs;
} pieces;

/* dot: k runs along the memory of W, else n. Every slab costs a partial result of m * n elements,
 * of which there is room for `room`. */
static pieces cut_rows(bool dot, int64_t m, int64_t n, int64_t k, int64_t size, int64_t room) {
    enum { PIECE = 128 << 10, LINE = 8192, SLABS = 16 };
    pieces c = {n, k, 1, 1};
    double bytes = (double)n * (double)k * (double)size;
    int64_t align = dot ? 64 : 8; /* whole cache lines; rows that axpy takes together */
    int64_t most = room / (m * n) < SLABS ? room / (m * n) : SLABS;
    if (bytes < 2 * PIECE) return c;
    if (dot && k * size < PIECE) c.width = divide_up(PIECE / size / k, 16) * 16;
    else c.width = dot ? 4 : divide_up(divide_up(n, divide_up(n, LINE)), 16) * 16;
    if (c.width > n) c.width = n;
    c.tiles = divide_up(n, c.width);
    if (c.tiles < SLABS && most > 1) {
        double wanted = bytes / PIECE / (double)c.tiles;
        c.slabs = wanted < 1 ? 1 : wanted < (double)most ? (int64_t)wanted : most;
        c.depth = divide_up(divide_up(k, c.slabs), align) * align;
        c.slabs = divide_up(k, c.depth);
    }
    return c;
}

#define REAL float
#define FN(name) name##_s
#define API(name) rnn_s##name
#define KERNELS s
#define BLAS sgemm
#include "gemm_driver.inc"
#undef REAL
#undef FN
#undef API
#undef KERNELS
#undef BLAS

#define REAL double
#define FN(name) name##_d
#define API(name) rnn_d##name
#define KERNELS d
#define BLAS dgemm
#include "gemm_driver.inc"
