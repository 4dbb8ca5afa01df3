/* random_loops.h: the table of vector loops that random_fill.inc defines for each instruction set,
 * and the fused product that all of them round with. Among random*.c only; random.h is the
 * interface. */
#ifndef RNN_RANDOM_LOOPS_H
#define RNN_RANDOM_LOOPS_H

#include <math.h>
#include <stdint.h>

/* One rounding. Without a fused instruction, float32 goes by way of double: the product is exact
 * there, and the second rounding is felt once in some 10^8 times; float64 by libm. */
#if defined(__FMA__) || defined(__aarch64__)
#define RNN_FMA32(a, b, c) __builtin_fmaf(a, b, c)
#define RNN_FMA64(a, b, c) __builtin_fma(a, b, c)
#else
#define RNN_FMA32(a, b, c) ((float)((double)(a) * (double)(b) + (double)(c)))
#define RNN_FMA64(a, b, c) fma(a, b, c)
#endif

/* What mt19937 does to a word of the state before it hands it out. */
static inline uint32_t rnn_temper(uint32_t y) {
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

typedef struct {
    void (*renew)(uint32_t *state);
    void (*temper)(const uint32_t *state, int64_t n, uint32_t *out);
    void (*uniform_f32)(const uint32_t *word, int64_t n, float from, float to, float *out);
    void (*uniform_f64)(const uint32_t *word, int64_t n, double from, double to, double *out);
    void (*box_muller_f32)(float *x, int64_t blocks, float mean, float std);
    void (*box_muller_f64)(double *x, int64_t blocks, double mean, double std);
} rnn_random_loops;

extern const rnn_random_loops rnn_random_loops_base;
#if defined(__x86_64__)
extern const rnn_random_loops rnn_random_loops_avx2;
#endif

#endif
