/*
 * random.c: the generator of random.h, and its uniforms, normals and integers. The vector loops are
 * in random_fill.inc; here is what decides how many words a fill takes, and in which order. What is
 * made from uniforms one by one (dropout, multinomial, ...) is in random_sample.c.
 */
#include "random.h"

#include <math.h>
#include <string.h>

#include "random_loops.h"

#define FMA32(a, b, c) RNN_FMA32(a, b, c)
#define FMA64(a, b, c) RNN_FMA64(a, b, c)

#define RNN_ISA_LEVEL 0
#include "isa.h"
#if RNN_ISA_X86
#include <immintrin.h>
#endif

#include "random_fill.inc"

static const rnn_random_loops *loops(void) {
#if RNN_ISA_X86
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        return &rnn_random_loops_avx2;
    }
#endif
    return &rnn_random_loops_base;
}

/* ---- the generator --------------------------------------------------------------------------- */

void rnn_rng_seed(rnn_rng *rng, uint64_t seed) {
    memset(rng, 0, sizeof *rng);
    rng->seed = seed;
    uint32_t word = (uint32_t)seed;
    rng->state[0] = word;
    for (uint32_t j = 1; j < RNN_RNG_N; j++) {
        word = 1812433253u * (word ^ (word >> 30)) + j;
        rng->state[j] = word;
    }
}

static int is_used_up(const rnn_rng *rng) { return rng->next == 0 || rng->next == RNN_RNG_N; }

static void renew(rnn_rng *rng) {
    loops()->renew(rng->state);
    rng->next = 0;
}

uint32_t rnn_rng_u32(rnn_rng *rng) {
    if (is_used_up(rng)) renew(rng);
    return rnn_temper(rng->state[rng->next++]);
}

uint64_t rnn_rng_u64(rnn_rng *rng) {
    uint64_t high = rnn_rng_u32(rng);
    return high << 32 | rnn_rng_u32(rng);
}

void rnn_rng_words(rnn_rng *rng, int64_t n, uint32_t *out) {
    const rnn_random_loops *k = loops();
    while (n > 0) {
        if (is_used_up(rng)) renew(rng);
        int64_t m = RNN_RNG_N - (int64_t)rng->next;
        if (m > n) m = n;
        k->temper(rng->state + rng->next, m, out);
        rng->next += (uint32_t)m;
        out += m;
        n -= m;
    }
}

double rnn_rng_uniform(rnn_rng *rng) {
    return (double)(rnn_rng_u64(rng) & 0x1fffffffffffff) * 0x1p-53;
}

double rnn_rng_normal(rnn_rng *rng, double mean, double std) {
    double z = rng->spare_double;
    if (rng->has_spare_double) {
        rng->has_spare_double = 0;
    } else {
        double u1 = rnn_rng_uniform(rng), u2 = rnn_rng_uniform(rng);
        double radius = sqrt(-2.0 * log1p(-u2)), theta = 6.28318530717958647692 * u1;
        rng->spare_double = radius * sin(theta);
        rng->has_spare_double = 1;
        z = radius * cos(theta);
    }
    return RNN_FMA64(z, std, mean);
}

/* ---- its state as bytes: struct CPUGeneratorImplState of torch ------------------------------- */

enum {
    AT_SEED = 0,           /* u64 */
    AT_LEFT = 8,           /* i32: words left, and one */
    AT_SEEDED = 12,        /* i32: 1 */
    AT_NEXT = 16,          /* u64 */
    AT_STATE = 24,         /* u64 each */
    AT_SPARE = 5024,       /* f64, between two that are no longer used */
    AT_HAS_SPARE = 5040,   /* i32 */
    AT_SPARE_FLOAT = 5048, /* f32 */
    AT_HAS_SPARE_FLOAT = 5052,
};

void rnn_rng_get_state(const rnn_rng *rng, uint8_t bytes[RNN_RNG_STATE_BYTES]) {
    int32_t left = rng->next == 0 ? 1 : (int32_t)(RNN_RNG_N + 1 - rng->next), one = 1;
    uint64_t next = rng->next;
    memset(bytes, 0, RNN_RNG_STATE_BYTES);
    memcpy(bytes + AT_SEED, &rng->seed, 8);
    memcpy(bytes + AT_LEFT, &left, 4);
    memcpy(bytes + AT_SEEDED, &one, 4);
    memcpy(bytes + AT_NEXT, &next, 8);
    for (int j = 0; j < RNN_RNG_N; j++) {
        uint64_t word = rng->state[j];
        memcpy(bytes + AT_STATE + 8 * j, &word, 8);
    }
    if (rng->has_spare_double) {
        memcpy(bytes + AT_SPARE, &rng->spare_double, 8);
        memcpy(bytes + AT_HAS_SPARE, &one, 4);
    }
    if (rng->has_spare_float) {
        memcpy(bytes + AT_SPARE_FLOAT, &rng->spare_float, 4);
        bytes[AT_HAS_SPARE_FLOAT] = 1;
    }
}

