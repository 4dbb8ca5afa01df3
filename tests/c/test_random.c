/*
 * test_random.c: tests of csrc/random*.c against numbers that torch drew (random_expected.h).
 * Prints what failed and returns 1, or prints "ok".
 *
 *     cc -std=gnu11 -O2 -g -Wall -Wextra -Icsrc tests/c/test_random.c csrc/random*.c -lm
 *
 * plain, and with -fsanitize=address,undefined.
 */
#include "random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "random_expected.h"
#include "random_loops.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

/* ---- every fill under its name in random_expected.h ------------------------------------------ */

static const float *weights(void) {
    static float p[27];
    for (int i = 0; i < 27; i++) p[i] = (float)(i % 5);
    return p;
}

/* count elements of n / count rows of torch.multinomial(weights, k) */
static void multinomial(rnn_rng *g, int64_t rows, int64_t k, int replacement, int64_t *out) {
    double work[27];
    for (int64_t i = 0; i < rows; i++) {
        int code = rnn_multinomial_f32(g, weights(), 1, 27, k, replacement, work, out + i * k);
        CHECK_SAYING(code == RNN_RNG_OK, "multinomial: %d", code);
    }
}

static void bernoulli_array_f32(rnn_rng *g, int64_t n, float *out) {
    float *p = malloc((size_t)n * sizeof *p);
    for (int64_t i = 0; i < n; i++) p[i] = (float)i / (float)n;
    rnn_bernoulli_array_f32(g, p, n, out);
    free(p);
}

static void bernoulli_array_f64(rnn_rng *g, int64_t n, double *out) {
    double *p = malloc((size_t)n * sizeof *p);
    for (int64_t i = 0; i < n; i++) p[i] = (double)i / (double)n;
    rnn_bernoulli_array_f64(g, p, n, out);
    free(p);
}

/* name, bytes for each of n, call that fills `out` */
#define FILLS(F) \
    F(rand_f32, 4, rnn_rand_f32(g, n, out)) \
    F(rand_f64, 8, rnn_rand_f64(g, n, out)) \
    F(uniform_f32, 4, rnn_uniform_f32(g, -0.3, 1.7, n, out)) \
    F(uniform_f64, 8, rnn_uniform_f64(g, -0.3, 1.7, n, out)) \
    F(uniform_edge_f32, 4, rnn_uniform_f32(g, 1 - 0x1p-22, 1, n, out)) \
    F(uniform_edge_f64, 8, rnn_uniform_f64(g, 1 - 0x1p-51, 1, n, out)) \
    F(nothing, 0, rnn_rand_f32(g, 0 * n, out)) \
    F(randn_f32, 4, rnn_randn_f32(g, n, out)) \
    F(randn_f64, 8, rnn_randn_f64(g, n, out)) \
    F(normal_f32, 4, rnn_normal_f32(g, -0.3, 1.7, n, out)) \
    F(normal_f64, 8, rnn_normal_f64(g, -0.3, 1.7, n, out)) \
    F(normal_serial_f32, 4, rnn_normal_serial_f32(g, -0.3, 1.7, n, out)) \
    F(normal_serial_f64, 8, rnn_normal_serial_f64(g, -0.3, 1.7, n, out)) \
    F(randint, 8, rnn_randint_i64(g, -7, 100, n, out)) \
    F(randint_2_28, 8, rnn_randint_i64(g, 0, 1 << 28, n, out)) \
    F(randint_2_63, 8, rnn_randint_i64(g, INT64_MIN, INT64_MAX, n, out)) \
    F(random, 8, rnn_random_i64(g, n, out)) \
    F(randperm, 8, rnn_randperm(g, n, out)) \
    F(bernoulli_f32, 4, rnn_bernoulli_f32(g, 0.3, n, out)) \
    F(bernoulli_f64, 8, rnn_bernoulli_f64(g, 0.3, n, out)) \
    F(bernoulli_u8, 1, rnn_bernoulli_u8(g, 0.3, n, out)) \
    F(bernoulli_array_f32, 4, bernoulli_array_f32(g, n, out)) \
    F(bernoulli_array_f64, 8, bernoulli_array_f64(g, n, out)) \
    F(dropout_f32, 4, rnn_dropout_mask_f32(g, 0.45, n, out)) \
    F(dropout_f64, 8, rnn_dropout_mask_f64(g, 0.45, n, out)) \
    F(multinomial_1, 8, multinomial(g, n, 1, 0, out)) \
    F(multinomial_4, 32, multinomial(g, n, 4, 0, out)) \
    F(multinomial_1_again, 8, multinomial(g, n, 1, 1, out)) \
    F(multinomial_again, 16, multinomial(g, 1, 2 * n, 1, out)) \
    F(exponential_f32, 4, rnn_exponential_f32(g, 1.7, n, out)) \
    F(exponential_f64, 8, rnn_exponential_f64(g, 1.7, n, out)) \
    F(cauchy_f32, 4, rnn_cauchy_f32(g, 0.5, 1.7, n, out)) \
    F(cauchy_f64, 8, rnn_cauchy_f64(g, 0.5, 1.7, n, out)) \
    F(log_normal_f32, 4, rnn_log_normal_f32(g, 0.5, 0.7, n, out)) \
    F(log_normal_f64, 8, rnn_log_normal_f64(g, 0.5, 0.7, n, out)) \
    F(geometric_f32, 4, rnn_geometric_f32(g, 0.3, n, out)) \
    F(geometric_f64, 8, rnn_geometric_f64(g, 0.3, n, out))

