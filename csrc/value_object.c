/* value_object.c: Python's Value: one node of the graph, with its operators. It lives and dies in
 * C, because a Python-level destructor and a Python-level operator would each cost more than
 * everything else that an operation does.
 *
 * Instances that went are kept for the next ones. They are unknown to the garbage collector until
 * somebody sets an attribute on one: before that they refer to no Python object. */
#include "python.h"
#include "value_object.h"

enum { KEPT = 1 << 16 };

/* Instances to be used again, and the Values of tensors' elements by the number of their node
 * (borrowed). */
static struct {
    value *kept;
    int count;
    PyObject *elements;
} py;

int rnn_py_is_value(PyObject *o) { return PyObject_TypeCheck(o, rnn_py.value); }
rnn_node rnn_py_node_of(PyObject *o) { return (rnn_node){((value *)o)->span, ((value *)o)->node}; }
#define is_value rnn_py_is_value
#define node_of rnn_py_node_of

/* ---- making and freeing ---------------------------------------------------------------------- */

static PyObject *allocate(void) {
    value *v = py.kept;
    if (!v) {
        v = PyObject_GC_New(value, rnn_py.value_class);
        if (!v) return NULL;
    } else {
        py.kept = (value *)v->dict;
        py.count--;
        PyObject_Init((PyObject *)v, rnn_py.value_class);
    }
    v->span = v->node = 0;
    v->dict = NULL;
    return (PyObject *)v;
}

static PyObject *element_key(uint32_t span, int64_t node) {
    return PyLong_FromLongLong((long long)rnn_at(rnn_py.e, span)->first + node);
}

/* The Value that lives for a node of a tensor, or NULL. */
static PyObject *find_element(uint32_t span, int64_t node) {
    PyObject *key = py.elements ? element_key(span, node) : NULL;
    PyObject *found = key ? PyDict_GetItemWithError(py.elements, key) : NULL;
    Py_XDECREF(key);
    return found ? (PyObject *)PyLong_AsVoidPtr(found) : NULL;
}

static int know_element(PyObject *self, uint32_t span, int64_t node) {
    if (!py.elements && !(py.elements = PyDict_New())) return -1;
    PyObject *key = element_key(span, node), *address = PyLong_FromVoidPtr(self);
    int failed = key && address ? PyDict_SetItem(py.elements, key, address) : -1;
    Py_XDECREF(key);
    Py_XDECREF(address);
    return failed;
}

static void forget_element(PyObject *self, uint32_t span, int64_t node) {
    PyObject *type, *error, *trace;
    PyErr_Fetch(&type, &error, &trace);
    if (find_element(span, node) == self) {
        PyObject *key = element_key(span, node);
        if (key) PyDict_DelItem(py.elements, key);
        Py_XDECREF(key);
    }
    PyErr_Restore(type, error, trace);
}

static void drop_span(uint32_t span) {
    rnn_lock(rnn_py.e);
    rnn_span_unref(rnn_py.e, span);
    rnn_unlock(rnn_py.e);
}

/* Wraps a span reference, which it takes over; 0 means that the engine failed. */
static PyObject *wrap(uint32_t span, int64_t node) {
    if (!span) return rnn_py_raise(rnn_failure());
    PyObject *self = allocate();
    if (!self) {
        drop_span(span);
        return NULL;
    }
    ((value *)self)->span = span;
    ((value *)self)->node = (uint32_t)node;
    rnn_span *s = rnn_at(rnn_py.e, span);
    if (s->flags & RNN_S_SCALAR) s->object = self;
    else if (know_element(self, span, node)) Py_CLEAR(self);
    return self;
}

PyObject *rnn_py_value_of_node(uint32_t span, int64_t node) {
    rnn_span *s = rnn_at(rnn_py.e, span);
    PyObject *known = s->flags & RNN_S_SCALAR ? s->object : find_element(span, node);
    if (known) return Py_NewRef(known);
    if (PyErr_Occurred()) return NULL;
    if (node > UINT32_MAX) {
        PyErr_SetString(PyExc_IndexError,
                        "a Value can be one of the first 2^32 nodes of its tensor");
        return NULL;
    }
    rnn_lock(rnn_py.e);
    if (!(s->flags & RNN_S_SCALAR)) s->flags |= RNN_S_NEEDED;
    rnn_span_ref(rnn_py.e, span);
    rnn_unlock(rnn_py.e);
    return wrap(span, node);
}

