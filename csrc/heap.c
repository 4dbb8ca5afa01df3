/* heap.c: blocks, cut from one reserved stretch of address space, and kept for reuse.
 *
 * Small blocks (up to 32 KiB) have a size class each: one that is given back goes to the list of
 * its class. Large ones lie side by side, each knowing its neighbours. One that is given back is
 * first taken again whole, while it is warm, by the next request of about its size: a training loop
 * asks for the same sizes again and again. Where no such block is left, kept neighbours become one,
 * and what is wanted is cut from the smallest that is large enough; only then does the heap grow.
 *
 * What it is not: it counts no bytes against the limit (arena.c does). Everything here runs under
 * the engine's lock. */
#define _GNU_SOURCE
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { SMALL = 32768, PAGE = 4096, SLAB = 1 << 18, TRIES = 16 };

/* ---- sizes ----------------------------------------------------------------------------------- */

/* Small: every 64 bytes up to 1 KiB, then eight to a doubling. Rounds the size up. */
static int small_class(uint64_t *bytes) {
    uint64_t b = (*bytes + 63) / 64 * 64;
    if (b == 0) b = 64;
    if (b <= 1024) {
        *bytes = b;
        return (int)(b / 64);
    }
    const int top = 63 - __builtin_clzll(b - 1); /* 2^top < b <= 2^(top + 1) */
    const uint64_t step = (uint64_t)1 << (top - 3), over = b - ((uint64_t)1 << top);
    const uint64_t eighth = (over + step - 1) / step; /* 1 .. 8 */
    *bytes = ((uint64_t)1 << top) + eighth * step;
    return 16 + (top - 10) * 8 + (int)eighth;
}

/* Large: whole pages, eight bins to a doubling, each with blocks of its size and up to the
 * next's. */
static int bin_of(uint64_t bytes) {
    const int top = 63 - __builtin_clzll(bytes);
    return (top - 12) * 8 + (int)(bytes >> (top - 3) & 7);
}

/* The size class of a block, -1 where it is large. Rounds the size up to what it will have. */
int rnn_heap_class(uint64_t *bytes) {
    if (*bytes <= SMALL) return small_class(bytes);
    *bytes = (*bytes + PAGE - 1) / PAGE * PAGE;
    return -1;
}

/* ---- kept large blocks ----------------------------------------------------------------------- */

static void keep(rnn_engine *e, rnn_block *b) {
    rnn_block **bin = &e->bins[bin_of(b->bytes)];
    b->kept = true;
    b->next = *bin;
    *bin = b;
}

static rnn_block *unlink_kept(rnn_block **at) {
    rnn_block *b = *at;
    *at = b->next;
    b->kept = false;
    b->next = NULL;
    return b;
}

/* Of a bin, one of at least so many bytes: the first among the `tries` last given back, or (0) the
 * smallest of all. */
static rnn_block *take_from(rnn_engine *e, int bin, uint64_t bytes, int tries) {
    rnn_block **best = NULL;
    int seen = 0;
    for (rnn_block **at = &e->bins[bin]; *at && (!tries || seen < tries); at = &(*at)->next) {
        seen++;
        if ((*at)->bytes < bytes || (best && (*best)->bytes <= (*at)->bytes)) continue;
        best = at;
        if (tries || (*at)->bytes == bytes) break;
    }
    return best ? unlink_kept(best) : NULL;
}

/* Kept neighbours become one. A piece of it may be cold and is then counted as warm. */
static void absorb_next(rnn_engine *e, rnn_block *b) {
    rnn_block *n = b->after;
    const bool warm = !b->written || !n->written;
    if (warm && b->written) e->cached += b->bytes;
    if (warm && n->written) e->cached += n->bytes;
    b->written = warm ? 0 : 1;
    b->bytes += n->bytes;
    b->after = n->after;
    if (n->after) n->after->before = b;
    else e->last_block = b;
    free(n);
}

static void unite(rnn_engine *e) {
    if (!e->given_back) return;
    e->given_back = false;
    memset(e->bins, 0, sizeof e->bins);
    for (rnn_block *b = e->last_block; b; b = b->before) {
        if (!b->kept) continue;
        while (b->before && b->before->kept) {
            b = b->before;
            absorb_next(e, b);
        }
        keep(e, b);
    }
}

static rnn_block *new_record(void *data, uint64_t bytes) {
    rnn_block *b = malloc(sizeof *b);
    if (b) *b = (rnn_block){.data = data, .bytes = bytes, .size_class = -1};
    return b;
}

