/* python.h: what the files that know Python share: the objects that own handles and nodes, the
 * calls of modules, the lines that run. */
#ifndef RNN_PYTHON_H
#define RNN_PYTHON_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include "internal.h"

/* What these files keep for the one engine that Python has. */
typedef struct {
    rnn_engine *e;
    PyTypeObject *handle, *memory, *value;
    PyTypeObject *tensor_class,
        *value_class;     /* the Python subclasses, registered by rnn/tensor.py */
    PyObject *dtype_code; /* a function: a dtype's code in the engine */
    bool draining;
} rnn_python;

extern rnn_python rnn_py;

/* Base of Tensor: one handle, or a NumPy array for integers and booleans. */
typedef struct {
    PyObject_HEAD long long h;
    PyObject *array;
} rnn_py_handle;

PyObject *rnn_py_adopt(rnn_ref h); /* a Tensor that owns h */
PyObject *rnn_py_raise(int64_t code);
/* Lets go of Python objects that the engine no longer needs. */
void rnn_py_drain(void);
/* The end of an instance of a heap type. */
void rnn_py_free_instance(PyObject *self);

/* operators.c */
PyObject *rnn_py_add(PyObject *a, PyObject *b);
PyObject *rnn_py_subtract(PyObject *a, PyObject *b);
PyObject *rnn_py_multiply(PyObject *a, PyObject *b);
PyObject *rnn_py_divide(PyObject *a, PyObject *b);
PyObject *rnn_py_register_operators(PyObject *module, PyObject *args);

/* module_object.c */
PyObject *rnn_py_module_type(void);
PyObject *rnn_py_register_scopes(PyObject *module, PyObject *function);

/* site.c */
PyObject *rnn_py_register_sites(PyObject *module, PyObject *args);
void rnn_py_watch_lines(rnn_engine *e); /* it asks for lines from now on */

/* value_object.c */
PyTypeObject *rnn_py_value_type(void);
PyObject *rnn_py_value_of_node(uint32_t span, int64_t node); /* the one that lives, if one does */
int rnn_py_value_class(PyTypeObject *type); /* what the operators make from now on */
int rnn_py_is_value(PyObject *o);
rnn_node rnn_py_node_of(PyObject *value);

#endif
