/* test_heap.c: blocks are taken and given back at random: none overlaps another, what is counted is
 * what is there, and memory that came back is used again whatever its size was. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "internal.h"

enum { MOST = 300 };

static uint64_t state = 1;

static uint64_t draw(uint64_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % below;
}

/* mostly some kilobytes, sometimes megabytes, in nodes of 4 bytes */
static int64_t draw_size(void) {
    const uint64_t scale[] = {16, 300, 9000, 20000, 100000, 700000};
    return 1 + (int64_t)draw(scale[draw(6)]);
}

/* Every large block is where the one before ends; the kept ones are counted. */
static void check_heap(const rnn_engine *e) {
    uint64_t warm = 0;
    const char *end = (const char *)e->heap + e->heap_top;
    for (const rnn_block *b = e->last_block; b; b = b->before) {
        CHECK((const char *)b->data + b->bytes == end);
        CHECK(!b->after || b->after->before == b);
        CHECK(b->bytes % 4096 == 0);
        if (b->kept && !b->written) warm += b->bytes;
        end = b->data;
    }
    CHECK(end == (const char *)e->heap);
    for (int c = 0; c < RNN_CLASSES; c++)
        for (const rnn_block *b = e->free_blocks[c]; b; b = b->next) warm += b->bytes;
    CHECK(warm == e->cached);
}

static void fill(rnn_block *b, int64_t nodes, int mark) {
    for (int64_t i = 0; i < nodes; i += nodes > 64 ? nodes / 64 : 1)
        ((float *)b->data)[i] = (float)mark;
    ((float *)b->data)[nodes - 1] = (float)mark;
}

static bool is_filled(const rnn_block *b, int64_t nodes, int mark) {
    for (int64_t i = 0; i < nodes; i += nodes > 64 ? nodes / 64 : 1)
        if (((float *)b->data)[i] != (float)mark) return false;
    return ((float *)b->data)[nodes - 1] == (float)mark;
}

static void test_random(void) {
    rnn_engine *e = rnn_new();
    rnn_block *held[MOST] = {NULL};
    int64_t nodes[MOST];
    for (int step = 0; step < 40000; step++) {
        const int i = (int)draw(MOST);
        if (held[i]) {
            CHECK(is_filled(held[i], nodes[i], i));
            rnn_drop_block(e, held[i]);
            held[i] = NULL;
        } else {
            nodes[i] = draw_size();
            held[i] = rnn_block_new(e, "a test", nodes[i], RNN_F32);
            CHECK(held[i] && (uintptr_t)held[i]->data % 64 == 0);
            CHECK(held[i]->bytes >= (uint64_t)nodes[i] * 4);
            fill(held[i], nodes[i], i);
        }
        if (step % 5000 == 0) rnn_trim(e);
        if (step % 100 == 0) check_heap(e);
    }
    uint64_t live = 0;
    for (int i = 0; i < MOST; i++)
        if (held[i]) live += held[i]->bytes;
    CHECK(live == e->live);
    for (int i = 0; i < MOST; i++)
        if (held[i]) rnn_drop_block(e, held[i]);
    check_heap(e);
    CHECK(e->live == 0);
    rnn_free(e);
}

/* Ten megabytes in small pieces, given back, serve as one block, and as pieces of another size. */
static void test_pieces(void) {
    rnn_engine *e = rnn_new();
    rnn_block *held[100];
    for (int i = 0; i < 100; i++) held[i] = rnn_block_new(e, "a piece", 25600, RNN_F32);
    const uint64_t top = e->heap_top;
    for (int i = 0; i < 100; i++) rnn_drop_block(e, held[i]);
    rnn_block *whole = rnn_block_new(e, "the whole", 2560000, RNN_F32);
    CHECK(whole && e->heap_top == top && e->cached == 0);
    rnn_drop_block(e, whole);
    for (int i = 0; i < 69; i++) held[i] = rnn_block_new(e, "a piece", 36000, RNN_F32);
    CHECK(e->heap_top == top);
    for (int i = 0; i < 69; i++) rnn_drop_block(e, held[i]);
    rnn_block *larger = rnn_block_new(e, "more than there was", 2600000, RNN_F32);
    CHECK(larger && e->heap_top < top + 200000);
    rnn_drop_block(e, larger);
    check_heap(e);
    rnn_free(e);
}

/* What was given back last is taken first, while it is warm. */
static void test_warm(void) {
    rnn_engine *e = rnn_new();
    rnn_block *a = rnn_block_new(e, "a", 50000, RNN_F32),
              *b = rnn_block_new(e, "b", 50000, RNN_F32);
    void *at = a->data;
    rnn_drop_block(e, b);
    rnn_drop_block(e, a);
    a = rnn_block_new(e, "a again", 50000, RNN_F32);
    CHECK(a->data == at);
    rnn_drop_block(e, a);
    rnn_free(e);
}

int main(void) {
    test_random();
    test_pieces();
    test_warm();
    if (failures) printf("%d failures\n", failures);
    else printf("ok\n");
    return failures != 0;
}
