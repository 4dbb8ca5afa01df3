/* arena.c: where nodes' values and gradients live.
 *
 * Two kinds of place. Scalar nodes live in the flat arrays data[] and grad[], reserved once as
 * address space and committed as they are touched. Blocks, for everything larger, are cut from one
 * reserved heap; a block that is given back goes to the list of its size class and is reused while
 * warm. Nothing ever moves.
 *
 * What it is not: it knows no spans and no operations. */
#define _GNU_SOURCE
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Address space without memory behind it; asks for less while the system refuses. */
static void *reserve(uint64_t *bytes, uint64_t least) {
    for (; *bytes >= least; *bytes /= 2) {
        void *p = mmap(NULL, *bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p != MAP_FAILED) {
#ifdef MADV_HUGEPAGE
            madvise(p, *bytes, MADV_HUGEPAGE); /* fewer page faults; a refusal costs nothing */
#endif
            return p;
        }
    }
    return NULL;
}

int rnn_arena_init(rnn_engine *e) {
    const uint64_t least = (uint64_t)1 << 24;
    uint64_t bytes = (uint64_t)1 << 37;
    if (!(e->spans = reserve(&bytes, least))) return -1;
    uint64_t capacity = bytes / sizeof(rnn_span);
    e->span_capacity = capacity < UINT32_MAX ? (uint32_t)capacity : UINT32_MAX;
    e->span_top = 1; /* span 0 is none */
    bytes = (uint64_t)e->span_capacity * sizeof(double);
    const uint64_t whole = bytes;
    e->data = reserve(&bytes, whole);
    e->grad = e->data ? reserve(&bytes, whole) : NULL;
    if (!e->grad) return -1;
    e->heap_capacity = (uint64_t)1 << 42;
    return (e->heap = reserve(&e->heap_capacity, least)) ? 0 : -1;
}

void rnn_arena_origins(rnn_engine *e) {
    uint64_t bytes = (uint64_t)e->span_capacity * sizeof(rnn_origin);
    e->origins = reserve(&bytes, bytes);
}

static void free_lists(rnn_engine *e) {
    for (int c = 0; c < RNN_CLASSES; c++) {
        while (e->free_blocks[c]) {
            rnn_block *b = e->free_blocks[c];
            e->free_blocks[c] = b->next;
            free(b);
        }
    }
}

void rnn_arena_free(rnn_engine *e) {
    free_lists(e);
    if (e->spans) munmap(e->spans, (uint64_t)e->span_capacity * sizeof(rnn_span));
    if (e->data) munmap(e->data, (uint64_t)e->span_capacity * sizeof(double));
    if (e->grad) munmap(e->grad, (uint64_t)e->span_capacity * sizeof(double));
    if (e->origins) munmap(e->origins, (uint64_t)e->span_capacity * sizeof(rnn_origin));
    if (e->heap) munmap(e->heap, e->heap_capacity);
}

/* Size classes: every 64 bytes up to 1 KiB, then eight to a doubling. Returns the class and rounds
 * the size up. */
static int size_class(uint64_t *bytes) {
    uint64_t b = (*bytes + 63) / 64 * 64;
    if (b == 0) b = 64;
    if (b <= 1024) {
        *bytes = b;
        return (int)(b / 64);
    }
    int top = 63 - __builtin_clzll(b - 1); /* 2^top < b <= 2^(top + 1) */
    uint64_t step = (uint64_t)1 << (top - 3), over = b - ((uint64_t)1 << top);
    uint64_t eighth = (over + step - 1) / step; /* 1 .. 8 */
    *bytes = ((uint64_t)1 << top) + eighth * step;
    return 16 + (top - 10) * 8 + (int)eighth;
}

/* Under the lock. Gives the memory of kept blocks back to the system; their address space stays
 * ours. */
static void trim(rnn_engine *e, uint64_t at_least) {
    for (int c = 0; c < RNN_CLASSES; c++) {
        for (rnn_block *b = e->free_blocks[c]; b; b = b->next) {
            if (b->bytes < at_least || b->written) continue;
            madvise(b->data, b->bytes, MADV_DONTNEED);
            b->written = 1; /* a kept block's stamp says: cold */
            e->cached -= b->bytes;
        }
    }
}

void rnn_trim(rnn_engine *e) {
    rnn_lock(e);
    trim(e, 4096);
    rnn_unlock(e);
}

/* Under the lock: counts bytes as live, or refuses. */
bool rnn_charge(rnn_engine *e, uint64_t bytes) {
    if (bytes > e->limit || e->live > e->limit - bytes) return false;
    if (e->live + bytes + e->cached > e->limit) trim(e, 4096);
    e->live += bytes;
    if (e->live > e->peak) e->peak = e->live;
    return true;
}

/* Under the lock: a kept block of this class, or of one up to a quarter larger, or new address
 * space. */
static rnn_block *take_block(rnn_engine *e, int class, uint64_t bytes) {
    int last = class > 32 ? class + 2 : class;
    for (int c = class; c <= last && c < RNN_CLASSES; c++) {
        rnn_block *b = e->free_blocks[c];
        if (!b) continue;
        e->free_blocks[c] = b->next;
        if (!b->written) e->cached -= b->bytes;
        return b;
    }
    if (class >= RNN_CLASSES || bytes > e->heap_capacity - e->heap_top) return NULL;
    rnn_block *b = malloc(sizeof *b);
    if (!b) return NULL;
    *b = (rnn_block){.data = e->heap + e->heap_top, .bytes = bytes, .size_class = class};
    e->heap_top += bytes;
    return b;
}

/* A block for `nodes` nodes; NULL with a message that says what for. */
rnn_block *rnn_block_new(rnn_engine *e, const char *what, int64_t nodes, int dtype) {
    uint64_t bytes;
    rnn_block *b = NULL;
    if (nodes >= 0 && rnn_mul_size((uint64_t)nodes, rnn_itemsize(dtype), &bytes) &&
        bytes < (uint64_t)1 << 46) {
        uint64_t rounded = bytes;
        int class = size_class(&rounded);
        rnn_lock(e);
        if (!rnn_allocation_fails(e) && rnn_charge(e, rounded)) {
            b = take_block(e, class, rounded);
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
    e->cached += b->bytes;
    b->written = 0;
    b->next = e->free_blocks[b->size_class];
    e->free_blocks[b->size_class] = b;
    if (e->cached > e->live + ((uint64_t)2 << 30)) trim(e, (uint64_t)1 << 20);
}

void rnn_drop_block(rnn_engine *e, rnn_block *b) {
    rnn_lock(e);
    rnn_block_unref(e, b);
    rnn_unlock(e);
}
