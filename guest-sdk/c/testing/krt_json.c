/**
 * @file krt_json.c
 * Documents and queries of a test host: what every database of the host's understands, and no more.
 */
#include "krt_json.h"

#include <stdlib.h>
#include <string.h>

#define DEEPEST 64

typedef enum kind { NOTHING, FALSEHOOD, TRUTH, NUMBER, TEXT, LIST, OBJECT } kind;

struct krt_json {
    kind kind;
    double number;
    char *text;
    char *key;      /* In an object. */
    krt_json *next; /* In a list or object. */
    krt_json *first;
};

typedef struct parser {
    krt_arena *arena;
    const char *at;
} parser;

static void blank(parser *p) {
    p->at += strspn(p->at, " \t\r\n");
}

static unsigned hex4(const char *at) {
    unsigned value = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0')
            : c >= 'a' && c <= 'f'            ? (unsigned)(c - 'a' + 10)
            : c >= 'A' && c <= 'F'            ? (unsigned)(c - 'A' + 10)
                                              : 0x10000u;
        if (digit > 15) {
            return 0x10000;
        }
        value = value * 16 + digit;
    }
    return value;
}

static char *utf8(char *to, unsigned code) {
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
        *to++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *to++ = (char)(0xe0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    } else {
        *to++ = (char)(0xf0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 0x3f));
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    }
    return to;
}

static char *string(parser *p) {
    if (*p->at++ != '"') {
        return NULL;
    }
    char *text = krt_arena_alloc(p->arena, strlen(p->at) + 1);
    char *to = text;
    while (*p->at != '"') {
        if ((unsigned char)*p->at < 0x20) {
            return NULL;
        }
        if (*p->at != '\\') {
            *to++ = *p->at++;
            continue;
        }
        p->at++;
        static const char from[] = "\"\\/bfnrt";
        static const char into[] = "\"\\/\b\f\n\r\t";
        const char *found = *p->at == '\0' ? NULL : strchr(from, *p->at);
        if (found != NULL) {
            *to++ = into[found - from];
            p->at++;
            continue;
        }
        unsigned code = *p->at == 'u' && strlen(p->at) > 4 ? hex4(p->at + 1) : 0x10000;
        if (code > 0xffff || code == 0) {
            return NULL;
        }
        p->at += 5;
        if (code >= 0xd800 && code < 0xdc00) {
            unsigned low = strncmp(p->at, "\\u", 2) == 0 && strlen(p->at) > 5 ? hex4(p->at + 2) : 0;
            if (low < 0xdc00 || low > 0xdfff) {
                return NULL;
            }
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            p->at += 6;
        }
        to = utf8(to, code);
    }
    p->at++;
    *to = '\0';
    return text;
}

static krt_json *value(parser *p, int depth);

static bool members(parser *p, krt_json *of, char close, int depth) {
    krt_json **last = &of->first;
    p->at++;
    blank(p);
    if (*p->at == close) {
        p->at++;
        return true;
    }
    for (;;) {
        char *key = NULL;
        blank(p);
        if (close == '}') {
            key = string(p);
            blank(p);
            if (key == NULL || *p->at++ != ':') {
                return false;
            }
        }
        krt_json *one = value(p, depth);
        if (one == NULL) {
            return false;
        }
        one->key = key;
        *last = one;
        last = &one->next;
        blank(p);
        char after = *p->at;
        p->at += after == '\0' ? 0 : 1;
        if (after == close) {
            return true;
        }
        if (after != ',') {
            return false;
        }
    }
}

static krt_json *value(parser *p, int depth) {
    krt_json *json = krt_arena_zalloc(p->arena, sizeof *json);
    blank(p);
    if (depth == 0) {
        return NULL;
    }
    if (*p->at == '{' || *p->at == '[') {
        json->kind = *p->at == '{' ? OBJECT : LIST;
        return members(p, json, *p->at == '{' ? '}' : ']', depth - 1) ? json : NULL;
    }
    if (*p->at == '"') {
        json->kind = TEXT;
        json->text = string(p);
        return json->text == NULL ? NULL : json;
    }
    static const struct {
        const char *word;
        kind kind;
    } words[] = {{"null", NOTHING}, {"false", FALSEHOOD}, {"true", TRUTH}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t length = strlen(words[i].word);
        if (strncmp(p->at, words[i].word, length) == 0) {
            p->at += length;
            json->kind = words[i].kind;
            return json;
        }
    }
    if (*p->at != '-' && (*p->at < '0' || *p->at > '9')) {
        return NULL;
    }
    char *end;
    json->kind = NUMBER;
    json->number = strtod(p->at, &end);
    p->at = end;
    return json;
}

