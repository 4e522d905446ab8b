/**
 * @file krt_testing.c
 * Tests: what a krt_test has, how it hands a node messages, and what it tells of them. Never part of a component.
 */
#include "krt_test_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whose messages are handled at this moment. */
krt_test *krt_current_test;
static bool failed;

void *krt_test_grown(void *list, size_t count, size_t size) {
    if (count != 0 && (count & (count - 1)) != 0) {
        return list;
    }
    void *larger = realloc(list, (count == 0 ? 1 : count * 2) * size);
    if (larger == NULL) {
        abort();
    }
    return larger;
}

const char *krt_test_keep_n(krt_test *t, const void *data, size_t len) {
    char *copy = krt_arena_alloc(&t->memory, len + 1);
    if (len != 0) {
        memcpy(copy, data, len);
    }
    copy[len] = '\0';
    return copy;
}

const char *krt_test_keep(krt_test *t, const char *text) {
    return krt_test_keep_n(t, text, strlen(text));
}

krt_test *krt_test_new(void) {
    krt_test *t = calloc(1, sizeof *t);
    if (t == NULL) {
        abort();
    }
    t->node = &krt_this_node;
    t->from = "entrypoint";
    t->request_id = "00000000-0000-4000-8000-000000000000";
    t->name = "node";
    t->package = ".";
    t->attempt = 1;
    t->max_payload = 1 << 20;
    t->failure = "";
    return t;
}

void krt_test_free(krt_test *t) {
    free(t->settings);
    free(t->objects);
    free(t->documents);
    free(t->sent);
    free(t->lines);
    free(t->points);
    free(t->predictions);
    krt_arena_free(&t->memory);
    krt_arena_free(&t->init_memory);
    free(t);
    krt_arena_free(&krt_memory);
    krt_arena_free(&krt_kept);
    krt_known = (krt_metadata){0};
}

void krt_test_node(krt_test *t, const krt_definition *node) { t->node = node; }
void krt_test_from(krt_test *t, const char *origin) { t->from = krt_test_keep(t, origin); }
void krt_test_channel(krt_test *t, const char *channel) { t->channel = krt_test_keep(t, channel); }
void krt_test_attempt(krt_test *t, uint32_t attempt) { t->attempt = attempt; }
void krt_test_traceparent(krt_test *t, const char *traceparent) { t->traceparent = krt_test_keep(t, traceparent); }
void krt_test_request_id(krt_test *t, const char *id) { t->request_id = krt_test_keep(t, id); }
void krt_test_name(krt_test *t, const char *node) { t->name = krt_test_keep(t, node); }
void krt_test_package(krt_test *t, const char *folder) { t->package = krt_test_keep(t, folder); }
void krt_test_max_payload(krt_test *t, uint64_t bytes) { t->max_payload = bytes; }
void krt_test_unavailable(krt_test *t) { t->unavailable = true; }
void krt_test_object_store(krt_test *t) { t->has_store = true; }

void krt_test_time_remaining(krt_test *t, uint64_t nanoseconds) {
    t->limited = true;
    t->time = nanoseconds;
}

setting *krt_test_find_setting(krt_test *t, int scope, const char *key) {
    for (size_t i = 0; i < t->n_settings; i++) {
        if (t->settings[i].scope == scope && strcmp(t->settings[i].key, key) == 0) {
            return &t->settings[i];
        }
    }
    return NULL;
}

void krt_test_config(krt_test *t, krt_scope scope, const char *key, const char *value) {
    setting *there = krt_test_find_setting(t, (int)scope, key);
    if (there != NULL) {
        there->value = krt_test_keep(t, value);
    } else {
        APPEND(t->settings, t->n_settings, (setting){(int)scope, krt_test_keep(t, key), krt_test_keep(t, value)});
    }
}

object *krt_test_find_object(krt_test *t, const char *name) {
    for (size_t i = 0; i < t->n_objects; i++) {
        if (strcmp(t->objects[i].name, name) == 0) {
            return &t->objects[i];
        }
    }
    return NULL;
}

int krt_test_by_name(const void *one, const void *other) {
    return strcmp(((const object *)one)->name, ((const object *)other)->name);
}

void krt_test_object(krt_test *t, const char *name, const void *data, size_t len) {
    krt_bytes bytes = {(const uint8_t *)krt_test_keep_n(t, data, len), len};
    t->has_store = true;
    object *there = krt_test_find_object(t, name);
    if (there != NULL) {
        there->data = bytes;
    } else {
        APPEND(t->objects, t->n_objects, (object){krt_test_keep(t, name), bytes});
        qsort(t->objects, t->n_objects, sizeof *t->objects, krt_test_by_name);
    }
}

void krt_test_document(krt_test *t, const char *collection, const char *text) {
    const krt_json *json = krt_json_parse(&t->memory, text);
    krt_test_assert(krt_json_is_object(json), "the document is a JSON object", __FILE__, __LINE__);
    APPEND(t->documents, t->n_documents, (document){krt_test_keep(t, collection), krt_test_keep(t, text), json});
}

/* Sets the stage for a run of the node. */
static krt_ctx begin(krt_test *t) {
    krt_current_test = t;
    krt_arena_reset(&krt_memory);
    krt_arena_free(&krt_kept);
    krt_known = (krt_metadata){0};
    krt_min_level = KRT_TRACE;
    return (krt_ctx){.node = t->node, .incoming = {.request_id = "", .from_node = ""}};
}

static krt_result end(krt_test *t, krt_ctx *ctx, krt_result result) {
    t->failure = result == KRT_OK ? "" : krt_test_keep(t, krt_error(ctx));
    return result;
}

