/* Sorts mails, by whatever road the origin node's name says. */
#include <krt_node.h>

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "mail.pb.h"

/* The subject in capitals, a label more. */
static krt_result sort(krt_ctx *ctx, const mails_Mail *mail) {
    char *subject = krt_copy(ctx, mail->subject);
    for (char *c = subject; *c != '\0'; c++) {
        *c = (char)toupper((unsigned char)*c);
    }
    mails_Mail sorted = *mail;
    sorted.subject = subject;
    sorted.labels = krt_alloc(ctx, (mail->n_labels + 1) * sizeof *sorted.labels);
    memcpy(sorted.labels, mail->labels, mail->n_labels * sizeof *sorted.labels);
    sorted.labels[sorted.n_labels++] = "sorted";
    return krt_send(ctx, mails_Mail, &sorted);
}

/* Asks the host for all that a handler may ask for; what it has not is refused, and that is fine. */
static krt_result everything(krt_ctx *ctx, const mails_Mail *mail) {
    krt_strings found;
    krt_bytes object;
    const char *value;
    uint64_t left;
    krt_log(ctx, KRT_DEBUG, "mail %s of %s", mail->id, mail->from);
    krt_measurement *point = krt_measure(ctx, "mails");
    krt_field_uint(point, "to", mail->n_to);
    krt_field_text(point, "subject", mail->subject);
    krt_tag(point, "from", mail->from);
    krt_result result = krt_measure_save(point);
    if (result != KRT_OK || (result = krt_config_set(ctx, "last", mail->id)) != KRT_OK ||
        (result = krt_config_get(ctx, "last", &value)) != KRT_OK) {
        return result;
    }
    if (krt_object_save(ctx, "mail", mail->body, strlen(mail->body)) != KRT_NOT_DECLARED ||
        krt_object_get(ctx, "mail", &object) != KRT_NOT_DECLARED ||
        krt_object_list(ctx, "^mail$", &found) != KRT_NOT_DECLARED ||
        krt_send_to(ctx, "no channel", mails_Mail, mail) != KRT_INVALID_CHANNEL) {
        return krt_reject(ctx, "what the host has not was not refused");
    }
    if (krt_path(ctx, "../outside") != NULL || krt_meta(ctx)->node[0] == '\0' || krt_attempt(ctx) == 0 ||
        !krt_time_remaining(ctx, &left) || krt_channel(ctx) != NULL || krt_max_payload(ctx) == 0) {
        return krt_reject(ctx, "it is not where it should be");
    }
    memset(krt_alloc(ctx, 300000), 1, 300000);
    result = krt_relay(ctx);
    return result == KRT_OK ? krt_send_to(ctx, "copies", mails_Mail, mail) : result;
}

static krt_result relay(krt_ctx *ctx, const krt_any *payload) {
    return krt_is(payload, mails_Mail) ? krt_relay(ctx) : krt_reject(ctx, "a %s", krt_message_name(payload));
}

static krt_result asserts(krt_ctx *ctx, const krt_any *payload) {
    assert(payload == NULL);
    return krt_relay(ctx);
}

KRT_NODE(.handlers = KRT_HANDLERS(KRT_ON("everything", mails_Mail, everything), KRT_ON_ANY("relay", relay),
                 KRT_ON_ANY("asserts", asserts)),
    .otherwise = KRT_TYPED(mails_Mail, sort))
