/*
 * gemm.c: chooses how a matrix product is computed and shares it out among threads. The arithmetic
 * is a BLAS's or that of gemm.inc; the choices, the same for float and double, are in
 * gemm_driver.inc.
 */
#include "gemm.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "gemm_kernels.h"
#include "isa.h"

/* ---------------------------------------------------------------- scratch */

enum { SLOTS = 32 };

/* Idle buffers of RNN_GEMM_SCRATCH bytes. Taking one empties its slot; nobody waits. */
struct rnn_gemm_scratch {
    _Atomic(void *) slot[SLOTS];
};

/* NULL where memory is short. */
static void *take_buffer(const rnn_gemm_env *env)
{
    for (int i = 0; env->scratch != NULL && i < SLOTS; i++) {
        void *buffer = atomic_exchange(&env->scratch->slot[i], NULL);
        if (buffer != NULL) return buffer;
    }
    void *buffer = NULL;
    return posix_memalign(&buffer, 64, RNN_GEMM_SCRATCH) == 0 ? buffer : NULL;
}

static void give_buffer(const rnn_gemm_env *env, void *buffer)
{
    for (int i = 0; buffer != NULL && env->scratch != NULL && i < SLOTS; i++) {
        void *empty = NULL;
        if (atomic_compare_exchange_strong(&env->scratch->slot[i], &empty, buffer)) return;
    }
    free(buffer);
}

void rnn_gemm_env_init(rnn_gemm_env *env, rnn_pool *pool, rnn_blas blas, int isa)
{
    env->pool = pool;
    env->blas = blas;
    env->kernels = RNN_ISA_PICK(rnn_gemm_kernels, isa);
    env->scratch = calloc(1, sizeof *env->scratch);
}

void rnn_gemm_env_free(rnn_gemm_env *env)
{
    for (int i = 0; env->scratch != NULL && i < SLOTS; i++) free(env->scratch->slot[i]);
    free(env->scratch);
    env->scratch = NULL;
}

/* ---------------------------------------------------------------- both types */

enum { CBLAS_ROW_MAJOR = 101, CBLAS_NO_TRANS = 111, CBLAS_TRANS = 112 };

static bool fits_int(int64_t a, int64_t b, int64_t c)
{
    return a <= INT_MAX && b <= INT_MAX && c <= INT_MAX;
}

static int64_t at_least_one(int64_t x) { return x < 1 ? 1 : x; }

/* How C (m, n) is cut into panels of at most (rows, cols) that threads compute one by one. */
typedef struct {
    int64_t rows, cols, count;
} panels;

static int64_t divide_up(int64_t a, int64_t b) { return a / b + (a % b != 0); }

/* Halves the longer side while there are too few panels to share and each is worth its call. */
static panels cut_panels(int64_t m, int64_t n, int64_t k, int threads)
{
    enum { ALIGN = 16, PANELS_PER_THREAD = 4 };
    const double worth = 1 << 20; /* multiplications */
    panels p = {m, n, 1};
    while (threads > 1 && p.count < PANELS_PER_THREAD * threads) {
        int64_t *side = p.rows >= p.cols ? &p.rows : &p.cols;
        if (*side < 2 * ALIGN || (double)p.rows * (double)p.cols * (double)k < 2 * worth) break;
        *side = divide_up(divide_up(*side, 2), ALIGN) * ALIGN;
        p.count = divide_up(m, p.rows) * divide_up(n, p.cols);
    }
    return p;
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
