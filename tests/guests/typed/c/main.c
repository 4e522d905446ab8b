/* Adds a label to a mail. */
#include <krt_node.h>

#include <string.h>

#include "mail.pb.h"

static krt_result sort(krt_ctx *ctx, const mails_Mail *mail) {
    mails_Mail sorted = *mail;
    sorted.labels = krt_alloc(ctx, (mail->n_labels + 1) * sizeof *sorted.labels);
    memcpy(sorted.labels, mail->labels, mail->n_labels * sizeof *sorted.labels);
    sorted.labels[sorted.n_labels++] = "sorted";
    return krt_send(ctx, mails_Mail, &sorted);
}

KRT_NODE(.otherwise = KRT_TYPED(mails_Mail, sort))
