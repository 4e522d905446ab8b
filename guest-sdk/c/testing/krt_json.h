/**
 * @file krt_json.h
 * As much of JSON as a test host's database wants: whether a document is what a query asks for. Only part of tests.
 */
#ifndef KRT_JSON_H
#define KRT_JSON_H

#include "krt_pb.h"

typedef struct krt_json krt_json;

/** A value in the arena; NULL if `text` is none. */
krt_json *krt_json_parse(krt_arena *arena, const char *text);
bool krt_json_is_object(const krt_json *json);
/** Whether `document` is what `query` asks for. An operator that is not known goes to `unknown`. */
bool krt_json_matches(const krt_json *query, const krt_json *document, const char **unknown);

#endif
