/* handle.c: the Python objects that own nodes. They live and die in C, because a Python-level
 * destructor and a Python- level operator would each cost more than everything else that a Value's
 * operation does.
 *
 *   Handle     base of Tensor: owns one rnn_ref, or a NumPy array for integers and booleans
 *   (operators.c)
 *   Memory     owns a span's memory for NumPy, by the buffer protocol
 *   ValueBase  base of Value: one node, with its operators (value_object.c)
 *   ModuleBase base of Module: owns nothing (module_object.c)
 *
 * What it is not: no graph and no arithmetic; it calls the engine, as cffi's callers do. */
#include "python.h"

rnn_python rnn_py;

/* rnn/inspect/anomaly.py finds the words for a NaN. */
static PyObject *raise_anomaly(void) {
    PyObject *module = PyImport_ImportModule("rnn.inspect.anomaly");
    PyObject *out = module ? PyObject_CallMethod(module, "raise_forward", NULL) : NULL;
    Py_XDECREF(module);
    Py_XDECREF(out);
    return NULL;
}

PyObject *rnn_py_raise(int64_t code) {
    if (code == RNN_EANOMALY) return raise_anomaly();
    PyObject *type = code == RNN_EMEMORY  ? PyExc_MemoryError
                     : code == RNN_EVALUE ? PyExc_ValueError
                     : code == RNN_EINDEX ? PyExc_IndexError
                     : code == RNN_ETYPE  ? PyExc_TypeError
                                          : PyExc_RuntimeError;
    PyErr_SetString(type, rnn_message(rnn_py.e));
    return NULL;
}

/* Objects let go of others as they go, ever deeper: only the outermost call goes through the
 * list. */
void rnn_py_drain(void) {
    if (rnn_py.draining) return;
    rnn_py.draining = true;
    while (__atomic_load_n(&rnn_py.e->orphans, __ATOMIC_ACQUIRE)) {
        rnn_lock(rnn_py.e);
        rnn_owner *owner = rnn_py.e->orphans;
        if (owner) rnn_py.e->orphans = owner->next;
        rnn_unlock(rnn_py.e);
        if (!owner) break;
        PyObject *object = owner->object;
        free(owner);
        Py_XDECREF(object);
    }
    rnn_py.draining = false;
}

void rnn_py_free_instance(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    if (type->tp_flags & Py_TPFLAGS_HEAPTYPE) Py_DECREF(type);
}

/* ---- Handle ---------------------------------------------------------------------------------- */

typedef rnn_py_handle handle;

static void handle_dealloc(PyObject *self) {
    handle *t = (handle *)self;
    if (t->h > 0) rnn_release(rnn_py.e, t->h);
    Py_CLEAR(t->array);
    rnn_py_drain();
    rnn_py_free_instance(self);
}

/* Hooks and Functions that hold the tensor that holds them, by its span: the collector sees what a
 * handle keeps alive alone. */
typedef struct {
    visitproc visit;
    void *arg;
    int stop;
} visitor;

static void visit_object(void *object, void *arg) {
    visitor *v = arg;
    if (!v->stop && object) v->stop = v->visit(object, v->arg);
}

static int handle_traverse(PyObject *self, visitproc visit, void *arg) {
    const handle *t = (handle *)self;
    visitor v = {visit, arg, 0};
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(t->array);
    if (t->h <= 0) return 0;
    rnn_lock(rnn_py.e);
    const rnn_store *store = rnn_tensor_of(t->h)->store;
    if (store->refs == 1) rnn_span_visit(rnn_py.e, store->span, visit_object, &v);
    rnn_unlock(rnn_py.e);
    return v.stop;
}

static int handle_clear(PyObject *self) {
    const handle *t = (handle *)self;
    if (t->h <= 0) return 0;
    rnn_lock(rnn_py.e);
    const rnn_store *store = rnn_tensor_of(t->h)->store;
    if (store->refs == 1) rnn_span_forget(rnn_py.e, store->span);
    rnn_unlock(rnn_py.e);
    rnn_py_drain();
    return 0;
}

static PyObject *handle_shape(PyObject *self, void *closure) {
    (void)closure;
    handle *t = (handle *)self;
    if (t->h <= 0) return t->array ? PyObject_GetAttrString(t->array, "shape") : PyTuple_New(0);
    const rnn_tensor *x = rnn_tensor_of(t->h);
    PyObject *shape = PyTuple_New(x->ndim);
    for (int d = 0; shape && d < x->ndim; d++)
        PyTuple_SET_ITEM(shape, d, PyLong_FromLongLong(x->dims[d]));
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
    {"_array", T_OBJECT, offsetof(handle, array), 0,
     "the NumPy array of an integer or boolean tensor, or None"},
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
    {Py_tp_traverse, handle_traverse}, /* of subclasses, which have a dict */
    {Py_tp_clear, handle_clear},
    {Py_tp_members, handle_members},
    {Py_tp_getset, handle_getset},
    {Py_tp_new, PyType_GenericNew},
    {Py_nb_add, rnn_py_add},
    {Py_nb_subtract, rnn_py_subtract},
    {Py_nb_multiply, rnn_py_multiply},
    {Py_nb_true_divide, rnn_py_divide},
    {0, NULL},
};