/* What a block has beyond `bytes` becomes a kept block of its own. */
static void cut(rnn_engine *e, rnn_block *b, uint64_t bytes) {
    if (b->bytes - bytes < PAGE) return;
    rnn_block *rest = new_record((char *)b->data + bytes, b->bytes - bytes);
    if (!rest) return; /* then it stays whole */
    rest->written = b->written;
    rest->before = b;
    rest->after = b->after;
    if (rest->after) rest->after->before = rest;
    else e->last_block = rest;
    b->after = rest;
    b->bytes = bytes;
    if (!rest->written) e->cached += rest->bytes;
    keep(e, rest);
}

/* New address space; a kept block at the end of the heap is where it begins. */
static rnn_block *grow(rnn_engine *e, uint64_t bytes) {
    rnn_block *last = e->last_block;
    const uint64_t more = last && last->kept ? bytes - last->bytes : bytes;
    if (more > e->heap_capacity - e->heap_top) return NULL;
    if (last && last->kept) {
        rnn_block **at = &e->bins[bin_of(last->bytes)];
        while (*at != last) at = &(*at)->next;
        unlink_kept(at);
        if (!last->written) e->cached += more; /* taken off again as a whole */
        last->bytes = bytes;
    } else {
        rnn_block *b = new_record(e->heap + e->heap_top, bytes);
        if (!b) return NULL;
        b->before = last;
        b->written = 1;
        if (last) last->after = b;
        e->last_block = last = b;
    }
    e->heap_top += more;
    return last;
}

static rnn_block *take_large(rnn_engine *e, uint64_t bytes) {
    const int bin = bin_of(bytes);
    if (bin >= RNN_BINS) return NULL;
    rnn_block *b = take_from(e, bin, bytes, TRIES);
    if (!b) {
        unite(e);
        for (int i = bin; !b && i < RNN_BINS; i++) b = take_from(e, i, bytes, 0);
    }
    if (!b) b = grow(e, bytes);
    if (!b) return NULL;
    if (!b->written) e->cached -= b->bytes;
    cut(e, b, bytes);
    return b;
}

/* ---- small blocks ---------------------------------------------------------------------------- */

/* A kept block of the class, or of one up to a quarter larger, or a piece of a slab. */
static rnn_block *take_small(rnn_engine *e, int class, uint64_t bytes) {
    const int last = class > 32 ? class + 2 : class;
    for (int c = class; c <= last && c < RNN_CLASSES; c++) {
        rnn_block *b = e->free_blocks[c];
        if (!b) continue;
        e->free_blocks[c] = b->next;
        if (!b->written) e->cached -= b->bytes;
        return b;
    }
    if (e->slab_left < bytes) {
        rnn_block *slab = take_large(e, SLAB);
        if (!slab) return NULL;
        e->slab = slab->data;
        e->slab_left = slab->bytes;
    }
    rnn_block *b = new_record(e->slab, bytes);
    if (!b) return NULL;
    b->size_class = class;
    e->slab += bytes;
    e->slab_left -= bytes;
    return b;
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* A block of at least so many bytes, a class and size of rnn_heap_class; NULL: no address space, or
 * no memory for its record. */
rnn_block *rnn_heap_take(rnn_engine *e, int class, uint64_t bytes) {
    return class < 0 ? take_large(e, bytes) : take_small(e, class, bytes);
}

/* Nobody uses it any more: it is kept, warm. */
void rnn_heap_give(rnn_engine *e, rnn_block *b) {
    e->cached += b->bytes;
    b->written = 0; /* a kept block's stamp says: 1 is cold */
    if (b->size_class < 0) {
        e->given_back = true;
        keep(e, b);
        return;
    }
    b->next = e->free_blocks[b->size_class];
    e->free_blocks[b->size_class] = b;
}

static void chill(rnn_engine *e, rnn_block *b, uint64_t at_least) {
    for (; b; b = b->next) {
        if (b->bytes < at_least || b->written) continue;
        madvise(b->data, b->bytes, MADV_DONTNEED);
        b->written = 1;
        e->cached -= b->bytes;
    }
}

/* Gives the memory of kept large blocks back to the system; their address space stays ours. */
void rnn_heap_trim(rnn_engine *e, uint64_t at_least) {
    unite(e);
    for (int i = 0; i < RNN_BINS; i++) chill(e, e->bins[i], at_least);
}

void rnn_heap_free(rnn_engine *e) {
    for (int c = 0; c < RNN_CLASSES; c++) {
        while (e->free_blocks[c]) {
            rnn_block *b = e->free_blocks[c];
            e->free_blocks[c] = b->next;
            free(b);
        }
    }
    for (rnn_block *b = e->last_block; b;) {
        rnn_block *before = b->before;
        free(b);
        b = before;
    }
    if (e->heap) munmap(e->heap, e->heap_capacity);
}