#define FILL_FUNCTION(name, size, call) \
    static void fill_##name(rnn_rng *g, int64_t n, void *out) { call; }
#define FILL_ROW(name, size, call) {#name, size, fill_##name},

FILLS(FILL_FUNCTION)
static const struct fill {
    const char *name;
    size_t size;
    void (*call)(rnn_rng *g, int64_t n, void *out);
} TABLE[] = {FILLS(FILL_ROW)};

static const struct fill *find(const char *name) {
    for (int i = 0; i < COUNT(TABLE); i++) {
        if (strcmp(TABLE[i].name, name) == 0) return &TABLE[i];
    }
    printf("no fill of the name %s\n", name);
    exit(1);
}

/* ---- against torch --------------------------------------------------------------------------- */

static uint64_t fnv(uint64_t value, const void *data, size_t n) {
    const uint8_t *byte = data;
    for (size_t i = 0; i < n; i++) value = (value ^ byte[i]) * 0x100000001b3u;
    return value;
}

static uint64_t state_hash(const rnn_rng *g) {
    uint8_t bytes[RNN_RNG_STATE_BYTES];
    rnn_rng_get_state(g, bytes);
    return fnv(0xcbf29ce484222325u, bytes, sizeof bytes);
}

static void test_exact(void) {
    for (int i = 0; i < COUNT(EXACT); i++) {
        const struct fill *f = find(EXACT[i].fill);
        uint64_t hash = 0xcbf29ce484222325u;
        rnn_rng g;
        rnn_rng_seed(&g, EXACT[i].seed);
        for (int s = 0; s < COUNT(SIZES); s++) {
            if (SIZES[s] < EXACT[i].least) continue;
            size_t bytes = f->size * (size_t)SIZES[s];
            void *out = malloc(bytes); /* of this very size, so that a sanitizer sees its end */
            f->call(&g, SIZES[s], out);
            hash = fnv(hash, out, bytes);
            free(out);
        }
        CHECK_SAYING(hash == EXACT[i].hash, "%s, seed %llu: other numbers than torch's", f->name,
                     (unsigned long long)EXACT[i].seed);
        CHECK_SAYING(state_hash(&g) == EXACT[i].state, "%s, seed %llu: another state", f->name,
                     (unsigned long long)EXACT[i].seed);
    }
}

static void test_close(void) {
    for (int i = 0; i < COUNT(CLOSE); i++) {
        const struct fill *f = find(CLOSE[i].fill);
        rnn_rng g;
        rnn_rng_seed(&g, CLOSE[i].seed);
        for (int s = 0; s < COUNT(SIZES); s++) {
            size_t n = (size_t)SIZES[s];
            void *out = malloc(f->size * n);
            f->call(&g, SIZES[s], out);
            double x = f->size == 4 ? (double)((float *)out)[n - 1] : ((double *)out)[n - 1];
            double expected = CLOSE[i].last[s], ulp = f->size == 4 ? 1.2e-7 : 4e-16;
            CHECK_SAYING(fabs(x - expected) <= 4 * ulp * (1 + fabs(expected)),
                         "%s, seed %llu, last of %d: %.17g, torch %.17g", f->name,
                         (unsigned long long)CLOSE[i].seed, (int)n, x, expected);
            free(out);
        }
    }
}

/* ---- by itself ------------------------------------------------------------------------------- */

