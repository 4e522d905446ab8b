/**
 * @file krt_facts.c
 * Measurements, what the node is, and where the package's files are. Never looks at a file itself.
 */
#include "krt_internal.h"

#include <string.h>

struct krt_measurement {
    krt_ctx *ctx;
    const char *name;
    krt_node_measurements_list_tuple2_string_value_t fields;
    node_list_tuple2_string_string_t tags;
    bool has_time;
    int64_t time;
};

krt_measurement *krt_measure(krt_ctx *ctx, const char *name) {
    krt_measurement *point = krt_alloc(ctx, sizeof *point);
    point->ctx = ctx;
    point->name = name;
    return point;
}

/* A copy of a list in twice the room, when its length is a power of two. */
static void *room(void *list, size_t len, size_t size) {
    if (len != 0 && (len < 4 || (len & (len - 1)) != 0)) {
        return list;
    }
    void *larger = krt_arena_alloc(&krt_memory, (len == 0 ? 4 : len * 2) * size);
    if (len != 0) {
        memcpy(larger, list, len * size);
    }
    return larger;
}

static void add(krt_measurement *point, const char *name, krt_node_measurements_value_t value) {
    point->fields.ptr = room(point->fields.ptr, point->fields.len, sizeof *point->fields.ptr);
    point->fields.ptr[point->fields.len++] =
        (krt_node_measurements_tuple2_string_value_t){krt_to_host(name), value};
}

void krt_field_float(krt_measurement *point, const char *name, double value) {
    add(point, name, (krt_node_measurements_value_t){KRT_NODE_MEASUREMENTS_VALUE_FLOAT, {.float_ = value}});
}

void krt_field_int(krt_measurement *point, const char *name, int64_t value) {
    add(point, name, (krt_node_measurements_value_t){KRT_NODE_MEASUREMENTS_VALUE_SIGNED, {.signed_ = value}});
}

void krt_field_uint(krt_measurement *point, const char *name, uint64_t value) {
    add(point, name, (krt_node_measurements_value_t){KRT_NODE_MEASUREMENTS_VALUE_UNSIGNED, {.unsigned_ = value}});
}

void krt_field_bool(krt_measurement *point, const char *name, bool value) {
    add(point, name, (krt_node_measurements_value_t){KRT_NODE_MEASUREMENTS_VALUE_BOOLEAN, {.boolean = value}});
}

void krt_field_text(krt_measurement *point, const char *name, const char *value) {
    add(point, name,
        (krt_node_measurements_value_t){KRT_NODE_MEASUREMENTS_VALUE_TEXT, {.text = krt_to_host(value)}});
}

void krt_tag(krt_measurement *point, const char *name, const char *value) {
    point->tags.ptr = room(point->tags.ptr, point->tags.len, sizeof *point->tags.ptr);
    point->tags.ptr[point->tags.len++] = (node_tuple2_string_string_t){krt_to_host(name), krt_to_host(value)};
}

void krt_measured_at(krt_measurement *point, int64_t nanoseconds) {
    point->has_time = true;
    point->time = nanoseconds;
}

krt_result krt_measure_save(krt_measurement *point) {
    node_string_t name = krt_to_host(point->name);
    krt_node_measurements_error_t error;
    if (krt_node_measurements_save(
            &name, &point->fields, &point->tags, point->has_time ? &point->time : NULL, &error)) {
        return KRT_OK;
    }
    switch (error.tag) {
    case KRT_NODE_MEASUREMENTS_ERROR_INVALID:
        return krt_fail(point->ctx, KRT_INVALID, "invalid measurement: %s", krt_text(&error.val.invalid));
    case KRT_NODE_MEASUREMENTS_ERROR_DROPPED:
        return krt_fail(point->ctx, KRT_DROPPED, "the measurement was dropped: the host's buffer is full");
    default:
        return krt_fail(point->ctx, KRT_OTHER, "%s", krt_text(&error.val.other));
    }
}

/* Out of the message's memory: it stays. */
static const char *kept(const node_string_t *text) {
    char *copy = krt_arena_alloc(&krt_kept, text->len + 1);
    memcpy(copy, krt_text(text), text->len);
    copy[text->len] = '\0';
    return copy;
}

const krt_metadata *krt_meta(krt_ctx *ctx) {
    (void)ctx;
    if (krt_known.node == NULL) {
        node_string_t text;
        krt_node_metadata_runtime_id(&text);
        krt_known.runtime_id = kept(&text);
        krt_node_metadata_version(&text);
        krt_known.version = kept(&text);
        krt_node_metadata_version_id(&text);
        krt_known.version_id = kept(&text);
        krt_node_metadata_workflow(&text);
        krt_known.workflow = kept(&text);
        krt_node_metadata_base_path(&text);
        krt_known.base_path = kept(&text);
        krt_node_metadata_node(&text);
        krt_known.node = kept(&text);
    }
    return &krt_known;
}

const char *krt_path(krt_ctx *ctx, const char *relative) {
    bool inside = *relative != '\0' && *relative != '/';
    for (const char *part = relative; inside && *part != '\0';) {
        size_t length = strcspn(part, "/");
        inside = !(length == 2 && memcmp(part, "..", 2) == 0);
        part += length + (part[length] == '/' ? 1 : 0);
    }
    if (!inside) {
        krt_fail(ctx, KRT_INVALID, "%s is not a path inside the package: relative, without '..'", krt_quoted(relative));
        return NULL;
    }
    return krt_format(ctx, "%s/%s", krt_meta(ctx)->base_path, relative);
}
