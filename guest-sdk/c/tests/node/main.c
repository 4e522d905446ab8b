/* A node that takes every road a handler has, told by the text of a message. */
#include <krt_node.h>

#include <string.h>

#include "public_input.pb.h"

static int inits;

static krt_result init(krt_ctx *ctx) {
    const char *refused;
    inits++;
    if (krt_config_get(ctx, "init", &refused) != KRT_OK || refused != NULL) {
        return refused == NULL ? krt_transient(ctx, "no configuration") : krt_reject(ctx, "%s", refused);
    }
    return KRT_OK;
}

static krt_result keep(krt_ctx *ctx) {
    krt_strings found;
    krt_bytes object;
    const char *value;
    uint32_t purged;
    krt_result result;
    if ((result = krt_config_set_in(ctx, KRT_SCOPE_WORKFLOW, "colour", "red")) != KRT_OK ||
        (result = krt_config_get(ctx, "colour", &value)) != KRT_OK ||
        (result = krt_object_save(ctx, "reports/2", value, strlen(value))) != KRT_OK ||
        (result = krt_object_save(ctx, "reports/1", "", 0)) != KRT_OK ||
        (result = krt_object_list(ctx, "^reports/", &found)) != KRT_OK ||
        (result = krt_object_get(ctx, found.items[1], &object)) != KRT_OK ||
        (result = krt_object_purge(ctx, "1$", &purged)) != KRT_OK ||
        (result = krt_database_save(ctx, "senders", "{\"sender\": \"ada\", \"score\": 0.75}")) != KRT_OK ||
        (result = krt_database_find(ctx, "senders", "{\"score\": {\"$gte\": 0.5}}", &found)) != KRT_OK) {
        return krt_context(ctx, result, "keeping");
    }
    krt_measurement *point = krt_measure(ctx, "kept");
    krt_field_uint(point, "found", found.len);
    krt_field_text(point, "object", (const char *)object.data);
    krt_tag(point, "kind", "test");
    krt_measured_at(point, 7);
    result = krt_measure_save(point);
    return result == KRT_OK ? krt_prediction_save(ctx, "spam", "ham", "{\"model\": 3}", NULL) : result;
}

static krt_result obey(krt_ctx *ctx, const sdk_Everything *message) {
    sdk_Another answer = {.text = krt_format(ctx, "%s after %d", message->string, inits)};
    if (strcmp(message->string, "answer") == 0) {
        krt_log_with(ctx, KRT_WARN, (krt_pair[]){{"shade", "dark"}}, 1, "answering %s", krt_request_id(ctx));
        return krt_send(ctx, sdk_Another, &answer);
    }
    if (strcmp(message->string, "early") == 0) {
        krt_result sent = krt_early_reply(ctx, sdk_Another, &answer);
        return sent == KRT_OK ? krt_early_exit(ctx, sdk_Another, &answer) : sent;
    }
    if (strcmp(message->string, "keep") == 0) {
        return keep(ctx);
    }
    if (strcmp(message->string, "channel") == 0) {
        return krt_send_to(ctx, message->last, sdk_Another, &answer);
    }
    if (strcmp(message->string, "path") == 0) {
        const char *path = krt_path(ctx, message->last);
        return path == NULL ? KRT_INVALID : krt_reject(ctx, "%s", path);
    }
    return krt_reject(ctx, "what is %s?", message->string);
}

static krt_result any(krt_ctx *ctx, const krt_any *payload) {
    sdk_Another another = {0};
    if (krt_is_error(ctx)) {
        return krt_transient(ctx, "heard of %s", krt_received_error(ctx));
    }
    krt_result result = krt_unpack(ctx, payload, sdk_Another, &another);
    return result == KRT_OK ? krt_relay_as(ctx, KRT_OUTPUT_OK, krt_channel(ctx)) : result;
}

KRT_NODE(.init = init, .handlers = KRT_HANDLERS(KRT_ON("entrypoint", sdk_Everything, obey)),
    .otherwise = KRT_ANY(any))
