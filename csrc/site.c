/* site.c: which line of Python is running: the innermost frame outside the rnn package, as a
 * number.
 *
 * The engine asks for it before it makes a span, where this thread traces. One number stands for
 * one (file, line, function), so there are no more of them than the program has lines. Their text
 * is looked up when somebody wants to read it (rnn/inspect/trace.py). */
#include "python.h"

#include <stdio.h>
#include <string.h>

static struct {
    PyObject *sites;   /* dict: (file, line, function) -> number, from 1 */
    PyObject *package; /* str: what the names of rnn's own files start with */
    PyObject *text;    /* function: number -> str */
} py;

/* What was asked last for an instruction of some code, which it holds: a loop asks for the same few
 * again and again, and finding the line of an instruction takes Python longer than all the rest. */
enum { KNOWN = 1024 };
static struct {
    PyCodeObject *code;
    int instruction;
    uint32_t site;
} known[KNOWN];

static bool is_ours(PyFrameObject *frame) {
    PyCodeObject *code = PyFrame_GetCode(frame);
    const Py_ssize_t size = PyUnicode_GET_LENGTH(py.package);
    const bool ours = PyUnicode_Tailmatch(code->co_filename, py.package, 0, size, -1) == 1;
    Py_DECREF(code);
    return ours;
}

static uint32_t number_of(PyObject *key) {
    PyObject *known = PyDict_GetItemWithError(py.sites, key);
    if (known) return (uint32_t)PyLong_AsUnsignedLong(known);
    if (PyErr_Occurred()) return 0;
    const unsigned long next = (unsigned long)PyDict_GET_SIZE(py.sites) + 1;
    PyObject *number = PyLong_FromUnsignedLong(next);
    const int failed = number ? PyDict_SetItem(py.sites, key, number) : -1;
    Py_XDECREF(number);
    return failed ? 0 : (uint32_t)next;
}

static uint32_t find_site(PyFrameObject *frame, PyCodeObject *code) {
    PyObject *type, *error, *trace;
    PyErr_Fetch(&type, &error, &trace);
    PyObject *key =
        Py_BuildValue("(OiO)", code->co_filename, PyFrame_GetLineNumber(frame), code->co_qualname);
    const uint32_t site = key ? number_of(key) : 0;
    Py_XDECREF(key);
    PyErr_Restore(type, error, trace);
    return site;
}

static uint32_t site_of(PyFrameObject *frame) {
    PyCodeObject *code = PyFrame_GetCode(frame);
    const int instruction = PyFrame_GetLasti(frame);
    const size_t at = (((uintptr_t)code >> 5) + (size_t)instruction * 31) % KNOWN;
    if (known[at].code == code && known[at].instruction == instruction) {
        Py_DECREF(code);
        return known[at].site;
    }
    const uint32_t site = find_site(frame, code);
    PyCodeObject *old = known[at].code;
    known[at].code = code; /* the reference goes along */
    known[at].instruction = instruction;
    known[at].site = site;
    Py_XDECREF(old);
    return site;
}

/* 0 where no Python runs, or on failure: a line that is not known is no reason to fail. */
static uint32_t current_site(void) {
    PyGILState_STATE state = PyGILState_Ensure();
    PyFrameObject *frame = py.sites ? PyEval_GetFrame() : NULL;
    Py_XINCREF(frame);
    while (frame && is_ours(frame)) Py_SETREF(frame, PyFrame_GetBack(frame));
    const uint32_t site = frame ? site_of(frame) : 0;
    Py_XDECREF(frame);
    PyGILState_Release(state);
    return site;
}

static void text_of(uint32_t site, char *text, size_t size) {
    PyGILState_STATE state = PyGILState_Ensure();
    PyObject *type, *error, *trace;
    PyErr_Fetch(&type, &error, &trace);
    PyObject *line = py.text ? PyObject_CallFunction(py.text, "I", site) : NULL;
    const char *utf8 = line ? PyUnicode_AsUTF8(line) : NULL;
    snprintf(text, size, "%s", utf8 ? utf8 : "");
    Py_XDECREF(line);
    PyErr_Restore(type, error, trace);
    PyGILState_Release(state);
}

/* register_sites(sites, package, text): where lines are numbered, which files are rnn's own, and
 * what says a number in words. */
PyObject *rnn_py_register_sites(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *sites, *package, *text;
    if (!PyArg_ParseTuple(args, "O!UO", &PyDict_Type, &sites, &package, &text)) return NULL;
    Py_XSETREF(py.sites, Py_NewRef(sites));
    Py_XSETREF(py.package, Py_NewRef(package));
    Py_XSETREF(py.text, Py_NewRef(text));
    Py_RETURN_NONE;
}

void rnn_py_watch_lines(rnn_engine *e) {
    e->site = current_site;
    e->site_text = text_of;
}
