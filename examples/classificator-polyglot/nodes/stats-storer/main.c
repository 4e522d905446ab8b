// Node stats-storer: counts what a batch was about, keeps totals, and says both.
#include <krt_node.h>
#include <stdlib.h>
#include <string.h>

#include "internal_nodes.pb.h"

// Most first; what is as many, by name.
static int by_count(const void *one, const void *other) {
    const internal_Count *a = one, *b = other;
    if (a->count != b->count) {
        return a->count > b->count ? -1 : 1;
    }
    return strcmp(a->category, b->category);
}

static int by_name(const void *one, const void *other) {
    return strcmp(((const internal_Count *)one)->category, ((const internal_Count *)other)->category);
}

// How many of each category there are; `counts` has room for all of them.
static size_t count(const internal_ClassifiedBatch *batch, internal_Count *counts) {
    size_t known = 0;
    for (size_t i = 0; i < batch->n_emails; i++) {
        const char *category = batch->emails[i].category;
        size_t at = 0;
        while (at < known && strcmp(counts[at].category, category) != 0) {
            at++;
        }
        if (at == known) {
            counts[known++].category = category;
        }
        counts[at].count++;
    }
    return known;
}

static krt_result store(krt_ctx *ctx, const internal_ClassifiedBatch *batch) {
    const char *before;
    krt_result result = krt_config_get(ctx, "emails", &before);
    if (result != KRT_OK) {
        return result;
    }
    uint64_t so_far = (before == NULL ? 0 : strtoull(before, NULL, 10)) + batch->n_emails;
    result = krt_config_set(ctx, "emails", krt_format(ctx, "%llu", (unsigned long long)so_far));
    if (result != KRT_OK) {
        return result;
    }

    internal_Count *counts = krt_alloc(ctx, (batch->n_emails + 1) * sizeof *counts);
    size_t known = count(batch, counts);
    qsort(counts, known, sizeof *counts, by_name);
    const char *table = "category\temails\n";
    krt_measurement *point = krt_measure(ctx, "batch");
    krt_field_uint(point, "emails", batch->n_emails);
    for (size_t i = 0; i < known; i++) {
        table = krt_format(ctx, "%s%s\t%u\n", table, counts[i].category, (unsigned)counts[i].count);
        krt_field_uint(point, counts[i].category, counts[i].count);
    }
    result = krt_measure_save(point);
    if (result != KRT_OK) {
        return result;
    }
    result = krt_object_save(ctx, "latest.tsv", table, strlen(table));
    if (result != KRT_OK) {
        return result;
    }

    qsort(counts, known, sizeof *counts, by_count);
    const char **path = krt_alloc(ctx, (batch->n_path + 1) * sizeof *path);
    for (size_t i = 0; i < batch->n_path; i++) {
        path[i] = batch->path[i];
    }
    path[batch->n_path] = krt_meta(ctx)->node;
    internal_Statistics statistics = {
        .emails = (uint32_t)batch->n_emails,
        .n_counts = known,
        .counts = counts,
        .emails_so_far = so_far,
        .n_path = batch->n_path + 1,
        .path = path,
    };
    return krt_send(ctx, internal_Statistics, &statistics);
}

KRT_NODE(.handlers = KRT_HANDLERS(KRT_ON("email-classificator", internal_ClassifiedBatch, store)))
