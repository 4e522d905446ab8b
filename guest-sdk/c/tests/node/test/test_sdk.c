/* What handlers meet, as a krt_test plays it; with an argument: messages from standard input, read and written again. */
#include <krt_testing.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "public_input.pb.h"

static krt_result say(krt_test *t, const char *what, const char *last) {
    return krt_test_handle(t, sdk_Everything, &(sdk_Everything){.string = what, .last = last});
}

KRT_TEST(a_handler_answers_and_logs) {
    krt_test_request_id(t, "r-1");
    KRT_ASSERT(say(t, "answer", "") == KRT_OK);
    sdk_Another answer = {0};
    KRT_ASSERT(krt_test_outputs(t) == 1 && krt_test_output(t, 0, sdk_Another, &answer));
    KRT_ASSERT(strstr(answer.text, "answer after ") == answer.text);
    KRT_ASSERT(krt_test_line_at(t, 0)->level == KRT_WARN);
    KRT_ASSERT_TEXT(krt_test_line_at(t, 0)->text, "answering r-1 shade=dark");
}

KRT_TEST(early_answers_are_of_their_kind) {
    KRT_ASSERT(say(t, "early", "") == KRT_OK);
    KRT_ASSERT(krt_test_output_at(t, 0)->output == KRT_OUTPUT_EARLY_REPLY);
    KRT_ASSERT(krt_test_output_at(t, 1)->output == KRT_OUTPUT_EARLY_EXIT);
    KRT_ASSERT(krt_test_output_at(t, 2) == NULL);
}

KRT_TEST(what_is_kept_can_be_asked_for) {
    krt_test_object_store(t);
    KRT_ASSERT(say(t, "keep", "") == KRT_OK);
    KRT_ASSERT_TEXT(krt_test_config_of(t, KRT_SCOPE_WORKFLOW, "colour"), "red");
    KRT_ASSERT(krt_test_object_of(t, "reports/1") == NULL);
    KRT_ASSERT(krt_test_object_of(t, "reports/2")->len == 3);
    KRT_ASSERT_TEXT(krt_test_document_at(t, "senders", 0), "{\"sender\": \"ada\", \"score\": 0.75}");
    KRT_ASSERT_TEXT(krt_test_point_at(t, 0), "kept,kind=test found=1,object=red 7");
    KRT_ASSERT_TEXT(krt_test_prediction_at(t, 0), "predicted=spam true=ham extra={\"model\": 3}");
}

KRT_TEST(a_store_that_is_not_declared_is_the_messages_fault) {
    KRT_ASSERT(say(t, "keep", "") == KRT_REJECTED);
    KRT_ASSERT_TEXT(krt_test_failure(t), "keeping: the manifest declares no object store for this node");
}

KRT_TEST(a_bus_that_is_away_is_not) {
    KRT_ASSERT(krt_test_init(t) == KRT_OK);
    krt_test_unavailable(t);
    KRT_ASSERT(say(t, "answer", "") == KRT_TRANSIENT);
    KRT_ASSERT_TEXT(krt_test_failure(t), "the bus cannot be reached: the test host says so");
}

KRT_TEST(a_channel_is_one_token) {
    KRT_ASSERT(say(t, "channel", "left") == KRT_OK);
    KRT_ASSERT_TEXT(krt_test_output_at(t, 0)->channel, "left");
    KRT_ASSERT(say(t, "channel", "a.b") == KRT_REJECTED);
    KRT_ASSERT_TEXT(krt_test_failure(t),
        "\"a.b\" is not a channel: one token, without '.', '*', '>', space or control characters");
}

KRT_TEST(a_path_stays_in_the_package) {
    krt_test_package(t, "/package");
    say(t, "path", "model/words.txt");
    KRT_ASSERT_TEXT(krt_test_failure(t), "/package/model/words.txt");
    static const char *const outside[] = {"", "/etc/passwd", "..", "a/../../b", "a/.."};
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        KRT_ASSERT(say(t, "path", outside[i]) == KRT_REJECTED);
        KRT_ASSERT(strstr(krt_test_failure(t), "is not a path inside the package") != NULL);
    }
}

KRT_TEST(a_message_of_another_type_is_rejected_with_both_names) {
    KRT_ASSERT(krt_test_handle(t, sdk_Another, &(sdk_Another){.text = "x"}) == KRT_REJECTED);
    KRT_ASSERT_TEXT(krt_test_failure(t), "the payload is a \"sdk.Another\", not a \"sdk.Everything\"");
}

