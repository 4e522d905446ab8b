/**
 * @file krt_host.c
 * The functions of krt_node.h that ask the host. Turns its error variants into results with a text.
 */
#include "krt_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

krt_arena krt_kept;
krt_metadata krt_known;
int krt_min_level = -1;

static krt_result send_failed(krt_ctx *ctx, const krt_node_messaging_send_error_t *error) {
    switch (error->tag) {
    case KRT_NODE_MESSAGING_SEND_ERROR_NO_MESSAGE:
        return krt_fail(ctx, KRT_NO_MESSAGE, "no message is in hand");
    case KRT_NODE_MESSAGING_SEND_ERROR_TOO_LARGE:
        return krt_fail_limit(ctx, KRT_TOO_LARGE, error->val.too_large, "the message is larger than the %" PRIu64 " bytes that the bus takes");
    case KRT_NODE_MESSAGING_SEND_ERROR_INVALID_CHANNEL:
        return krt_fail(ctx, KRT_INVALID_CHANNEL,
            "%s is not a channel: one token, without '.', '*', '>', space or control characters",
            krt_quoted(krt_text(&error->val.invalid_channel)));
    case KRT_NODE_MESSAGING_SEND_ERROR_INVALID_TYPE_URL:
        return krt_fail(ctx, KRT_INVALID_TYPE_URL, "the type URL %s has no message name",
            krt_quoted(krt_text(&error->val.invalid_type_url)));
    case KRT_NODE_MESSAGING_SEND_ERROR_TOO_MANY:
        return krt_fail_limit(ctx, KRT_TOO_MANY, error->val.too_many, "this delivery already sent %" PRIu64 " messages, as many as it may");
    case KRT_NODE_MESSAGING_SEND_ERROR_UNAVAILABLE:
        return krt_fail(
            ctx, KRT_UNAVAILABLE, "the bus cannot be reached: %s", krt_text(&error->val.unavailable));
    default:
        return krt_fail(ctx, KRT_OTHER, "%s", krt_text(&error->val.other));
    }
}

krt_result krt_send_as(krt_ctx *ctx, const krt_any *any, krt_output output, const char *channel) {
    krt_node_messaging_payload_t payload = {krt_to_host(any->type_url), {(uint8_t *)(uintptr_t)any->data, any->len}};
    node_string_t on = krt_to_host(channel == NULL ? "" : channel);
    krt_node_messaging_send_error_t error;
    bool sent = krt_node_messaging_send(
        &payload, (krt_node_messaging_output_type_t)output, channel == NULL ? NULL : &on, &error);
    return sent ? KRT_OK : send_failed(ctx, &error);
}

krt_result krt_send_any(krt_ctx *ctx, const krt_any *any) {
    if (any == NULL) {
        return krt_fail(
            ctx, KRT_WRONG_TYPE, "the message has no payload, a \"google.protobuf.Any\" was expected");
    }
    return krt_send_as(ctx, any, KRT_OUTPUT_OK, NULL);
}

krt_result krt_send_typed(
    krt_ctx *ctx, const krt_pb_type *type, const void *message, krt_output output, const char *channel) {
    krt_any any;
    krt_result packed = krt_pack_typed(ctx, type, message, &any);
    return packed == KRT_OK ? krt_send_as(ctx, &any, output, channel) : packed;
}

krt_result krt_relay_as(krt_ctx *ctx, krt_output output, const char *channel) {
    node_string_t on = krt_to_host(channel == NULL ? "" : channel);
    krt_node_messaging_send_error_t error;
    bool sent =
        krt_node_messaging_relay((krt_node_messaging_output_type_t)output, channel == NULL ? NULL : &on, &error);
    return sent ? KRT_OK : send_failed(ctx, &error);
}

krt_result krt_relay(krt_ctx *ctx) {
    return krt_relay_as(ctx, KRT_OUTPUT_OK, NULL);
}

uint64_t krt_max_payload(krt_ctx *ctx) {
    (void)ctx;
    return krt_node_messaging_max_payload();
}

uint32_t krt_attempt(krt_ctx *ctx) {
    (void)ctx;
    return krt_node_delivery_attempt();
}

bool krt_time_remaining(krt_ctx *ctx, uint64_t *nanoseconds) {
    (void)ctx;
    return krt_node_delivery_time_remaining(nanoseconds);
}

const char *krt_channel(krt_ctx *ctx) {
    (void)ctx;
    node_string_t text;
    return krt_node_delivery_channel(&text) ? krt_text(&text) : NULL;
}

