// What stats-storer counts. `make test`, after `krt build`.
#include <krt_testing.h>

#include "internal_nodes.pb.h"

KRT_TEST(batches_are_counted_and_added_up) {
    krt_test_from(t, "email-classificator");
    krt_test_object_store(t);
    internal_Classified emails[] = {{.category = "spam"}, {.category = "repairs"}, {.category = "spam"}};
    const char *path[] = {"etl"};
    internal_ClassifiedBatch batch = {.n_emails = 3, .emails = emails, .n_path = 1, .path = path};
    KRT_ASSERT(krt_test_handle(t, internal_ClassifiedBatch, &batch) == KRT_OK);
    KRT_ASSERT(krt_test_handle(t, internal_ClassifiedBatch, &batch) == KRT_OK);
    internal_Statistics statistics = {0};
    KRT_ASSERT(krt_test_output(t, 0, internal_Statistics, &statistics));
    KRT_ASSERT(statistics.emails == 3 && statistics.emails_so_far == 6 && statistics.n_counts == 2);
    KRT_ASSERT_TEXT(statistics.counts[0].category, "spam");
    KRT_ASSERT(statistics.counts[0].count == 2 && statistics.n_path == 2);
}

int main(void) {
    return KRT_RUN_TESTS(KRT_CASE(batches_are_counted_and_added_up));
}
