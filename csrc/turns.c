/* turns.c: gradients belong to one thread at a time. A backward pass takes the turn and keeps it to
 * its end; a second thread's pass waits, without the interpreter's lock and in slices, so that it
 * can be interrupted. A thread may take the turn again while it has it: a hook may run a pass of
 * its own.
 *
 * What it is not: it protects no bookkeeping; that is engine->lock, which is never held for
 * long. */
#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <time.h>

int rnn_turn_init(rnn_engine *e) {
    e->turns = 0;
    e->running = NULL;
    return pthread_cond_init(&e->idle, NULL);
}

static struct timespec in_nanoseconds(int64_t nanoseconds) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    nanoseconds += t.tv_nsec;
    t.tv_sec += (time_t)(nanoseconds / 1000000000);
    t.tv_nsec = (long)(nanoseconds % 1000000000);
    return t;
}

bool rnn_turn_take(rnn_engine *e, int64_t nanoseconds) {
    const pthread_t me = pthread_self();
    struct timespec until = {0, 0};
    int waited = 0;
    rnn_lock(e);
    while (e->turns && !pthread_equal(e->owner, me) && waited != ETIMEDOUT) {
        if (nanoseconds < 0) {
            pthread_cond_wait(&e->idle, &e->lock);
            continue;
        }
        if (!until.tv_sec) until = in_nanoseconds(nanoseconds);
        waited = pthread_cond_timedwait(&e->idle, &e->lock, &until);
    }
    const bool mine = !e->turns || pthread_equal(e->owner, me);
    if (mine) {
        e->owner = me;
        e->turns++;
    }
    rnn_unlock(e);
    return mine;
}

void rnn_turn_give(rnn_engine *e) {
    rnn_lock(e);
    if (--e->turns == 0) pthread_cond_signal(&e->idle);
    rnn_unlock(e);
}

/* In the child, whose one thread has made the lock anew. A pass of another thread stayed with the
 * parent; what it wrote into the spans would mislead ours. */
void rnn_turn_after_fork(rnn_engine *e) {
    if (e->turns && pthread_equal(e->owner, pthread_self())) {
        pthread_cond_init(&e->idle, NULL);
        return;
    }
    if (e->turns)
        for (uint32_t id = 1; id < e->span_top; id++) rnn_state_set(rnn_at(e, id), RNN_G_HAS, 0);
    rnn_turn_init(e);
}