static PyType_Spec handle_spec = {"rnn._engine.Handle", sizeof(handle), 0,
                                  Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, handle_slots};

PyObject *rnn_py_adopt(rnn_ref h) {
    if (h <= 0) return rnn_py_raise(h);
    PyObject *self = rnn_py.tensor_class->tp_alloc(rnn_py.tensor_class, 0);
    if (self) ((handle *)self)->h = h;
    else rnn_release(rnn_py.e, h);
    return self;
}

/* adopt(h): a Tensor that owns h. */
static PyObject *adopt(PyObject *module, PyObject *number) {
    (void)module;
    long long h = PyLong_AsLongLong(number);
    return h == -1 && PyErr_Occurred() ? NULL : rnn_py_adopt(h);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD rnn_block *block;
    uint32_t span; /* instead of a block: a scalar span */
    void *data;
    Py_ssize_t bytes;
} memory;

static void memory_dealloc(PyObject *self) {
    memory *m = (memory *)self;
    rnn_lock(rnn_py.e);
    rnn_block_unref(rnn_py.e, m->block);
    if (m->span) rnn_span_unref(rnn_py.e, m->span);
    rnn_unlock(rnn_py.e);
    rnn_py_drain();
    rnn_py_free_instance(self);
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
                                  Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                                  memory_slots};

/* The memory of the whole span; its first byte is node 0. */
static PyObject *memory_of(PyObject *module, PyObject *number) {
    (void)module;
    long long h = PyLong_AsLongLong(number);
    if (h <= 0) return PyErr_Occurred() ? NULL : rnn_py_raise(RNN_ETYPE);
    memory *m = PyObject_New(memory, rnn_py.memory);
    if (!m) return NULL;
    rnn_lock(rnn_py.e);
    const uint32_t span = rnn_span_of(h);
    const rnn_span *s = rnn_at(rnn_py.e, span);
    m->block = s->flags & RNN_S_SCALAR ? NULL : s->ext->data;
    m->span = m->block ? 0 : span;
    if (m->block) m->block->refs++;
    else rnn_span_ref(rnn_py.e, span);
    m->data = rnn_span_data(rnn_py.e, span);
    m->bytes = (Py_ssize_t)((size_t)rnn_span_size(s) * rnn_itemsize(s->dtype));
    rnn_unlock(rnn_py.e);
    return (PyObject *)m;
}

/* array_parts(h): (shape, dtype, memory, offset in bytes, strides in bytes), for numpy.ndarray. */
static PyObject *array_parts(PyObject *module, PyObject *number) {
    PyObject *memory = memory_of(module, number);
    if (!memory) return NULL;
    const rnn_tensor *t = rnn_tensor_of(PyLong_AsLongLong(number));
    const Py_ssize_t size = (Py_ssize_t)rnn_itemsize(t->dtype);
    PyObject *shape = PyTuple_New(t->ndim), *strides = PyTuple_New(t->ndim);
    for (int d = 0; shape && strides && d < t->ndim; d++) {
        PyTuple_SET_ITEM(shape, d, PyLong_FromLongLong(t->dims[d]));
        PyTuple_SET_ITEM(strides, d, PyLong_FromLongLong(t->dims[t->ndim + d] * size));
    }
    return Py_BuildValue("NiNnN", shape, t->dtype, memory, (Py_ssize_t)t->offset * size, strides);
}

/* ---- functions ------------------------------------------------------------------------------- */

/* value_at(h, position): the Value of the element at a row-major position. */
static PyObject *value_at(PyObject *module, PyObject *args) {
    (void)module;
    long long h, position;
    rnn_view v;
    if (!PyArg_ParseTuple(args, "LL", &h, &position)) return NULL;
    if (rnn_view_of(rnn_py.e, h, &v)) return rnn_py_raise(RNN_ETYPE);
    if (position < 0 || position >= rnn_numel(v.ndim, v.shape)) {
        PyErr_SetString(PyExc_IndexError, "there is no such element");
        return NULL;
    }
    return rnn_py_value_of_node(v.span, rnn_flat_to_offset(&v, position));
}

/* ref_of(value): a new 0-d tensor handle that looks at its node. */
static PyObject *ref_of(PyObject *module, PyObject *o) {
    (void)module;
    if (!rnn_py_is_value(o)) {
        PyErr_SetString(PyExc_TypeError, "not a Value");
        return NULL;
    }
    const rnn_node at = rnn_py_node_of(o);
    rnn_lock(rnn_py.e);
    rnn_span_ref(rnn_py.e, at.span);
    rnn_unlock(rnn_py.e);
    rnn_ref whole = rnn_tensor_wrap(rnn_py.e, at.span);
    if (whole < 0) return rnn_py_raise(whole);
    rnn_ref one = rnn_tensor_new(rnn_py.e, rnn_tensor_of(whole)->store, rnn_dtype(whole), 0, 0,
                                 at.node, 0, NULL, NULL);
    rnn_release(rnn_py.e, whole);
    return one < 0 ? rnn_py_raise(one) : PyLong_FromLongLong(one);
}

