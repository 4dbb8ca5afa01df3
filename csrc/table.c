/* table.c: the rows of ops.h as an array, and questions about them. */
#include "internal.h"

#include <string.h>

#define RNN_ROW_UNARY(NAME, name, torch, needs, ...) \
    [RNN_OP_##NAME] = {name, \
                       torch, \
                       1, \
                       needs, \
                       true, \
                       rnn_elementwise_backward, \
                       rnn_elementwise_edges, \
                       rnn_elementwise_uses},
#define RNN_ROW_BINARY(NAME, name, torch, needs, ...) \
    [RNN_OP_##NAME] = {name, \
                       torch, \
                       2, \
                       needs, \
                       true, \
                       rnn_elementwise_backward, \
                       rnn_elementwise_edges, \
                       rnn_elementwise_uses},
#define RNN_ROW_OTHER(NAME, name, torch, arity, needs, function) \
    [RNN_OP_##NAME] = {name, \
                       torch, \
                       arity, \
                       needs, \
                       false, \
                       rnn_##function##_backward, \
                       rnn_##function##_edges, \
                       rnn_##function##_uses},

const rnn_op rnn_ops[RNN_OP_COUNT] = {
    [RNN_OP_LEAF] = {"leaf", "AccumulateGrad", 0, 0, false, NULL, NULL, NULL},
    RNN_UNARY_OPS(RNN_ROW_UNARY) RNN_BINARY_OPS(RNN_ROW_BINARY) RNN_OTHER_OPS(RNN_ROW_OTHER)};

int rnn_op_count(void) { return RNN_OP_COUNT; }

int rnn_op_find(const char *name) {
    for (int op = 0; op < RNN_OP_COUNT; op++)
        if (!strcmp(rnn_ops[op].name, name)) return op;
    return -1;
}

static int known(int op) { return op >= 0 && op < RNN_OP_COUNT; }

const char *rnn_op_name(int op) { return known(op) ? rnn_ops[op].name : ""; }
const char *rnn_op_torch_name(int op) { return known(op) ? rnn_ops[op].torch_name : ""; }
int rnn_op_arity(int op) { return known(op) ? rnn_ops[op].arity : 0; }
int rnn_op_elementwise(int op) { return known(op) && rnn_ops[op].elementwise; }
int rnn_op_composite(int op) { return known(op) && rnn_ops[op].needs & RNN_COMPOSITE; }
