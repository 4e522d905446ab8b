/**
 * @file krt_test_state.h
 * What the two halves of the test kit share: the state of a krt_test. Not for tests themselves.
 */
#ifndef KRT_TEST_STATE_H
#define KRT_TEST_STATE_H

#include "../src/krt_internal.h"
#include "krt_json.h"
#include "krt_testing.h"

/* A growing list of equal things; each grows by appending. */
#define APPEND(list, count, ...) \
    do { \
        (list) = krt_test_grown((list), (count), sizeof *(list)); \
        (list)[(count)++] = (__VA_ARGS__); \
    } while (0)

typedef struct setting {
    int scope;
    const char *key;
    const char *value;
} setting;

typedef struct object {
    const char *name;
    krt_bytes data;
} object;

typedef struct document {
    const char *collection;
    const char *text;
    const krt_json *json;
} document;

struct krt_test {
    const krt_definition *node;
    const char *from, *channel, *traceparent, *request_id, *name, *package;
    uint32_t attempt;
    bool limited, unavailable, has_store, initialised, in_hand, has_payload;
    uint64_t time, max_payload;
    krt_any payload;
    setting *settings;
    object *objects;
    document *documents;
    krt_test_sent *sent;
    krt_test_line *lines;
    const char **points, **predictions;
    size_t n_settings, n_objects, n_documents, n_sent, n_lines, n_points, n_predictions;
    const char *failure;
    krt_arena memory;      /* All texts; freed with the test. */
    krt_arena init_memory; /* What the node's `init` was given. */
};

/* Whose messages are handled at this moment. */
extern krt_test *krt_current_test;

void *krt_test_grown(void *list, size_t count, size_t size);
const char *krt_test_keep_n(krt_test *t, const void *data, size_t len);
const char *krt_test_keep(krt_test *t, const char *text);
setting *krt_test_find_setting(krt_test *t, int scope, const char *key);
object *krt_test_find_object(krt_test *t, const char *name);
int krt_test_by_name(const void *one, const void *other);

#endif