KRT_TEST(bytes_that_are_no_message_are_rejected_with_what_is_wrong) {
    static const struct {
        const char *bytes;
        size_t len;
        const char *problem;
    } all[] = {{"\x72\x05 ab", 5, "it ends too early"}, {"\x72\x01\xff", 3, "field string: not UTF-8"},
        {"\x72\x03" "a\0b", 5, "field string: a NUL character, which a C string cannot hold: declare it as bytes"},
        {"\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 11, "a number has more than 64 bits"},
        {"\x07", 1, "a field has a number that is none"}, {"\x8a\x01\x02\x72\x09", 5, "field everything: it ends too early"}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        krt_any any = {"type.googleapis.com/sdk.Everything", (const uint8_t *)all[i].bytes, all[i].len};
        KRT_ASSERT(krt_test_any(t, &any) == KRT_REJECTED);
        char wanted[200];
        snprintf(wanted, sizeof wanted, "the payload is not a valid \"sdk.Everything\": %s", all[i].problem);
        KRT_ASSERT_TEXT(krt_test_failure(t), wanted);
    }
}

KRT_TEST(an_error_is_passed_on_by_a_handler_of_a_type) {
    KRT_ASSERT(krt_test_error(t, "no such mail") == KRT_REJECTED);
    KRT_ASSERT_TEXT(krt_test_failure(t), "no such mail");
    KRT_ASSERT(krt_test_error(t, "") == KRT_REJECTED);
    KRT_ASSERT_TEXT(krt_test_failure(t), "node \"entrypoint\" failed without saying why");
}

KRT_TEST(an_early_answer_is_skipped_by_a_handler_of_a_type) {
    sdk_Everything early = {.string = "answer"};
    KRT_ASSERT(krt_test_early(t, KRT_OUTPUT_EARLY_EXIT, sdk_Everything, &early) == KRT_OK);
    KRT_ASSERT(krt_test_outputs(t) == 0 && krt_test_logged(t, "it is for the caller"));
}

KRT_TEST(a_handler_of_anything_gets_errors_and_relays_on_the_channel_it_came_on) {
    krt_test_from(t, "etl");
    krt_test_channel(t, "left");
    KRT_ASSERT(krt_test_error(t, "rain") == KRT_TRANSIENT);
    KRT_ASSERT_TEXT(krt_test_failure(t), "heard of rain");
    KRT_ASSERT(krt_test_handle(t, sdk_Another, &(sdk_Another){.text = "x"}) == KRT_OK);
    KRT_ASSERT_TEXT(krt_test_output_at(t, 0)->channel, "left");
    KRT_ASSERT_TEXT(krt_test_output_at(t, 0)->payload.type_url, "type.googleapis.com/sdk.Another");
}

KRT_TEST(init_may_say_no) {
    krt_test_config(t, KRT_SCOPE_PROJECT, "init", "not today");
    KRT_ASSERT(say(t, "answer", "") == KRT_REJECTED);
    KRT_ASSERT_TEXT(krt_test_failure(t), "not today");
}

KRT_TEST(a_node_without_a_handler_says_so) {
    static const krt_definition nothing = {0};
    krt_test_node(t, &nothing);
    krt_test_name(t, "lonely");
    KRT_ASSERT(say(t, "answer", "") == KRT_REJECTED);
    KRT_ASSERT_TEXT(krt_test_failure(t),
        "node \"lonely\" has no handler for messages of node \"entrypoint\", and no default one");
}

KRT_TEST(messages_that_lie_too_deep_in_each_other_are_not_written) {
    sdk_Everything all[KRT_PB_MAX_DEPTH + 2] = {0};
    for (size_t i = 0; i + 1 < sizeof all / sizeof *all; i++) {
        all[i].everything = &all[i + 1];
    }
    krt_arena arena = {0};
    krt_bytes bytes;
    KRT_ASSERT(krt_pb_encode(&arena, &sdk_Everything_type, &all[1], &bytes) == NULL);
    sdk_Everything again = {0};
    KRT_ASSERT(krt_pb_decode(&arena, &sdk_Everything_type, bytes.data, bytes.len, &again) == NULL);
    KRT_ASSERT_TEXT(krt_pb_encode(&arena, &sdk_Everything_type, &all[0], &bytes),
        "field everything: messages lie too deep in each other");
    krt_arena_free(&arena);
    (void)t;
}

/* Lines of hexadecimal digits, each an Everything: written again, or `-` and what is wrong. */
static int wire(void) {
    static char line[1 << 20];
    while (fgets(line, sizeof line, stdin) != NULL) {
        krt_arena arena = {0};
        size_t length = strcspn(line, "\n") / 2;
        uint8_t *data = malloc(length + 1);
        for (size_t i = 0; i < length; i++) {
            unsigned byte = 0;
            sscanf(line + 2 * i, "%2x", &byte);
            data[i] = (uint8_t)byte;
        }
        sdk_Everything message = {0};
        krt_bytes bytes;
        const char *problem = krt_pb_decode(&arena, &sdk_Everything_type, data, length, &message);
        if (problem == NULL) {
            problem = krt_pb_encode(&arena, &sdk_Everything_type, &message, &bytes);
        }
        if (problem != NULL) {
            printf("- %s", problem);
        }
        for (size_t i = 0; problem == NULL && i < bytes.len; i++) {
            printf("%02x", bytes.data[i]);
        }
        putchar('\n');
        fflush(stdout);
        krt_arena_free(&arena);
        free(data);
    }
    return 0;
}

int main(int count, char **arguments) {
    (void)arguments;
    if (count > 1) {
        return wire();
    }
    return KRT_RUN_TESTS(KRT_CASE(a_handler_answers_and_logs), KRT_CASE(early_answers_are_of_their_kind),
        KRT_CASE(what_is_kept_can_be_asked_for), KRT_CASE(a_store_that_is_not_declared_is_the_messages_fault),
        KRT_CASE(a_bus_that_is_away_is_not), KRT_CASE(a_channel_is_one_token), KRT_CASE(a_path_stays_in_the_package),
        KRT_CASE(a_message_of_another_type_is_rejected_with_both_names),
        KRT_CASE(bytes_that_are_no_message_are_rejected_with_what_is_wrong),
        KRT_CASE(an_error_is_passed_on_by_a_handler_of_a_type),
        KRT_CASE(an_early_answer_is_skipped_by_a_handler_of_a_type),
        KRT_CASE(a_handler_of_anything_gets_errors_and_relays_on_the_channel_it_came_on), KRT_CASE(init_may_say_no),
        KRT_CASE(a_node_without_a_handler_says_so),
        KRT_CASE(messages_that_lie_too_deep_in_each_other_are_not_written));
}
