/* optim.h: the loops of optim.inc, which are compiled once for each instruction set, and the
 * numbers they take. */
#ifndef RNN_OPTIM_H
#define RNN_OPTIM_H

#include <stdint.h>

/* Rows of the table of rules: see rnn_step in rnn.h. NAME, states a parameter has */
#define RNN_OPTIM_RULES(X) \
    X(SGD, 1) \
    X(ADAM, 3) X(RMSPROP, 3) X(ADAGRAD, 1) X(ADADELTA, 2) X(ADAMAX, 2) X(NADAM, 2) X(RADAM, 2)

#define RNN_RULE_(NAME, states) RNN_RULE_##NAME,
enum { RNN_OPTIM_RULES(RNN_RULE_) RNN_RULE_COUNT };
#undef RNN_RULE_

/* What a loop is given besides memory. The gradient that a rule sees is sign * g + decay * p;
 * before that, p is multiplied by `shrink` (decoupled weight decay). c: the rule's own numbers,
 * worked out from its options and the parameter's step in optim.c, in double. */
typedef struct {
    double sign, decay, shrink, lr, c[8];
    int flags; /* the rule's own */
} rnn_optim_numbers;

enum {
    RNN_SGD_FIRST = 1,
    RNN_SGD_NESTEROV = 2,
    RNN_ADAM_AMSGRAD = 1,
    RNN_RMSPROP_CENTERED = 1,
    RNN_RMSPROP_MOMENTUM = 2
};

/* One run of n elements: the parameter, its gradient, its states (NULL where the rule has none). */
typedef void (*rnn_optim_loop)(int64_t n, void *p, const void *g, void *const *s,
                               const rnn_optim_numbers *a);

typedef struct {
    rnn_optim_loop step[2][RNN_RULE_COUNT];         /* [dtype][rule] */
    double (*largest[2])(int64_t n, const void *x); /* of |x|; NaN if there is one */
    void (*clamp[2])(int64_t n, void *x, double low, double high);
} rnn_optim_kernels;

extern const rnn_optim_kernels rnn_optim_kernels_base, rnn_optim_kernels_avx2,
    rnn_optim_kernels_avx512;

#endif
