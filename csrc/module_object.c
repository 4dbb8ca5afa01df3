/* module_object.c: ModuleBase, the base of Module: it finds attributes, and it calls forward().
 *
 * A call gives its number, the scope, to every span that is made within it. A number stands for the
 * module's path from the outermost module that is being called ("h.0.attn.c_proj"); Python finds
 * the path at the first call (rnn/nn/scopes.py), and this file remembers the number by the outer
 * scope and the module's address. It keeps no module alive: an address counts only while a weak
 * reference says that its module is still there. */
#include "python.h"

#include <stdlib.h>

/* ---- attributes ------------------------------------------------------------------------------ */

/* The registries of a Module hold what its __dict__ does not: parameters, buffers and modules.
 * Borrowed, or NULL. */
static PyObject *registered(PyObject *dict, PyObject *name) {
    static const char *const kinds[] = {"_modules", "_parameters", "_buffers"};
    static PyObject *names[3];
    for (int i = 0; i < 3; i++) {
        if (!names[i] && !(names[i] = PyUnicode_InternFromString(kinds[i]))) return NULL;
        PyObject *registry = PyDict_GetItemWithError(dict, names[i]);
        PyObject *found =
            registry && PyDict_Check(registry) ? PyDict_GetItemWithError(registry, name) : NULL;
        if (found || PyErr_Occurred()) return found;
    }
    return NULL;
}

/* As Python does it: the class, the __dict__, and then what a __getattr__ in Python would find. It
 * is here because a model asks for its layers and weights at every step, and a miss costs Python an
 * exception. */
static PyObject *module_getattro(PyObject *self, PyObject *name) {
    if (!PyUnicode_Check(name) || _PyType_Lookup(Py_TYPE(self), name))
        return PyObject_GenericGetAttr(self, name);
    PyObject *dict = PyObject_GenericGetDict(self, NULL);
    if (!dict) return NULL;
    PyObject *found = PyDict_GetItemWithError(dict, name);
    if (!found && !PyErr_Occurred()) found = registered(dict, name);
    Py_XINCREF(found);
    Py_DECREF(dict);
    return found || PyErr_Occurred() ? found : PyObject_GenericGetAttr(self, name);
}

/* ---- scopes ---------------------------------------------------------------------------------- */

typedef struct {
    PyObject *module; /* borrowed: to compare with */
    PyObject *alive;  /* a weak reference to it */
    uint32_t outer, scope;
} known_call;

static struct {
    known_call *calls; /* open addressing; NULL in `module` is free */
    size_t capacity, count;
    PyObject *name_scope; /* Python's: (module, outer scope) -> scope */
} py;

static bool is_alive(const known_call *c) {
    return ((PyWeakReference *)c->alive)->wr_object == c->module;
}

/* Where the call is, or where it would go. */
static known_call *find_call(known_call *calls, size_t capacity, PyObject *module, uint32_t outer) {
    size_t at = ((uintptr_t)module >> 4) * 31 + outer * (size_t)2654435761u;
    for (;; at++) {
        known_call *c = &calls[at & (capacity - 1)];
        if (!c->module || (c->module == module && c->outer == outer)) return c;
    }
}

/* A table twice as large as what is still alive needs. */
static int make_room(void) {
    size_t living = 0, capacity = 64;
    for (size_t i = 0; i < py.capacity; i++) living += py.calls[i].module && is_alive(&py.calls[i]);
    while (capacity < 4 * (living + 1)) capacity *= 2;
    known_call *calls = calloc(capacity, sizeof *calls);
    if (!calls) return PyErr_NoMemory(), -1;
    for (size_t i = 0; i < py.capacity; i++) {
        const known_call *c = &py.calls[i];
        if (!c->module) continue;
        if (is_alive(c)) *find_call(calls, capacity, c->module, c->outer) = *c;
        else Py_DECREF(c->alive);
    }
    free(py.calls);
    py.calls = calls;
    py.capacity = capacity;
    py.count = living;
    return 0;
}

/* The first call: Python finds the path. Nothing is remembered before it has; it may call
 * modules. */
static int64_t new_scope(PyObject *self, uint32_t outer) {
    if (!py.name_scope) return 0;
    PyObject *number = PyObject_CallFunction(py.name_scope, "OI", self, outer);
    const long long scope = number ? PyLong_AsLongLong(number) : -1;
    Py_XDECREF(number);
    if (scope < 0) return -1;
    if (2 * py.count >= py.capacity && make_room()) return -1;
    PyObject *alive = PyWeakref_NewRef(self, NULL);
    if (!alive) return -1;
    known_call *c = find_call(py.calls, py.capacity, self, outer);
    if (c->module) Py_DECREF(c->alive);
    else py.count++;
    *c = (known_call){self, alive, outer, (uint32_t)scope};
    return scope;
}

static int64_t scope_of(PyObject *self, uint32_t outer) {
    const known_call *c = py.capacity ? find_call(py.calls, py.capacity, self, outer) : NULL;
    return c && c->module && is_alive(c) ? c->scope : new_scope(self, outer);
}

/* register_scopes(function): what names the call of a module. */
PyObject *rnn_py_register_scopes(PyObject *module, PyObject *function) {
    (void)module;
    Py_XSETREF(py.name_scope, Py_NewRef(function));
    Py_RETURN_NONE;
}

/* ---- calls ----------------------------------------------------------------------------------- */

static PyObject *hooked, *forward, *call_with_hooks; /* names of attributes */

static PyObject *call_forward(PyObject *self, PyObject *args, PyObject *kwargs) {
    PyObject *flag = PyObject_GetAttr(self, hooked);
    const int with_hooks = flag ? PyObject_IsTrue(flag) : -1;
    Py_XDECREF(flag);
    if (with_hooks < 0) return NULL;
    if (with_hooks) {
        PyObject *none = kwargs ? NULL : PyDict_New();
        if (!kwargs && !none) return NULL;
        PyObject *out =
            PyObject_CallMethodObjArgs(self, call_with_hooks, args, kwargs ? kwargs : none, NULL);
        Py_XDECREF(none);
        return out;
    }
    PyObject *function = PyObject_GetAttr(self, forward);
    if (!function) return NULL;
    PyObject *out = PyObject_Call(function, args, kwargs);
    Py_DECREF(function);
    return out;
}

/* module(*args, **kwargs): forward(), with the hooks around it. */
static PyObject *module_call(PyObject *self, PyObject *args, PyObject *kwargs) {
    rnn_thread *me = rnn_thread_state();
    const uint32_t outer = me->scope;
    const int64_t scope = scope_of(self, outer);
    if (scope < 0) return NULL;
    me->scope = (uint32_t)scope;
    PyObject *out = call_forward(self, args, kwargs);
    me->scope = outer;
    return out;
}

static PyType_Slot module_slots[] = {
    {Py_tp_doc, "Base of Module: finds parameters, buffers and modules, and calls forward()."},
    {Py_tp_getattro, module_getattro},
    {Py_tp_call, module_call},
    {0, NULL},
};

static PyType_Spec module_spec = {"rnn._engine.ModuleBase", sizeof(PyObject), 0,
                                  Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, module_slots};

PyObject *rnn_py_module_type(void) {
    hooked = PyUnicode_InternFromString("_hooked");
    forward = PyUnicode_InternFromString("forward");
    call_with_hooks = PyUnicode_InternFromString("_call_with_hooks");
    return hooked && forward && call_with_hooks ? PyType_FromSpec(&module_spec) : NULL;
}
