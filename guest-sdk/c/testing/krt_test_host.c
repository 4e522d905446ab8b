/**
 * @file krt_test_host.c
 * The imports of the world, as a krt_test answers them: with the host's own rules and errors. Never part of a component.
 */
#include "krt_test_state.h"

#include <math.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

static const char *keep_host(const node_string_t *text) {
    return krt_test_keep_n(krt_current_test, text->ptr, text->len);
}

/* The host's texts: in the message's memory, as a component gets them. */
static node_string_t given(const char *text) {
    return krt_to_host(krt_copy(NULL, text));
}

#define SAYS_SO given("the test host says so")

static bool put(bool has_payload, const krt_any *any, int output, const node_string_t *channel,
    krt_node_messaging_send_error_t *error) {
    const char *on = channel == NULL ? NULL : keep_host(channel);
    if (!krt_current_test->in_hand) {
        error->tag = KRT_NODE_MESSAGING_SEND_ERROR_NO_MESSAGE;
    } else if (on != NULL && (*on == '\0' || strpbrk(on, ".*> \t\r\n") != NULL)) {
        error->tag = KRT_NODE_MESSAGING_SEND_ERROR_INVALID_CHANNEL;
        error->val.invalid_channel = given(on);
    } else if (has_payload && *krt_message_name(any) == '\0') {
        error->tag = KRT_NODE_MESSAGING_SEND_ERROR_INVALID_TYPE_URL;
        error->val.invalid_type_url = given(any->type_url);
    } else if (has_payload && any->len > krt_current_test->max_payload) {
        error->tag = KRT_NODE_MESSAGING_SEND_ERROR_TOO_LARGE;
        error->val.too_large = krt_current_test->max_payload;
    } else if (krt_current_test->unavailable) {
        error->tag = KRT_NODE_MESSAGING_SEND_ERROR_UNAVAILABLE;
        error->val.unavailable = SAYS_SO;
    } else {
        krt_any sent = has_payload ? *any : (krt_any){0};
        APPEND(krt_current_test->sent, krt_current_test->n_sent, (krt_test_sent){(krt_output)output, on, has_payload, sent});
        return true;
    }
    return false;
}

bool krt_node_messaging_send(krt_node_messaging_payload_t *payload, krt_node_messaging_output_type_t output,
    node_string_t *channel, krt_node_messaging_send_error_t *error) {
    const uint8_t *data = (const uint8_t *)krt_test_keep_n(krt_current_test, payload->data.ptr, payload->data.len);
    krt_any any = {keep_host(&payload->type_url), data, payload->data.len};
    return put(true, &any, output, channel, error);
}

bool krt_node_messaging_relay(krt_node_messaging_output_type_t output, node_string_t *channel,
    krt_node_messaging_send_error_t *error) {
    return put(krt_current_test->has_payload, &krt_current_test->payload, output, channel, error);
}

uint64_t krt_node_messaging_max_payload(void) { return krt_current_test->max_payload; }
uint32_t krt_node_delivery_attempt(void) { return krt_current_test->in_hand ? krt_current_test->attempt : 0; }

bool krt_node_delivery_time_remaining(uint64_t *nanoseconds) {
    *nanoseconds = krt_current_test->time;
    return krt_current_test->limited;
}

bool krt_node_delivery_channel(node_string_t *channel) {
    *channel = given(krt_current_test->channel == NULL ? "" : krt_current_test->channel);
    return krt_current_test->channel != NULL;
}

bool krt_node_delivery_traceparent(node_string_t *traceparent) {
    *traceparent = given(krt_current_test->traceparent == NULL ? "" : krt_current_test->traceparent);
    return krt_current_test->traceparent != NULL;
}

static bool key_is_well(const char *key, krt_node_configuration_error_t *error) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-/_=.";
    size_t length = strlen(key);
    if (krt_current_test->unavailable) {
        error->tag = KRT_NODE_CONFIGURATION_ERROR_UNAVAILABLE;
        error->val.unavailable = SAYS_SO;
        return false;
    }
    if (length == 0 || key[0] == '.' || key[length - 1] == '.' || strspn(key, allowed) != length) {
        error->tag = KRT_NODE_CONFIGURATION_ERROR_INVALID_KEY;
        error->val.invalid_key = krt_to_host(
            krt_format(NULL, "%s: letters, digits and -/_=. only, no dot at either end", krt_quoted(key)));
        return false;
    }
    return true;
}