/* The 10,000th word of the reference seed, as the C++ standard has it. */
static void test_mt19937(void) {
    rnn_rng a, b;
    uint32_t word[10000], last = 0;
    rnn_rng_seed(&a, 5489);
    rnn_rng_seed(&b, 5489);
    for (int i = 0; i < 10000; i++) last = rnn_rng_u32(&a);
    rnn_rng_words(&b, 10000, word);
    CHECK_SAYING(last == 4123659995u, "10,000th word: %u", last);
    CHECK_SAYING(word[9999] == last, "words and u32 differ");
    rnn_rng_seed(&a, 7 + (UINT64_C(1) << 32)); /* the low half counts */
    rnn_rng_seed(&b, 7);
    CHECK_SAYING(rnn_rng_u32(&a) == rnn_rng_u32(&b), "seeds 7 and 2^32 + 7 differ");
}

static void test_state(void) {
    static const int drawn[] = {0, 1, 623, 624, 625, 1248};
    for (int i = 0; i < COUNT(drawn); i++) {
        rnn_rng a, b;
        uint8_t bytes[RNN_RNG_STATE_BYTES];
        rnn_rng_seed(&a, 3);
        rnn_rng_seed(&b, 4);
        if (i % 2) rnn_rng_normal(&a, 0, 1);
        for (int j = 0; j < drawn[i]; j++) rnn_rng_u32(&a);
        rnn_rng_get_state(&a, bytes);
        CHECK_SAYING(rnn_rng_set_state(&b, bytes) == RNN_RNG_OK, "set_state");
        CHECK_SAYING(state_hash(&a) == state_hash(&b), "state after %d words", drawn[i]);
        for (int j = 0; j < 700; j++)
            CHECK_SAYING(rnn_rng_u32(&a) == rnn_rng_u32(&b), "word %d", j);
        CHECK_SAYING(rnn_rng_normal(&a, 0, 1) == rnn_rng_normal(&b, 0, 1), "spare normal");
        uint64_t before = state_hash(&b);
        for (int at = 8; at < 24; at++) { /* left, seeded, next: each byte spoilt */
            rnn_rng_get_state(&b, bytes);
            bytes[at] ^= 0x41;
            CHECK_SAYING(rnn_rng_set_state(&b, bytes) == RNN_RNG_EVALUE, "byte %d taken", at);
        }
        CHECK_SAYING(state_hash(&b) == before, "a refused state changed the generator");
    }
}

static void test_refusals(void) {
    rnn_rng g;
    rnn_rng_seed(&g, 1);
    uint64_t before = state_hash(&g);
    float x[20], bad[3] = {1, -1, 2}, ok[3] = {1, 1, 1};
    int64_t k[20];
    double work[3];
#define REFUSED(call) CHECK_SAYING((call) == RNN_RNG_EVALUE, #call)
    REFUSED(rnn_uniform_f32(&g, 1, 0, 20, x));
    REFUSED(rnn_uniform_f32(&g, NAN, 1, 20, x));
    REFUSED(rnn_uniform_f32(&g, -3e38, 3e38, 20, x));
    REFUSED(rnn_normal_f32(&g, 0, -1, 20, x));
    REFUSED(rnn_normal_f32(&g, 0, NAN, 3, x));
    REFUSED(rnn_normal_arrays_f32(&g, ok, bad, 3, x));
    REFUSED(rnn_randint_i64(&g, 5, 5, 20, k));
    REFUSED(rnn_randint_i64(&g, 5, -5, 20, k));
    REFUSED(rnn_randperm(&g, -1, k));
    REFUSED(rnn_bernoulli_f32(&g, 1.5, 20, x));
    REFUSED(rnn_bernoulli_array_f32(&g, bad, 3, x));
    REFUSED(rnn_dropout_mask_f32(&g, NAN, 20, x));
    REFUSED(rnn_exponential_f32(&g, 0, 20, x));
    REFUSED(rnn_cauchy_f32(&g, 0, 0, 20, x));
    REFUSED(rnn_log_normal_f32(&g, 0, 0, 20, x));
    REFUSED(rnn_geometric_f32(&g, 1, 20, x));
    REFUSED(rnn_multinomial_f32(&g, ok, 1, 3, 4, 0, work, k));
    REFUSED(rnn_multinomial_f32(&g, ok, 1, 3, 0, 0, work, k));
    REFUSED(rnn_multinomial_f32(&g, ok, 1, 0, 1, 1, work, k));
#undef REFUSED
    float zero[3] = {0, 0, 0}, infinite[3] = {1, INFINITY, 1}, nan[3] = {1, 1, NAN};
    CHECK_SAYING(rnn_multinomial_f32(&g, bad, 1, 3, 1, 0, work, k) == RNN_RNG_ENEGATIVE,
                 "negative");
    CHECK_SAYING(rnn_multinomial_f32(&g, infinite, 1, 3, 2, 1, work, k) == RNN_RNG_EINFINITE,
                 "inf");
    CHECK_SAYING(rnn_multinomial_f32(&g, nan, 1, 3, 2, 0, work, k) == RNN_RNG_EINFINITE, "nan");
    CHECK_SAYING(rnn_multinomial_f32(&g, zero, 1, 3, 2, 0, work, k) == RNN_RNG_EZERO, "zero");
    CHECK_SAYING(state_hash(&g) == before, "a refused fill drew");
    rnn_randn_f32(&g, 0, x);
    rnn_rand_f32(&g, -5, x);
    rnn_randperm(&g, 0, k);
    rnn_randperm(&g, 1, k);
    rnn_dropout_mask_f32(&g, 0, 20, x);
    CHECK_SAYING(x[0] == 1 && x[19] == 1, "dropout of 0");
    rnn_dropout_mask_f32(&g, 1, 20, x);
    CHECK_SAYING(x[0] == 0 && x[19] == 0, "dropout of 1");
    CHECK_SAYING(state_hash(&g) == before, "an empty fill drew");
}

