/* arena.c: where nodes' values and gradients live.
 *
 * Two kinds of place. Scalar nodes live in the flat arrays data[] and grad[], reserved once as
 * address space and committed as they are touched. Blocks, for everything larger, are cut from one
 * reserved heap (heap.c), and counted here. Nothing ever moves.
 *
 * What it is not: it knows no spans and no operations. */
#define _GNU_SOURCE
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* of the heap, bytes in pages of the ordinary size */
enum { SMALL_HEAP = 64 << 20 };

/* Pages of 2 MiB mean fewer page faults, but the last one is seldom full: `small` bytes at the
 * beginning do without, so that a small job takes what it needs. */
static void ask_for_huge_pages(uint8_t *p, uint64_t bytes, uint64_t small) {
#ifdef MADV_HUGEPAGE
    if (bytes > small) madvise(p + small, bytes - small, MADV_HUGEPAGE); /* may be refused */
#endif
}

/* Address space without memory behind it; asks for less while the system refuses. */
static void *reserve(uint64_t *bytes, uint64_t least, uint64_t small) {
    for (; *bytes >= least; *bytes /= 2) {
        void *p = mmap(NULL, *bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p != MAP_FAILED) {
            ask_for_huge_pages(p, *bytes, small);
            return p;
        }
    }
    return NULL;
}

int rnn_arena_init(rnn_engine *e) {
    const uint64_t least = (uint64_t)1 << 24;
    uint64_t bytes = (uint64_t)1 << 37;
    if (!(e->spans = reserve(&bytes, least, 0))) return -1;
    uint64_t capacity = bytes / sizeof(rnn_span);
    e->span_capacity = capacity < UINT32_MAX ? (uint32_t)capacity : UINT32_MAX;
    e->span_top = 1; /* span 0 is none */
    bytes = (uint64_t)e->span_capacity * sizeof(double);
    const uint64_t whole = bytes;
    e->data = reserve(&bytes, whole, 0);
    e->grad = e->data ? reserve(&bytes, whole, 0) : NULL;
    if (!e->grad) return -1;
    e->heap_capacity = (uint64_t)1 << 42;
    return (e->heap = reserve(&e->heap_capacity, least, SMALL_HEAP)) ? 0 : -1;
}

void rnn_arena_origins(rnn_engine *e) {
    uint64_t bytes = (uint64_t)e->span_capacity * sizeof(rnn_origin);
    e->origins = reserve(&bytes, bytes, 0);
}

void rnn_arena_free(rnn_engine *e) {
    rnn_heap_free(e);
    if (e->spans) munmap(e->spans, (uint64_t)e->span_capacity * sizeof(rnn_span));
    if (e->data) munmap(e->data, (uint64_t)e->span_capacity * sizeof(double));
    if (e->grad) munmap(e->grad, (uint64_t)e->span_capacity * sizeof(double));
    if (e->origins) munmap(e->origins, (uint64_t)e->span_capacity * sizeof(rnn_origin));
}

void rnn_trim(rnn_engine *e) {
    rnn_lock(e);
    rnn_heap_trim(e, 4096);
    rnn_unlock(e);
}

/* Under the lock: counts bytes as live, or refuses. */
bool rnn_charge(rnn_engine *e, uint64_t bytes) {
    if (bytes > e->limit || e->live > e->limit - bytes) return false;
    if (e->live + bytes + e->cached > e->limit) rnn_heap_trim(e, 4096);
    e->live += bytes;
    if (e->live > e->peak) e->peak = e->live;
    return true;
}

/* A block for `nodes` nodes; NULL with a message that says what for. */
rnn_block *rnn_block_new(rnn_engine *e, const char *what, int64_t nodes, int dtype) {
    uint64_t bytes;
    rnn_block *b = NULL;
    if (nodes >= 0 && rnn_mul_size((uint64_t)nodes, rnn_itemsize(dtype), &bytes) &&
        bytes < (uint64_t)1 << 46) {
        uint64_t rounded = bytes;
        const int class = rnn_heap_class(&rounded);
        rnn_lock(e);
        if (!rnn_allocation_fails(e) && rnn_charge(e, rounded)) {
            b = rnn_heap_take(e, class, rounded);
            if (b) e->live += b->bytes - rounded;
            else e->live -= rounded;
        }
        rnn_unlock(e);
    } else {
        bytes = UINT64_MAX;
    }
    if (!b) {
        rnn_fail(e, RNN_EMEMORY,
                 "%s: %lld nodes need %llu bytes, but %llu of the memory limit of %llu are in use",
                 what, (long long)nodes, (unsigned long long)bytes, (unsigned long long)e->live,
                 (unsigned long long)e->limit);
        return NULL;
    }
    b->written = 0;
    b->inference = b->recorded = false;
    b->refs = 1;
    b->next = NULL;
    return b;
}

/* Under the lock. */
void rnn_orphan(rnn_engine *e, rnn_owner *owner) {
    if (!owner) return;
    owner->next = e->orphans;
    __atomic_store_n(&e->orphans, owner, __ATOMIC_RELEASE);
}

/* A block over memory that somebody else owns. */
rnn_block *rnn_block_borrow(rnn_engine *e, void *data, rnn_owner *owner) {
    rnn_block *b = rnn_malloc(e, sizeof *b);
    if (b) *b = (rnn_block){.data = data, .refs = 1, .owner = owner};
    return b;
}

/* Under the lock. Kept memory stays warm up to a bound: beyond it large blocks go cold. */
void rnn_block_unref(rnn_engine *e, rnn_block *b) {
    if (!b || --b->refs) return;
    if (b->owner) {
        rnn_orphan(e, b->owner);
        free(b);
        return;
    }
    e->live -= b->bytes;
    rnn_heap_give(e, b);
    if (e->cached > e->live + ((uint64_t)2 << 30)) rnn_heap_trim(e, (uint64_t)1 << 20);
}

void rnn_drop_block(rnn_engine *e, rnn_block *b) {
    rnn_lock(e);
    rnn_block_unref(e, b);
    rnn_unlock(e);
}
