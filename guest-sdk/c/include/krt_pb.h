/**
 * @file krt_pb.h
 * Protobuf messages as plain C structs, described by tables that `krt build` generates from the version's .proto files.
 *
 * A message is zeroed memory: `demo_Email email = {0};` is the empty one. Decoded messages lie in an arena and live as
 * long as it does, so nothing is ever released field by field. Never reads a .proto, never knows of the host.
 *
 * | .proto            | field of the struct                                                       |
 * |-------------------|---------------------------------------------------------------------------|
 * | `int32 n`         | `int32_t n`                                                               |
 * | `optional int32 n`| `bool has_n; int32_t n`                                                   |
 * | `string s`        | `const char *s`: never NULL in a decoded message; NULL counts as empty    |
 * | `optional string` | the same, NULL when it is not there                                       |
 * | `bytes b`         | `krt_bytes b`; `optional`: `bool has_b` beside it                         |
 * | `Color c`         | `int32_t c`, one of `demo_Color_RED`... or a number that is not known     |
 * | `Email e`         | `demo_Email *e`, NULL when it is not there                                |
 * | `repeated T r`    | `size_t n_r; T *r`                                                        |
 * | `map<K, V> m`     | `size_t n_m; demo_Email_MEntry *m`, each with `key` and `value`           |
 * | `oneof kind`      | `kind_case` (the number of the field that is there, or 0) and a union     |
 *
 * Fields that the .proto does not name are dropped. Apache-2.0.
 */
#ifndef KRT_PB_H
#define KRT_PB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Bytes that somebody else owns. Those of a decoded message point into what was decoded. */
typedef struct krt_bytes {
    const uint8_t *data;
    size_t len;
} krt_bytes;

/** How deep messages may lie in each other, decoded or encoded. */
#define KRT_PB_MAX_DEPTH 100

/** Memory that is given out piece by piece and taken back as a whole. Zeroed memory is an empty one. */
typedef struct krt_arena {
    struct krt_arena_block *blocks;
    uint8_t *at;
    uint8_t *end;
} krt_arena;

/** Memory for `size` bytes, fit for any type, not zeroed. Never NULL: without memory the program ends. */
void *krt_arena_alloc(krt_arena *arena, size_t size);

/** As krt_arena_alloc, zeroed. */
void *krt_arena_zalloc(krt_arena *arena, size_t size);

/** Takes back all that was given out. Keeps some memory for what comes next. */
void krt_arena_reset(krt_arena *arena);

/** Gives all memory back to the system. */
void krt_arena_free(krt_arena *arena);

/** What is on the wire. */
typedef enum krt_pb_kind {
    KRT_PB_DOUBLE,
    KRT_PB_FLOAT,
    KRT_PB_INT32,
    KRT_PB_INT64,
    KRT_PB_UINT32,
    KRT_PB_UINT64,
    KRT_PB_SINT32,
    KRT_PB_SINT64,
    KRT_PB_FIXED32,
    KRT_PB_FIXED64,
    KRT_PB_SFIXED32,
    KRT_PB_SFIXED64,
    KRT_PB_BOOL,
    KRT_PB_ENUM,
    KRT_PB_STRING,
    KRT_PB_BYTES,
    KRT_PB_MESSAGE,
} krt_pb_kind;

/** How often a field may be there, and how the struct says so. */
typedef enum krt_pb_rule {
    KRT_PB_IMPLICIT, /**< Not there means zero or empty. */
    KRT_PB_OPTIONAL, /**< `presence` is the offset of a bool; strings and messages say it by NULL. */
    KRT_PB_ONEOF,    /**< `presence` is the offset of the uint32_t with the number of the field that is there. */
    KRT_PB_REPEATED, /**< `presence` is the offset of the size_t with the count. */
    KRT_PB_PACKED,   /**< Repeated, and written in one piece. */
} krt_pb_rule;

/** One field of a message. */
typedef struct krt_pb_field {
    uint32_t number;
    uint8_t kind;
    uint8_t rule;
    uint32_t offset;
    uint32_t presence;
    const struct krt_pb_type *type; /**< Of messages; NULL for all others. */
    const char *name;
} krt_pb_field;

struct krt_ctx;
/** Stands for a handler of any type of message, between being named and being called. */
typedef void krt_function(void);

/** A type of message: what the generated `<name>_type` is. */
typedef struct krt_pb_type {
    const char *name;     /**< Full protobuf name. */
    const char *type_url; /**< `type.googleapis.com/<name>`. */
    uint32_t size;        /**< Of the struct. */
    uint32_t n_fields;
    const krt_pb_field *fields; /**< In the order of their numbers. */
    /** Calls a handler of this type as what it is. */
    int (*call)(krt_function *handler, struct krt_ctx *ctx, const void *message);
} krt_pb_type;

/**
 * Decodes into `message`, a zeroed struct of `type`.
 *
 * Strings are copied to the arena; bytes point into `data`.
 * @return NULL, or what is wrong with the bytes: a text in the arena.
 */
const char *krt_pb_decode(krt_arena *arena, const krt_pb_type *type, const uint8_t *data, size_t len, void *message);

/**
 * Encodes to the arena: fields in the order of their numbers, as other languages do.
 * @return NULL, or what cannot be written: a text in the arena.
 */
const char *krt_pb_encode(krt_arena *arena, const krt_pb_type *type, const void *message, krt_bytes *encoded);

#endif
