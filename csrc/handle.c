/* handle.c: the Python objects that own nodes. They live and die in C, because a Python-level destructor and a Python-
 * level operator would each cost more than everything else that a Value's operation does.
 *
 *   Handle     base of Tensor: owns one rnn_ref, or a NumPy array for integers and booleans
 *   Memory     owns a span's memory for NumPy, by the buffer protocol
 *   ValueBase  base of Value: one node, with its operators
 *   ModuleBase base of Module: owns nothing, finds attributes
 *
 * What it is not: no graph and no arithmetic; it calls the engine, as cffi's callers do. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include "internal.h"

/* What this file keeps for the one engine that Python has. */
static struct {
    rnn_engine *e;
    PyTypeObject *handle, *memory, *value;
    PyTypeObject *tensor_class, *value_class; /* the Python subclasses, registered by rnn/_engine... */
} py;

static PyObject *raise_code(int64_t code) {
    PyObject *type = code == RNN_EMEMORY  ? PyExc_MemoryError
                     : code == RNN_EVALUE ? PyExc_ValueError
                     : code == RNN_EINDEX ? PyExc_IndexError
                     : code == RNN_ETYPE  ? PyExc_TypeError
                                          : PyExc_RuntimeError;
    PyErr_SetString(type, rnn_message(py.e));
    return NULL;
}

/* Lets go of Python objects that the engine no longer needs. */
static void drain(void) {
    while (__atomic_load_n(&py.e->orphans, __ATOMIC_ACQUIRE)) {
        rnn_lock(py.e);
        rnn_owner *owner = py.e->orphans;
        if (owner) py.e->orphans = owner->next;
        rnn_unlock(py.e);
        if (!owner) return;
        PyObject *object = owner->object;
        free(owner);
        Py_XDECREF(object);
    }
}

/* ---- Handle ------------------------------------------------------------------------------------------ */

typedef struct {
    PyObject_HEAD
    long long h;
    PyObject *array;
} handle;

static void free_instance(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    if (type->tp_flags & Py_TPFLAGS_HEAPTYPE) Py_DECREF(type);
}

static void handle_dealloc(PyObject *self) {
    handle *t = (handle *)self;
    if (t->h > 0) rnn_release(py.e, t->h);
    Py_CLEAR(t->array);
    drain();
    free_instance(self);
}

static PyObject *handle_shape(PyObject *self, void *closure) {
    (void)closure;
    handle *t = (handle *)self;
    if (t->h <= 0) return t->array ? PyObject_GetAttrString(t->array, "shape") : PyTuple_New(0);
    const rnn_tensor *x = rnn_tensor_of(t->h);
    PyObject *shape = PyTuple_New(x->ndim);
    for (int d = 0; shape && d < x->ndim; d++) PyTuple_SET_ITEM(shape, d, PyLong_FromLongLong(x->dims[d]));
    return shape;
}

static PyObject *handle_strides(PyObject *self, void *closure) {
    (void)closure;
    handle *t = (handle *)self;
    if (t->h <= 0) return PyTuple_New(0);
    const rnn_tensor *x = rnn_tensor_of(t->h);
    PyObject *strides = PyTuple_New(x->ndim);
    for (int d = 0; strides && d < x->ndim; d++)
        PyTuple_SET_ITEM(strides, d, PyLong_FromLongLong(x->dims[x->ndim + d]));
    return strides;
}

