/* The table of commands. */
#include "obey.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct call {
    krt_ctx *ctx;
    const Command *command;
    Answer *answer;
    bool *answered;
} call;

/* An argument; empty if it is missing. */
static const char *text(const call *c, size_t n) {
    return n < c->command->n_args ? c->command->args[n] : "";
}

/* An argument; NULL if it is missing. */
static const char *maybe(const call *c, size_t n) {
    return n < c->command->n_args ? c->command->args[n] : NULL;
}

static uint64_t number(const call *c, size_t n) {
    return strtoull(text(c, n), NULL, 10);
}

static bool scope_of(const char *name, krt_scope *scope) {
    static const char *const names[] = {"node", "workflow", "project"};
    for (int i = 0; name != NULL && i < 3; i++) {
        if (strcmp(names[i], name) == 0) {
            *scope = (krt_scope)i;
            return true;
        }
    }
    return false;
}

const char *failure_case(krt_ctx *ctx, krt_result result) {
    const char *name = krt_result_name(result);
    if (result == KRT_TOO_LARGE || result == KRT_TOO_MANY) {
        return krt_format(ctx, "%s:%" PRIu64, name, krt_error_limit(ctx));
    }
    return name;
}

const char *kind_of(krt_ctx *ctx) {
    return krt_is_ok(ctx)        ? "ok"
        : krt_is_error(ctx)      ? "error"
        : krt_is_early_reply(ctx) ? "early-reply"
        : krt_is_early_exit(ctx)  ? "early-exit"
                                  : "undefined";
}

__attribute__((noinline)) krt_result fails_deep(krt_ctx *ctx, const char *text, bool hard) {
    if (hard) {
        fprintf(stderr, "%s\n", text);
        abort();
    }
    return krt_reject(ctx, "%s", text);
}

static krt_result ok(const call *c, krt_result result) {
    c->answer->text = "ok";
    return result;
}

/* Sent already: no answer of its own. */
static krt_result nothing(const call *c, krt_result result) {
    *c->answered = false;
    return result;
}

static krt_result value(const call *c, const char *found) {
    c->answer->text = found == NULL ? "none" : "value";
    if (found != NULL) {
        c->answer->n_items = 1;
        c->answer->items = krt_alloc(c->ctx, sizeof(char *));
        c->answer->items[0] = found;
    }
    return KRT_OK;
}

static krt_result items(const call *c, krt_result result, krt_strings found) {
    c->answer->n_items = found.len;
    c->answer->items = found.items;
    return result;
}

static krt_result facts(const call *c) {
    krt_ctx *ctx = c->ctx;
    const krt_metadata *meta = krt_meta(ctx);
    const char *channel = krt_channel(ctx);
    const char *traceparent = krt_traceparent(ctx);
    uint64_t left;
    bool limited = krt_time_remaining(ctx, &left);
    const char **all = krt_alloc(ctx, 13 * sizeof(char *));
    all[0] = krt_format(ctx, "node=%s", meta->node);
    all[1] = krt_format(ctx, "workflow=%s", meta->workflow);
    all[2] = krt_format(ctx, "version=%s", meta->version);
    all[3] = krt_format(ctx, "version-id=%s", meta->version_id);
    all[4] = krt_format(ctx, "runtime-id=%s", meta->runtime_id);
    all[5] = krt_format(ctx, "base-path=%s", meta->base_path);
    all[6] = krt_format(ctx, "request-id=%s", krt_request_id(ctx));
    all[7] = krt_format(ctx, "from=%s", krt_from_node(ctx));
    all[8] = krt_format(ctx, "type=%s", kind_of(ctx));
    all[9] = krt_format(ctx, "channel=%s", channel == NULL ? "-" : channel);
    all[10] = krt_format(ctx, "attempt=%" PRIu32, krt_attempt(ctx));
    all[11] = limited ? krt_format(ctx, "time-remaining=%" PRIu64, left) : "time-remaining=-";
    all[12] = krt_format(ctx, "traceparent=%s", traceparent == NULL ? "-" : traceparent);
    return items(c, KRT_OK, (krt_strings){all, 13});
}

static krt_result answered_text(const call *c, const char *said) {
    c->answer->text = said;
    return KRT_OK;
}

/* --- sending --- */

static krt_result empty(const call *c) { return answered_text(c, "empty"); }

static krt_result echo(const call *c) {
    *c->answer = (Answer){text(c, 0), c->command->n_args, c->command->args, c->command->data};
    return KRT_OK;
}

