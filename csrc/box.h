/* box.h: a walk over a shape, with the tensors that take part in it and the loop that is run on
 * them: begin a job's box, add its views, finish it, run the job. */
#ifndef RNN_BOX_H
#define RNN_BOX_H

#include "internal.h"

#include <stdatomic.h>

enum { DST, A, B, Z, DZ, VIEWS };

typedef struct {
    int ndim;
    int64_t total, shape[RNN_MAX_DIMS + 1], stride[VIEWS][RNN_MAX_DIMS + 1];
    char *data[VIEWS];
    bool used[VIEWS], flat[VIEWS]; /* flat: row-major positions are memory positions */
} box;

/* dst = forward(a, b), dst (+)= backward(a, b, z, dz), or, without a loop, dst (+)= scale a */
typedef struct {
    rnn_engine *e;
    box x;
    int dtype;
    rnn_forward_loop forward;
    rnn_backward_loop backward;
    const double *p;
    double scale; /* of a plain copy */
    bool add;
    /* what box.c works out */
    double *partial; /* of a sum into one: one for each block; into several: the shadow */
    int split;
    int64_t kept, copies;
    atomic_bool *nan; /* becomes true where a result is one; NULL: nobody asks */
} job;

void rnn_box_begin(box *x, int ndim, const int64_t *shape);
/* A view takes part: its last dimensions are the box's, of size 1 where it is broadcast. */
void rnn_box_add(box *x, int which, const rnn_view *v, void *data);
/* Drops dimensions of size 1 and merges neighbours that are one run in every view. */
void rnn_box_finish(box *x);
void rnn_job_run(job *j);
/* The same; true where all results have been looked at and there is no NaN among them. */
bool rnn_job_run_checked(job *j);

#endif
