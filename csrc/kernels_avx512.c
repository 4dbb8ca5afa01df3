/* kernels_avx512.c: the kernels for x86-64 with AVX-512 (F, BW, DQ, VL). Empty elsewhere. */
#if defined(__x86_64__)
#define RNN_ISA_LEVEL 2
#include <immintrin.h>

#include "kernels.inc"
#else
typedef int rnn_kernels_avx512_is_empty; /* ISO C wants a declaration */
#endif
