/**
 * @file krt_node.c
 * Which handler gets a message, how it fails, and the memory it has. Knows the host only through the bindings.
 */
#include "krt_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

krt_arena krt_memory;

char *krt_vformat(const char *format, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    size_t size = length < 0 ? 1 : (size_t)length + 1;
    char *text = krt_arena_alloc(&krt_memory, size);
    text[0] = '\0';
    if (length > 0) {
        vsnprintf(text, size, format, again);
    }
    va_end(again);
    return text;
}

char *krt_format(krt_ctx *ctx, const char *format, ...) {
    (void)ctx;
    va_list arguments;
    va_start(arguments, format);
    char *text = krt_vformat(format, arguments);
    va_end(arguments);
    return text;
}

void *krt_alloc(krt_ctx *ctx, size_t size) {
    (void)ctx;
    return krt_arena_zalloc(&krt_memory, size);
}

char *krt_copy(krt_ctx *ctx, const char *text) {
    (void)ctx;
    size_t size = strlen(text) + 1;
    return memcpy(krt_arena_alloc(&krt_memory, size), text, size);
}

const char *krt_text(const node_string_t *text) {
    return text->len == 0 ? "" : (const char *)text->ptr;
}

node_string_t krt_to_host(const char *text) {
    return (node_string_t){(uint8_t *)(uintptr_t)text, strlen(text)};
}

const char *krt_quoted(const char *text) {
    char *quoted = krt_arena_alloc(&krt_memory, strlen(text) * 6 + 3);
    char *at = quoted;
    *at++ = '"';
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\') {
            *at++ = '\\';
            *at++ = (char)byte;
        } else if (byte == '\n' || byte == '\r' || byte == '\t') {
            *at++ = '\\';
            *at++ = byte == '\n' ? 'n' : byte == '\r' ? 'r' : 't';
        } else if (byte < 0x20 || byte == 0x7f) {
            at += sprintf(at, "\\u{%x}", byte);
        } else {
            *at++ = (char)byte;
        }
    }
    *at++ = '"';
    *at = '\0';
    return quoted;
}

const char *krt_error(const krt_ctx *ctx) {
    return ctx->error == NULL ? "" : ctx->error;
}

uint64_t krt_error_limit(const krt_ctx *ctx) {
    return ctx->limit;
}

const char *krt_result_name(krt_result result) {
    static const char *const names[] = {"ok", "rejected", "transient", "no-message", "invalid", "invalid-channel",
        "invalid-type-url", "invalid-key", "invalid-name", "too-large", "too-many", "denied", "not-declared",
        "not-found", "not-configured", "dropped", "unavailable", "wrong-type", "other"};
    _Static_assert(sizeof names / sizeof *names == KRT_OTHER + 1, "a name for each");
    return (size_t)result < sizeof names / sizeof *names ? names[result] : "other";
}

krt_result krt_fail_limit(krt_ctx *ctx, krt_result result, uint64_t limit, const char *format) {
    ctx->error = krt_format(ctx, format, limit);
    ctx->limit = limit;
    return ctx->result = result;
}

krt_result krt_fail(krt_ctx *ctx, krt_result result, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    ctx->error = krt_vformat(format, arguments);
    ctx->limit = 0;
    va_end(arguments);
    return ctx->result = result;
}

krt_result krt_reject(krt_ctx *ctx, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    ctx->error = krt_vformat(format, arguments);
    va_end(arguments);
    return ctx->result = KRT_REJECTED;
}

krt_result krt_transient(krt_ctx *ctx, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    ctx->error = krt_vformat(format, arguments);
    va_end(arguments);
    return ctx->result = KRT_TRANSIENT;
}

krt_result krt_context(krt_ctx *ctx, krt_result result, const char *format, ...) {
    if (result == KRT_OK) {
        return KRT_OK;
    }
    va_list arguments;
    va_start(arguments, format);
    const char *doing = krt_vformat(format, arguments);
    va_end(arguments);
    return krt_fail(ctx, result, "%s: %s", doing, krt_error(ctx));
}

const char *krt_request_id(const krt_ctx *ctx) {
    return ctx->incoming.request_id;
}

const char *krt_from_node(const krt_ctx *ctx) {
    return ctx->incoming.from_node;
}

bool krt_is_ok(const krt_ctx *ctx) {
    return ctx->incoming.type == KRT_NODE_TYPES_MESSAGE_TYPE_OK;
}

bool krt_is_error(const krt_ctx *ctx) {
    return ctx->incoming.type == KRT_NODE_TYPES_MESSAGE_TYPE_ERROR;
}

bool krt_is_early_reply(const krt_ctx *ctx) {
    return ctx->incoming.type == KRT_NODE_TYPES_MESSAGE_TYPE_EARLY_REPLY;
}

