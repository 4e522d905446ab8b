/**
 * @file krt_pb_decode.c
 * Reads the protobuf wire format into structs. The bytes are hostile until read: every length is compared with what is
 * there, depth is bounded, and memory grows only with bytes that are there.
 */
#include "krt_pb.h"

#include <stdio.h>
#include <string.h>

enum { VARINT = 0, FIXED64 = 1, LENGTH = 2, GROUP = 3, END_GROUP = 4, FIXED32 = 5 };

typedef struct reader {
    krt_arena *arena;
    const uint8_t *at;
    const uint8_t *end;
    const char *error;
} reader;

static bool fail(reader *r, const char *error) {
    if (r->error == NULL) {
        r->error = error;
    }
    return false;
}

static bool fail_field(reader *r, const krt_pb_field *field, const char *what) {
    size_t size = strlen(field->name) + strlen(what) + 16;
    char *text = krt_arena_alloc(r->arena, size);
    snprintf(text, size, "field %s: %s", field->name, what);
    return fail(r, text);
}

static bool read_varint(reader *r, uint64_t *value) {
    if (r->at < r->end && *r->at < 0x80) {
        *value = *r->at++;
        return true;
    }
    uint64_t result = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (r->at == r->end) {
            return fail(r, "it ends too early");
        }
        uint8_t byte = *r->at++;
        if (shift == 63 && byte > 1) {
            break;
        }
        result |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = result;
            return true;
        }
    }
    return fail(r, "a number has more than 64 bits");
}

static bool read_length(reader *r, size_t *length) {
    uint64_t value;
    if (!read_varint(r, &value)) {
        return false;
    }
    if (value > (uint64_t)(r->end - r->at)) {
        return fail(r, "it ends too early");
    }
    *length = (size_t)value;
    return true;
}

static bool read_fixed(reader *r, size_t size, uint64_t *value) {
    if ((size_t)(r->end - r->at) < size) {
        return fail(r, "it ends too early");
    }
    uint64_t result = 0;
    for (size_t i = 0; i < size; i++) {
        result |= (uint64_t)r->at[i] << (8 * i);
    }
    r->at += size;
    *value = result;
    return true;
}

static bool skip(reader *r, uint32_t number, unsigned wire, unsigned depth) {
    uint64_t value;
    size_t length;
    switch (wire) {
    case VARINT:
        return read_varint(r, &value);
    case FIXED64:
        return read_fixed(r, 8, &value);
    case FIXED32:
        return read_fixed(r, 4, &value);
    case LENGTH:
        if (!read_length(r, &length)) {
            return false;
        }
        r->at += length;
        return true;
    case GROUP:
        if (depth == 0) {
            return fail(r, "its messages lie too deep in each other");
        }
        for (;;) {
            uint64_t tag;
            if (!read_varint(r, &tag)) {
                return false;
            }
            if ((tag & 7) == END_GROUP) {
                return tag >> 3 == number ? true : fail(r, "a group ends that did not begin");
            }
            if (!skip(r, (uint32_t)(tag >> 3), tag & 7, depth - 1)) {
                return false;
            }
        }
    default:
        return fail(r, "a field has a wire type that is none");
    }
}

