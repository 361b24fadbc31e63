/* The fault backend fails exactly as ordered, and otherwise is the queue it wraps. */
#include "queue/queue.h"

#include "common/error.h"

static struct queue *open_fault(void)
{
    const struct queue_options plain = {0};
    struct queue_options wrap = {0};

    wrap.inner = queue_open(&queue_memory_ops, &plain, NULL);
    return queue_open(&queue_fault_ops, &wrap, NULL);
}

/* Publishes one message; -1 on success, else the error's code. */
static int publish(struct queue *q)
{
    struct queue_message m = {.key = SLICE("k"), .body = SLICE("{}")};
    g_autoptr(GError) error = NULL;

    if (queue_publish(q, &m, 1, &error))
        return -1;
    g_assert_true(error->domain == EF_ERROR);
    return error->code;
}

/* Receives without waiting; the number of messages, or -1 - the error's code. */
static int receive(struct queue *q)
{
    struct arena arena = {0};
    struct queue_batch batch;
    g_autoptr(GError) error = NULL;
    bool is_good = queue_receive(q, 10, 0, &arena, &batch, &error);

    arena_done(&arena);
    return is_good ? (int)batch.count : -1 - error->code;
}

static int64_t waiting(struct queue *q)
{
    struct queue_stats stats;

    queue_get_stats(q, &stats);
    return stats.waiting;
}

static void fails_after_some_calls_for_some_calls(void)
{
    struct queue *q = open_fault();

    queue_fault_set(q, QUEUE_CALL_PUBLISH, 2, 2, EF_ERROR_FULL);
    g_assert_cmpint(publish(q), ==, -1);
    g_assert_cmpint(publish(q), ==, -1);
    g_assert_cmpint(publish(q), ==, EF_ERROR_FULL);
    g_assert_cmpint(publish(q), ==, EF_ERROR_FULL);
    g_assert_cmpint(publish(q), ==, -1);
    g_assert_cmpint(waiting(q), ==, 3);
    queue_close(q);
}

static void times_0_clears(void)
{
    struct queue *q = open_fault();

    queue_fault_set(q, QUEUE_CALL_PUBLISH, 0, 5, EF_ERROR_RETRY);
    g_assert_cmpint(publish(q), ==, EF_ERROR_RETRY);
    queue_fault_set(q, QUEUE_CALL_PUBLISH, 0, 0, 0);
    g_assert_cmpint(publish(q), ==, -1);
    queue_close(q);
}

static void ambiguous_publish_is_stored(void)
{
    struct queue *q = open_fault();

    queue_fault_set(q, QUEUE_CALL_PUBLISH, 0, 1, -1);
    g_assert_cmpint(publish(q), ==, EF_ERROR_RETRY);
    g_assert_cmpint(waiting(q), ==, 1);
    g_assert_cmpint(receive(q), ==, 1);
    queue_close(q);
}

static void fatal_is_for_good(void)
{
    struct queue *q = open_fault();

    queue_fault_set(q, QUEUE_CALL_PUBLISH, 0, 1, EF_ERROR_FATAL);
    for (int i = 0; i < 3; i++)
        g_assert_cmpint(publish(q), ==, EF_ERROR_FATAL);
    g_assert_cmpint(waiting(q), ==, 0);
    queue_close(q);
}

static void failed_receive_loses_nothing(void)
{
    static const int codes[] = {EF_ERROR_RETRY, EF_ERROR_CORRUPT, -1};
    struct queue *q = open_fault();

    publish(q);
    for (size_t i = 0; i < G_N_ELEMENTS(codes); i++) {
        queue_fault_set(q, QUEUE_CALL_RECEIVE, 0, 1, codes[i]);
        g_assert_cmpint(receive(q), ==, -1 - (codes[i] < 0 ? EF_ERROR_RETRY : codes[i]));
    }
    g_assert_cmpint(receive(q), ==, 1);
    queue_close(q);
}

static void ack_read_and_find_fail_too(void)
{
    struct queue *q = open_fault();
    struct arena arena = {0};
    struct queue_batch batch;
    const int64_t one = 1;

    publish(q);
    receive(q);
    queue_fault_set(q, QUEUE_CALL_ACK, 0, 1, EF_ERROR_RETRY);
    queue_fault_set(q, QUEUE_CALL_READ, 0, 1, EF_ERROR_RETRY);
    queue_fault_set(q, QUEUE_CALL_FIND, 0, 1, EF_ERROR_RETRY);
    g_assert_false(queue_ack(q, 1, NULL));
    g_assert_cmpint(waiting(q), ==, 1);
    g_assert_false(queue_read(q, &one, 1, &arena, &batch, NULL));
    g_assert_false(queue_find(q, SLICE("k"), 1, &arena, &batch, NULL));
    g_assert_true(queue_find(q, SLICE("k"), 1, &arena, &batch, NULL));
    g_assert_true(queue_read(q, &one, 1, &arena, &batch, NULL));
    queue_fault_set(q, QUEUE_CALL_ACK, 0, 1, -1);
    g_assert_false(queue_ack(q, 1, NULL));
    g_assert_cmpint(waiting(q), ==, 0);
    arena_done(&arena);
    queue_close(q);
}

static void has_the_flags_of_what_it_wraps(void)
{
    struct queue *q = open_fault();

    g_assert_cmpuint(q->ops->flags, ==, queue_memory_ops.flags);
    g_assert_cmpstr(q->ops->name, ==, "fault");
    queue_close(q);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/queue/fault/fails_after_some_calls_for_some_calls",
                    fails_after_some_calls_for_some_calls);
    g_test_add_func("/queue/fault/times_0_clears", times_0_clears);
    g_test_add_func("/queue/fault/ambiguous_publish_is_stored", ambiguous_publish_is_stored);
    g_test_add_func("/queue/fault/fatal_is_for_good", fatal_is_for_good);
    g_test_add_func("/queue/fault/failed_receive_loses_nothing", failed_receive_loses_nothing);
    g_test_add_func("/queue/fault/ack_read_and_find_fail_too", ack_read_and_find_fail_too);
    g_test_add_func("/queue/fault/has_the_flags_of_what_it_wraps", has_the_flags_of_what_it_wraps);
    return g_test_run();
}
