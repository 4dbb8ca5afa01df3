/* kernels_avx2.c: the kernels for x86-64 processors with AVX2 and FMA. Empty elsewhere. */
#if defined(__x86_64__)
#define RNN_ISA_LEVEL 1
#include "kernels.inc"
#else
typedef int rnn_kernels_avx2_is_empty; /* ISO C wants a declaration */
#endif