static unsigned wire_of(uint8_t kind) {
    switch (kind) {
    case KRT_PB_DOUBLE:
    case KRT_PB_FIXED64:
    case KRT_PB_SFIXED64:
        return FIXED64;
    case KRT_PB_FLOAT:
    case KRT_PB_FIXED32:
    case KRT_PB_SFIXED32:
        return FIXED32;
    case KRT_PB_STRING:
    case KRT_PB_BYTES:
    case KRT_PB_MESSAGE:
        return LENGTH;
    default:
        return VARINT;
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

/* Valid UTF-8 without NUL: what a C string can hold. */
static const char *text_problem(const uint8_t *at, size_t length) {
    const uint8_t *end = at + length;
    while (at < end) {
        if (*at < 0x80) {
            /* Eight at a time: plain ASCII without zero bytes. */
            uint64_t eight;
            while (end - at >= 8) {
                memcpy(&eight, at, 8);
                if (((eight | (eight - 0x0101010101010101u)) & 0x8080808080808080u) != 0) {
                    break;
                }
                at += 8;
            }
            if (at < end && *at < 0x80) {
                if (*at == 0) {
                    return "a NUL character, which a C string cannot hold: declare it as bytes";
                }
                at++;
            }
            continue;
        }
        unsigned more = *at >= 0xf0 ? 3 : *at >= 0xe0 ? 2 : 1;
        if (*at < 0xc2 || *at > 0xf4 || (size_t)(end - at) <= more) {
            return "not UTF-8";
        }
        uint8_t low = *at == 0xe0 ? 0xa0 : *at == 0xf0 ? 0x90 : 0x80;
        uint8_t high = *at == 0xed ? 0x9f : *at == 0xf4 ? 0x8f : 0xbf;
        if (at[1] < low || at[1] > high) {
            return "not UTF-8";
        }
        for (unsigned i = 2; i <= more; i++) {
            if (at[i] < 0x80 || at[i] > 0xbf) {
                return "not UTF-8";
            }
        }
        at += more + 1;
    }
    return NULL;
}

static bool read_message(reader *r, const krt_pb_type *type, void *message, unsigned depth);

/* Reads one value to `place`; the wire type fits. */
static bool read_value(reader *r, const krt_pb_field *field, void *place, unsigned depth) {
    uint64_t value = 0;
    size_t length;
    switch (wire_of(field->kind)) {
    case VARINT:
        if (!read_varint(r, &value)) {
            return false;
        }
        break;
    case FIXED64:
        if (!read_fixed(r, 8, &value)) {
            return false;
        }
        memcpy(place, &value, 8);
        return true;
    case FIXED32: {
        if (!read_fixed(r, 4, &value)) {
            return false;
        }
        uint32_t narrow = (uint32_t)value;
        memcpy(place, &narrow, 4);
        return true;
    }
    default:
        if (!read_length(r, &length)) {
            return false;
        }
        const uint8_t *data = r->at;
        r->at += length;
        if (field->kind == KRT_PB_BYTES) {
            *(krt_bytes *)place = (krt_bytes){data, length};
            return true;
        }
        if (field->kind == KRT_PB_STRING) {
            const char *problem = text_problem(data, length);
            if (problem != NULL) {
                return fail_field(r, field, problem);
            }
            char *text = krt_arena_alloc(r->arena, length + 1);
            memcpy(text, data, length);
            text[length] = '\0';
            *(const char **)place = text;
            return true;
        }
        if (depth == 0) {
            return fail(r, "its messages lie too deep in each other");
        }
        reader inner = {r->arena, data, data + length, NULL};
        if (!read_message(&inner, field->type, place, depth - 1)) {
            return fail_field(r, field, inner.error);
        }
        return true;
    }
    switch (field->kind) {
    case KRT_PB_BOOL:
        *(bool *)place = value != 0;
        break;
    case KRT_PB_SINT32: {
        uint32_t narrow = (uint32_t)value;
        *(int32_t *)place = (int32_t)((narrow >> 1) ^ (0u - (narrow & 1)));
        break;
    }
    case KRT_PB_SINT64:
        *(int64_t *)place = (int64_t)((value >> 1) ^ (0u - (value & 1)));
        break;
    case KRT_PB_INT64:
    case KRT_PB_UINT64:
        memcpy(place, &value, 8);
        break;
    default: {
        uint32_t narrow = (uint32_t)value;
        memcpy(place, &narrow, 4);
    }
    }
    return true;
}

/* Room for one more at the end of a repeated field: the list doubles whenever its length is a power of two. */
static void *one_more(reader *r, const krt_pb_field *field, void *message) {
    size_t *count = (size_t *)((uint8_t *)message + field->presence);
    uint8_t **list = (uint8_t **)((uint8_t *)message + field->offset);
    size_t size = size_of(field);
    if (*count == 0 || (*count >= 4 && (*count & (*count - 1)) == 0)) {
        uint8_t *larger = krt_arena_alloc(r->arena, (*count == 0 ? 4 : *count * 2) * size);
        if (*count != 0) {
            memcpy(larger, *list, *count * size);
        }
        *list = larger;
    }
    return memset(*list + *count * size, 0, size);
}

static bool read_repeated(reader *r, const krt_pb_field *field, void *message, unsigned wire, unsigned depth) {
    size_t *count = (size_t *)((uint8_t *)message + field->presence);
    unsigned own = wire_of(field->kind);
    if (wire == own) {
        bool read = read_value(r, field, one_more(r, field, message), depth);
        *count += read ? 1 : 0;
        return read;
    }
    /* Packed, whether the .proto says so or not. */
    size_t length;
    if (!read_length(r, &length)) {
        return false;
    }
    reader inner = {r->arena, r->at, r->at + length, NULL};
    r->at += length;
    while (inner.at < inner.end) {
        if (!read_value(&inner, field, one_more(r, field, message), depth)) {
            return fail_field(r, field, inner.error);
        }
        *count += 1;
    }
    return true;
}

static bool read_field(reader *r, const krt_pb_field *field, void *message, unsigned depth) {
    uint8_t *place = (uint8_t *)message + field->offset;
    if (field->rule == KRT_PB_ONEOF) {
        uint32_t *number = (uint32_t *)((uint8_t *)message + field->presence);
        if (*number != field->number) {
            /* What another field of the oneof left is not this one's. */
            memset(place, 0, field->kind == KRT_PB_MESSAGE ? sizeof(void *) : size_of(field));
            *number = field->number;
        }
    }
    if (field->rule == KRT_PB_OPTIONAL && field->kind != KRT_PB_STRING && field->kind != KRT_PB_MESSAGE) {
        *(bool *)((uint8_t *)message + field->presence) = true;
    }
    if (field->kind == KRT_PB_MESSAGE) {
        /* A message that comes twice is merged. */
        void **inner = (void **)place;
        if (*inner == NULL) {
            *inner = krt_arena_zalloc(r->arena, field->type->size);
        }
        return read_value(r, field, *inner, depth);
    }
    return read_value(r, field, place, depth);
}

static const krt_pb_field *find(const krt_pb_type *type, uint32_t number, uint32_t *next) {
    /* Fields come in order most of the time. */
    for (uint32_t i = *next; i < type->n_fields && i < *next + 2; i++) {
        if (type->fields[i].number == number) {
            *next = i;
            return &type->fields[i];
        }
    }
    uint32_t low = 0;
    uint32_t high = type->n_fields;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (type->fields[middle].number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == type->n_fields || type->fields[low].number != number) {
        return NULL;
    }
    *next = low;
    return &type->fields[low];
}

static bool read_message(reader *r, const krt_pb_type *type, void *message, unsigned depth) {
    uint32_t next = 0;
    while (r->at < r->end) {
        uint64_t tag;
        if (!read_varint(r, &tag)) {
            return false;
        }
        uint64_t number = tag >> 3;
        unsigned wire = tag & 7;
        if (number == 0 || number > 0x1fffffff) {
            return fail(r, "a field has a number that is none");
        }
        const krt_pb_field *field = find(type, (uint32_t)number, &next);
        bool repeated = field != NULL && field->rule >= KRT_PB_REPEATED;
        unsigned own = field == NULL ? VARINT : wire_of(field->kind);
        bool read;
        if (repeated && (wire == own || wire == LENGTH)) {
            read = read_repeated(r, field, message, wire, depth);
        } else if (field != NULL && !repeated && wire == own) {
            read = read_field(r, field, message, depth);
        } else {
            /* Of another wire type: not the field that the .proto means. */
            read = skip(r, (uint32_t)number, wire, depth);
        }
        if (!read) {
            return false;
        }
    }
    /* Plain strings are never NULL. */
    for (uint32_t i = 0; i < type->n_fields; i++) {
        const krt_pb_field *field = &type->fields[i];
        if (field->kind == KRT_PB_STRING && field->rule == KRT_PB_IMPLICIT) {
            const char **text = (const char **)((uint8_t *)message + field->offset);
            if (*text == NULL) {
                *text = "";
            }
        }
    }
    return true;
}

const char *krt_pb_decode(krt_arena *arena, const krt_pb_type *type, const uint8_t *data, size_t len, void *message) {
    reader r = {arena, data, data + len, NULL};
    return read_message(&r, type, message, KRT_PB_MAX_DEPTH) ? NULL : r.error;
}