bool krt_node_configuration_get(node_string_t *key, krt_node_configuration_scope_t *scope,
    node_option_string_t *found, krt_node_configuration_error_t *error) {
    const char *name = keep_host(key);
    if (!key_is_well(name, error)) {
        return false;
    }
    found->is_some = false;
    for (int in = scope == NULL ? 0 : *scope; in <= (scope == NULL ? 2 : *scope) && !found->is_some; in++) {
        setting *there = krt_test_find_setting(krt_current_test, in, name);
        if (there != NULL) {
            *found = (node_option_string_t){true, given(there->value)};
        }
    }
    return true;
}

bool krt_node_configuration_set(node_string_t *key, node_string_t *value, krt_node_configuration_scope_t *scope,
    krt_node_configuration_error_t *error) {
    const char *name = keep_host(key);
    if (!key_is_well(name, error)) {
        return false;
    }
    krt_test_config(krt_current_test, scope == NULL ? KRT_SCOPE_NODE : (krt_scope)*scope, name, keep_host(value));
    return true;
}

bool krt_node_configuration_delete(
    node_string_t *key, krt_node_configuration_scope_t *scope, krt_node_configuration_error_t *error) {
    const char *name = keep_host(key);
    if (!key_is_well(name, error)) {
        return false;
    }
    setting *there = krt_test_find_setting(krt_current_test, scope == NULL ? 0 : *scope, name);
    if (there != NULL) {
        *there = krt_current_test->settings[--krt_current_test->n_settings];
    }
    return true;
}

static bool store_is_there(krt_node_object_store_error_t *error) {
    if (!krt_current_test->has_store) {
        error->tag = KRT_NODE_OBJECT_STORE_ERROR_NOT_DECLARED;
    } else if (krt_current_test->unavailable) {
        error->tag = KRT_NODE_OBJECT_STORE_ERROR_UNAVAILABLE;
        error->val.unavailable = SAYS_SO;
    }
    return krt_current_test->has_store && !krt_current_test->unavailable;
}

bool krt_node_object_store_get(
    node_string_t *name, node_list_u8_t *data, krt_node_object_store_error_t *error) {
    if (!store_is_there(error)) {
        return false;
    }
    object *there = krt_test_find_object(krt_current_test, keep_host(name));
    if (there == NULL) {
        error->tag = KRT_NODE_OBJECT_STORE_ERROR_NOT_FOUND;
        return false;
    }
    uint8_t *copy = krt_arena_alloc(&krt_memory, there->data.len + 1);
    memcpy(copy, there->data.data, there->data.len + 1);
    *data = (node_list_u8_t){copy, there->data.len};
    return true;
}

bool krt_node_object_store_save(
    node_string_t *name, node_list_u8_t *data, krt_node_object_store_error_t *error) {
    if (!store_is_there(error)) {
        return false;
    }
    if (name->len == 0) {
        error->tag = KRT_NODE_OBJECT_STORE_ERROR_INVALID_NAME;
        error->val.invalid_name = given("\"\"");
        return false;
    }
    krt_test_object(krt_current_test, keep_host(name), data->ptr, data->len);
    return true;
}

/* The objects whose names match, in the message's memory; false with the error. */
static bool matching(const node_string_t *pattern, node_list_string_t *names, krt_node_object_store_error_t *error) {
    regex_t regex;
    if (!store_is_there(error)) {
        return false;
    }
    if (pattern != NULL && regcomp(&regex, keep_host(pattern), REG_EXTENDED | REG_NOSUB) != 0) {
        error->tag = KRT_NODE_OBJECT_STORE_ERROR_INVALID_NAME;
        error->val.invalid_name = given("not a regular expression");
        return false;
    }
    *names = (node_list_string_t){krt_arena_alloc(&krt_memory, (krt_current_test->n_objects + 1) * sizeof(node_string_t)), 0};
    for (size_t i = 0; i < krt_current_test->n_objects; i++) {
        const char *name = krt_current_test->objects[i].name;
        if (pattern == NULL || regexec(&regex, name, 0, NULL, 0) == 0) {
            names->ptr[names->len++] = given(name);
        }
    }
    if (pattern != NULL) {
        regfree(&regex);
    }
    return true;
}

