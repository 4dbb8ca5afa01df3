/* random_avx2.c: the loops of random_fill.inc for processors with AVX2 and FMA. */
#include <math.h>
#include <string.h>

#include "random.h"
#include "random_loops.h"

#define RNN_ISA_LEVEL 1
#include "isa.h"

#if RNN_ISA_X86
#include <immintrin.h>

#define FMA32(a, b, c) __builtin_fmaf(a, b, c)
#define FMA64(a, b, c) __builtin_fma(a, b, c)

RNN_TARGET_BEGIN
#include "random_fill.inc"
RNN_TARGET_END
#endif
