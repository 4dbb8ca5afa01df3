/* value_object.h: the Python object behind rnn.Value: value_object.c makes it and calculates with
 * it, value_attributes.c reads and writes it. */
#ifndef RNN_VALUE_OBJECT_H
#define RNN_VALUE_OBJECT_H

#include "python.h"

typedef struct {
    PyObject_HEAD uint32_t span, node;
    PyObject *dict; /* attributes that were set, or NULL; of a kept instance the next one */
} value;

static inline double number_of(PyObject *self) {
    return rnn_node_value(rnn_py.e, ((value *)self)->span, ((value *)self)->node);
}

void rnn_py_value_track(PyObject *self); /* its dict may be there from now on */
extern PyGetSetDef rnn_py_value_getset[];

#endif
