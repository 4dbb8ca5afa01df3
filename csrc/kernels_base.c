/* kernels_base.c: the kernels for any processor of this architecture. */
#define RNN_ISA_LEVEL 0
#include "kernels.inc"