krt_json *krt_json_parse(krt_arena *arena, const char *text) {
    parser p = {arena, text};
    krt_json *json = value(&p, DEEPEST);
    blank(&p);
    return *p.at == '\0' ? json : NULL;
}

bool krt_json_is_object(const krt_json *json) {
    return json != NULL && json->kind == OBJECT;
}

static const krt_json *member(const krt_json *of, const char *key, size_t length) {
    for (const krt_json *one = of->first; one != NULL; one = one->next) {
        if (strlen(one->key) == length && memcmp(one->key, key, length) == 0) {
            return one;
        }
    }
    return NULL;
}

/* -1, 0 or 1; 2 when there is no order between them. */
static int order(const krt_json *one, const krt_json *other) {
    if (one->kind == NUMBER && other->kind == NUMBER) {
        return (one->number > other->number) - (one->number < other->number);
    }
    if (one->kind == TEXT && other->kind == TEXT) {
        int compared = strcmp(one->text, other->text);
        return (compared > 0) - (compared < 0);
    }
    return 2;
}

static bool same(const krt_json *one, const krt_json *other) {
    if (one->kind != other->kind) {
        return false;
    }
    if (one->kind == NUMBER || one->kind == TEXT) {
        return order(one, other) == 0;
    }
    const krt_json *a = one->first;
    const krt_json *b = other->first;
    for (; a != NULL && b != NULL; a = a->next, b = b->next) {
        const krt_json *against = a->key == NULL ? b : member(other, a->key, strlen(a->key));
        if (against == NULL || !same(a, against)) {
            return false;
        }
    }
    return a == NULL && b == NULL;
}

/* Whether what was found, or one of its elements if it is a list, passes an operator's test. */
static bool passes(const krt_json *found, const char *operator, const krt_json *wanted, const char **unknown) {
    if (strcmp(operator, "$exists") == 0) {
        return (found != NULL) == (wanted->kind == TRUTH);
    }
    if (strcmp(operator, "$ne") == 0) {
        return !passes(found, "$eq", wanted, unknown);
    }
    if (strcmp(operator, "$in") == 0) {
        for (const krt_json *one = wanted->first; one != NULL; one = one->next) {
            if (passes(found, "$eq", one, unknown)) {
                return true;
            }
        }
        return false;
    }
    bool equal = strcmp(operator, "$eq") == 0;
    bool greater = strncmp(operator, "$gt", 3) == 0;
    bool less = strncmp(operator, "$lt", 3) == 0;
    bool or_equal = (greater || less) && strcmp(operator + 3, "e") == 0;
    if (!equal && !((greater || less) && (or_equal || operator[3] == '\0'))) {
        *unknown = operator;
        return false;
    }
    if (found == NULL) {
        return equal && wanted->kind == NOTHING;
    }
    if (equal && same(found, wanted)) {
        return true;
    }
    int compared = order(found, wanted);
    if ((greater && compared == 1) || (less && compared == -1) || (or_equal && compared == 0)) {
        return true;
    }
    for (const krt_json *one = found->kind == LIST ? found->first : NULL; one != NULL; one = one->next) {
        if (passes(one, operator, wanted, unknown)) {
            return true;
        }
    }
    return false;
}

static bool field(const krt_json *document, const char *path, const krt_json *wanted, const char **unknown) {
    const krt_json *found = document;
    while (found != NULL && *path != '\0') {
        size_t length = strcspn(path, ".");
        found = found->kind == OBJECT ? member(found, path, length) : NULL;
        path += length + (path[length] == '.' ? 1 : 0);
    }
    if (wanted->kind != OBJECT || wanted->first == NULL || wanted->first->key[0] != '$') {
        return passes(found, "$eq", wanted, unknown);
    }
    for (const krt_json *one = wanted->first; one != NULL; one = one->next) {
        if (!passes(found, one->key, one, unknown)) {
            return false;
        }
    }
    return true;
}

bool krt_json_matches(const krt_json *query, const krt_json *document, const char **unknown) {
    for (const krt_json *one = query->first; one != NULL; one = one->next) {
        bool every = strcmp(one->key, "$and") == 0;
        bool holds;
        if (every || strcmp(one->key, "$or") == 0) {
            holds = every;
            for (const krt_json *part = one->first; part != NULL && holds == every; part = part->next) {
                holds = krt_json_matches(part, document, unknown);
            }
        } else if (one->key[0] == '$') {
            *unknown = one->key;
            return false;
        } else {
            holds = field(document, one->key, one, unknown);
        }
        if (!holds) {
            return false;
        }
    }
    return true;
}