/* Weights of 0 are not drawn while there are others; then they come last, in order. */
static void test_multinomial_zeros(void) {
    double p[8] = {0, 1, 0, 0, 2, 0, 0, 1e-300}, work[8];
    int64_t k[8];
    rnn_rng g;
    rnn_rng_seed(&g, 1);
    for (int i = 0; i < 2000; i++) {
        rnn_multinomial_f64(&g, p, 1, 8, 1, i % 2, work, k);
        CHECK_SAYING(p[k[0]] > 0, "weight 0 drawn");
    }
    rnn_multinomial_f64(&g, p, 1, 8, 8, 0, work, k);
    static const int64_t rest[] = {0, 2, 3, 5, 6};
    CHECK_SAYING(memcmp(k + 3, rest, sizeof rest) == 0, "order of the zeros");
}

/* Every instruction set the same bits: all 2^24 values of either uniform of a pair. */
static void test_same_bits(void) {
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return;
    enum { BLOCKS = 1024, N = 16 * BLOCKS };
    static float a[N], b[N];
    int64_t differ = 0;
    for (uint32_t start = 0; start < 1u << 24; start += N / 2) {
        for (int block = 0; block < BLOCKS; block++) {
            for (int j = 0; j < 8; j++) {
                uint32_t u = start + (uint32_t)(8 * block + j);
                a[16 * block + j] = (float)u * 0x1p-24f;
                a[16 * block + j + 8] = (float)(u * 2654435761u >> 8) * 0x1p-24f;
            }
        }
        memcpy(b, a, sizeof a);
        rnn_random_loops_base.box_muller_f32(a, BLOCKS, 0.1f, 1.3f);
        rnn_random_loops_avx2.box_muller_f32(b, BLOCKS, 0.1f, 1.3f);
        for (int i = 0; i < N; i++) differ += a[i] != b[i];
    }
    CHECK_SAYING(differ <= 4, "%d float32 normals of 2^25 differ", (int)differ);

    uint32_t word[2000];
    double x[1000], y[1000];
    rnn_rng g;
    rnn_rng_seed(&g, 9);
    for (int i = 0; i < 100; i++) {
        rnn_rng_words(&g, 2000, word);
        rnn_random_loops_base.uniform_f64(word, 1000, -0.3, 1.7, x);
        rnn_random_loops_avx2.uniform_f64(word, 1000, -0.3, 1.7, y);
        CHECK_SAYING(memcmp(x, y, sizeof x) == 0, "float64 uniforms differ");
        rnn_random_loops_base.uniform_f32(word, 1000, -0.3f, 1.7f, a);
        rnn_random_loops_avx2.uniform_f32(word, 1000, -0.3f, 1.7f, b);
        CHECK_SAYING(memcmp(a, b, 1000 * sizeof *a) == 0, "float32 uniforms differ");
    }
#endif
}

int main(void) {
    test_mt19937();
    test_exact();
    test_close();
    test_state();
    test_refusals();
    test_multinomial_zeros();
    test_same_bits();
    printf(failures ? "%d failures\n" : "ok\n", failures);
    return failures != 0;
}