static krt_result repeat(const call *c) {
    size_t count = (size_t)number(c, 0);
    uint8_t *data = krt_alloc(c->ctx, count + 1);
    for (size_t i = 0; i < count; i++) {
        data[i] = (uint8_t)(i % 251);
    }
    c->answer->data = (krt_bytes){data, count};
    return KRT_OK;
}

static krt_result silent(const call *c) { return nothing(c, KRT_OK); }

static krt_result many(const call *c) {
    krt_result result = KRT_OK;
    uint64_t count = number(c, 0);
    for (uint64_t n = 0; n < count && result == KRT_OK; n++) {
        Answer one = {.text = krt_format(c->ctx, "%" PRIu64, n)};
        result = krt_send(c->ctx, conformance_Answer, &one);
    }
    return nothing(c, result);
}

static krt_result channel(const call *c) {
    Answer on = {.text = krt_format(c->ctx, "on %s", text(c, 0))};
    return nothing(c, krt_send_to(c->ctx, text(c, 0), conformance_Answer, &on));
}

static krt_result any(const call *c) {
    Answer packed = {.text = "packed"};
    krt_any made;
    krt_result result = krt_pack(c->ctx, &made, conformance_Answer, &packed);
    made.type_url = text(c, 0);
    return nothing(c, result == KRT_OK ? krt_send_any(c->ctx, &made) : result);
}

static krt_result relay(const call *c) {
    return nothing(c, krt_relay_as(c->ctx, KRT_OUTPUT_OK, maybe(c, 0)));
}

static krt_result second(const call *c) {
    size_t rest = c->command->n_args > 1 ? c->command->n_args - 1 : 0;
    Command inner = {text(c, 0), rest, c->command->args + 1, c->command->data};
    return nothing(c, krt_send_to(c->ctx, "second", conformance_Command, &inner));
}

static krt_result stranger(const call *c) {
    conformance_Stranger nobodys = {0};
    return nothing(c, krt_send(c->ctx, conformance_Stranger, &nobodys));
}

static krt_result early_reply(const call *c) {
    Answer early = {.text = text(c, 0)};
    c->answer->text = text(c, 1);
    return krt_early_reply(c->ctx, conformance_Answer, &early);
}

static krt_result early_exit(const call *c) {
    Answer early = {.text = text(c, 0)};
    return nothing(c, krt_early_exit(c->ctx, conformance_Answer, &early));
}

static krt_result too_many(const call *c) {
    Answer none = {0};
    uint64_t count = number(c, 0);
    for (uint64_t n = 0; n < count; n++) {
        krt_result result = krt_send_to(c->ctx, text(c, 1), conformance_Answer, &none);
        if (result != KRT_OK) {
            return krt_reject(c->ctx, "error:%s", failure_case(c->ctx, result));
        }
    }
    return ok(c, KRT_OK);
}

static krt_result twice(const call *c) {
    const krt_bytes *data = &c->command->data;
    uint8_t *both = krt_alloc(c->ctx, data->len * 2 + 1);
    memcpy(both, data->data, data->len);
    memcpy(both + data->len, data->data, data->len);
    c->answer->data = (krt_bytes){both, data->len * 2};
    return KRT_OK;
}

static krt_result max_payload(const call *c) {
    return answered_text(c, krt_format(c->ctx, "%" PRIu64, krt_max_payload(c->ctx)));
}

static krt_result init_saw(const call *c) { return items(c, KRT_OK, (krt_strings){init_facts, 5}); }

static krt_result count(const call *c) {
    static int counted;
    return answered_text(c, krt_format(c->ctx, "%d", ++counted));
}

/* --- failing --- */

static krt_result reject(const call *c) { return krt_reject(c->ctx, "%s", text(c, 0)); }

static krt_result transient(const call *c) {
    if (krt_attempt(c->ctx) < number(c, 0)) {
        return krt_transient(c->ctx, "not yet");
    }
    return answered_text(c, krt_format(c->ctx, "%" PRIu32, krt_attempt(c->ctx)));
}

static krt_result send_then_reject(const call *c) {
    Answer kept = {.text = "kept"};
    krt_result result = krt_send_to(c->ctx, "left", conformance_Answer, &kept);
    return result == KRT_OK ? reject(c) : result;
}

static krt_result throw_it(const call *c) { return fails_deep(c->ctx, text(c, 0), false); }
static krt_result panic(const call *c) { return fails_deep(c->ctx, text(c, 0), true); }

static krt_result spin(const call *c) {
    (void)c;
    for (volatile uint32_t turn = 0;; turn++) {
    }
}

