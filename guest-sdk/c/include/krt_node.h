/**
 * @file krt_node.h
 * Nodes of a KRT v2 version in C: everything that a handler may do.
 *
 * A node is one or more .c files beside each other. One of them names what handles which message:
 * @code
 * KRT_NODE(.init = load, .handlers = KRT_HANDLERS(KRT_ON("etl", demo_Email, classify)), .otherwise = KRT_ANY(other))
 * @endcode
 *
 * Memory: what a function here returns, and what krt_alloc gives, lives until the handler returns and is taken back by
 * itself; what `init` gets so lives as long as the instance. Nothing is ever freed by hand.
 *
 * Errors: functions return KRT_OK or why not; the text is krt_error(ctx). A handler that returns such a result fails
 * with that text: the message is rejected, or comes again when a store or the bus could not be reached. Apache-2.0.
 */
#ifndef KRT_NODE_SDK_H
#define KRT_NODE_SDK_H

#include "krt_pb.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define KRT_PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))
#define KRT_MUST_USE __attribute__((__warn_unused_result__))
#else
#define KRT_PRINTF(text, first)
#define KRT_MUST_USE
#endif

/** The message in hand, and everything that a handler may do. */
typedef struct krt_ctx krt_ctx;

/** What functions and handlers return. */
typedef enum krt_result {
    KRT_OK = 0,
    KRT_REJECTED,       /**< The message is at fault: an ERROR with the text goes out, it is not tried again. */
    KRT_TRANSIENT,      /**< The world is at fault: the message comes again; after the last attempt it is rejected. */
    KRT_NO_MESSAGE,     /**< Called from `init`: there is no message to answer. */
    KRT_INVALID,        /**< Not a point, prediction, document, query, path, or message that can be written. */
    KRT_INVALID_CHANNEL,
    KRT_INVALID_TYPE_URL,
    KRT_INVALID_KEY,
    KRT_INVALID_NAME,   /**< Not an object's name, or not a regular expression. */
    KRT_TOO_LARGE,      /**< Larger than the bus or the store takes. */
    KRT_TOO_MANY,       /**< This delivery already sent as many messages as it may. */
    KRT_DENIED,         /**< The node may not. */
    KRT_NOT_DECLARED,   /**< The manifest declares no object store for this node. */
    KRT_NOT_FOUND,      /**< There is no such object. */
    KRT_NOT_CONFIGURED, /**< This host has no database, or only one way into it. */
    KRT_DROPPED,        /**< The host's buffer is full. */
    KRT_UNAVAILABLE,    /**< Bus or store cannot be reached: returned by a handler, it is KRT_TRANSIENT. */
    KRT_WRONG_TYPE,     /**< The payload is another message, none, or not a valid one. */
    KRT_OTHER,          /**< Something else. */
} krt_result;

/** A protobuf message with its name: `google.protobuf.Any`. */
typedef struct krt_any {
    const char *type_url; /**< `type.googleapis.com/<full protobuf name>`. */
    const uint8_t *data;
    size_t len;
} krt_any;

/** Texts. */
typedef struct krt_strings {
    const char **items;
    size_t len;
} krt_strings;

/** @name The node */
/**@{*/

/** Handles every message; `payload` is NULL when there is none (an ERROR). */
typedef krt_result krt_any_handler(krt_ctx *ctx, const krt_any *payload);

/** One line of the table of handlers; made by KRT_ON, KRT_ON_ANY, KRT_TYPED and KRT_ANY. */
typedef struct krt_handler {
    const char *origin;
    krt_any_handler *any;
    const krt_pb_type *type;
    krt_function *typed;
} krt_handler;

/** What a node is. */
typedef struct krt_definition {
    krt_result (*init)(krt_ctx *ctx); /**< Once per instance, before its first message; may be NULL. */
    const krt_handler *handlers;      /**< By origin; may be NULL. See KRT_HANDLERS. */
    krt_handler otherwise;            /**< Messages of all other origins; may be left out. */
} krt_definition;

#define KRT_FUNCTION_OF_(TYPE, function) ((krt_function *)(1 ? (function) : (TYPE##_handler *)0))