int rnn_rng_set_state(rnn_rng *rng, const uint8_t bytes[RNN_RNG_STATE_BYTES]) {
    int32_t left, seeded, has_spare;
    uint64_t next;
    memcpy(&left, bytes + AT_LEFT, 4);
    memcpy(&seeded, bytes + AT_SEEDED, 4);
    memcpy(&next, bytes + AT_NEXT, 8);
    memcpy(&has_spare, bytes + AT_HAS_SPARE, 4);
    if (seeded != 1 || next > RNN_RNG_N) return RNN_RNG_EVALUE;
    if (left != (next == 0 ? 1 : RNN_RNG_N + 1 - (int32_t)next)) return RNN_RNG_EVALUE;
    memcpy(&rng->seed, bytes + AT_SEED, 8);
    rng->next = (uint32_t)next;
    for (int j = 0; j < RNN_RNG_N; j++) {
        uint64_t word;
        memcpy(&word, bytes + AT_STATE + 8 * j, 8);
        rng->state[j] = (uint32_t)word;
    }
    rng->has_spare_double = has_spare != 0;
    rng->has_spare_float = bytes[AT_HAS_SPARE_FLOAT] != 0;
    memcpy(&rng->spare_double, bytes + AT_SPARE, 8);
    memcpy(&rng->spare_float, bytes + AT_SPARE_FLOAT, 4);
    return RNN_RNG_OK;
}

/* ---- uniforms -------------------------------------------------------------------------------- */

enum { CHUNK = 1024 }; /* words at a time, on the stack: whole blocks of 16 doubles */

int rnn_uniform_f32(rnn_rng *rng, double from, double to, int64_t n, float *out) {
    if (!(from <= to) || !((float)to - (float)from <= 3.40282347e38f)) return RNN_RNG_EVALUE;
    uint32_t word[CHUNK];
    for (int64_t i = 0; i < n; i += CHUNK) {
        int64_t m = n - i < CHUNK ? n - i : CHUNK;
        rnn_rng_words(rng, m, word);
        loops()->uniform_f32(word, m, (float)from, (float)to, out + i);
    }
    return RNN_RNG_OK;
}

int rnn_uniform_f64(rnn_rng *rng, double from, double to, int64_t n, double *out) {
    if (!(from <= to) || !(to - from <= 1.7976931348623157e308)) return RNN_RNG_EVALUE;
    uint32_t word[CHUNK];
    for (int64_t i = 0; i < n; i += CHUNK / 2) {
        int64_t m = n - i < CHUNK / 2 ? n - i : CHUNK / 2;
        rnn_rng_words(rng, 2 * m, word);
        loops()->uniform_f64(word, m, from, to, out + i);
    }
    return RNN_RNG_OK;
}

void rnn_rand_f32(rnn_rng *rng, int64_t n, float *out) { rnn_uniform_f32(rng, 0, 1, n, out); }
void rnn_rand_f64(rnn_rng *rng, int64_t n, double *out) { rnn_uniform_f64(rng, 0, 1, n, out); }

/* ---- normals --------------------------------------------------------------------------------- */

int rnn_normal_serial_f32(rnn_rng *rng, double mean, double std, int64_t n, float *out) {
    if (!(std >= 0)) return RNN_RNG_EVALUE;
    for (int64_t i = 0; i < n; i++) out[i] = (float)rnn_rng_normal(rng, mean, std);
    return RNN_RNG_OK;
}

int rnn_normal_serial_f64(rnn_rng *rng, double mean, double std, int64_t n, double *out) {
    if (!(std >= 0)) return RNN_RNG_EVALUE;
    for (int64_t i = 0; i < n; i++) out[i] = rnn_rng_normal(rng, mean, std);
    return RNN_RNG_OK;
}

/* Whole blocks a chunk at a time while their uniforms are in cache; then the last 16 anew. */
int rnn_normal_f32(rnn_rng *rng, double mean, double std, int64_t n, float *out) {
    if (n < 16 || !(std >= 0)) return rnn_normal_serial_f32(rng, mean, std, n, out);
    const rnn_random_loops *k = loops();
    for (int64_t i = 0; i < n; i += CHUNK) {
        int64_t m = n - i < CHUNK ? n - i : CHUNK;
        rnn_rand_f32(rng, m, out + i);
        k->box_muller_f32(out + i, m / 16, (float)mean, (float)std);
    }
    if (n % 16) {
        rnn_rand_f32(rng, 16, out + n - 16);
        k->box_muller_f32(out + n - 16, 1, (float)mean, (float)std);
    }
    return RNN_RNG_OK;
}