const char *krt_traceparent(krt_ctx *ctx) {
    (void)ctx;
    node_string_t text;
    return krt_node_delivery_traceparent(&text) ? krt_text(&text) : NULL;
}

static krt_result config_failed(krt_ctx *ctx, const krt_node_configuration_error_t *error) {
    switch (error->tag) {
    case KRT_NODE_CONFIGURATION_ERROR_INVALID_KEY:
        return krt_fail(ctx, KRT_INVALID_KEY, "invalid key: %s", krt_text(&error->val.invalid_key));
    case KRT_NODE_CONFIGURATION_ERROR_TOO_LARGE:
        return krt_fail_limit(ctx, KRT_TOO_LARGE, error->val.too_large, "the value is larger than the %" PRIu64 " bytes that the store takes");
    case KRT_NODE_CONFIGURATION_ERROR_DENIED:
        return krt_fail(ctx, KRT_DENIED, "denied: %s", krt_text(&error->val.denied));
    case KRT_NODE_CONFIGURATION_ERROR_UNAVAILABLE:
        return krt_fail(ctx, KRT_UNAVAILABLE, "the configuration cannot be reached: %s",
            krt_text(&error->val.unavailable));
    default:
        return krt_fail(ctx, KRT_OTHER, "%s", krt_text(&error->val.other));
    }
}

static krt_result config_get(krt_ctx *ctx, const krt_scope *in, const char *key, const char **value) {
    node_string_t name = krt_to_host(key);
    krt_node_configuration_scope_t scope = in == NULL ? 0 : (krt_node_configuration_scope_t)*in;
    node_option_string_t found;
    krt_node_configuration_error_t error;
    *value = NULL;
    if (!krt_node_configuration_get(&name, in == NULL ? NULL : &scope, &found, &error)) {
        return config_failed(ctx, &error);
    }
    if (found.is_some) {
        *value = krt_text(&found.val);
    }
    return KRT_OK;
}

krt_result krt_config_get(krt_ctx *ctx, const char *key, const char **value) {
    return config_get(ctx, NULL, key, value);
}

krt_result krt_config_get_in(krt_ctx *ctx, krt_scope scope, const char *key, const char **value) {
    return config_get(ctx, &scope, key, value);
}

krt_result krt_config_set_in(krt_ctx *ctx, krt_scope in, const char *key, const char *value) {
    node_string_t name = krt_to_host(key);
    node_string_t text = krt_to_host(value);
    krt_node_configuration_scope_t scope = (krt_node_configuration_scope_t)in;
    krt_node_configuration_error_t error;
    return krt_node_configuration_set(&name, &text, &scope, &error) ? KRT_OK : config_failed(ctx, &error);
}

krt_result krt_config_set(krt_ctx *ctx, const char *key, const char *value) {
    return krt_config_set_in(ctx, KRT_SCOPE_NODE, key, value);
}

krt_result krt_config_delete_in(krt_ctx *ctx, krt_scope in, const char *key) {
    node_string_t name = krt_to_host(key);
    krt_node_configuration_scope_t scope = (krt_node_configuration_scope_t)in;
    krt_node_configuration_error_t error;
    return krt_node_configuration_delete(&name, &scope, &error) ? KRT_OK : config_failed(ctx, &error);
}

krt_result krt_config_delete(krt_ctx *ctx, const char *key) {
    return krt_config_delete_in(ctx, KRT_SCOPE_NODE, key);
}

static krt_result object_failed(krt_ctx *ctx, const krt_node_object_store_error_t *error) {
    switch (error->tag) {
    case KRT_NODE_OBJECT_STORE_ERROR_NOT_DECLARED:
        return krt_fail(ctx, KRT_NOT_DECLARED, "the manifest declares no object store for this node");
    case KRT_NODE_OBJECT_STORE_ERROR_NOT_FOUND:
        return krt_fail(ctx, KRT_NOT_FOUND, "there is no such object");
    case KRT_NODE_OBJECT_STORE_ERROR_INVALID_NAME:
        return krt_fail(ctx, KRT_INVALID_NAME, "invalid name or pattern: %s", krt_text(&error->val.invalid_name));
    case KRT_NODE_OBJECT_STORE_ERROR_TOO_LARGE:
        return krt_fail_limit(ctx, KRT_TOO_LARGE, error->val.too_large, "the object is larger than the %" PRIu64 " bytes that are allowed");
    case KRT_NODE_OBJECT_STORE_ERROR_DENIED:
        return krt_fail(ctx, KRT_DENIED, "denied: %s", krt_text(&error->val.denied));
    case KRT_NODE_OBJECT_STORE_ERROR_UNAVAILABLE:
        return krt_fail(
            ctx, KRT_UNAVAILABLE, "the object store cannot be reached: %s", krt_text(&error->val.unavailable));
    default:
        return krt_fail(ctx, KRT_OTHER, "%s", krt_text(&error->val.other));
    }
}