static PyMemberDef handle_members[] = {
    {"_h", T_LONGLONG, offsetof(handle, h), 0, "the engine's handle; 0 for integers and booleans"},
    {"_array", T_OBJECT, offsetof(handle, array), 0, "the NumPy array of an integer or boolean tensor, or None"},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef handle_getset[] = {
    {"_shape", handle_shape, NULL, "the shape as a plain tuple", NULL},
    {"_strides", handle_strides, NULL, "strides in elements", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot handle_slots[] = {
    {Py_tp_doc, "Owns one tensor handle of the engine."},
    {Py_tp_dealloc, handle_dealloc},
    {Py_tp_members, handle_members},
    {Py_tp_getset, handle_getset},
    {Py_tp_new, PyType_GenericNew},
    {0, NULL},
};

static PyType_Spec handle_spec = {"rnn._engine.Handle", sizeof(handle), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                                  handle_slots};

/* adopt(h): a Tensor that owns h. */
static PyObject *adopt(PyObject *module, PyObject *number) {
    (void)module;
    long long h = PyLong_AsLongLong(number);
    if (h == -1 && PyErr_Occurred()) return NULL;
    if (h <= 0) return raise_code(h);
    PyObject *self = py.tensor_class->tp_alloc(py.tensor_class, 0);
    if (!self) {
        rnn_release(py.e, h);
        return NULL;
    }
    ((handle *)self)->h = h;
    return self;
}

/* ---- Memory -------------------------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    rnn_block *block;
    uint32_t span; /* instead of a block: a scalar span */
    void *data;
    Py_ssize_t bytes;
} memory;

static void memory_dealloc(PyObject *self) {
    memory *m = (memory *)self;
    rnn_lock(py.e);
    rnn_block_unref(py.e, m->block);
    if (m->span) rnn_span_unref(py.e, m->span);
    rnn_unlock(py.e);
    drain();
    free_instance(self);
}

static int memory_getbuffer(PyObject *self, Py_buffer *view, int flags) {
    memory *m = (memory *)self;
    return PyBuffer_FillInfo(view, self, m->data, m->bytes, 0, flags);
}

static PyType_Slot memory_slots[] = {
    {Py_tp_doc, "The memory of a span, for NumPy."},
    {Py_tp_dealloc, memory_dealloc},
    {Py_bf_getbuffer, memory_getbuffer},
    {0, NULL},
};

static PyType_Spec memory_spec = {"rnn._engine.Memory", sizeof(memory), 0,
                                  Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, memory_slots};

/* memory_of(h): the memory of the whole span; its first byte is node 0. */
static PyObject *memory_of(PyObject *module, PyObject *number) {
    (void)module;
    long long h = PyLong_AsLongLong(number);
    if (h <= 0) return PyErr_Occurred() ? NULL : raise_code(RNN_ETYPE);
    memory *m = PyObject_New(memory, py.memory);
    if (!m) return NULL;
    rnn_lock(py.e);
    const uint32_t span = rnn_span_of(h);
    const rnn_span *s = rnn_at(py.e, span);
    m->block = s->flags & RNN_S_SCALAR ? NULL : s->ext->data;
    m->span = m->block ? 0 : span;
    if (m->block) m->block->refs++;
    else rnn_span_ref(py.e, span);
    m->data = rnn_span_data(py.e, span);
    m->bytes = (Py_ssize_t)((size_t)rnn_span_size(s) * rnn_itemsize(s->dtype));
    rnn_unlock(py.e);
    return (PyObject *)m;
}

/* ---- Value: making --------------------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    uint32_t span;
    int64_t node;
    PyObject *label;
} value;

static bool is_value(PyObject *o) { return PyObject_TypeCheck(o, py.value); }
static rnn_node node_of(PyObject *o) { return (rnn_node){((value *)o)->span, ((value *)o)->node}; }

/* Wraps a span reference, which it takes over; 0 means that the engine failed. */
static PyObject *wrap_value(uint32_t span, int64_t node) {
    if (!span) return raise_code(RNN_EMEMORY);
    PyObject *self = py.value_class->tp_alloc(py.value_class, 0);
    if (!self) {
        rnn_lock(py.e);
        rnn_span_unref(py.e, span);
        rnn_unlock(py.e);
        return NULL;
    }
    ((value *)self)->span = span;
    ((value *)self)->node = node;
    rnn_span *s = rnn_at(py.e, span);
    if (s->flags & RNN_S_SCALAR) s->object = self;
    return self;
}

/* The Value of a node: the one that lives, if one does. */
static PyObject *value_of_node(uint32_t span, int64_t node) {
    rnn_span *s = rnn_at(py.e, span);
    if (s->flags & RNN_S_SCALAR && s->object) return Py_NewRef((PyObject *)s->object);
    rnn_lock(py.e);
    rnn_span_ref(py.e, span);
    rnn_unlock(py.e);
    return wrap_value(span, node);
}

static void value_dealloc(PyObject *self) {
    value *v = (value *)self;
    Py_CLEAR(v->label);
    if (v->span) {
        rnn_span *s = rnn_at(py.e, v->span);
        if (s->flags & RNN_S_SCALAR && s->object == self) s->object = NULL;
        rnn_lock(py.e);
        rnn_span_unref(py.e, v->span);
        rnn_unlock(py.e);
        drain();
    }
    free_instance(self);
}

/* _init(data, dtype, requires_grad): makes the leaf of a Value that has none yet. */
static PyObject *value_init(PyObject *self, PyObject *args) {
    double x;
    int dtype, requires_grad;
    if (!PyArg_ParseTuple(args, "dip", &x, &dtype, &requires_grad)) return NULL;
    value *v = (value *)self;
    if (v->span) {
        PyErr_SetString(PyExc_RuntimeError, "this Value has been made already");
        return NULL;
    }
    uint32_t span = rnn_value_leaf(py.e, dtype, x, requires_grad);
    if (!span) return raise_code(RNN_EMEMORY);
    v->span = span;
    rnn_at(py.e, span)->object = self;
    Py_RETURN_NONE;
}

/* ---- Value: arithmetic ------------------------------------------------------------------------------------- */

/* 1: a number (Python's or NumPy's scalar); 0: not one; -1: an exception. Arrays and tensors are not numbers. */
static int as_number(PyObject *o, double *x) {
    if (PyFloat_Check(o)) {
        *x = PyFloat_AS_DOUBLE(o);
        return 1;
    }
    if (!PyLong_Check(o)) {
        const PyNumberMethods *n = Py_TYPE(o)->tp_as_number;
        const bool scalar = n && n->nb_float && !PyObject_TypeCheck(o, py.handle) && !is_value(o);
        if (!scalar || (Py_TYPE(o)->tp_as_sequence && Py_TYPE(o)->tp_as_sequence->sq_length)) return 0;
    }
    *x = PyFloat_AsDouble(o);
    return *x == -1 && PyErr_Occurred() ? -1 : 1;
}

static PyObject *unary(PyObject *a, int op) { return wrap_value(rnn_value_unary(py.e, op, node_of(a), 0, false), 0); }

static PyObject *with_number(PyObject *a, int op, double p) {
    return wrap_value(rnn_value_unary(py.e, op, node_of(a), p, true), 0);
}

static PyObject *binary(PyObject *a, PyObject *b, int op) {
    return wrap_value(rnn_value_binary(py.e, op, node_of(a), node_of(b)), 0);
}

/* One operator: both Values; Value and number; number and Value. */
#define OPERATOR(name, both, right, left)                            \
    static PyObject *value_##name(PyObject *a, PyObject *b) {        \
        double x;                                                    \
        if (is_value(a)) {                                           \
            if (is_value(b)) return both;                            \
            int known = as_number(b, &x);                            \
            if (known > 0) return right;                             \
            if (known < 0) return NULL;                              \
            Py_RETURN_NOTIMPLEMENTED;                                \
        }                                                            \
        int known = as_number(a, &x);                                \
        if (known > 0) return left;                                  \
        if (known < 0) return NULL;                                  \
        Py_RETURN_NOTIMPLEMENTED;                                    \
    }

/* a / b is a * b**-1, two nodes, as in micrograd: so the digits are the same. */
static PyObject *divide(PyObject *a, PyObject *b) {
    PyObject *inverse = with_number(b, RNN_OP_POW_SCALAR, -1);
    if (!inverse) return NULL;
    PyObject *z = binary(a, inverse, RNN_OP_MUL);
    Py_DECREF(inverse);
    return z;
}

static PyObject *divide_number(double x, PyObject *b) {
    PyObject *inverse = with_number(b, RNN_OP_POW_SCALAR, -1);
    if (!inverse) return NULL;
    PyObject *z = with_number(inverse, RNN_OP_MUL_SCALAR, x);
    Py_DECREF(inverse);
    return z;
}

OPERATOR(add, binary(a, b, RNN_OP_ADD), with_number(a, RNN_OP_ADD_SCALAR, x), with_number(b, RNN_OP_ADD_SCALAR, x))
OPERATOR(sub, binary(a, b, RNN_OP_SUB), with_number(a, RNN_OP_ADD_SCALAR, -x), with_number(b, RNN_OP_RSUB_SCALAR, x))
OPERATOR(mul, binary(a, b, RNN_OP_MUL), with_number(a, RNN_OP_MUL_SCALAR, x), with_number(b, RNN_OP_MUL_SCALAR, x))
OPERATOR(div, divide(a, b), with_number(a, RNN_OP_MUL_SCALAR, pow(x, -1)), divide_number(x, b))
OPERATOR(power, binary(a, b, RNN_OP_POW), with_number(a, RNN_OP_POW_SCALAR, x), with_number(b, RNN_OP_RPOW_SCALAR, x))

static PyObject *value_pow(PyObject *a, PyObject *b, PyObject *modulo) {
    if (modulo != Py_None) {
        PyErr_SetString(PyExc_TypeError, "pow() of a Value takes no modulus");
        return NULL;
    }
    return value_power(a, b);
}

static PyObject *value_neg(PyObject *a) { return unary(a, RNN_OP_NEG); }
static PyObject *value_pos(PyObject *a) { return Py_NewRef(a); }
static PyObject *value_abs(PyObject *a) { return unary(a, RNN_OP_ABS); }

#define METHOD(name, op)                                       \
    static PyObject *method_##name(PyObject *a, PyObject *_) { \
        (void)_;                                               \
        return unary(a, RNN_OP_##op);                          \
    }
METHOD(exp, EXP)
METHOD(log, LOG)
METHOD(relu, RELU)
METHOD(tanh, TANH)
METHOD(sigmoid, SIGMOID)
METHOD(sin, SIN)
METHOD(cos, COS)
METHOD(sqrt, SQRT)

/* ---- Value: reading and writing -------------------------------------------------------------------------- */

static double number_of(PyObject *self) { return rnn_node_value(py.e, ((value *)self)->span, ((value *)self)->node); }
static PyObject *value_float(PyObject *self) { return PyFloat_FromDouble(number_of(self)); }
static int value_bool(PyObject *self) { return number_of(self) != 0; }

static PyObject *get_data(PyObject *self, void *_) {
    (void)_;
    return value_float(self);
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
    rnn_node_set(py.e, ((value *)self)->span, ((value *)self)->node, number);
    return 0;
}

static PyObject *get_grad(PyObject *self, void *_) {
    (void)_;
    return PyFloat_FromDouble(rnn_node_grad(py.e, ((value *)self)->span, ((value *)self)->node));
}

static int set_grad(PyObject *self, PyObject *x, void *_) {
    (void)_;
    double number = 0;
    value *v = (value *)self;
    if (x != Py_None && needs_number(x, "grad", &number)) return -1;
    if (!rnn_node_set_grad(py.e, v->span, v->node, number)) return 0;
    raise_code(RNN_EMEMORY);
    return -1;
}

static PyObject *get_requires_grad(PyObject *self, void *_) {
    (void)_;
    return PyBool_FromLong(rnn_at(py.e, ((value *)self)->span)->flags & RNN_S_NEEDS_GRAD);
}

static int set_requires_grad(PyObject *self, PyObject *x, void *_) {
    (void)_;
    int on = x ? PyObject_IsTrue(x) : 0;
    rnn_span *s = rnn_at(py.e, ((value *)self)->span);
    if (on < 0) return -1;
    if (!(s->flags & RNN_S_LEAF)) {
        PyErr_SetString(PyExc_RuntimeError, "you can only change requires_grad of a leaf Value; use .detach()");
        return -1;
    }
    rnn_lock(py.e);
    s->flags = (uint8_t)(on ? s->flags | RNN_S_NEEDS_GRAD : s->flags & ~RNN_S_NEEDS_GRAD);
    rnn_unlock(py.e);
    return 0;
}

static PyObject *get_op(PyObject *self, void *_) {
    (void)_;
    const rnn_span *s = rnn_at(py.e, ((value *)self)->span);
    return PyUnicode_FromString(s->flags & RNN_S_LEAF ? "" : rnn_ops[s->op].name);
}

static PyObject *get_id(PyObject *self, void *_) {
    (void)_;
    return PyLong_FromLongLong((long long)rnn_at(py.e, ((value *)self)->span)->first + ((value *)self)->node);
}

/* The Values that this one was made from, in operand order. */
static PyObject *get_children(PyObject *self, void *_) {
    (void)_;
    value *v = (value *)self;
    int64_t count = rnn_edges(py.e, v->span, v->node, 0, NULL, NULL, NULL, NULL);
    if (count < 0) return raise_code(count);
    char *room = malloc((size_t)count * (2 * sizeof(int64_t) + sizeof(uint32_t) + 1) + 1);
    if (!room) return PyErr_NoMemory();
    int64_t *nodes = (int64_t *)(void *)room;
    double *locals = (double *)(nodes + count);
    uint32_t *spans = (uint32_t *)(locals + count);
    rnn_edges(py.e, v->span, v->node, count, spans, nodes, locals, (uint8_t *)(spans + count));
    PyObject *out = PyTuple_New(count);
    for (int64_t i = 0; out && i < count; i++) {
        PyObject *child = value_of_node(spans[i], nodes[i]);
        if (!child) Py_CLEAR(out);
        else PyTuple_SET_ITEM(out, i, child);
    }
    free(room);
    return out;
}

static PyObject *get_dtype(PyObject *self, void *_) {
    (void)_;
    return PyLong_FromLong(rnn_at(py.e, ((value *)self)->span)->dtype);
}

static PyObject *get_node(PyObject *self, void *_) {
    (void)_;
    return Py_BuildValue("IL", ((value *)self)->span, (long long)((value *)self)->node);
}

/* By value against Values and numbers; NaN compares as floats do. */
static PyObject *value_compare(PyObject *a, PyObject *b, int op) {
    double y;
    if (is_value(b)) y = number_of(b);
    else {
        int known = as_number(b, &y);
        if (known < 0) return NULL;
        if (!known) Py_RETURN_NOTIMPLEMENTED;
    }
    const double x = number_of(a);
    Py_RETURN_RICHCOMPARE(x, y, op);
}

static Py_hash_t value_hash(PyObject *self) { return (Py_hash_t)((uintptr_t)self >> 4); }

static PyMethodDef value_methods[] = {
    {"_init", value_init, METH_VARARGS, NULL},
    {"exp", method_exp, METH_NOARGS, "e to the power of this Value."},
    {"log", method_log, METH_NOARGS, "The natural logarithm."},
    {"ln", method_log, METH_NOARGS, "The natural logarithm (r-nn's name)."},
    {"relu", method_relu, METH_NOARGS, "max(0, this Value)."},
    {"tanh", method_tanh, METH_NOARGS, "The hyperbolic tangent."},
    {"sigmoid", method_sigmoid, METH_NOARGS, "1 / (1 + exp(-this Value))."},
    {"sin", method_sin, METH_NOARGS, "The sine, of radians."},
    {"cos", method_cos, METH_NOARGS, "The cosine, of radians."},
    {"sqrt", method_sqrt, METH_NOARGS, "The square root."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef value_getset[] = {
    {"data", get_data, set_data, "The value, a Python float; assignable.", NULL},
    {"grad", get_grad, set_grad, "The gradient, a Python float, 0.0 before any backward(); assignable.", NULL},
    {"requires_grad", get_requires_grad, set_requires_grad, "Whether backward() computes its gradient.", NULL},
    {"op", get_op, NULL, "The name of the operation that made it; '' for a leaf.", NULL},
    {"children", get_children, NULL, "The Values that it was made from.", NULL},
    {"id", get_id, NULL, "Its number: nodes are numbered in the order in which they are made.", NULL},
    {"_dtype_code", get_dtype, NULL, NULL, NULL},
    {"_node", get_node, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef value_members[] = {
    {"_label", T_OBJECT, offsetof(value, label), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot value_slots[] = {
    {Py_tp_doc, "One node of the graph, with its operators."},
    {Py_tp_dealloc, value_dealloc},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_methods, value_methods},
    {Py_tp_getset, value_getset},
    {Py_tp_members, value_members},
    {Py_tp_richcompare, value_compare},
    {Py_tp_hash, value_hash},
    {Py_nb_add, value_add},
    {Py_nb_subtract, value_sub},
    {Py_nb_multiply, value_mul},
    {Py_nb_true_divide, value_div},
    {Py_nb_power, value_pow},
    {Py_nb_negative, value_neg},
    {Py_nb_positive, value_pos},
    {Py_nb_absolute, value_abs},
    {Py_nb_float, value_float},
    {Py_nb_bool, value_bool},
    {0, NULL},
};

static PyType_Spec value_spec = {"rnn._engine.ValueBase", sizeof(value), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                                 value_slots};

/* ---- Module's attributes -------------------------------------------------------------------------------- */

/* The registries of a Module hold what its __dict__ does not: parameters, buffers and modules. Borrowed, or NULL. */
static PyObject *registered(PyObject *dict, PyObject *name) {
    static const char *const kinds[] = {"_modules", "_parameters", "_buffers"};
    static PyObject *names[3];
    for (int i = 0; i < 3; i++) {
        if (!names[i] && !(names[i] = PyUnicode_InternFromString(kinds[i]))) return NULL;
        PyObject *registry = PyDict_GetItemWithError(dict, names[i]);
        PyObject *found = registry && PyDict_Check(registry) ? PyDict_GetItemWithError(registry, name) : NULL;
        if (found || PyErr_Occurred()) return found;
    }
    return NULL;
}

/* As Python does it: the class, the __dict__, and then what a __getattr__ in Python would find. It is here because a
 * model asks for its layers and weights at every step, and a miss costs Python an exception. */
static PyObject *module_getattro(PyObject *self, PyObject *name) {
    if (!PyUnicode_Check(name) || _PyType_Lookup(Py_TYPE(self), name)) return PyObject_GenericGetAttr(self, name);
    PyObject *dict = PyObject_GenericGetDict(self, NULL);
    if (!dict) return NULL;
    PyObject *found = PyDict_GetItemWithError(dict, name);
    if (!found && !PyErr_Occurred()) found = registered(dict, name);
    Py_XINCREF(found);
    Py_DECREF(dict);
    return found || PyErr_Occurred() ? found : PyObject_GenericGetAttr(self, name);
}

static PyType_Slot module_slots[] = {
    {Py_tp_doc, "Base of Module: finds parameters, buffers and modules."},
    {Py_tp_getattro, module_getattro},
    {0, NULL},
};

static PyType_Spec module_spec = {"rnn._engine.ModuleBase", sizeof(PyObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                                  module_slots};

/* ---- functions ------------------------------------------------------------------------------------------- */

/* value_at(h, position): the Value of the element at a row-major position. */
static PyObject *value_at(PyObject *module, PyObject *args) {
    (void)module;
    long long h, position;
    rnn_view v;
    if (!PyArg_ParseTuple(args, "LL", &h, &position)) return NULL;
    if (rnn_view_of(py.e, h, &v)) return raise_code(RNN_ETYPE);
    if (position < 0 || position >= rnn_numel(v.ndim, v.shape)) {
        PyErr_SetString(PyExc_IndexError, "there is no such element");
        return NULL;
    }
    return value_of_node(v.span, rnn_flat_to_offset(&v, position));
}

/* ref_of(value): a new 0-d tensor handle that looks at its node. */
static PyObject *ref_of(PyObject *module, PyObject *o) {
    (void)module;
    if (!is_value(o)) {
        PyErr_SetString(PyExc_TypeError, "not a Value");
        return NULL;
    }
    rnn_lock(py.e);
    rnn_span_ref(py.e, ((value *)o)->span);
    rnn_unlock(py.e);
    rnn_ref whole = rnn_tensor_wrap(py.e, ((value *)o)->span);
    if (whole < 0) return raise_code(whole);
    rnn_ref one = rnn_tensor_new(py.e, rnn_tensor_of(whole)->store, rnn_dtype(whole), 0, 0, ((value *)o)->node, 0,
                                 NULL, NULL);
    rnn_release(py.e, whole);
    return one < 0 ? raise_code(one) : PyLong_FromLongLong(one);
}

/* value_of(span, node): the Value of a node that lives. */
static PyObject *value_of(PyObject *module, PyObject *args) {
    (void)module;
    unsigned int span;
    long long node;
    if (!PyArg_ParseTuple(args, "IL", &span, &node)) return NULL;
    if (!span || span >= py.e->span_top || !rnn_at(py.e, span)->refs || node < 0 ||
        node >= rnn_span_size(rnn_at(py.e, span))) {
        PyErr_SetString(PyExc_IndexError, "there is no such node");
        return NULL;
    }
    return value_of_node(span, node);
}

static PyObject *retain(PyObject *module, PyObject *o) {
    (void)module;
    return PyLong_FromLongLong((long long)(intptr_t)Py_NewRef(o));
}

static PyObject *object_at(PyObject *module, PyObject *number) {
    (void)module;
    long long address = PyLong_AsLongLong(number);
    if (address == -1 && PyErr_Occurred()) return NULL;
    return Py_NewRef(address ? (PyObject *)(intptr_t)address : Py_None);
}

/* register_classes(Tensor, Value): what adopt and the operators make. */
static PyObject *register_classes(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *t, *v;
    if (!PyArg_ParseTuple(args, "O!O!", &PyType_Type, &t, &PyType_Type, &v)) return NULL;
    if (!PyType_IsSubtype((PyTypeObject *)t, py.handle) || !PyType_IsSubtype((PyTypeObject *)v, py.value)) {
        PyErr_SetString(PyExc_TypeError, "subclasses of Handle and of ValueBase are needed");
        return NULL;
    }
    Py_XSETREF(py.tensor_class, (PyTypeObject *)Py_NewRef(t));
    Py_XSETREF(py.value_class, (PyTypeObject *)Py_NewRef(v));
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"adopt", adopt, METH_O, "A Tensor that owns a handle."},
    {"memory_of", memory_of, METH_O, "The memory of a handle's span, with the buffer protocol."},
    {"value_at", value_at, METH_VARARGS, "The Value of an element of a tensor."},
    {"value_of", value_of, METH_VARARGS, "The Value of a node."},
    {"ref_of", ref_of, METH_O, "A 0-d tensor handle for a Value."},
    {"retain", retain, METH_O, "A new reference to an object, as a number for the engine."},
    {"object_at", object_at, METH_O, "The object of such a number."},
    {"register_classes", register_classes, METH_VARARGS, "Tells which classes to make."},
    {NULL, NULL, 0, NULL},
};

/* A dict of the three types and the functions; NULL with an exception set. */
static PyObject *make_python(rnn_engine *e) {
    py.e = e;
    py.handle = (PyTypeObject *)PyType_FromSpec(&handle_spec);
    py.memory = (PyTypeObject *)PyType_FromSpec(&memory_spec);
    py.value = (PyTypeObject *)PyType_FromSpec(&value_spec);
    PyObject *all = py.handle && py.memory && py.value ? PyDict_New() : NULL;
    if (!all) return NULL;
    py.tensor_class = (PyTypeObject *)Py_NewRef(py.handle);
    py.value_class = (PyTypeObject *)Py_NewRef(py.value);
    PyDict_SetItemString(all, "Handle", (PyObject *)py.handle);
    PyDict_SetItemString(all, "Memory", (PyObject *)py.memory);
    PyDict_SetItemString(all, "ValueBase", (PyObject *)py.value);
    for (PyMethodDef *f = functions; f->ml_name; f++) {
        PyObject *function = PyCFunction_New(f, NULL);
        if (!function || PyDict_SetItemString(all, f->ml_name, function)) Py_CLEAR(all);
        Py_XDECREF(function);
        if (!all) return NULL;
    }
    PyObject *module_base = PyType_FromSpec(&module_spec);
    if (!module_base || PyDict_SetItemString(all, "ModuleBase", module_base)) Py_CLEAR(all);
    Py_XDECREF(module_base);
    return all;
}

void *rnn_python_types(rnn_engine *e) {
    PyGILState_STATE state = PyGILState_Ensure();
    PyObject *all = make_python(e);
    if (!all) PyErr_Clear();
    PyGILState_Release(state);
    return all;
}
