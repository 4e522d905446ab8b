#include <krt_node.h>

#include "public_input.pb.h"

static krt_result greet(krt_ctx *ctx, const {{package}}_Greeting *greeting) {
    if (*greeting->name == '\0') {
        return krt_reject(ctx, "a greeting needs a name");
    }
    krt_log(ctx, KRT_INFO, "greeting %s", greeting->name);
    {{package}}_Answer answer = {.text = krt_format(ctx, "Hello, %s!", greeting->name)};
    return krt_send(ctx, {{package}}_Answer, &answer);
}

KRT_NODE(.otherwise = KRT_TYPED({{package}}_Greeting, greet))