static void value_dealloc(PyObject *self) {
    value *v = (value *)self;
    PyTypeObject *type = Py_TYPE(self);
    /* the collector may have taken the dict already */
    if (PyObject_GC_IsTracked(self)) PyObject_GC_UnTrack(self);
    Py_CLEAR(v->dict);
    if (v->span) {
        rnn_span *s = rnn_at(rnn_py.e, v->span);
        if (!(s->flags & RNN_S_SCALAR)) forget_element(self, v->span, v->node);
        else if (s->object == self) s->object = NULL;
        drop_span(v->span);
        if (rnn_py.e->orphans) rnn_py_drain();
    }
    if (type != rnn_py.value_class || py.count == KEPT) {
        rnn_py_free_instance(self);
        return;
    }
    v->dict = (PyObject *)py.kept;
    py.kept = v;
    py.count++;
    Py_DECREF(type);
}

static int value_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(((value *)self)->dict);
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static int value_clear(PyObject *self) {
    Py_CLEAR(((value *)self)->dict);
    return 0;
}

/* The garbage collector is told of an instance that has attributes. */
void rnn_py_value_track(PyObject *self) {
    if (((value *)self)->dict && !PyObject_GC_IsTracked(self)) PyObject_GC_Track(self);
}

static int value_setattro(PyObject *self, PyObject *name, PyObject *x) {
    int failed = PyObject_GenericSetAttr(self, name, x);
    rnn_py_value_track(self);
    return failed;
}

static PyObject *value_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    (void)args, (void)kwargs;
    return type == rnn_py.value_class ? allocate() : type->tp_alloc(type, 0);
}

static int dtype_code(PyObject *dtype) {
    if (!dtype || dtype == Py_None) return RNN_F64;
    PyObject *code = PyObject_CallOneArg(rnn_py.dtype_code, dtype);
    if (!code) return -1;
    int found = (int)PyLong_AsLong(code);
    Py_DECREF(code);
    if (found == RNN_F32 || found == RNN_F64) return found;
    if (!PyErr_Occurred())
        PyErr_Format(PyExc_TypeError, "a Value is float32 or float64, not %S", dtype);
    return -1;
}

/* Value(data, _children=(), _op="", label="", *, dtype=None, requires_grad=True) */
static int value_init(PyObject *self, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"data", "_children", "_op", "label", "dtype", "requires_grad", NULL};
    PyObject *data, *children = NULL, *op = NULL, *label = NULL, *dtype = NULL;
    int requires_grad = 1;
    value *v = (value *)self;
    if (!kwargs && PyTuple_GET_SIZE(args) == 1) data = PyTuple_GET_ITEM(args, 0);
    else if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|OOO$Op", names, &data, &children, &op,
                                          &label, &dtype, &requires_grad))
        return -1;
    const int given = children ? PyObject_IsTrue(children) : 0;
    if (given > 0)
        PyErr_SetString(PyExc_TypeError,
                        "a Value with children is made by an operator or a function of Values: the "
                        "engine knows no derivative of yours (see rnn.autograd.Function)");
    if (given) return -1;
    const double x = PyFloat_AsDouble(data);
    if (x == -1 && PyErr_Occurred()) return -1;
    const int code = dtype_code(dtype);
    if (code < 0) return -1;
    if (v->span) {
        PyErr_SetString(PyExc_RuntimeError, "this Value has been made already");
        return -1;
    }
    v->span = rnn_value_leaf(rnn_py.e, code, x, requires_grad);
    if (!v->span) return rnn_py_raise(RNN_EMEMORY), -1;
    rnn_at(rnn_py.e, v->span)->object = self;
    const int labelled = label ? PyObject_IsTrue(label) : 0;
    return labelled > 0 ? PyObject_SetAttrString(self, "label", label) : labelled;
}

/* ---- arithmetic ------------------------------------------------------------------------------ */

/* 1: a number (Python's or NumPy's scalar); 0: not one; -1: an exception. Arrays and tensors are
 * not numbers. */
static int as_number(PyObject *o, double *x) {
    if (PyFloat_Check(o)) {
        *x = PyFloat_AS_DOUBLE(o);
        return 1;
    }
    if (!PyLong_Check(o)) {
        const PyNumberMethods *n = Py_TYPE(o)->tp_as_number;
        const bool scalar =
            n && n->nb_float && !PyObject_TypeCheck(o, rnn_py.handle) && !is_value(o);
        if (!scalar || (Py_TYPE(o)->tp_as_sequence && Py_TYPE(o)->tp_as_sequence->sq_length))
            return 0;
    }
    *x = PyFloat_AsDouble(o);
    return *x == -1 && PyErr_Occurred() ? -1 : 1;
}

static PyObject *unary(PyObject *a, int op) {
    return wrap(rnn_value_unary(rnn_py.e, op, node_of(a), 0, false), 0);
}

static PyObject *with_number(PyObject *a, int op, double p) {
    return wrap(rnn_value_unary(rnn_py.e, op, node_of(a), p, true), 0);
}

