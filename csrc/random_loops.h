/* random_loops.h: the table of vector loops that random_fill.inc defines for each instruction set.
 * Between random.c and random_avx2.c only; random.h is the interface. */
#ifndef RNN_RANDOM_LOOPS_H
#define RNN_RANDOM_LOOPS_H

#include <stdint.h>

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
