/**
 * @file krt_arena.c
 * Memory that lives as long as a message does. Never gives out what it gave out before the last reset.
 */
#include "krt_pb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first block: holds a message of a few KiB with its answer. What is larger gets blocks of its own. */
#define FIRST_BLOCK ((size_t)16 * 1024)
/* What a reset keeps at most. */
#define KEPT_BLOCK ((size_t)256 * 1024)
#define ALIGNMENT ((size_t)16)

struct krt_arena_block {
    struct krt_arena_block *next;
    size_t size;
    _Alignas(16) uint8_t bytes[];
};

static void *grow(krt_arena *arena, size_t size) {
    size_t wanted = arena->blocks == NULL ? FIRST_BLOCK : arena->blocks->size * 2;
    if (wanted > KEPT_BLOCK) {
        wanted = KEPT_BLOCK;
    }
    if (wanted < size) {
        wanted = size;
    }
    struct krt_arena_block *block = NULL;
    if (wanted <= SIZE_MAX - sizeof *block) {
        block = malloc(sizeof *block + wanted);
    }
    if (block == NULL) {
        fprintf(stderr, "out of memory: %zu bytes were wanted\n", size);
        abort();
    }
    block->next = arena->blocks;
    block->size = wanted;
    arena->blocks = block;
    arena->at = block->bytes + size;
    arena->end = block->bytes + wanted;
    return block->bytes;
}

void *krt_arena_alloc(krt_arena *arena, size_t size) {
    if (size > SIZE_MAX - ALIGNMENT) {
        return grow(arena, size);
    }
    size = (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    if (size > (size_t)(arena->end - arena->at)) {
        return grow(arena, size);
    }
    void *given = arena->at;
    arena->at += size;
    return given;
}

void *krt_arena_zalloc(krt_arena *arena, size_t size) {
    return memset(krt_arena_alloc(arena, size), 0, size);
}

void krt_arena_reset(krt_arena *arena) {
    struct krt_arena_block *kept = NULL;
    for (struct krt_arena_block *block = arena->blocks; block != NULL;) {
        struct krt_arena_block *next = block->next;
        if (block->size <= KEPT_BLOCK && (kept == NULL || block->size > kept->size)) {
            free(kept);
            kept = block;
        } else {
            free(block);
        }
        block = next;
    }
    arena->blocks = kept;
    arena->at = arena->end = NULL;
    if (kept != NULL) {
        kept->next = NULL;
        arena->at = kept->bytes;
        arena->end = kept->bytes + kept->size;
    }
}

void krt_arena_free(krt_arena *arena) {
    for (struct krt_arena_block *block = arena->blocks; block != NULL;) {
        struct krt_arena_block *next = block->next;
        free(block);
        block = next;
    }
    *arena = (krt_arena){0};
}
