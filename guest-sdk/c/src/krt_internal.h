/**
 * @file krt_internal.h
 * What the parts of the SDK share, in a component and under test. Not for nodes.
 */
#ifndef KRT_INTERNAL_H
#define KRT_INTERNAL_H

#include "../bindings/node.h"
#include "krt_node.h"

#include <stdarg.h>

typedef struct krt_incoming {
    const char *request_id;
    const char *from_node;
    krt_node_types_message_type_t type;
    const krt_any *payload; /* NULL for none. */
    const char *error;      /* NULL for none. */
} krt_incoming;

struct krt_ctx {
    const krt_definition *node;
    krt_incoming incoming;
    krt_result result;
    const char *error;
    uint64_t limit;
};

/* The memory of the message in hand, or of `init`. The host's texts lie in it too, each with a NUL behind it. */
extern krt_arena krt_memory;

/* Runs a node's `init`, or one of its handlers. Returns KRT_OK, KRT_REJECTED or KRT_TRANSIENT. */
krt_result krt_run_init(krt_ctx *ctx);
krt_result krt_run_handler(krt_ctx *ctx);

/* Remembers a failure. */
krt_result krt_fail(krt_ctx *ctx, krt_result result, const char *format, ...) KRT_PRINTF(3, 4);
/* The same for one that is about a limit; `format` has one PRIu64 for it. */
krt_result krt_fail_limit(krt_ctx *ctx, krt_result result, uint64_t limit, const char *format);
char *krt_vformat(const char *format, va_list arguments);
/* A text in double quotes, what is not printable escaped. */
const char *krt_quoted(const char *text);
/* A host's text, which has a NUL behind it. */
const char *krt_text(const node_string_t *text);
node_string_t krt_to_host(const char *text);

/* What is constant is asked for once; a test host sets both back. */
extern krt_arena krt_kept;
extern krt_metadata krt_known;
extern int krt_min_level;

#endif