/* value_of(span, node): the Value of a node that lives. */
static PyObject *value_of(PyObject *module, PyObject *args) {
    (void)module;
    unsigned int span;
    long long node;
    if (!PyArg_ParseTuple(args, "IL", &span, &node)) return NULL;
    if (!span || span >= rnn_py.e->span_top || !rnn_at(rnn_py.e, span)->refs || node < 0 ||
        node >= rnn_span_size(rnn_at(rnn_py.e, span))) {
        PyErr_SetString(PyExc_IndexError, "there is no such node");
        return NULL;
    }
    return rnn_py_value_of_node(span, node);
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

/* forget(number): gives back what retain gave. */
static PyObject *forget(PyObject *module, PyObject *number) {
    (void)module;
    long long address = PyLong_AsLongLong(number);
    if (address == -1 && PyErr_Occurred()) return NULL;
    Py_XDECREF((PyObject *)(intptr_t)address);
    Py_RETURN_NONE;
}

static PyObject *drain(PyObject *module, PyObject *_) {
    (void)module, (void)_;
    rnn_py_drain();
    Py_RETURN_NONE;
}

/* register_classes(Tensor, Value, dtype_code): what adopt and the operators make. */
static PyObject *register_classes(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *t, *v, *dtype_code;
    if (!PyArg_ParseTuple(args, "O!O!O", &PyType_Type, &t, &PyType_Type, &v, &dtype_code))
        return NULL;
    if (!PyType_IsSubtype((PyTypeObject *)t, rnn_py.handle)) {
        PyErr_SetString(PyExc_TypeError, "a subclass of Handle is needed");
        return NULL;
    }
    if (rnn_py_value_class((PyTypeObject *)v)) return NULL;
    Py_XSETREF(rnn_py.tensor_class, (PyTypeObject *)Py_NewRef(t));
    Py_XSETREF(rnn_py.dtype_code, Py_NewRef(dtype_code));
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"adopt", adopt, METH_O, "A Tensor that owns a handle."},
    {"array_parts", array_parts, METH_O,
     "What numpy.ndarray wants to look at a handle's elements."},
    {"value_at", value_at, METH_VARARGS, "The Value of an element of a tensor."},
    {"value_of", value_of, METH_VARARGS, "The Value of a node."},
    {"ref_of", ref_of, METH_O, "A 0-d tensor handle for a Value."},
    {"retain", retain, METH_O, "A new reference to an object, as a number for the engine."},
    {"forget", forget, METH_O, "Gives such a number's reference back."},
    {"drain", drain, METH_NOARGS, "Lets go of what the engine no longer needs."},
    {"object_at", object_at, METH_O, "The object of such a number."},
    {"register_operators", rnn_py_register_operators, METH_VARARGS,
     "What + - * / call where C does not know."},
    {"register_classes", register_classes, METH_VARARGS, "Tells which classes to make."},
    {"register_scopes", rnn_py_register_scopes, METH_O, "What names the call of a module."},
    {"register_sites", rnn_py_register_sites, METH_VARARGS, "Where lines are numbered."},
    {NULL, NULL, 0, NULL},
};

/* A dict of the three types and the functions; NULL with an exception set. */
static PyObject *make_python(rnn_engine *e) {
    rnn_py.e = e;
    rnn_py_watch_lines(e);
    rnn_py.handle = (PyTypeObject *)PyType_FromSpec(&handle_spec);
    rnn_py.memory = (PyTypeObject *)PyType_FromSpec(&memory_spec);
    rnn_py.value = rnn_py_value_type();
    PyObject *all = rnn_py.handle && rnn_py.memory && rnn_py.value ? PyDict_New() : NULL;
    if (!all) return NULL;
    rnn_py.tensor_class = (PyTypeObject *)Py_NewRef(rnn_py.handle);
    if (rnn_py_value_class(rnn_py.value)) return NULL;
    PyDict_SetItemString(all, "Handle", (PyObject *)rnn_py.handle);
    PyDict_SetItemString(all, "Memory", (PyObject *)rnn_py.memory);
    PyDict_SetItemString(all, "ValueBase", (PyObject *)rnn_py.value);
    for (PyMethodDef *f = functions; f->ml_name; f++) {
        PyObject *function = PyCFunction_New(f, NULL);
        if (!function || PyDict_SetItemString(all, f->ml_name, function)) Py_CLEAR(all);
        Py_XDECREF(function);
        if (!all) return NULL;
    }
    PyObject *module_base = rnn_py_module_type();
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
