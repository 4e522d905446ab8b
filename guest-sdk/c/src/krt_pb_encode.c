/**
 * @file krt_pb_encode.c
 * Writes structs in the protobuf wire format: from the end of the buffer to its beginning, so that the length of a
 * message within is known when it is written, and nothing is measured beforehand. Never changes a message.
 */
#include "krt_pb.h"

#include <stdio.h>
#include <string.h>

/* The first buffer; one that is too small is replaced by one of twice the size. */
#define FIRST_BUFFER ((size_t)1024)

typedef struct writer {
    krt_arena *arena;
    uint8_t *start;
    uint8_t *at;
    uint8_t *end;
    const char *error;
} writer;

static void need(writer *w, size_t bytes) {
    if ((size_t)(w->at - w->start) >= bytes) {
        return;
    }
    size_t written = (size_t)(w->end - w->at);
    size_t size = (size_t)(w->end - w->start) * 2;
    if (size < FIRST_BUFFER) {
        size = FIRST_BUFFER;
    }
    while (size - written < bytes) {
        size *= 2;
    }
    uint8_t *start = krt_arena_alloc(w->arena, size);
    if (written != 0) {
        memcpy(start + size - written, w->at, written);
    }
    w->start = start;
    w->end = start + size;
    w->at = w->end - written;
}

static void put(writer *w, const void *data, size_t length) {
    if (length != 0) {
        need(w, length);
        w->at -= length;
        memcpy(w->at, data, length);
    }
}

