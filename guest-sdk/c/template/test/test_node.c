#include <krt_testing.h>

#include "public_input.pb.h"

KRT_TEST(somebody_with_a_name_is_greeted) {
    KRT_ASSERT(krt_test_handle(t, {{package}}_Greeting, &({{package}}_Greeting){.name = "Ada"}) == KRT_OK);
    {{package}}_Answer answer = {0};
    KRT_ASSERT(krt_test_output(t, 0, {{package}}_Answer, &answer));
    KRT_ASSERT_TEXT(answer.text, "Hello, Ada!");
}

KRT_TEST(a_greeting_without_a_name_is_rejected) {
    KRT_ASSERT(krt_test_handle(t, {{package}}_Greeting, &({{package}}_Greeting){0}) == KRT_REJECTED);
    KRT_ASSERT_TEXT(krt_test_failure(t), "a greeting needs a name");
}

int main(void) {
    return KRT_RUN_TESTS(
        KRT_CASE(somebody_with_a_name_is_greeted), KRT_CASE(a_greeting_without_a_name_is_rejected));
}