bool krt_node_object_store_list(
    node_string_t *pattern, node_list_string_t *names, krt_node_object_store_error_t *error) {
    return matching(pattern, names, error);
}

bool krt_node_object_store_delete(node_string_t *name, krt_node_object_store_error_t *error) {
    if (!store_is_there(error)) {
        return false;
    }
    object *there = krt_test_find_object(krt_current_test, keep_host(name));
    if (there == NULL) {
        error->tag = KRT_NODE_OBJECT_STORE_ERROR_NOT_FOUND;
        return false;
    }
    *there = krt_current_test->objects[--krt_current_test->n_objects];
    qsort(krt_current_test->objects, krt_current_test->n_objects, sizeof *krt_current_test->objects, krt_test_by_name);
    return true;
}

bool krt_node_object_store_purge(node_string_t *pattern, uint32_t *count, krt_node_object_store_error_t *error) {
    node_list_string_t names;
    if (!matching(pattern, &names, error)) {
        return false;
    }
    for (size_t i = 0; i < names.len; i++) {
        krt_node_object_store_delete(&names.ptr[i], error);
    }
    *count = (uint32_t)names.len;
    return true;
}

static const char *value_text(const krt_node_measurements_value_t *value) {
    switch (value->tag) {
    case KRT_NODE_MEASUREMENTS_VALUE_FLOAT:
        return krt_format(NULL, "%g", value->val.float_);
    case KRT_NODE_MEASUREMENTS_VALUE_SIGNED:
        return krt_format(NULL, "%lld", (long long)value->val.signed_);
    case KRT_NODE_MEASUREMENTS_VALUE_UNSIGNED:
        return krt_format(NULL, "%llu", (unsigned long long)value->val.unsigned_);
    case KRT_NODE_MEASUREMENTS_VALUE_BOOLEAN:
        return value->val.boolean ? "true" : "false";
    default:
        return keep_host(&value->val.text);
    }
}

bool krt_node_measurements_save(node_string_t *name, krt_node_measurements_list_tuple2_string_value_t *fields,
    node_list_tuple2_string_string_t *tags, int64_t *time, krt_node_measurements_error_t *error) {
    const char *wrong = name->len == 0 ? "it has no name" : fields->len == 0 ? "it has no field" : NULL;
    const char *text = keep_host(name);
    for (size_t i = 0; i < tags->len; i++) {
        text = krt_format(NULL, "%s,%s=%s", text, keep_host(&tags->ptr[i].f0), keep_host(&tags->ptr[i].f1));
    }
    for (size_t i = 0; i < fields->len; i++) {
        const krt_node_measurements_value_t *value = &fields->ptr[i].f1;
        const char *field = keep_host(&fields->ptr[i].f0);
        if (value->tag == KRT_NODE_MEASUREMENTS_VALUE_FLOAT && !isfinite(value->val.float_)) {
            wrong = krt_format(NULL, "the field %s is not finite", krt_quoted(field));
        }
        text = krt_format(NULL, "%s%c%s=%s", text, i == 0 ? ' ' : ',', field, value_text(value));
    }
    if (wrong != NULL) {
        error->tag = KRT_NODE_MEASUREMENTS_ERROR_INVALID;
        error->val.invalid = given(wrong);
        return false;
    }
    if (time != NULL) {
        text = krt_format(NULL, "%s %lld", text, (long long)*time);
    }
    APPEND(krt_current_test->points, krt_current_test->n_points, krt_test_keep(krt_current_test, text));
    return true;
}

krt_node_logging_level_t krt_node_logging_min_level(void) { return KRT_NODE_LOGGING_LEVEL_TRACE; }

void krt_node_logging_log(
    krt_node_logging_level_t level, node_string_t *text, node_list_tuple2_string_string_t *fields) {
    const char *line = keep_host(text);
    for (size_t i = 0; i < fields->len; i++) {
        line = krt_format(NULL, "%s %s=%s", line, keep_host(&fields->ptr[i].f0), keep_host(&fields->ptr[i].f1));
    }
    APPEND(krt_current_test->lines, krt_current_test->n_lines, (krt_test_line){(krt_level)level, krt_test_keep(krt_current_test, line)});
}

