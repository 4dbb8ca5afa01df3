/* check.h: what is not so is counted and printed, from any thread. */
#ifndef RNN_TEST_CHECK_H
#define RNN_TEST_CHECK_H

#include <stdio.h>

static int failures;

#define CHECK(what) \
    do { \
        if (!(what)) { \
            __atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED); \
            printf("%s:%d: not %s\n", __FILE__, __LINE__, #what); \
        } \
    } while (0)

/* The same, with words of one's own. */
#define CHECK_SAYING(what, ...) \
    do { \
        if (!(what)) { \
            __atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED); \
            printf("%s:%d: ", __FILE__, __LINE__); \
            printf(__VA_ARGS__); \
            printf("\n"); \
        } \
    } while (0)

#endif