bool krt_is_early_exit(const krt_ctx *ctx) {
    return ctx->incoming.type == KRT_NODE_TYPES_MESSAGE_TYPE_EARLY_EXIT;
}

const char *krt_received_error(const krt_ctx *ctx) {
    if (!krt_is_error(ctx)) {
        return NULL;
    }
    return ctx->incoming.error == NULL ? "" : ctx->incoming.error;
}

const char *krt_message_name(const krt_any *any) {
    if (any == NULL) {
        return "";
    }
    const char *slash = strrchr(any->type_url, '/');
    return slash == NULL ? any->type_url : slash + 1;
}

bool krt_any_is(const krt_any *any, const krt_pb_type *type) {
    return any != NULL && strcmp(krt_message_name(any), type->name) == 0;
}

krt_result krt_pack_typed(krt_ctx *ctx, const krt_pb_type *type, const void *message, krt_any *any) {
    krt_bytes encoded;
    const char *problem = krt_pb_encode(&krt_memory, type, message, &encoded);
    if (problem != NULL) {
        return krt_fail(ctx, KRT_INVALID, "a \"%s\" cannot be written: %s", type->name, problem);
    }
    *any = (krt_any){type->type_url, encoded.data, encoded.len};
    return KRT_OK;
}

krt_result krt_unpack_typed(krt_ctx *ctx, const krt_any *any, const krt_pb_type *type, void *message) {
    if (any == NULL) {
        return krt_fail(ctx, KRT_WRONG_TYPE, "the message has no payload, a \"%s\" was expected", type->name);
    }
    if (!krt_any_is(any, type)) {
        const char *found = krt_quoted(krt_message_name(any));
        return krt_fail(ctx, KRT_WRONG_TYPE, "the payload is a %s, not a \"%s\"", found, type->name);
    }
    const char *problem = krt_pb_decode(&krt_memory, type, any->data, any->len, message);
    if (problem != NULL) {
        return krt_fail(ctx, KRT_WRONG_TYPE, "the payload is not a valid \"%s\": %s", type->name, problem);
    }
    return KRT_OK;
}

/* What a handler's result means to the host. */
static krt_result settled(krt_ctx *ctx, krt_result result) {
    switch (result) {
    case KRT_OK:
        return KRT_OK;
    case KRT_TRANSIENT:
    case KRT_UNAVAILABLE:
        result = KRT_TRANSIENT;
        break;
    default:
        result = KRT_REJECTED;
    }
    if (ctx->error == NULL) {
        ctx->error = "the handler failed without saying why";
    }
    return result;
}

krt_result krt_run_init(krt_ctx *ctx) {
    return ctx->node->init == NULL ? KRT_OK : settled(ctx, ctx->node->init(ctx));
}

static krt_result call_typed(krt_ctx *ctx, const krt_handler *handler) {
    if (krt_is_error(ctx)) {
        const char *text = krt_received_error(ctx);
        if (*text != '\0') {
            return krt_reject(ctx, "%s", text);
        }
        return krt_reject(ctx, "node %s failed without saying why", krt_quoted(krt_from_node(ctx)));
    }
    if (krt_is_early_reply(ctx) || krt_is_early_exit(ctx)) {
        krt_log(ctx, KRT_DEBUG, "skipped an early answer of node %s: it is for the caller",
            krt_quoted(krt_from_node(ctx)));
        return KRT_OK;
    }
    void *message = krt_arena_zalloc(&krt_memory, handler->type->size);
    krt_result result = krt_unpack_typed(ctx, ctx->incoming.payload, handler->type, message);
    if (result != KRT_OK) {
        return result;
    }
    return (krt_result)handler->type->call(handler->typed, ctx, message);
}

krt_result krt_run_handler(krt_ctx *ctx) {
    const krt_handler *found = NULL;
    for (const krt_handler *one = ctx->node->handlers; one != NULL && one->origin != NULL; one++) {
        if (strcmp(one->origin, ctx->incoming.from_node) == 0) {
            found = one;
        }
    }
    if (found == NULL && (ctx->node->otherwise.any != NULL || ctx->node->otherwise.typed != NULL)) {
        found = &ctx->node->otherwise;
    }
    if (found == NULL) {
        return krt_reject(ctx, "node %s has no handler for messages of node %s, and no default one",
            krt_quoted(krt_meta(ctx)->node), krt_quoted(krt_from_node(ctx)));
    }
    if (ctx->incoming.error != NULL && *ctx->incoming.error != '\0') {
        /* Both marks count, the text and the type: peers set either. */
        ctx->incoming.type = KRT_NODE_TYPES_MESSAGE_TYPE_ERROR;
    }
    return settled(ctx, found->any != NULL ? found->any(ctx, ctx->incoming.payload) : call_typed(ctx, found));
}
