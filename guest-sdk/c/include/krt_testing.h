/**
 * @file krt_testing.h
 * The host's part, played natively: handlers are tested as ordinary C, without wasm and without a bus.
 *
 * A krt_test has the settings, objects and facts that a test needs, and afterwards what was sent, logged and saved. Its
 * stores live on between messages, as the real host's do.
 * @code
 * KRT_TEST(a_name_is_greeted) {
 *     KRT_ASSERT(krt_test_handle(t, demo_Greeting, &(demo_Greeting){.name = "Ada"}) == KRT_OK);
 *     demo_Answer answer = {0};
 *     KRT_ASSERT(krt_test_output(t, 0, demo_Answer, &answer));
 *     KRT_ASSERT_TEXT(answer.text, "Hello, Ada!");
 * }
 * int main(void) { return KRT_RUN_TESTS(KRT_CASE(a_name_is_greeted)); }
 * @endcode
 * Apache-2.0.
 */
#ifndef KRT_TESTING_H
#define KRT_TESTING_H

#include "krt_node.h"

/** A host for one test. */
typedef struct krt_test krt_test;

/** A host with nothing in it, for the node of KRT_NODE: requests of the entrypoint, empty stores, no limits. */
krt_test *krt_test_new(void);
void krt_test_free(krt_test *t);

/** @name What the host has; texts are copied */
/**@{*/
void krt_test_node(krt_test *t, const krt_definition *node); /**< Another node than that of KRT_NODE. */
void krt_test_from(krt_test *t, const char *origin);         /**< Who sends the messages. Default: `entrypoint`. */
void krt_test_channel(krt_test *t, const char *channel);
void krt_test_attempt(krt_test *t, uint32_t attempt);
void krt_test_time_remaining(krt_test *t, uint64_t nanoseconds);
void krt_test_traceparent(krt_test *t, const char *traceparent);
void krt_test_request_id(krt_test *t, const char *id);
void krt_test_name(krt_test *t, const char *node);      /**< The node's name. Default: `node`. */
void krt_test_package(krt_test *t, const char *folder); /**< Whose files krt_path finds. Default: `.`. */
void krt_test_max_payload(krt_test *t, uint64_t bytes); /**< Default: 1 MiB. */
void krt_test_unavailable(krt_test *t);                 /**< Stores and bus cannot be reached. */
void krt_test_config(krt_test *t, krt_scope scope, const char *key, const char *value);
void krt_test_object_store(krt_test *t); /**< Declares one, as the manifest does. */
void krt_test_object(krt_test *t, const char *name, const void *data, size_t len);
void krt_test_document(krt_test *t, const char *collection, const char *document);
/**@}*/

/** @name Messages; `init` runs before the first. The result is KRT_OK, KRT_REJECTED or KRT_TRANSIENT */
/**@{*/
krt_result krt_test_init(krt_test *t);
#define krt_test_handle(t, TYPE, ...) \
    krt_test_message((t), &TYPE##_type, KRT_MESSAGE_(TYPE, __VA_ARGS__), KRT_OUTPUT_OK)
/** As `handle`, for an early reply or exit of the origin node. */
#define krt_test_early(t, output, TYPE, ...) \
    krt_test_message((t), &TYPE##_type, KRT_MESSAGE_(TYPE, __VA_ARGS__), (output))
krt_result krt_test_message(krt_test *t, const krt_pb_type *type, const void *message, krt_output as);
krt_result krt_test_any(krt_test *t, const krt_any *any);
krt_result krt_test_error(krt_test *t, const char *text); /**< The origin node failed with this text. */
const char *krt_test_failure(krt_test *t);                /**< Why the last message failed; empty if it did not. */
/**@}*/

/** @name What came of it; of the last message, where it is about messages */
/**@{*/
typedef struct krt_test_sent {
    krt_output output;
    const char *channel; /**< NULL for the node's default output. */
    bool has_payload;    /**< False only when an ERROR was relayed. */
    krt_any payload;
} krt_test_sent;

typedef struct krt_test_line {
    krt_level level;
    const char *text;
} krt_test_line;

size_t krt_test_outputs(krt_test *t);
const krt_test_sent *krt_test_output_at(krt_test *t, size_t index); /**< NULL if there are not as many. */
/** Decodes an output into a zeroed TYPE; false if there is none, or it is another message. */
#define krt_test_output(t, index, TYPE, message) \
    krt_test_decode((t), (index), &TYPE##_type, (1 ? (message) : (TYPE *)0))
bool krt_test_decode(krt_test *t, size_t index, const krt_pb_type *type, void *message);
size_t krt_test_lines(krt_test *t);
const krt_test_line *krt_test_line_at(krt_test *t, size_t index);
bool krt_test_logged(krt_test *t, const char *part);                              /**< Whether a line has this in it. */
const char *krt_test_config_of(krt_test *t, krt_scope scope, const char *key);    /**< NULL if there is none. */
const krt_bytes *krt_test_object_of(krt_test *t, const char *name);               /**< NULL if there is none. */
const char *krt_test_document_at(krt_test *t, const char *collection, size_t at); /**< NULL if there is none. */
size_t krt_test_points(krt_test *t);
/** A measurement as text: `emails,kind=x spam=true,share=0.5`. */
const char *krt_test_point_at(krt_test *t, size_t index);
size_t krt_test_predictions(krt_test *t);
/** A prediction as text: `predicted=spam true=ham`, or `missing-values`. */
const char *krt_test_prediction_at(krt_test *t, size_t index);
/**@}*/

/** @name Running tests */
/**@{*/
typedef struct krt_test_case {
    const char *name;
    void (*run)(krt_test *t);
} krt_test_case;

#define KRT_TEST(name) static void name(krt_test *t)
#define KRT_CASE(function) { #function, function }
/** Runs each test with a host of its own; 0 if all are well. */
#define KRT_RUN_TESTS(...) krt_test_run((const krt_test_case[]){__VA_ARGS__, {NULL, NULL}})
int krt_test_run(const krt_test_case *cases);
/** Fails the test and says where. */
#define KRT_ASSERT(condition) krt_test_assert((condition), #condition, __FILE__, __LINE__)
#define KRT_ASSERT_TEXT(found, wanted) krt_test_assert_text((found), (wanted), #found, __FILE__, __LINE__)
void krt_test_assert(bool holds, const char *what, const char *file, int line);
void krt_test_assert_text(const char *found, const char *wanted, const char *what, const char *file, int line);
/**@}*/

#endif
