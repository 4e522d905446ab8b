/* The conformance suite's guest in C: see ../README.md, which says what each command does. */
#include "obey.h"

#include <stdlib.h>
#include <string.h>

const char *init_facts[5];

/* How often `init` ran in this instance. */
static int inits;

static krt_result init(krt_ctx *ctx) {
    inits++;
    Answer answer = {.text = "from init"};
    krt_result sent = krt_send(ctx, conformance_Answer, &answer);
    const char *node = krt_meta(ctx)->node;
    const char *key = krt_format(ctx, "init-%s", node);
    const char *kept = NULL;
    krt_result result = krt_config_set_in(ctx, KRT_SCOPE_NODE, key, "x");
    if (result != KRT_OK || (result = krt_config_get_in(ctx, KRT_SCOPE_NODE, key, &kept)) != KRT_OK) {
        return result;
    }
    init_facts[0] = krt_format(ctx, "inits=%d", inits);
    init_facts[1] = krt_format(ctx, "attempt=%u", (unsigned)krt_attempt(ctx));
    init_facts[2] = krt_format(ctx, "node=%s", node);
    init_facts[3] = krt_format(ctx, "send=%s", krt_result_name(sent));
    init_facts[4] = krt_format(ctx, "config=%s", kept != NULL && strcmp(kept, "x") == 0 ? "ok" : "lost");
    const char *what = getenv("CONFORMANCE_INIT");
    if (what == NULL) {
        return KRT_OK;
    }
    if (strcmp(what, "reject") == 0) {
        return krt_reject(ctx, "init says no");
    }
    if (strcmp(what, "throw") == 0) {
        return fails_deep(ctx, "init threw", false);
    }
    if (strcmp(what, "transient") == 0) {
        const char *started;
        if ((result = krt_config_get_in(ctx, KRT_SCOPE_NODE, "started", &started)) != KRT_OK) {
            return result;
        }
        if (started == NULL) {
            result = krt_config_set_in(ctx, KRT_SCOPE_NODE, "started", "yes");
            return result != KRT_OK ? result : krt_transient(ctx, "not yet");
        }
    }
    return KRT_OK;
}

static krt_result obey(krt_ctx *ctx, const Command *command) {
    Answer answer = {0};
    bool answered = true;
    krt_result result = run(ctx, command, &answer, &answered);
    if (result == KRT_OK && answered) {
        result = krt_send(ctx, conformance_Answer, &answer);
    }
    if (result == KRT_OK || result == KRT_REJECTED || result == KRT_TRANSIENT) {
        return result;
    }
    Answer failed = {.text = krt_format(ctx, "error:%s", failure_case(ctx, result))};
    return krt_send(ctx, conformance_Answer, &failed);
}

static const char *or_none(const char *text) {
    return text == NULL || *text == '\0' ? "-" : text;
}

static krt_result collect(krt_ctx *ctx, const krt_any *payload, const char *handler) {
    const char *error = krt_received_error(ctx);
    const char *text = error == NULL ? "-" : error;
    if (krt_is(payload, conformance_Answer)) {
        Answer answer = {0};
        krt_result result = krt_unpack(ctx, payload, conformance_Answer, &answer);
        if (result != KRT_OK) {
            return result;
        }
        text = answer.text;
    }
    krt_log(ctx, KRT_INFO, "collected handler=%s from=%s channel=%s type=%s message=%s request=%s text=%s", handler,
        krt_from_node(ctx), or_none(krt_channel(ctx)), kind_of(ctx), or_none(krt_message_name(payload)),
        krt_request_id(ctx), text);
    Answer answer = {0};
    if (error != NULL) {
        answer.text = krt_format(ctx, "error from %s: %s", krt_from_node(ctx), error);
    } else if (krt_is(payload, conformance_Answer)) {
        return krt_relay(ctx);
    } else if (krt_is(payload, conformance_Command)) {
        Command command = {0};
        krt_result result = krt_unpack(ctx, payload, conformance_Command, &command);
        if (result != KRT_OK) {
            return result;
        }
        answer = (Answer){.text = "relayed", .n_items = command.n_args, .items = command.args};
    } else {
        answer.text = krt_format(ctx, "a %s", krt_message_name(payload));
    }
    return krt_send(ctx, conformance_Answer, &answer);
}

static krt_result from_worker(krt_ctx *ctx, const krt_any *payload) {
    if (strcmp(krt_meta(ctx)->node, "second") != 0) {
        return collect(ctx, payload, "worker");
    }
    Command command = {0};
    krt_result result = krt_unpack(ctx, payload, conformance_Command, &command);
    return result == KRT_OK ? obey(ctx, &command) : result;
}

static krt_result from_others(krt_ctx *ctx, const krt_any *payload) {
    return collect(ctx, payload, "default");
}

KRT_NODE(.init = init,
    .handlers = KRT_HANDLERS(KRT_ON("entrypoint", conformance_Command, obey), KRT_ON_ANY("worker", from_worker)),
    .otherwise = KRT_ANY(from_others))
