/* A node in C with what `wit-bindgen c` writes alone: answers a Ping with a Pong, and says how many it answered. */
#include "node.h"

#include <stdlib.h>
#include <string.h>

static bool fail(exports_krt_node_handler_failure_t *failure, uint8_t tag, const char *text) {
    failure->tag = tag;
    node_string_dup(&failure->val.rejected, text);
    return false;
}

static bool set_answered(const char *count, exports_krt_node_handler_failure_t *failure) {
    node_string_t key, value;
    krt_node_configuration_error_t error;
    node_string_set(&key, "answered");
    node_string_set(&value, count);
    if (krt_node_configuration_set(&key, &value, NULL, &error)) {
        return true;
    }
    krt_node_configuration_error_free(&error);
    return fail(failure, EXPORTS_KRT_NODE_HANDLER_FAILURE_TRANSIENT, "the count was not kept");
}

/* One more than the digits in `found`, which are not many. */
static void count_on(const node_option_string_t *found, char *count) {
    unsigned answered = 0;
    for (size_t i = 0; found->is_some && i < found->val.len && i < 8; i++) {
        answered = answered * 10 + (found->val.ptr[i] - '0');
    }
    char digits[12];
    size_t length = 0;
    for (answered++; answered > 0; answered /= 10) {
        digits[length++] = (char)('0' + answered % 10);
    }
    for (size_t i = 0; i < length; i++) {
        count[i] = digits[length - 1 - i];
    }
    count[length] = '\0';
}

bool exports_krt_node_handler_init(exports_krt_node_handler_failure_t *failure) { return set_answered("0", failure); }

bool exports_krt_node_handler_handle(
    exports_krt_node_handler_message_t *message, exports_krt_node_handler_failure_t *failure) {
    if (!message->payload.is_some || message->payload.val.data.len == 0) {
        exports_krt_node_handler_message_free(message);
        return fail(failure, EXPORTS_KRT_NODE_HANDLER_FAILURE_REJECTED, "nothing to answer");
    }
    node_string_t key;
    node_option_string_t found = {0};
    krt_node_configuration_error_t error;
    char count[12] = "?";
    node_string_set(&key, "answered");
    if (krt_node_configuration_get(&key, NULL, &found, &error)) {
        count_on(&found, count);
        node_option_string_free(&found);
    } else {
        krt_node_configuration_error_free(&error);
    }
    if (!set_answered(count, failure)) {
        exports_krt_node_handler_message_free(message);
        return false;
    }
    node_string_t text;
    node_tuple2_string_string_t field;
    node_list_tuple2_string_string_t fields = {&field, 1};
    node_string_set(&text, "answered");
    node_string_set(&field.f0, "count");
    node_string_set(&field.f1, count);
    krt_node_logging_log(KRT_NODE_LOGGING_LEVEL_INFO, &text, &fields);
    krt_node_messaging_payload_t pong = {.data = message->payload.val.data};
    node_string_set(&pong.type_url, "type.googleapis.com/bare.Pong");
    krt_node_messaging_send_error_t refused;
    bool sent = krt_node_messaging_send(&pong, KRT_NODE_MESSAGING_OUTPUT_TYPE_OK, NULL, &refused);
    exports_krt_node_handler_message_free(message);
    if (!sent) {
        krt_node_messaging_send_error_free(&refused);
        return fail(failure, EXPORTS_KRT_NODE_HANDLER_FAILURE_REJECTED, "not sent");
    }
    return true;
}