static krt_strings texts(const node_list_string_t *list) {
    krt_strings strings = {krt_arena_alloc(&krt_memory, (list->len + 1) * sizeof(char *)), list->len};
    for (size_t i = 0; i < list->len; i++) {
        strings.items[i] = krt_text(&list->ptr[i]);
    }
    strings.items[list->len] = NULL;
    return strings;
}

krt_result krt_object_get(krt_ctx *ctx, const char *name, krt_bytes *object) {
    node_string_t of = krt_to_host(name);
    node_list_u8_t data;
    krt_node_object_store_error_t error;
    *object = (krt_bytes){0};
    if (!krt_node_object_store_get(&of, &data, &error)) {
        return object_failed(ctx, &error);
    }
    *object = (krt_bytes){data.ptr, data.len};
    return KRT_OK;
}

krt_result krt_object_save(krt_ctx *ctx, const char *name, const void *data, size_t len) {
    node_string_t of = krt_to_host(name);
    node_list_u8_t bytes = {(uint8_t *)(uintptr_t)data, len};
    krt_node_object_store_error_t error;
    return krt_node_object_store_save(&of, &bytes, &error) ? KRT_OK : object_failed(ctx, &error);
}

krt_result krt_object_list(krt_ctx *ctx, const char *pattern, krt_strings *names) {
    node_string_t matching = krt_to_host(pattern == NULL ? "" : pattern);
    node_list_string_t list;
    krt_node_object_store_error_t error;
    *names = (krt_strings){0};
    if (!krt_node_object_store_list(pattern == NULL ? NULL : &matching, &list, &error)) {
        return object_failed(ctx, &error);
    }
    *names = texts(&list);
    return KRT_OK;
}

krt_result krt_object_delete(krt_ctx *ctx, const char *name) {
    node_string_t of = krt_to_host(name);
    krt_node_object_store_error_t error;
    return krt_node_object_store_delete(&of, &error) ? KRT_OK : object_failed(ctx, &error);
}

krt_result krt_object_purge(krt_ctx *ctx, const char *pattern, uint32_t *count) {
    node_string_t matching = krt_to_host(pattern == NULL ? "" : pattern);
    krt_node_object_store_error_t error;
    uint32_t purged = 0;
    if (!krt_node_object_store_purge(pattern == NULL ? NULL : &matching, &purged, &error)) {
        return object_failed(ctx, &error);
    }
    if (count != NULL) {
        *count = purged;
    }
    return KRT_OK;
}

static krt_result prediction_failed(krt_ctx *ctx, const krt_node_predictions_error_t *error) {
    switch (error->tag) {
    case KRT_NODE_PREDICTIONS_ERROR_INVALID:
        return krt_fail(ctx, KRT_INVALID, "invalid prediction: %s", krt_text(&error->val.invalid));
    case KRT_NODE_PREDICTIONS_ERROR_TOO_LARGE:
        return krt_fail_limit(ctx, KRT_TOO_LARGE, error->val.too_large, "larger than the %" PRIu64 " bytes that are allowed");
    case KRT_NODE_PREDICTIONS_ERROR_DENIED:
        return krt_fail(ctx, KRT_DENIED, "denied: %s", krt_text(&error->val.denied));
    case KRT_NODE_PREDICTIONS_ERROR_NOT_CONFIGURED:
        return krt_fail(ctx, KRT_NOT_CONFIGURED, "%s", krt_text(&error->val.not_configured));
    case KRT_NODE_PREDICTIONS_ERROR_UNAVAILABLE:
        return krt_fail(
            ctx, KRT_UNAVAILABLE, "the database cannot be reached: %s", krt_text(&error->val.unavailable));
    default:
        return krt_fail(ctx, KRT_OTHER, "%s", krt_text(&error->val.other));
    }
}

krt_result krt_prediction_save(
    krt_ctx *ctx, const char *predicted, const char *actual, const char *extra, const int64_t *nanoseconds) {
    node_string_t said = krt_to_host(predicted);
    node_string_t true_value = krt_to_host(actual);
    node_string_t kept = krt_to_host(extra == NULL ? "" : extra);
    int64_t time = nanoseconds == NULL ? 0 : *nanoseconds;
    krt_node_predictions_error_t error;
    bool saved = krt_node_predictions_save(
        &said, &true_value, extra == NULL ? NULL : &kept, nanoseconds == NULL ? NULL : &time, &error);
    return saved ? KRT_OK : prediction_failed(ctx, &error);
}