krt_result krt_test_init(krt_test *t) {
    krt_ctx ctx = begin(t);
    t->in_hand = false;
    krt_result result = end(t, &ctx, krt_run_init(&ctx));
    t->initialised = result == KRT_OK;
    /* What `init` was given stays, for the rest of the test. */
    krt_arena_free(&t->init_memory);
    t->init_memory = krt_memory;
    krt_memory = (krt_arena){0};
    return result;
}

static krt_result deliver(
    krt_test *t, krt_node_types_message_type_t type, const krt_any *payload, const char *error) {
    t->n_sent = t->n_lines = t->n_points = t->n_predictions = 0;
    if (!t->initialised) {
        krt_result result = krt_test_init(t);
        if (result != KRT_OK) {
            return result;
        }
    }
    krt_ctx ctx = begin(t);
    t->in_hand = true;
    t->has_payload = payload != NULL;
    if (payload != NULL) {
        t->payload = *payload;
    }
    ctx.incoming = (krt_incoming){t->request_id, t->from, type, payload == NULL ? NULL : &t->payload, error};
    krt_result result = end(t, &ctx, krt_run_handler(&ctx));
    t->in_hand = false;
    return result;
}

krt_result krt_test_message(krt_test *t, const krt_pb_type *type, const void *message, krt_output as) {
    static const krt_node_types_message_type_t types[] = {KRT_NODE_TYPES_MESSAGE_TYPE_OK,
        KRT_NODE_TYPES_MESSAGE_TYPE_EARLY_REPLY, KRT_NODE_TYPES_MESSAGE_TYPE_EARLY_EXIT};
    krt_bytes bytes;
    const char *problem = krt_pb_encode(&t->memory, type, message, &bytes);
    krt_test_assert(problem == NULL, problem, __FILE__, __LINE__);
    krt_any any = {type->type_url, bytes.data, bytes.len};
    return deliver(t, types[as], &any, NULL);
}

krt_result krt_test_any(krt_test *t, const krt_any *any) {
    krt_any kept = {krt_test_keep(t, any->type_url), (const uint8_t *)krt_test_keep_n(t, any->data, any->len), any->len};
    return deliver(t, KRT_NODE_TYPES_MESSAGE_TYPE_OK, &kept, NULL);
}

krt_result krt_test_error(krt_test *t, const char *text) {
    return deliver(t, KRT_NODE_TYPES_MESSAGE_TYPE_ERROR, NULL, krt_test_keep(t, text));
}

const char *krt_test_failure(krt_test *t) { return t->failure; }
size_t krt_test_outputs(krt_test *t) { return t->n_sent; }
size_t krt_test_lines(krt_test *t) { return t->n_lines; }
size_t krt_test_points(krt_test *t) { return t->n_points; }
size_t krt_test_predictions(krt_test *t) { return t->n_predictions; }

const krt_test_sent *krt_test_output_at(krt_test *t, size_t index) {
    return index < t->n_sent ? &t->sent[index] : NULL;
}

bool krt_test_decode(krt_test *t, size_t index, const krt_pb_type *type, void *message) {
    const krt_test_sent *sent = krt_test_output_at(t, index);
    return sent != NULL && sent->has_payload && krt_any_is(&sent->payload, type) &&
        krt_pb_decode(&t->memory, type, sent->payload.data, sent->payload.len, message) == NULL;
}

const krt_test_line *krt_test_line_at(krt_test *t, size_t index) {
    return index < t->n_lines ? &t->lines[index] : NULL;
}

bool krt_test_logged(krt_test *t, const char *part) {
    for (size_t i = 0; i < t->n_lines; i++) {
        if (strstr(t->lines[i].text, part) != NULL) {
            return true;
        }
    }
    return false;
}

const char *krt_test_config_of(krt_test *t, krt_scope scope, const char *key) {
    setting *there = krt_test_find_setting(t, (int)scope, key);
    return there == NULL ? NULL : there->value;
}

const krt_bytes *krt_test_object_of(krt_test *t, const char *name) {
    object *there = krt_test_find_object(t, name);
    return there == NULL ? NULL : &there->data;
}

const char *krt_test_document_at(krt_test *t, const char *collection, size_t at) {
    for (size_t i = 0; i < t->n_documents; i++) {
        if (strcmp(t->documents[i].collection, collection) == 0 && at-- == 0) {
            return t->documents[i].text;
        }
    }
    return NULL;
}

const char *krt_test_point_at(krt_test *t, size_t index) { return index < t->n_points ? t->points[index] : NULL; }

const char *krt_test_prediction_at(krt_test *t, size_t index) {
    return index < t->n_predictions ? t->predictions[index] : NULL;
}

void krt_test_assert(bool holds, const char *what, const char *file, int line) {
    if (!holds) {
        failed = true;
        fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    }
}

void krt_test_assert_text(const char *found, const char *wanted, const char *what, const char *file, int line) {
    if (found == NULL || strcmp(found, wanted) != 0) {
        failed = true;
        fprintf(stderr, "%s:%d: %s is\n  %s\nrather than\n  %s\n", file, line, what,
            found == NULL ? "nothing" : found, wanted);
    }
}

int krt_test_run(const krt_test_case *cases) {
    int bad = 0;
    int all = 0;
    for (; cases->run != NULL; cases++, all++) {
        failed = false;
        krt_test *t = krt_test_new();
        cases->run(t);
        krt_test_free(t);
        bad += failed ? 1 : 0;
        printf("%s %s\n", failed ? "FAILED" : "ok    ", cases->name);
    }
    printf("%d of %d tests are well\n", all - bad, all);
    return bad == 0 ? 0 : 1;
}