void krt_node_metadata_runtime_id(node_string_t *text) { *text = given("runtime"); }
void krt_node_metadata_version(node_string_t *text) { *text = given("version"); }
void krt_node_metadata_version_id(node_string_t *text) { *text = given("000000000000000000000000"); }
void krt_node_metadata_workflow(node_string_t *text) { *text = given("workflow"); }
void krt_node_metadata_node(node_string_t *text) { *text = given(krt_current_test->name); }
void krt_node_metadata_base_path(node_string_t *text) { *text = given(krt_current_test->package); }

static bool predicted(
    const char *text, const node_string_t *extra, const int64_t *time, krt_node_predictions_error_t *error) {
    if (extra != NULL && krt_json_parse(&krt_current_test->memory, keep_host(extra)) == NULL) {
        error->tag = KRT_NODE_PREDICTIONS_ERROR_INVALID;
        error->val.invalid = given("what is to be kept with it: it is not JSON");
        return false;
    }
    if (krt_current_test->unavailable) {
        error->tag = KRT_NODE_PREDICTIONS_ERROR_UNAVAILABLE;
        error->val.unavailable = SAYS_SO;
        return false;
    }
    if (extra != NULL) {
        text = krt_format(NULL, "%s extra=%s", text, keep_host(extra));
    }
    if (time != NULL) {
        text = krt_format(NULL, "%s at=%lld", text, (long long)*time);
    }
    APPEND(krt_current_test->predictions, krt_current_test->n_predictions, krt_test_keep(krt_current_test, text));
    return true;
}

bool krt_node_predictions_save(node_string_t *said, node_string_t *truth, node_string_t *extra, int64_t *time,
    krt_node_predictions_error_t *error) {
    return predicted(
        krt_format(NULL, "predicted=%s true=%s", keep_host(said), keep_host(truth)), extra, time, error);
}

bool krt_node_predictions_save_error(krt_node_predictions_problem_t problem, node_string_t *extra, int64_t *time,
    krt_node_predictions_error_t *error) {
    bool missing = problem == KRT_NODE_PREDICTIONS_PROBLEM_MISSING_VALUES;
    return predicted(missing ? "missing-values" : "new-labels", extra, time, error);
}

static const krt_json *request(
    const node_string_t *collection, const node_string_t *text, krt_node_database_error_t *error) {
    const krt_json *json = krt_json_parse(&krt_current_test->memory, keep_host(text));
    if (collection->len == 0 || !krt_json_is_object(json)) {
        const char *what = collection->len == 0 ? "\"\" is not a collection" : "not a JSON object";
        error->tag = KRT_NODE_DATABASE_ERROR_INVALID;
        error->val.invalid = given(what);
        return NULL;
    }
    if (krt_current_test->unavailable) {
        error->tag = KRT_NODE_DATABASE_ERROR_UNAVAILABLE;
        error->val.unavailable = SAYS_SO;
        return NULL;
    }
    return json;
}

bool krt_node_database_save(node_string_t *collection, node_string_t *text, krt_node_database_error_t *error) {
    const krt_json *json = request(collection, text, error);
    if (json == NULL) {
        return false;
    }
    APPEND(krt_current_test->documents, krt_current_test->n_documents, (document){keep_host(collection), keep_host(text), json});
    return true;
}

bool krt_node_database_find(
    node_string_t *collection, node_string_t *query, node_list_string_t *found, krt_node_database_error_t *error) {
    const krt_json *json = request(collection, query, error);
    const char *in = keep_host(collection);
    const char *unknown = NULL;
    if (json == NULL) {
        return false;
    }
    *found = (node_list_string_t){krt_arena_alloc(&krt_memory, (krt_current_test->n_documents + 1) * sizeof(node_string_t)), 0};
    for (size_t i = 0; i < krt_current_test->n_documents; i++) {
        const document *one = &krt_current_test->documents[i];
        if (strcmp(one->collection, in) == 0 && krt_json_matches(json, one->json, &unknown)) {
            found->ptr[found->len++] = given(one->text);
        }
    }
    if (unknown != NULL) {
        error->tag = KRT_NODE_DATABASE_ERROR_INVALID;
        error->val.invalid = krt_to_host(krt_format(NULL, "a test host does not know %s", krt_quoted(unknown)));
        return false;
    }
    return true;
}