krt_result krt_prediction_problem(
    krt_ctx *ctx, krt_problem problem, const char *extra, const int64_t *nanoseconds) {
    node_string_t kept = krt_to_host(extra == NULL ? "" : extra);
    int64_t time = nanoseconds == NULL ? 0 : *nanoseconds;
    krt_node_predictions_error_t error;
    bool saved = krt_node_predictions_save_error((krt_node_predictions_problem_t)problem,
        extra == NULL ? NULL : &kept, nanoseconds == NULL ? NULL : &time, &error);
    return saved ? KRT_OK : prediction_failed(ctx, &error);
}

static krt_result database_failed(krt_ctx *ctx, const krt_node_database_error_t *error) {
    switch (error->tag) {
    case KRT_NODE_DATABASE_ERROR_INVALID:
        return krt_fail(ctx, KRT_INVALID, "invalid request to the database: %s", krt_text(&error->val.invalid));
    case KRT_NODE_DATABASE_ERROR_TOO_LARGE:
        return krt_fail_limit(ctx, KRT_TOO_LARGE, error->val.too_large, "larger than the %" PRIu64 " bytes that are allowed");
    case KRT_NODE_DATABASE_ERROR_DENIED:
        return krt_fail(ctx, KRT_DENIED, "denied: %s", krt_text(&error->val.denied));
    case KRT_NODE_DATABASE_ERROR_NOT_CONFIGURED:
        return krt_fail(ctx, KRT_NOT_CONFIGURED, "%s", krt_text(&error->val.not_configured));
    case KRT_NODE_DATABASE_ERROR_UNAVAILABLE:
        return krt_fail(
            ctx, KRT_UNAVAILABLE, "the database cannot be reached: %s", krt_text(&error->val.unavailable));
    default:
        return krt_fail(ctx, KRT_OTHER, "%s", krt_text(&error->val.other));
    }
}

krt_result krt_database_save(krt_ctx *ctx, const char *collection, const char *document) {
    node_string_t in = krt_to_host(collection);
    node_string_t json = krt_to_host(document);
    krt_node_database_error_t error;
    return krt_node_database_save(&in, &json, &error) ? KRT_OK : database_failed(ctx, &error);
}

krt_result krt_database_find(
    krt_ctx *ctx, const char *collection, const char *query, krt_strings *documents) {
    node_string_t in = krt_to_host(collection);
    node_string_t json = krt_to_host(query);
    node_list_string_t list;
    krt_node_database_error_t error;
    *documents = (krt_strings){0};
    if (!krt_node_database_find(&in, &json, &list, &error)) {
        return database_failed(ctx, &error);
    }
    *documents = texts(&list);
    return KRT_OK;
}

krt_level krt_log_level(krt_ctx *ctx) {
    (void)ctx;
    if (krt_min_level < 0) {
        krt_min_level = krt_node_logging_min_level();
    }
    return (krt_level)krt_min_level;
}

static void log_line(krt_level level, const krt_pair *pairs, size_t n_pairs, const char *format, va_list arguments) {
    if (level < krt_log_level(NULL)) {
        return;
    }
    node_string_t text = krt_to_host(krt_vformat(format, arguments));
    node_list_tuple2_string_string_t fields = {NULL, n_pairs};
    fields.ptr = krt_arena_alloc(&krt_memory, (n_pairs + 1) * sizeof *fields.ptr);
    for (size_t i = 0; i < n_pairs; i++) {
        fields.ptr[i] = (node_tuple2_string_string_t){krt_to_host(pairs[i].name), krt_to_host(pairs[i].value)};
    }
    krt_node_logging_log((krt_node_logging_level_t)level, &text, &fields);
}

void krt_log(krt_ctx *ctx, krt_level level, const char *format, ...) {
    (void)ctx;
    va_list arguments;
    va_start(arguments, format);
    log_line(level, NULL, 0, format, arguments);
    va_end(arguments);
}

void krt_log_with(krt_ctx *ctx, krt_level level, const krt_pair *fields, size_t n_fields, const char *format, ...) {
    (void)ctx;
    va_list arguments;
    va_start(arguments, format);
    log_line(level, fields, n_fields, format, arguments);
    va_end(arguments);
}