static krt_result hog(const call *c) {
    for (;;) {
        memset(krt_alloc(c->ctx, 1 << 20), 1, 1 << 20);
    }
}

/* --- keeping --- */

static krt_result get(const call *c) {
    krt_scope scope;
    const char *found;
    krt_result result = scope_of(maybe(c, 1), &scope) ? krt_config_get_in(c->ctx, scope, text(c, 0), &found)
                                                      : krt_config_get(c->ctx, text(c, 0), &found);
    return result == KRT_OK ? value(c, found) : result;
}

static krt_result set_value(const call *c, const char *to) {
    krt_scope scope;
    return ok(c,
        scope_of(maybe(c, 2), &scope) ? krt_config_set_in(c->ctx, scope, text(c, 0), to)
                                      : krt_config_set(c->ctx, text(c, 0), to));
}

static krt_result set(const call *c) { return set_value(c, text(c, 1)); }

static krt_result set_large(const call *c) {
    size_t length = (size_t)number(c, 1);
    char *large = krt_alloc(c->ctx, length + 1);
    memset(large, 'x', length);
    return set_value(c, large);
}

static krt_result delete_value(const call *c) {
    krt_scope scope;
    return ok(c,
        scope_of(maybe(c, 1), &scope) ? krt_config_delete_in(c->ctx, scope, text(c, 0))
                                      : krt_config_delete(c->ctx, text(c, 0)));
}

static krt_result save(const call *c) {
    return ok(c, krt_object_save(c->ctx, text(c, 0), c->command->data.data, c->command->data.len));
}

static krt_result load(const call *c) { return krt_object_get(c->ctx, text(c, 0), &c->answer->data); }

static krt_result list(const call *c) {
    krt_strings names;
    krt_result result = krt_object_list(c->ctx, maybe(c, 0), &names);
    return items(c, result, names);
}

static krt_result remove_object(const call *c) { return ok(c, krt_object_delete(c->ctx, text(c, 0))); }

static krt_result purge(const call *c) {
    uint32_t purged = 0;
    krt_result result = krt_object_purge(c->ctx, maybe(c, 0), &purged);
    c->answer->text = krt_format(c->ctx, "%" PRIu32, purged);
    return result;
}

static krt_result measure(const call *c) {
    krt_measurement *point = krt_measure(c->ctx, text(c, 0));
    krt_field_float(point, "float", 1.5);
    krt_field_int(point, "signed", -2);
    krt_field_uint(point, "unsigned", 3);
    krt_field_bool(point, "boolean", true);
    krt_field_text(point, "text", "ä b");
    krt_tag(point, "kind", "x y");
    if (maybe(c, 1) != NULL) {
        krt_measured_at(point, (int64_t)number(c, 1));
    }
    return ok(c, krt_measure_save(point));
}

static krt_result measure_nan(const call *c) {
    krt_measurement *point = krt_measure(c->ctx, text(c, 0));
    krt_field_float(point, "float", (double)NAN);
    return ok(c, krt_measure_save(point));
}

static krt_result measure_nothing(const call *c) { return ok(c, krt_measure_save(krt_measure(c->ctx, text(c, 0)))); }

static krt_result predict(const call *c) {
    const char *extra = *text(c, 2) == '\0' ? NULL : text(c, 2);
    int64_t time = (int64_t)number(c, 3) * 1000000000;
    return ok(c, krt_prediction_save(c->ctx, text(c, 0), text(c, 1), extra, maybe(c, 3) == NULL ? NULL : &time));
}

static krt_result mispredict(const call *c) {
    krt_problem problem = strcmp(text(c, 0), "missing-values") == 0 ? KRT_MISSING_VALUES : KRT_NEW_LABELS;
    return ok(c, krt_prediction_problem(c->ctx, problem, NULL, NULL));
}

static krt_result document(const call *c) { return ok(c, krt_database_save(c->ctx, text(c, 0), text(c, 1))); }

static krt_result find(const call *c) {
    krt_strings found;
    krt_result result = krt_database_find(c->ctx, text(c, 0), text(c, 1), &found);
    return items(c, result, found);
}

/* --- log and world --- */

static const char *const levels[] = {"trace", "debug", "info", "warn", "error"};

static krt_result log_it(const call *c) {
    int level = KRT_ERROR;
    for (int i = 0; i < 5; i++) {
        level = strcmp(levels[i], text(c, 0)) == 0 ? i : level;
    }
    krt_pair field = {text(c, 2), text(c, 3)};
    krt_log_with(c->ctx, (krt_level)level, &field, maybe(c, 3) == NULL ? 0 : 1, "%s", text(c, 1));
    return ok(c, KRT_OK);
}

