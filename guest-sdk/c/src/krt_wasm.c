/**
 * @file krt_wasm.c
 * The component's end: what the host calls, the memory it writes to, and how a program ends that cannot go on. Only
 * part of components, never of tests.
 */
#include "krt_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The component's type is added by krt build: this name is what the generated code holds on to. */
void __component_type_object_force_link_node(void);
void __component_type_object_force_link_node(void) {}

/*
 * The host's texts and bytes go to the message's memory, with a NUL behind each. Never called to make something larger
 * or smaller: the canonical ABI asks for UTF-8 of a known length.
 */
void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size);
__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(
    void *old, size_t old_size, size_t align, size_t size) {
    (void)align;
    uint8_t *given = krt_arena_alloc(&krt_memory, size + 1);
    if (old_size != 0) {
        memcpy(given, old, old_size < size ? old_size : size);
    }
    given[size] = 0;
    return given;
}

/* The adapter for WASI keeps its state in what this gives: it outlives every message. */
void *krt_realloc_adapter(void *old, size_t old_size, size_t align, size_t size);
__attribute__((export_name("cabi_realloc_adapter"))) void *krt_realloc_adapter(
    void *old, size_t old_size, size_t align, size_t size) {
    (void)old_size;
    void *given = old == NULL ? aligned_alloc(align < 16 ? 16 : align, (size + 15) & ~(size_t)15) : realloc(old, size);
    if (given == NULL) {
        __builtin_trap();
    }
    return given;
}

static bool answer(krt_ctx *ctx, krt_result result, exports_krt_node_handler_failure_t *failure) {
    if (result == KRT_OK) {
        return true;
    }
    failure->tag = result == KRT_TRANSIENT ? EXPORTS_KRT_NODE_HANDLER_FAILURE_TRANSIENT
                                           : EXPORTS_KRT_NODE_HANDLER_FAILURE_REJECTED;
    failure->val.rejected = krt_to_host(krt_error(ctx));
    return false;
}

bool exports_krt_node_handler_init(exports_krt_node_handler_failure_t *failure) {
    krt_ctx ctx = {.node = &krt_this_node, .incoming = {.request_id = "", .from_node = ""}};
    bool done = answer(&ctx, krt_run_init(&ctx), failure);
    /* What `init` was given stays: the next message begins with memory of its own. */
    krt_memory = (krt_arena){0};
    return done;
}

bool exports_krt_node_handler_handle(
    exports_krt_node_handler_message_t *message, exports_krt_node_handler_failure_t *failure) {
    krt_any payload;
    krt_ctx ctx = {.node = &krt_this_node};
    ctx.incoming.request_id = krt_text(&message->request_id);
    ctx.incoming.from_node = krt_text(&message->from_node);
    ctx.incoming.type = message->message_type;
    if (message->payload.is_some) {
        const krt_node_types_payload_t *from = &message->payload.val;
        payload = (krt_any){krt_text(&from->type_url), from->data.ptr, from->data.len};
        ctx.incoming.payload = &payload;
    }
    if (message->error.is_some) {
        ctx.incoming.error = krt_text(&message->error.val);
    }
    return answer(&ctx, krt_run_handler(&ctx), failure);
}

/* Called when the host has read the answer. */
void __wasm_export_exports_krt_node_handler_handle_post_return(uint8_t *result);
__attribute__((export_name("cabi_post_krt:node/handler@0.1.1#handle"))) void
__wasm_export_exports_krt_node_handler_handle_post_return(uint8_t *result) {
    (void)result;
    krt_arena_reset(&krt_memory);
}

void __wasm_export_exports_krt_node_handler_init_post_return(uint8_t *result);
__attribute__((export_name("cabi_post_krt:node/handler@0.1.1#init"))) void
__wasm_export_exports_krt_node_handler_init_post_return(uint8_t *result) {
    (void)result;
}

/* The last line before a trap. Asks for no memory. */
static void last_words(const char *text) {
    node_string_t line = krt_to_host(text);
    node_list_tuple2_string_string_t none = {0};
    krt_node_logging_log(KRT_NODE_LOGGING_LEVEL_ERROR, &line, &none);
}

/* In place of libc's: a trap that says what happened. */
_Noreturn void abort(void) {
    last_words("abort() was called");
    __builtin_trap();
}

/* A node does not end: that would be its instance's end in the middle of a message. */
_Noreturn void exit(int status) {
    char text[64];
    snprintf(text, sizeof text, "exit(%d) was called: a node returns from its handler instead", status);
    last_words(text);
    __builtin_trap();
}

_Noreturn void _Exit(int status) {
    exit(status);
}

/* What assert() calls: to the log rather than to standard error, and no more than that. */
_Noreturn void __assert_fail(const char *expression, const char *file, int line, const char *function);
_Noreturn void __assert_fail(const char *expression, const char *file, int line, const char *function) {
    char text[1024];
    snprintf(text, sizeof text, "assertion failed: %s (%s:%d: %s)", expression, file, line, function);
    last_words(text);
    __builtin_trap();
}