/** `function` handles the messages of type TYPE that come from the node `origin`; `entrypoint` for requests. */
#define KRT_ON(from, TYPE, function) \
    { .origin = (from), .type = &TYPE##_type, .typed = KRT_FUNCTION_OF_(TYPE, function) }
/** `function`, a krt_any_handler, handles all that comes from the node `origin`: errors and early answers, too. */
#define KRT_ON_ANY(from, function) { .origin = (from), .any = (function) }
/** For `.otherwise`: `function` handles messages of type TYPE. */
#define KRT_TYPED(TYPE, function) { .type = &TYPE##_type, .typed = KRT_FUNCTION_OF_(TYPE, function) }
/** For `.otherwise`: `function`, a krt_any_handler, handles whatever comes. */
#define KRT_ANY(function) { .any = (function) }
/** The table of handlers. */
#define KRT_HANDLERS(...) ((const krt_handler[]){__VA_ARGS__, {0}})
/**
 * Defines the node, once, at file scope.
 *
 * A handler of a type is called for ordinary messages. An ERROR is passed on: the message is rejected with the same
 * text. Early replies and exits are skipped: they are the exitpoint's business. A message of another type is rejected.
 */
#define KRT_NODE(...) const krt_definition krt_this_node = {__VA_ARGS__};
extern const krt_definition krt_this_node;
/**@}*/

/** @name Failing */
/**@{*/
/** The text of the last failure; empty if there was none. */
const char *krt_error(const krt_ctx *ctx);
/** The limit in the last failure, if that was KRT_TOO_LARGE or KRT_TOO_MANY; else 0. */
uint64_t krt_error_limit(const krt_ctx *ctx);
/** The contract's name of a result: `too-large`, `invalid-key`. */
const char *krt_result_name(krt_result result);
/** Returns KRT_REJECTED with this text. */
krt_result krt_reject(krt_ctx *ctx, const char *format, ...) KRT_PRINTF(2, 3);
/** Returns KRT_TRANSIENT with this text. */
krt_result krt_transient(krt_ctx *ctx, const char *format, ...) KRT_PRINTF(2, 3);
/** `result` with what was being done in front of its text: `reading the model: there is no such object`. */
krt_result krt_context(krt_ctx *ctx, krt_result result, const char *format, ...) KRT_PRINTF(3, 4);
/**@}*/

/** @name Sending
 * Ok means that the host took the message over; the message in hand is acknowledged after the bus has accepted all that
 * was sent. A handler that runs again for the same message sends each output once, if it sends in the same order. */
/**@{*/

/** The kinds of message that a node sends. */
typedef enum krt_output {
    KRT_OUTPUT_OK,
    KRT_OUTPUT_EARLY_REPLY, /**< An answer for the caller; the handler goes on. */
    KRT_OUTPUT_EARLY_EXIT,  /**< An answer for the caller; the handler returns then. */
} krt_output;

/* Variadic: a compound literal has commas. */
#define KRT_MESSAGE_(TYPE, ...) (1 ? (__VA_ARGS__) : (const TYPE *)0)
/** Sends to the nodes that subscribe to this one: `krt_send(ctx, demo_Email, &email)`; from the exitpoint, to the caller. */
#define krt_send(ctx, TYPE, ...) \
    krt_send_typed((ctx), &TYPE##_type, KRT_MESSAGE_(TYPE, __VA_ARGS__), KRT_OUTPUT_OK, NULL)
/** Sends to the nodes that subscribe to one channel of this one, and to no others. */
#define krt_send_to(ctx, channel, TYPE, ...) \
    krt_send_typed((ctx), &TYPE##_type, KRT_MESSAGE_(TYPE, __VA_ARGS__), KRT_OUTPUT_OK, (channel))
/** Sends an answer for the caller and goes on. */
#define krt_early_reply(ctx, TYPE, ...) \
    krt_send_typed((ctx), &TYPE##_type, KRT_MESSAGE_(TYPE, __VA_ARGS__), KRT_OUTPUT_EARLY_REPLY, NULL)
/** Sends an answer for the caller; return after it. */
#define krt_early_exit(ctx, TYPE, ...) \
    krt_send_typed((ctx), &TYPE##_type, KRT_MESSAGE_(TYPE, __VA_ARGS__), KRT_OUTPUT_EARLY_EXIT, NULL)
/** What the macros call. `channel` may be NULL. */
krt_result krt_send_typed(
    krt_ctx *ctx, const krt_pb_type *type, const void *message, krt_output output, const char *channel);
/** Sends a packed message as it is. */
krt_result krt_send_any(krt_ctx *ctx, const krt_any *any);
/** Sends a packed message as any kind, on a channel or, with NULL, not. */
krt_result krt_send_as(krt_ctx *ctx, const krt_any *any, krt_output output, const char *channel);
/** Sends the payload in hand on without copying it. If an ERROR is in hand, a message without payload goes out. */
krt_result krt_relay(krt_ctx *ctx);
/** Relays as any kind, on a channel or, with NULL, not. */
krt_result krt_relay_as(krt_ctx *ctx, krt_output output, const char *channel);
/** Largest message in bytes that the bus takes, envelope included, before compression. */
uint64_t krt_max_payload(krt_ctx *ctx);
/** Packs a message: `krt_pack(ctx, &any, demo_Email, &email)`. */
#define krt_pack(ctx, any, TYPE, ...) krt_pack_typed((ctx), &TYPE##_type, KRT_MESSAGE_(TYPE, __VA_ARGS__), (any))
krt_result krt_pack_typed(krt_ctx *ctx, const krt_pb_type *type, const void *message, krt_any *any);
/** Whether a packed message is a TYPE, by its name. `any` may be NULL. */
#define krt_is(any, TYPE) krt_any_is((any), &TYPE##_type)
bool krt_any_is(const krt_any *any, const krt_pb_type *type);
/** Unpacks into `message`, a zeroed TYPE. Bytes in it point into `any`. */
#define krt_unpack(ctx, any, TYPE, message) \
    krt_unpack_typed((ctx), (any), &TYPE##_type, (1 ? (message) : (TYPE *)0))
krt_result krt_unpack_typed(krt_ctx *ctx, const krt_any *any, const krt_pb_type *type, void *message) KRT_MUST_USE;
/** Full protobuf name of a packed message: what follows the last `/`. Empty for NULL. */
const char *krt_message_name(const krt_any *any);
/**@}*/

/** @name The message in hand */
/**@{*/
const char *krt_request_id(const krt_ctx *ctx); /**< The call it belongs to; empty in `init`. */
const char *krt_from_node(const krt_ctx *ctx);  /**< The node that sent it; empty in `init`. */
bool krt_is_ok(const krt_ctx *ctx);
bool krt_is_error(const krt_ctx *ctx);
bool krt_is_early_reply(const krt_ctx *ctx);
bool krt_is_early_exit(const krt_ctx *ctx);
const char *krt_received_error(const krt_ctx *ctx); /**< Text of the ERROR in hand; NULL if it is none. */
uint32_t krt_attempt(krt_ctx *ctx);                 /**< 1 the first time; 0 in `init`. */
/** How many nanoseconds the handler may go on; false without a limit. */
bool krt_time_remaining(krt_ctx *ctx, uint64_t *nanoseconds);
const char *krt_channel(krt_ctx *ctx);     /**< The channel it came on; NULL for the default output. */
const char *krt_traceparent(krt_ctx *ctx); /**< W3C `traceparent`; NULL when the call is not traced. */
/**@}*/

/** @name Configuration: settings that outlive a message */
/**@{*/
typedef enum krt_scope {
    KRT_SCOPE_NODE,     /**< This node, in all its replicas. */
    KRT_SCOPE_WORKFLOW, /**< The nodes of this workflow. */
    KRT_SCOPE_PROJECT,  /**< All nodes of the version. */
} krt_scope;

/** The value: this node's, else the workflow's, else the project's; `*value` is NULL when there is none. */
krt_result krt_config_get(krt_ctx *ctx, const char *key, const char **value) KRT_MUST_USE;
/** The value in one scope alone. */
krt_result krt_config_get_in(krt_ctx *ctx, krt_scope scope, const char *key, const char **value) KRT_MUST_USE;
krt_result krt_config_set(krt_ctx *ctx, const char *key, const char *value); /**< This node's. */
krt_result krt_config_set_in(krt_ctx *ctx, krt_scope scope, const char *key, const char *value);
krt_result krt_config_delete(krt_ctx *ctx, const char *key); /**< This node's; it is no error if there is none. */
krt_result krt_config_delete_in(krt_ctx *ctx, krt_scope scope, const char *key);
/**@}*/

/** @name The object store that the manifest declares for this node */
/**@{*/
krt_result krt_object_get(krt_ctx *ctx, const char *name, krt_bytes *object) KRT_MUST_USE;
krt_result krt_object_save(krt_ctx *ctx, const char *name, const void *data, size_t len);
/** Names, sorted: those in which the regular expression `pattern` is found; with NULL all. */
krt_result krt_object_list(krt_ctx *ctx, const char *pattern, krt_strings *names) KRT_MUST_USE;
krt_result krt_object_delete(krt_ctx *ctx, const char *name);
/** Deletes all that `list` would name; `count` may be NULL. */
krt_result krt_object_purge(krt_ctx *ctx, const char *pattern, uint32_t *count);
/**@}*/

/** @name Measurements: krt_measure, then fields and tags, then krt_measure_save */
/**@{*/
typedef struct krt_measurement krt_measurement;
krt_measurement *krt_measure(krt_ctx *ctx, const char *name);
void krt_field_float(krt_measurement *point, const char *name, double value);
void krt_field_int(krt_measurement *point, const char *name, int64_t value);
void krt_field_uint(krt_measurement *point, const char *name, uint64_t value);
void krt_field_bool(krt_measurement *point, const char *name, bool value);
void krt_field_text(krt_measurement *point, const char *name, const char *value);
void krt_tag(krt_measurement *point, const char *name, const char *value);
void krt_measured_at(krt_measurement *point, int64_t nanoseconds); /**< Since the Unix epoch, in place of now. */
krt_result krt_measure_save(krt_measurement *point);               /**< Never waits for the network. */
/**@}*/

/** @name Predictions and documents */
/**@{*/
/** Why there is no prediction to be compared with the truth. */
typedef enum krt_problem {
    KRT_MISSING_VALUES,
    KRT_NEW_LABELS,
} krt_problem;

/** Saves a prediction beside the truth. `extra`: JSON to keep with it, or NULL; `nanoseconds`: when, or NULL for now. */
krt_result krt_prediction_save(
    krt_ctx *ctx, const char *predicted, const char *actual, const char *extra, const int64_t *nanoseconds);
/** Saves that there was no prediction, and why. */
krt_result krt_prediction_problem(
    krt_ctx *ctx, krt_problem problem, const char *extra, const int64_t *nanoseconds);
/** Saves a JSON object in a collection of the runtime's database. */
krt_result krt_database_save(krt_ctx *ctx, const char *collection, const char *document);
/** The documents that match a query of MongoDB's language; `{}` matches all. */
krt_result krt_database_find(
    krt_ctx *ctx, const char *collection, const char *query, krt_strings *documents) KRT_MUST_USE;
/**@}*/

/** @name Log, package, what this node is */
/**@{*/
typedef enum krt_level {
    KRT_TRACE,
    KRT_DEBUG,
    KRT_INFO,
    KRT_WARN,
    KRT_ERROR,
} krt_level;

/** A name and its text, for krt_log_with. */
typedef struct krt_pair {
    const char *name;
    const char *value;
} krt_pair;

/** One line of the log; below the level that is kept the text is not even built. */
void krt_log(krt_ctx *ctx, krt_level level, const char *format, ...) KRT_PRINTF(3, 4);
/** One line with fields: `krt_log_with(ctx, KRT_INFO, (krt_pair[]){{"id", id}}, 1, "done")`. */
void krt_log_with(krt_ctx *ctx, krt_level level, const krt_pair *fields, size_t n_fields, const char *format, ...)
    KRT_PRINTF(5, 6);

/** The lowest level that is kept. */
krt_level krt_log_level(krt_ctx *ctx);

/** What this node is. Constant for the life of the instance. */
typedef struct krt_metadata {
    const char *runtime_id;
    const char *version;
    const char *version_id;
    const char *workflow;
    const char *node;
    const char *base_path;
} krt_metadata;
const krt_metadata *krt_meta(krt_ctx *ctx);

/** Where a file of the package is, for fopen; NULL (and an error) for a path that is not inside the package. */
const char *krt_path(krt_ctx *ctx, const char *relative);
/**@}*/

/** @name Memory that lives until the handler returns */
/**@{*/
void *krt_alloc(krt_ctx *ctx, size_t size); /**< Zeroed; never NULL: without memory the instance ends. */
char *krt_copy(krt_ctx *ctx, const char *text);
char *krt_format(krt_ctx *ctx, const char *format, ...) KRT_PRINTF(2, 3);
/**@}*/

#endif
