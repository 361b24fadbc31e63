/* find is exact even when every fingerprint is the same: this program replaces the hash. */
#include "queue/queue.h"

#include "common/hash.h"

#include <glib/gstdio.h>

/* Takes the place of common/hash.c at link time. */
uint64_t hash64(struct slice s)
{
    (void)s;
    return 7;
}

static void publish(struct queue *q, struct slice key)
{
    struct queue_message m = {.key = key, .body = SLICE("{}")};

    g_assert_true(queue_publish(q, &m, 1, NULL));
}

static void assert_found(struct queue *q, struct slice key, size_t count)
{
    struct arena arena = {0};
    struct queue_batch batch;

    g_assert_true(queue_find(q, key, 100, &arena, &batch, NULL));
    g_assert_cmpint(batch.count, ==, count);
    for (size_t i = 0; i < count; i++)
        g_assert_true(slice_equal(batch.messages[i].key, key));
    arena_done(&arena);
}

static void find_is_exact(const struct queue_ops *ops, const char *folder)
{
    struct queue *q = queue_open(ops, &(struct queue_options){.folder = folder}, NULL);
    struct arena arena = {0};
    struct queue_batch batch;

    g_assert_nonnull(q);
    g_assert_true(queue_seek(q, 0, NULL));
    for (int i = 0; i < 30; i++) {
        publish(q, SLICE("odd"));
        publish(q, SLICE("even"));
    }
    assert_found(q, SLICE("odd"), 30);
    assert_found(q, SLICE("even"), 30);
    assert_found(q, SLICE("none"), 0);
    g_assert_true(queue_receive(q, 3, 0, &arena, &batch, NULL));
    g_assert_true(queue_ack(q, 3, NULL));
    assert_found(q, SLICE("odd"), 28);
    assert_found(q, SLICE("even"), 29);
    arena_done(&arena);
    queue_close(q);
}

static void memory_find_is_exact(void)
{
    find_is_exact(&queue_memory_ops, NULL);
}

static void embedded_find_is_exact(void)
{
    g_autofree char *folder = g_dir_make_tmp("eventflow-queue-XXXXXX", NULL);
    g_autofree char *file = g_build_filename(folder, "queue.db", NULL);

    find_is_exact(&queue_embedded_ops, folder);
    g_assert_cmpint(g_remove(file), ==, 0);
    g_assert_cmpint(g_rmdir(folder), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/queue/memory/find_is_exact_on_equal_fingerprints", memory_find_is_exact);
    g_test_add_func("/queue/embedded/find_is_exact_on_equal_fingerprints", embedded_find_is_exact);
    return g_test_run();
}