int rnn_normal_f64(rnn_rng *rng, double mean, double std, int64_t n, double *out) {
    if (n < 16 || !(std >= 0)) return rnn_normal_serial_f64(rng, mean, std, n, out);
    const rnn_random_loops *k = loops();
    for (int64_t i = 0; i < n; i += CHUNK) {
        int64_t m = n - i < CHUNK ? n - i : CHUNK;
        rnn_rand_f64(rng, m, out + i);
        k->box_muller_f64(out + i, m / 16, mean, std);
    }
    if (n % 16) {
        rnn_rand_f64(rng, 16, out + n - 16);
        k->box_muller_f64(out + n - 16, 1, mean, std);
    }
    return RNN_RNG_OK;
}

void rnn_randn_f32(rnn_rng *rng, int64_t n, float *out) { rnn_normal_f32(rng, 0, 1, n, out); }
void rnn_randn_f64(rnn_rng *rng, int64_t n, double *out) { rnn_normal_f64(rng, 0, 1, n, out); }

/* Two passes, so that no compiler fuses what torch rounds twice. */
int rnn_normal_arrays_f32(rnn_rng *rng, const float *mean, const float *std, int64_t n,
                          float *out) {
    for (int64_t i = 0; i < n; i++) {
        if (!(std[i] >= 0)) return RNN_RNG_EVALUE;
    }
    rnn_randn_f32(rng, n, out);
    for (int64_t i = 0; i < n; i++) out[i] *= std[i];
    for (int64_t i = 0; i < n; i++) out[i] += mean[i];
    return RNN_RNG_OK;
}

int rnn_normal_arrays_f64(rnn_rng *rng, const double *mean, const double *std, int64_t n,
                          double *out) {
    for (int64_t i = 0; i < n; i++) {
        if (!(std[i] >= 0)) return RNN_RNG_EVALUE;
    }
    rnn_randn_f64(rng, n, out);
    for (int64_t i = 0; i < n; i++) out[i] *= std[i];
    for (int64_t i = 0; i < n; i++) out[i] += mean[i];
    return RNN_RNG_OK;
}

/* ---- integers -------------------------------------------------------------------------------- */

int rnn_randint_i64(rnn_rng *rng, int64_t low, int64_t high, int64_t n, int64_t *out) {
    if (low >= high) return RNN_RNG_EVALUE;
    uint64_t range = (uint64_t)high - (uint64_t)low;
    if (range >= 1u << 28) {
        for (int64_t i = 0; i < n; i++) {
            out[i] = (int64_t)(rnn_rng_u64(rng) % range + (uint64_t)low);
        }
        return RNN_RNG_OK;
    }
    /* word % range without a division (Lemire, Kaser, Kurz 2019): exact for 32-bit operands */
    uint64_t inverse = UINT64_MAX / range + 1;
    uint32_t word[CHUNK];
    for (int64_t i = 0; i < n; i += CHUNK) {
        int64_t m = n - i < CHUNK ? n - i : CHUNK;
        rnn_rng_words(rng, m, word);
        for (int64_t j = 0; j < m; j++) {
            uint64_t fraction = inverse * word[j];
            out[i + j] = low + (int64_t)(((unsigned __int128)fraction * range) >> 64);
        }
    }
    return RNN_RNG_OK;
}

void rnn_random_i64(rnn_rng *rng, int64_t n, int64_t *out) {
    for (int64_t i = 0; i < n; i++) out[i] = (int64_t)(rnn_rng_u64(rng) & INT64_MAX);
}

int rnn_randperm(rnn_rng *rng, int64_t n, int64_t *out) {
    if (n < 0) return RNN_RNG_EVALUE;
    if (n >= UINT32_MAX / 20) {
        for (int64_t i = 0; i < n; i++) {
            int64_t j = (int64_t)(rnn_rng_u64(rng) % (uint64_t)(i + 1));
            out[i] = out[j]; /* j = i reads what the next line overwrites */
            out[j] = i;
        }
        return RNN_RNG_OK;
    }
    for (int64_t i = 0; i < n; i++) out[i] = i;
    uint32_t word[CHUNK];
    for (int64_t i = 0; i < n - 1; i += CHUNK) {
        int64_t m = n - 1 - i < CHUNK ? n - 1 - i : CHUNK;
        rnn_rng_words(rng, m, word);
        for (int64_t a = i; a < i + m; a++) {
            int64_t b = a + word[a - i] % (uint32_t)(n - a), x = out[a];
            out[a] = out[b];
            out[b] = x;
        }
    }
    return RNN_RNG_OK;
}
