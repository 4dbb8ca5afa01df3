/*
 * isa.h: how one source is compiled for several instruction sets, and which one runs.
 *
 * A family of kernels is a file of plain C loops, `family.inc`. kernels.inc includes the headers
 * and then the families, between RNN_TARGET_BEGIN and RNN_TARGET_END. kernels_base.c,
 * kernels_avx2.c and kernels_avx512.c set RNN_ISA_LEVEL to 0, 1 or 2 and include kernels.inc.
 *
 * Inside, RNN_ISA(name) is name_base, name_avx2 or name_avx512; a family defines one constant
 * struct of function pointers under such a name and declares the three in its header. Everything
 * else in a family is static. RNN_VEC is the width of a vector register in bytes, for kernels that
 * choose the shape of their tiles; plain loops need not look at it.
 *
 * Only x86-64 has more than base: there base is SSE2, which every x86-64 has. Elsewhere base is
 * what the compiler's default is (NEON on arm64).
 */
#ifndef RNN_ISA_H
#define RNN_ISA_H

#if defined(__x86_64__)
#define RNN_ISA_X86 1
#else
#define RNN_ISA_X86 0
#endif

enum { RNN_ISA_BASE = 0, RNN_ISA_AVX2 = 1, RNN_ISA_AVX512 = 2 };

/* The best level that this processor and this operating system have. The environment variable
 * RNN_ISA=base|avx2|avx512 lowers it (a level that the processor lacks is not granted). */
int rnn_isa_detect(void);

/* "base", "avx2", "avx512"; "?" for any other number. */
const char *rnn_isa_name(int isa);

/* For a family of three structs: RNN_ISA_PICK(rnn_gemm_kernels, isa) is the address of
 * rnn_gemm_kernels_base, _avx2 or _avx512. */
#if RNN_ISA_X86
#define RNN_ISA_PICK(name, isa) \
    ((isa) == RNN_ISA_AVX512 ? &name##_avx512 : (isa) == RNN_ISA_AVX2 ? &name##_avx2 : &name##_base)
#else
#define RNN_ISA_PICK(name, isa) ((void)(isa), &name##_base)
#endif

#endif /* RNN_ISA_H */

/* The rest depends on RNN_ISA_LEVEL and is read by the kernels_*.c files only. */
#if defined(RNN_ISA_LEVEL) && !defined(RNN_ISA)

#define RNN_PRAGMA(text) _Pragma(#text)

#if RNN_ISA_LEVEL == 0
#define RNN_ISA(name) name##_base
#define RNN_VEC 16
#define RNN_TARGET_BEGIN
#define RNN_TARGET_END

#elif RNN_ISA_LEVEL == 1
#define RNN_ISA(name) name##_avx2
#define RNN_VEC 32
#if defined(__clang__)
#define RNN_TARGET_BEGIN \
    RNN_PRAGMA(clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function))
#define RNN_TARGET_END RNN_PRAGMA(clang attribute pop)
#else
#define RNN_TARGET_BEGIN RNN_PRAGMA(GCC push_options) RNN_PRAGMA(GCC target("avx2,fma"))
#define RNN_TARGET_END RNN_PRAGMA(GCC pop_options)
#endif

#else
#define RNN_ISA(name) name##_avx512
#define RNN_VEC 64
#if defined(__clang__)
#define RNN_TARGET_BEGIN \
    RNN_PRAGMA(clang attribute push( \
        __attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl"))), \
        apply_to = function))
#define RNN_TARGET_END RNN_PRAGMA(clang attribute pop)
#else
#define RNN_TARGET_BEGIN \
    RNN_PRAGMA(GCC push_options) \
    RNN_PRAGMA(GCC target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512"))
#define RNN_TARGET_END RNN_PRAGMA(GCC pop_options)
#endif
#endif

#endif