static void put_varint(writer *w, uint64_t value) {
    uint8_t bytes[10];
    size_t length = 0;
    while (value >= 0x80) {
        bytes[length++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    bytes[length++] = (uint8_t)value;
    need(w, length);
    w->at -= length;
    for (size_t i = 0; i < length; i++) {
        w->at[i] = bytes[i];
    }
}

static void put_fixed(writer *w, uint64_t value, size_t size) {
    uint8_t bytes[8];
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
    put(w, bytes, size);
}

static bool put_message(writer *w, const krt_pb_type *type, const void *message, unsigned depth);

static bool fail(writer *w, const krt_pb_field *field, const char *what) {
    size_t size = strlen(field->name) + strlen(what) + 16;
    char *text = krt_arena_alloc(w->arena, size);
    snprintf(text, size, "field %s: %s", field->name, what);
    w->error = text;
    return false;
}

/* One value without its tag; `place` is that of the value, for a message the message itself. */
static bool put_value(writer *w, const krt_pb_field *field, const void *place, unsigned depth) {
    switch (field->kind) {
    case KRT_PB_DOUBLE:
    case KRT_PB_FIXED64:
    case KRT_PB_SFIXED64: {
        uint64_t value;
        memcpy(&value, place, 8);
        put_fixed(w, value, 8);
        return true;
    }
    case KRT_PB_FLOAT:
    case KRT_PB_FIXED32:
    case KRT_PB_SFIXED32: {
        uint32_t value;
        memcpy(&value, place, 4);
        put_fixed(w, value, 4);
        return true;
    }
    case KRT_PB_INT32:
    case KRT_PB_ENUM:
        put_varint(w, (uint64_t)(int64_t) * (const int32_t *)place);
        return true;
    case KRT_PB_UINT32:
        put_varint(w, *(const uint32_t *)place);
        return true;
    case KRT_PB_INT64:
    case KRT_PB_UINT64:
        put_varint(w, *(const uint64_t *)place);
        return true;
    case KRT_PB_SINT32: {
        int32_t value = *(const int32_t *)place;
        put_varint(w, ((uint32_t)value << 1) ^ (value < 0 ? UINT32_MAX : 0));
        return true;
    }
    case KRT_PB_SINT64: {
        int64_t value = *(const int64_t *)place;
        put_varint(w, ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0));
        return true;
    }
    case KRT_PB_BOOL:
        put_varint(w, *(const bool *)place ? 1 : 0);
        return true;
    case KRT_PB_STRING: {
        const char *text = *(const char *const *)place;
        size_t length = text == NULL ? 0 : strlen(text);
        put(w, text, length);
        put_varint(w, length);
        return true;
    }
    case KRT_PB_BYTES: {
        const krt_bytes *bytes = place;
        put(w, bytes->data, bytes->len);
        put_varint(w, bytes->len);
        return true;
    }
    default: {
        if (depth == 0) {
            return fail(w, field, "messages lie too deep in each other");
        }
        size_t before = (size_t)(w->end - w->at);
        if (!put_message(w, field->type, place, depth - 1)) {
            return false;
        }
        put_varint(w, (size_t)(w->end - w->at) - before);
        return true;
    }
    }
}

static size_t size_of(const krt_pb_field *field) {
    switch (field->kind) {
    case KRT_PB_DOUBLE:
    case KRT_PB_INT64:
    case KRT_PB_UINT64:
    case KRT_PB_SINT64:
    case KRT_PB_FIXED64:
    case KRT_PB_SFIXED64:
        return 8;
    case KRT_PB_BOOL:
        return sizeof(bool);
    case KRT_PB_STRING:
        return sizeof(const char *);
    case KRT_PB_BYTES:
        return sizeof(krt_bytes);
    case KRT_PB_MESSAGE:
        return field->type->size;
    default:
        return 4;
    }
}

static unsigned wire_of(const krt_pb_field *field) {
    switch (field->kind) {
    case KRT_PB_DOUBLE:
    case KRT_PB_FIXED64:
    case KRT_PB_SFIXED64:
        return 1;
    case KRT_PB_FLOAT:
    case KRT_PB_FIXED32:
    case KRT_PB_SFIXED32:
        return 5;
    case KRT_PB_STRING:
    case KRT_PB_BYTES:
    case KRT_PB_MESSAGE:
        return 2;
    default:
        return 0;
    }
}

static void put_tag(writer *w, const krt_pb_field *field, unsigned wire) {
    put_varint(w, (uint64_t)field->number << 3 | wire);
}

static bool put_repeated(writer *w, const krt_pb_field *field, const uint8_t *message, unsigned depth) {
    size_t count = *(const size_t *)(message + field->presence);
    const uint8_t *list = *(const uint8_t *const *)(message + field->offset);
    size_t size = size_of(field);
    if (count == 0) {
        return true;
    }
    size_t before = (size_t)(w->end - w->at);
    for (size_t i = count; i-- > 0;) {
        if (!put_value(w, field, list + i * size, depth)) {
            return false;
        }
        if (field->rule == KRT_PB_REPEATED) {
            put_tag(w, field, wire_of(field));
        }
    }
    if (field->rule == KRT_PB_PACKED) {
        put_varint(w, (size_t)(w->end - w->at) - before);
        put_tag(w, field, 2);
    }
    return true;
}

/* Whether a field without presence of its own has something to be written. */
static bool is_set(const krt_pb_field *field, const uint8_t *place) {
    switch (field->kind) {
    case KRT_PB_STRING: {
        const char *text = *(const char *const *)place;
        return text != NULL && *text != '\0';
    }
    case KRT_PB_BYTES:
        return ((const krt_bytes *)place)->len != 0;
    case KRT_PB_MESSAGE:
        return *(const void *const *)place != NULL;
    case KRT_PB_BOOL:
        return *(const bool *)place;
    default: {
        /* By its bits: minus zero is not the default. */
        uint64_t value = 0;
        memcpy(&value, place, size_of(field));
        return value != 0;
    }
    }
}

static bool put_field(writer *w, const krt_pb_field *field, const uint8_t *message, unsigned depth) {
    const uint8_t *place = message + field->offset;
    const void *value = place;
    if (field->kind == KRT_PB_MESSAGE) {
        value = *(const void *const *)place;
    }
    bool there;
    switch (field->rule) {
    case KRT_PB_IMPLICIT:
        there = is_set(field, place);
        break;
    case KRT_PB_ONEOF:
        there = *(const uint32_t *)(message + field->presence) == field->number;
        if (there && value == NULL) {
            return fail(w, field, "it is the one of its oneof, but NULL");
        }
        break;
    default:
        if (field->kind == KRT_PB_STRING || field->kind == KRT_PB_MESSAGE) {
            there = *(const void *const *)place != NULL;
        } else {
            there = *(const bool *)(message + field->presence);
        }
    }
    if (!there) {
        return true;
    }
    if (!put_value(w, field, value, depth)) {
        return false;
    }
    put_tag(w, field, wire_of(field));
    return true;
}

static bool put_message(writer *w, const krt_pb_type *type, const void *message, unsigned depth) {
    for (uint32_t i = type->n_fields; i-- > 0;) {
        const krt_pb_field *field = &type->fields[i];
        bool put = field->rule >= KRT_PB_REPEATED ? put_repeated(w, field, message, depth)
                                                  : put_field(w, field, message, depth);
        if (!put) {
            return false;
        }
    }
    return true;
}

const char *krt_pb_encode(krt_arena *arena, const krt_pb_type *type, const void *message, krt_bytes *encoded) {
    writer w = {.arena = arena};
    if (!put_message(&w, type, message, KRT_PB_MAX_DEPTH)) {
        return w.error;
    }
    *encoded = (krt_bytes){w.at, (size_t)(w.end - w.at)};
    return NULL;
}
