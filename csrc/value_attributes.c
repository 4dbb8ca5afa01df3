/* value_attributes.c: what is read from a Value and written to it: data, grad, requires_grad, op,
 * children, id. */
#include "python.h"
#include "value_object.h"

static PyObject *get_data(PyObject *self, void *_) {
    (void)_;
    return PyFloat_FromDouble(number_of(self));
}

static int needs_number(PyObject *x, const char *what, double *number) {
    if (!x) {
        PyErr_Format(PyExc_AttributeError, "the %s of a Value cannot be deleted", what);
        return -1;
    }
    *number = PyFloat_AsDouble(x);
    return *number == -1 && PyErr_Occurred() ? -1 : 0;
}

static int set_data(PyObject *self, PyObject *x, void *_) {
    (void)_;
    double number;
    if (needs_number(x, "data", &number)) return -1;
    rnn_node_set(rnn_py.e, ((value *)self)->span, ((value *)self)->node, number);
    return 0;
}

static PyObject *get_grad(PyObject *self, void *_) {
    (void)_;
    return PyFloat_FromDouble(
        rnn_node_grad(rnn_py.e, ((value *)self)->span, ((value *)self)->node));
}

/* The gradient's memory is made by whoever has the turn, which must not be waited for with the
 * interpreter's lock. */
static int begin_grad(const value *v, double number) {
    int failed;
    Py_BEGIN_ALLOW_THREADS;
    rnn_turn_take(rnn_py.e, -1);
    failed = rnn_node_set_grad(rnn_py.e, v->span, v->node, number);
    rnn_turn_give(rnn_py.e);
    Py_END_ALLOW_THREADS;
    if (failed) rnn_py_raise(failed);
    return failed ? -1 : 0;
}

static int set_grad(PyObject *self, PyObject *x, void *_) {
    (void)_;
    double number = 0;
    const value *v = (value *)self;
    if (x != Py_None && needs_number(x, "grad", &number)) return -1;
    if (rnn_span_has_grad(rnn_at(rnn_py.e, v->span)))
        return rnn_node_set_grad(rnn_py.e, v->span, v->node, number);
    return number == 0 ? 0 : begin_grad(v, number);
}

static PyObject *get_requires_grad(PyObject *self, void *_) {
    (void)_;
    return PyBool_FromLong(rnn_at(rnn_py.e, ((value *)self)->span)->flags & RNN_S_NEEDS_GRAD);
}

static int set_requires_grad(PyObject *self, PyObject *x, void *_) {
    (void)_;
    int on = x ? PyObject_IsTrue(x) : 0;
    rnn_span *s = rnn_at(rnn_py.e, ((value *)self)->span);
    if (on < 0) return -1;
    if (!(s->flags & RNN_S_LEAF)) {
        PyErr_SetString(PyExc_RuntimeError,
                        "you can only change requires_grad of a leaf Value; use .detach()");
        return -1;
    }
    rnn_lock(rnn_py.e);
    s->flags = (uint8_t)(on ? s->flags | RNN_S_NEEDS_GRAD : s->flags & ~RNN_S_NEEDS_GRAD);
    rnn_unlock(rnn_py.e);
    return 0;
}

/* Made by an autograd.Function, which Python alone knows? */
static bool of_function(PyObject *self) {
    const rnn_span *s = rnn_at(rnn_py.e, ((value *)self)->span);
    return s->op == RNN_OP_CUSTOM && !(s->flags & RNN_S_LEAF);
}

static PyObject *get_op(PyObject *self, void *_) {
    (void)_;
    const rnn_span *s = rnn_at(rnn_py.e, ((value *)self)->span);
    if (of_function(self)) return PyObject_CallMethod(self, "_function_op", NULL);
    return PyUnicode_FromString(s->flags & RNN_S_LEAF ? "" : rnn_ops[s->op].name);
}

static PyObject *get_id(PyObject *self, void *_) {
    (void)_;
    return PyLong_FromLongLong((long long)rnn_at(rnn_py.e, ((value *)self)->span)->first +
                               ((value *)self)->node);
}

/* The Values that this one was made from, in operand order. */
static PyObject *get_children(PyObject *self, void *_) {
    (void)_;
    value *v = (value *)self;
    if (of_function(self)) return PyObject_CallMethod(self, "_function_children", NULL);
    int64_t count = rnn_edges(rnn_py.e, v->span, v->node, 0, NULL, NULL, NULL, NULL);
    if (count < 0) return rnn_py_raise(count);
    char *room = malloc((size_t)count * (2 * sizeof(int64_t) + sizeof(uint32_t) + 1) + 1);
    if (!room) return PyErr_NoMemory();
    int64_t *nodes = (int64_t *)(void *)room;
    double *locals = (double *)(nodes + count);
    uint32_t *spans = (uint32_t *)(locals + count);
    rnn_edges(rnn_py.e, v->span, v->node, count, spans, nodes, locals, (uint8_t *)(spans + count));
    PyObject *out = PyTuple_New(count);
    for (int64_t i = 0; out && i < count; i++) {
        PyObject *child = rnn_py_value_of_node(spans[i], nodes[i]);
        if (!child) Py_CLEAR(out);
        else PyTuple_SET_ITEM(out, i, child);
    }
    free(room);
    return out;
}

static PyObject *get_dict(PyObject *self, void *_) {
    PyObject *dict = PyObject_GenericGetDict(self, _);
    rnn_py_value_track(self);
    return dict;
}

static PyObject *get_dtype(PyObject *self, void *_) {
    (void)_;
    return PyLong_FromLong(rnn_at(rnn_py.e, ((value *)self)->span)->dtype);
}

static PyObject *get_node(PyObject *self, void *_) {
    (void)_;
    return Py_BuildValue("IL", ((value *)self)->span, (long long)((value *)self)->node);
}

PyGetSetDef rnn_py_value_getset[] = {
    {"data", get_data, set_data, "The value, a Python float; assignable.", NULL},
    {"grad", get_grad, set_grad,
     "The gradient, a Python float, 0.0 before any backward(); assignable.", NULL},
    {"requires_grad", get_requires_grad, set_requires_grad,
     "Whether backward() computes its gradient.", NULL},
    {"op", get_op, NULL, "The name of the operation that made it; '' for a leaf.", NULL},
    {"children", get_children, NULL, "The Values that it was made from.", NULL},
    {"id", get_id, NULL, "Its number: nodes are numbered in the order in which they are made.",
     NULL},
    {"_dtype_code", get_dtype, NULL, NULL, NULL},
    {"_node", get_node, NULL, NULL, NULL},
    {"__dict__", get_dict, PyObject_GenericSetDict, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
