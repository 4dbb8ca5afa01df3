/* operators.c: + - * / of Tensors, straight into the engine: as much faster than a Python function
 * that does the same as a small tensor's sum is faster than a Python call.
 *
 * Two tensors go to the row ADD of ops.h, a tensor and a number to ADD_SCALAR. Whatever the engine
 * does not answer with a handle (integers, dtypes that differ, scalar resolution, errors, foreign
 * types) goes to the function of rnn/ops/elementwise.py which knows the rules: op_add(a, b). */
#include "python.h"

enum { ADD, SUB, MUL, DIV, OPERATORS, LARGE = 4096 };

static const struct {
    int tensors, number, reflected;
} rows[OPERATORS] = {
    [ADD] = {RNN_OP_ADD, RNN_OP_ADD_SCALAR, RNN_OP_ADD_SCALAR},
    [SUB] = {RNN_OP_SUB, RNN_OP_SUB_SCALAR, RNN_OP_RSUB_SCALAR},
    [MUL] = {RNN_OP_MUL, RNN_OP_MUL_SCALAR, RNN_OP_MUL_SCALAR},
    [DIV] = {RNN_OP_DIV, RNN_OP_DIV_SCALAR, RNN_OP_RDIV_SCALAR},
};

static PyObject *functions[OPERATORS]; /* op_add, op_sub, op_mul, op_truediv */

static bool is_tensor(PyObject *o) { return PyObject_TypeCheck(o, rnn_py.handle); }
static rnn_ref handle_of(PyObject *o) { return ((rnn_py_handle *)o)->h; }

/* A Python float or int, not of a subclass. */
static bool as_number(PyObject *o, double *x) {
    if (PyFloat_CheckExact(o)) {
        *x = PyFloat_AS_DOUBLE(o);
        return true;
    }
    if (!PyLong_CheckExact(o)) return false;
    *x = PyLong_AsDouble(o);
    if (*x != -1 || !PyErr_Occurred()) return true;
    PyErr_Clear();
    return false;
}

/* A handle; 0 or a negative code where it takes Python to find out. Large work lets other Python
 * threads run. */
static rnn_ref compute(PyObject *a, PyObject *b, int which) {
    const bool left = is_tensor(a), right = is_tensor(b);
    const rnn_ref x = left ? handle_of(a) : handle_of(b), y = left && right ? handle_of(b) : 0;
    double number = 0;
    if (x <= 0 || (left && right ? y <= 0 : !as_number(left ? b : a, &number))) return 0;
    const int row = y ? rows[which].tensors : left ? rows[which].number : rows[which].reflected;
    PyThreadState *state =
        rnn_count(x) > LARGE || (y && rnn_count(y) > LARGE) ? PyEval_SaveThread() : NULL;
    const rnn_ref made =
        y ? rnn_binary(rnn_py.e, row, x, y, 1) : rnn_unary(rnn_py.e, row, x, number, 0);
    if (state) PyEval_RestoreThread(state);
    return made;
}

static PyObject *run(PyObject *a, PyObject *b, int which) {
    const rnn_ref made = compute(a, b, which);
    if (made > 0) return rnn_py_adopt(made);
    if (!functions[which]) Py_RETURN_NOTIMPLEMENTED;
    return PyObject_CallFunctionObjArgs(functions[which], a, b, NULL);
}

PyObject *rnn_py_add(PyObject *a, PyObject *b) { return run(a, b, ADD); }
PyObject *rnn_py_subtract(PyObject *a, PyObject *b) { return run(a, b, SUB); }
PyObject *rnn_py_multiply(PyObject *a, PyObject *b) { return run(a, b, MUL); }
PyObject *rnn_py_divide(PyObject *a, PyObject *b) { return run(a, b, DIV); }

PyObject *rnn_py_register_operators(PyObject *module, PyObject *args) {
    (void)module;
    if (PyTuple_GET_SIZE(args) != OPERATORS) {
        PyErr_Format(PyExc_TypeError, "%d functions are needed", OPERATORS);
        return NULL;
    }
    for (int i = 0; i < OPERATORS; i++)
        Py_XSETREF(functions[i], Py_NewRef(PyTuple_GET_ITEM(args, i)));
    Py_RETURN_NONE;
}
