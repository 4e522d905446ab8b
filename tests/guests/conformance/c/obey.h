/* What the parts of the conformance guest share. See ../README.md, which says what each command does. */
#ifndef OBEY_H
#define OBEY_H

#include <krt_node.h>

#include "public_input.pb.h"

typedef conformance_Command Command;
typedef conformance_Answer Answer;

/* What `init` saw. */
extern const char *init_facts[5];

/* Does what a command says. KRT_OK: `*answered` says whether `answer` is to be sent. */
krt_result run(krt_ctx *ctx, const Command *command, Answer *answer, bool *answered);

/* Fails in a place that nobody likes to be in. */
krt_result fails_deep(krt_ctx *ctx, const char *text, bool hard);

/* The contract's name of the last failure's case, with its number if it has one. */
const char *failure_case(krt_ctx *ctx, krt_result result);

/* `ok`, `error`, ... */
const char *kind_of(krt_ctx *ctx);

#endif