static krt_result native_log(const call *c) {
    krt_log(c->ctx, KRT_WARN, "%s", text(c, 0));
    return ok(c, KRT_OK);
}

static krt_result min_level(const call *c) { return answered_text(c, levels[krt_log_level(c->ctx)]); }

static krt_result print(const call *c) {
    printf("%s\n", text(c, 0));
    fprintf(stderr, "%s!\n", text(c, 0));
    return ok(c, KRT_OK);
}

static krt_result env(const call *c) { return value(c, getenv(text(c, 0))); }

static krt_result read_file(const call *c) {
    const char *path = krt_path(c->ctx, text(c, 0));
    FILE *file = path == NULL ? NULL : fopen(path, "rb");
    uint8_t *data = NULL;
    long size = -1;
    if (file != NULL && fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 0) {
        rewind(file);
        data = krt_alloc(c->ctx, (size_t)size + 1);
        if (fread(data, 1, (size_t)size, file) != (size_t)size) {
            data = NULL;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    if (data == NULL) {
        return answered_text(c, "missing");
    }
    c->answer->data = (krt_bytes){data, (size_t)size};
    return KRT_OK;
}

static krt_result write_file(const call *c) {
    const char *path = krt_path(c->ctx, text(c, 0));
    FILE *file = path == NULL ? NULL : fopen(path, "wb");
    bool written = file != NULL && fputs("x", file) >= 0 && fflush(file) == 0;
    if (file != NULL) {
        fclose(file);
    }
    return answered_text(c, written ? "written" : "denied");
}

static krt_result outside(const call *c) {
    FILE *file = fopen(text(c, 0), "rb");
    if (file != NULL) {
        fclose(file);
    }
    return answered_text(c, file != NULL ? "read" : "denied");
}

static krt_result clocks(const call *c) {
    struct timespec now, start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    clock_gettime(CLOCK_MONOTONIC, &end);
    clock_gettime(CLOCK_REALTIME, &now);
    const char **both = krt_alloc(c->ctx, 2 * sizeof(char *));
    both[0] = krt_format(c->ctx, "%lld%09ld", (long long)now.tv_sec, now.tv_nsec);
    both[1] = krt_format(
        c->ctx, "%lld", (long long)(end.tv_sec - start.tv_sec) * 1000000000 + (end.tv_nsec - start.tv_nsec));
    return items(c, KRT_OK, (krt_strings){both, 2});
}

static krt_result randomness(const call *c) {
    uint8_t *data = krt_alloc(c->ctx, 16);
    if (getentropy(data, 16) != 0) {
        return krt_reject(c->ctx, "no randomness: %s", strerror(errno));
    }
    c->answer->data = (krt_bytes){data, 16};
    return KRT_OK;
}

/* This libc has no sockets at all. */
static krt_result connect_to(const call *c) { return answered_text(c, "denied"); }

static const struct {
    const char *name;
    krt_result (*run)(const call *);
} commands[] = {{"", empty}, {"echo", echo}, {"repeat", repeat}, {"silent", silent}, {"many", many},
    {"channel", channel}, {"any", any}, {"relay", relay}, {"second", second}, {"stranger", stranger},
    {"early-reply", early_reply}, {"early-exit", early_exit}, {"too-many", too_many}, {"double", twice},
    {"max-payload", max_payload}, {"facts", facts}, {"init", init_saw}, {"count", count}, {"reject", reject},
    {"transient", transient}, {"send-then-reject", send_then_reject}, {"throw", throw_it}, {"panic", panic},
    {"spin", spin}, {"hog", hog}, {"get", get}, {"set", set}, {"set-large", set_large}, {"delete", delete_value},
    {"save", save}, {"load", load}, {"list", list}, {"remove", remove_object}, {"purge", purge},
    {"measure", measure}, {"measure-nan", measure_nan}, {"measure-nothing", measure_nothing}, {"predict", predict},
    {"mispredict", mispredict}, {"document", document}, {"find", find}, {"log", log_it},
    {"native-log", native_log}, {"min-level", min_level}, {"print", print}, {"env", env}, {"read", read_file},
    {"write", write_file}, {"outside", outside}, {"clock", clocks}, {"random", randomness},
    {"connect", connect_to}};

krt_result run(krt_ctx *ctx, const Command *command, Answer *answer, bool *answered) {
    call c = {ctx, command, answer, answered};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(commands[i].name, command->name) == 0) {
            return commands[i].run(&c);
        }
    }
    return krt_reject(ctx, "unknown command %s", command->name);
}