static PyObject *binary(PyObject *a, PyObject *b, int op) {
    return wrap(rnn_value_binary(rnn_py.e, op, node_of(a), node_of(b)), 0);
}

/* One operator: both Values; Value and number; number and Value. */
#define OPERATOR(name, both, right, left) \
    static PyObject *value_##name(PyObject *a, PyObject *b) { \
        double x; \
        if (is_value(a)) { \
            if (is_value(b)) return both; \
            int known = as_number(b, &x); \
            if (known > 0) return right; \
            if (known < 0) return NULL; \
            Py_RETURN_NOTIMPLEMENTED; \
        } \
        int known = as_number(a, &x); \
        if (known > 0) return left; \
        if (known < 0) return NULL; \
        Py_RETURN_NOTIMPLEMENTED; \
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

OPERATOR(add, binary(a, b, RNN_OP_ADD), with_number(a, RNN_OP_ADD_SCALAR, x),
         with_number(b, RNN_OP_ADD_SCALAR, x))
OPERATOR(sub, binary(a, b, RNN_OP_SUB), with_number(a, RNN_OP_ADD_SCALAR, -x),
         with_number(b, RNN_OP_RSUB_SCALAR, x))
OPERATOR(mul, binary(a, b, RNN_OP_MUL), with_number(a, RNN_OP_MUL_SCALAR, x),
         with_number(b, RNN_OP_MUL_SCALAR, x))
OPERATOR(div, divide(a, b), with_number(a, RNN_OP_MUL_SCALAR, pow(x, -1)), divide_number(x, b))
OPERATOR(power, binary(a, b, RNN_OP_POW), with_number(a, RNN_OP_POW_SCALAR, x),
         with_number(b, RNN_OP_RPOW_SCALAR, x))

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

#define METHOD(name, op) \
    static PyObject *method_##name(PyObject *a, PyObject *_) { \
        (void)_; \
        return unary(a, RNN_OP_##op); \
    }
METHOD(exp, EXP)
METHOD(log, LOG)
METHOD(relu, RELU)
METHOD(tanh, TANH)
METHOD(sigmoid, SIGMOID)
METHOD(sin, SIN)
METHOD(cos, COS)
METHOD(sqrt, SQRT)
METHOD(abs, ABS)

/* ---- numbers --------------------------------------------------------------------------------- */

static PyObject *value_float(PyObject *self) { return PyFloat_FromDouble(number_of(self)); }
static int value_bool(PyObject *self) { return number_of(self) != 0; }

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
    {"exp", method_exp, METH_NOARGS, "e to the power of this Value."},
    {"log", method_log, METH_NOARGS, "The natural logarithm."},
    {"ln", method_log, METH_NOARGS, "The natural logarithm (r-nn's name)."},
    {"relu", method_relu, METH_NOARGS, "max(0, this Value)."},
    {"tanh", method_tanh, METH_NOARGS, "The hyperbolic tangent."},
    {"sigmoid", method_sigmoid, METH_NOARGS, "1 / (1 + exp(-this Value))."},
    {"sin", method_sin, METH_NOARGS, "The sine, of radians."},
    {"cos", method_cos, METH_NOARGS, "The cosine, of radians."},
    {"sqrt", method_sqrt, METH_NOARGS, "The square root."},
    {"abs", method_abs, METH_NOARGS, "The absolute value, as abs(v)."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef value_members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(value, dict), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot value_slots[] = {
    {Py_tp_doc, "One node of the graph, with its operators."},
    {Py_tp_dealloc, value_dealloc},
    {Py_tp_new, value_new},
    {Py_tp_init, value_init},
    {Py_tp_traverse, value_traverse},
    {Py_tp_clear, value_clear},
    {Py_tp_setattro, value_setattro},
    {Py_tp_methods, value_methods},
    {Py_tp_getset, rnn_py_value_getset},
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

static PyType_Spec value_spec = {"rnn._engine.ValueBase", sizeof(value), 0,
                                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                                 value_slots};

PyTypeObject *rnn_py_value_type(void) { return (PyTypeObject *)PyType_FromSpec(&value_spec); }

/* What the operators make from now on. Python gives a subclass a destructor that looks for what
 * subclasses may add; ours adds nothing. */
int rnn_py_value_class(PyTypeObject *type) {
    if (!PyType_IsSubtype(type, rnn_py.value) || type->tp_basicsize != (Py_ssize_t)sizeof(value)) {
        PyErr_SetString(PyExc_TypeError, "a subclass of ValueBase without slots is needed");
        return -1;
    }
    type->tp_dealloc = value_dealloc;
    Py_XSETREF(rnn_py.value_class, (PyTypeObject *)Py_NewRef(type));
    return 0;
}
