/* isa.c: which instruction set this processor has. See isa.h. */
#include "isa.h"

#include <stdlib.h>
#include <string.h>

const char *rnn_isa_name(int isa) {
    return isa == RNN_ISA_BASE     ? "base"
           : isa == RNN_ISA_AVX2   ? "avx2"
           : isa == RNN_ISA_AVX512 ? "avx512"
                                   : "?";
}

static int best(void) {
#if RNN_ISA_X86
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return RNN_ISA_BASE;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return RNN_ISA_AVX512;
    return RNN_ISA_AVX2;
#else
    return RNN_ISA_BASE;
#endif
}

int rnn_isa_detect(void) {
    int isa = best();
    const char *wish = getenv("RNN_ISA");
    for (int lower = RNN_ISA_BASE; wish != NULL && lower < isa; lower++)
        if (strcmp(wish, rnn_isa_name(lower)) == 0) return lower;
    return isa;
}
