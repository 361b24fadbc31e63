/* The promises of queue/queue.h, checked once for each backend in the list below. A backend is
 * complete when its name can be added there. */
#include "queue/queue.h"

#include "common/clock.h"
#include "common/error.h"
#include "common/metrics.h"

#include <glib/gstdio.h>

#define PATIENCE_MS 20000 /* a wait that takes longer has failed */
#define MANY        50000

struct backend {
    const char *name;
    const char *inner;    /* the backend it wraps, or NULL */
    bool survives_reopen; /* its messages outlive queue_close */
};

static const struct backend backends[] = {
    {.name = "embedded", .survives_reopen = true},
    {.name = "memory"},
    {.name = "fault", .inner = "memory"},
};

/* One test's world: a fresh folder, an open queue and an arena. */
struct world {
    const struct backend *backend;
    char *folder;
    struct queue *q;
    struct arena arena;
    int64_t waiting_max;
};

/* ---- helpers --------------------------------------------------------------------------------- */

static struct queue *open_backend(const char *name, const struct queue_options *options)
{
    g_autoptr(GError) error = NULL;
    struct queue *q = queue_open(queue_find_backend(name), options, &error);

    g_assert_no_error(error);
    g_assert_nonnull(q);
    return q;
}

static void world_open(struct world *w, int64_t position)
{
    struct queue_options options = {.folder = w->folder, .waiting_max = w->waiting_max};
    g_autoptr(GError) error = NULL;

    if (w->backend->inner != NULL) {
        options.inner = open_backend(w->backend->inner, &options);
        options.waiting_max = 0;
    }
    w->q = open_backend(w->backend->name, &options);
    if (w->q->ops->flags & QUEUE_NEEDS_SEEK)
        g_assert_true(queue_seek(w->q, position, &error));
    g_assert_no_error(error);
}

static void world_reopen(struct world *w, int64_t position)
{
    queue_close(w->q);
    world_open(w, position);
}

/* A world with another limit; only before anything was published. */
static void world_limit(struct world *w, int64_t waiting_max)
{
    w->waiting_max = waiting_max;
    world_reopen(w, 0);
}

static void remove_folder(const char *path)
{
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(folder)) != NULL) {
        g_autofree char *file = g_build_filename(path, name, NULL);

        g_assert_cmpint(g_remove(file), ==, 0);
    }
    g_assert_cmpint(g_rmdir(path), ==, 0);
}

static struct queue_message message(const char *key, const char *body)
{
    return (struct queue_message){
        .published_at_us = 1700000000000000,
        .key = slice_text(key),
        .correlation = SLICE("corr-1"),
        .body = slice_text(body),
    };
}

/* Publishes one message with this key; returns its seq. */
static int64_t put(struct world *w, const char *key)
{
    struct queue_message m = message(key, "{\"a\":1}");
    g_autoptr(GError) error = NULL;

    g_assert_true(queue_publish(w->q, &m, 1, &error));
    g_assert_no_error(error);
    return m.seq;
}

/* Publishes count messages k-0, k-1, … as one batch. */
static void put_many(struct world *w, size_t count)
{
    struct queue_message *messages = ARENA_NEW(&w->arena, struct queue_message, count);
    g_autoptr(GError) error = NULL;

    for (size_t i = 0; i < count; i++) {
        messages[i] = message(arena_printf(&w->arena, "k-%zu", i), "{}");
        messages[i].published_at_us += (int64_t)i;
    }
    g_assert_true(queue_publish(w->q, messages, count, &error));
    g_assert_no_error(error);
}

static struct queue_batch take(struct world *w, size_t max)
{
    struct queue_batch batch = {0};
    g_autoptr(GError) error = NULL;

    g_assert_true(queue_receive(w->q, max, 0, &w->arena, &batch, &error));
    g_assert_no_error(error);
    return batch;
}

static void ack(struct world *w, int64_t seq)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(queue_ack(w->q, seq, &error));
    g_assert_no_error(error);
}

static struct queue_batch find(struct world *w, struct slice key, size_t max)
{
    struct queue_batch batch = {0};
    g_autoptr(GError) error = NULL;

    g_assert_true(queue_find(w->q, key, max, &w->arena, &batch, &error));
    g_assert_no_error(error);
    return batch;
}

static struct queue_batch read_seqs(struct world *w, const int64_t *seqs, size_t count)
{
    struct queue_batch batch = {0};
    g_autoptr(GError) error = NULL;

    g_assert_true(queue_read(w->q, seqs, count, &w->arena, &batch, &error));
    g_assert_no_error(error);
    return batch;
}

static struct queue_stats stats(struct world *w)
{
    struct queue_stats s;

    queue_get_stats(w->q, &s);
    return s;
}

static void assert_refused(struct world *w, struct queue_message *messages, size_t count, int code)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(queue_publish(w->q, messages, count, &error));
    g_assert_error(error, EF_ERROR, code);
}

static void assert_same(struct slice a, struct slice b)
{
    g_assert_cmpmem(a.data, a.size, b.data, b.size);
}

/* ---- publish --------------------------------------------------------------------------------- */

static void publish_numbers_densely_from_one(struct world *w)
{
    struct queue_message two[] = {message("b", "{}"), message("c", "{}")};

    g_assert_cmpint(put(w, "a"), ==, 1);
    g_assert_true(queue_publish(w->q, two, 2, NULL));
    g_assert_cmpint(two[0].seq, ==, 2);
    g_assert_cmpint(two[1].seq, ==, 3);
    g_assert_cmpint(put(w, "d"), ==, 4);
}

static void publish_accepts_an_empty_batch(struct world *w)
{
    g_assert_true(queue_publish(w->q, NULL, 0, NULL));
    g_assert_cmpint(stats(w).last_seq, ==, 0);
}

static void publish_refuses_past_limit(struct world *w)
{
    struct queue_message m = message("d", "{}");
    g_autoptr(GError) error = NULL;

    world_limit(w, 3);
    put_many(w, 3);
    g_assert_false(queue_publish(w->q, &m, 1, &error));
    g_assert_error(error, EF_ERROR, EF_ERROR_FULL);
    g_assert_nonnull(strstr(error->message, "3"));
    g_assert_nonnull(strstr(error->message, "queue-depth-max"));
    g_assert_cmpint(m.seq, ==, 0);
}

static void publish_stores_all_or_nothing(struct world *w)
{
    struct queue_message two[] = {message("b", "{}"), message("c", "{}")};

    world_limit(w, 2);
    put(w, "a");
    assert_refused(w, two, 2, EF_ERROR_FULL);
    g_assert_cmpint(stats(w).last_seq, ==, 1);
    g_assert_cmpint(take(w, 10).count, ==, 1);
    g_assert_cmpint(find(w, SLICE("b"), 1).count, ==, 0);
    g_assert_cmpint(put(w, "d"), ==, 2);
}

static void ack_makes_room_below_the_limit(struct world *w)
{
    struct queue_message m = message("c", "{}");

    world_limit(w, 2);
    put_many(w, 2);
    take(w, 2);
    assert_refused(w, &m, 1, EF_ERROR_FULL);
    ack(w, 1);
    g_assert_cmpint(put(w, "c"), ==, 3);
    assert_refused(w, &m, 1, EF_ERROR_FULL);
}

static void publish_refuses_an_empty_body(struct world *w)
{
    struct queue_message two[] = {message("a", "{}"), message("b", "")};

    assert_refused(w, two, 2, EF_ERROR_INPUT);
    g_assert_cmpint(stats(w).last_seq, ==, 0);
}

static void publish_takes_the_largest_body_and_no_larger(struct world *w)
{
    g_autofree char *large = g_malloc(QUEUE_MESSAGE_MAX + 1);
    struct queue_message m = message("a", "");
    struct queue_batch batch;

    memset(large, 'x', QUEUE_MESSAGE_MAX + 1);
    large[QUEUE_MESSAGE_MAX - 1] = 'y';
    m.body = slice_of(large, QUEUE_MESSAGE_MAX + 1);
    assert_refused(w, &m, 1, EF_ERROR_INPUT);
    m.body.size = QUEUE_MESSAGE_MAX;
    g_assert_true(queue_publish(w->q, &m, 1, NULL));
    batch = take(w, 1);
    g_assert_cmpint(batch.count, ==, 1);
    assert_same(batch.messages[0].body, m.body);
}

static void publish_refuses_what_is_too_long(struct world *w)
{
    char text[QUEUE_TRACE_MAX + 1];
    struct queue_message m = message("", "{}");

    memset(text, 'k', sizeof(text));
    m.key = slice_of(text, QUEUE_KEY_MAX + 1);
    assert_refused(w, &m, 1, EF_ERROR_INPUT);
    m.key.size = QUEUE_KEY_MAX;
    m.correlation = slice_of(text, QUEUE_KEY_MAX + 1);
    assert_refused(w, &m, 1, EF_ERROR_INPUT);
    m.correlation.size = QUEUE_KEY_MAX;
    m.trace = slice_of(text, QUEUE_TRACE_MAX + 1);
    assert_refused(w, &m, 1, EF_ERROR_INPUT);
    m.trace.size = QUEUE_TRACE_MAX;
    m.reference = -1;
    assert_refused(w, &m, 1, EF_ERROR_INPUT);
    m.reference = 0;
    g_assert_true(queue_publish(w->q, &m, 1, NULL));
    g_assert_cmpint(find(w, m.key, 1).count, ==, 1);
}

static void every_field_comes_back(struct world *w)
{
    struct queue_message m = message("id-1", "{\"x\":1}");
    struct queue_message bare = {.key = SLICE("id-2"), .body = SLICE("[]")};
    struct queue_batch batch;

    m.published_at_us = 1700000000123456;
    m.trace = SLICE("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    m.reference = 4711;
    g_assert_true(queue_publish(w->q, &m, 1, NULL));
    g_assert_true(queue_publish(w->q, &bare, 1, NULL));
    batch = take(w, 2);
    g_assert_cmpint(batch.count, ==, 2);
    g_assert_cmpint(batch.messages[0].seq, ==, 1);
    g_assert_cmpint(batch.messages[0].published_at_us, ==, 1700000000123456);
    g_assert_cmpint(batch.messages[0].reference, ==, 4711);
    assert_same(batch.messages[0].key, m.key);
    assert_same(batch.messages[0].correlation, m.correlation);
    assert_same(batch.messages[0].trace, m.trace);
    assert_same(batch.messages[0].body, m.body);
    g_assert_cmpint(batch.messages[1].reference, ==, 0);
    g_assert_cmpint(batch.messages[1].trace.size, ==, 0);
    g_assert_cmpint(batch.messages[1].correlation.size, ==, 0);
}

static void any_bytes_are_kept(struct world *w)
{
    static const char nul_body[] = "{\"a\":\"\0 b\"}\0";
    struct queue_message m[] = {message("", ""), message("", ""), message("", "")};
    const int64_t seqs[] = {1, 2, 3};
    struct queue_batch batch;

    m[0].key = SLICE("k\0a");
    m[0].body = slice_of(nul_body, sizeof(nul_body) - 1);
    m[1].key = SLICE("ключ-Ω-🎉");
    m[1].body = SLICE("{\"name\":\"Zoë 🎉 日本\"}");
    m[2].key = SLICE("\xff\xfe");
    m[2].body = SLICE("\x80\xc3\x28");
    g_assert_true(queue_publish(w->q, m, 3, NULL));
    batch = read_seqs(w, seqs, 3);
    g_assert_cmpint(batch.count, ==, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_same(batch.messages[i].key, m[i].key);
        assert_same(batch.messages[i].body, m[i].body);
        g_assert_cmpint(find(w, m[i].key, 2).count, ==, 1);
    }
}

static void published_bytes_are_copied(struct world *w)
{
    char key[] = "key-1";
    char body[] = "{\"v\":1}";
    struct queue_message m = message(key, body);
    struct queue_batch batch;

    g_assert_true(queue_publish(w->q, &m, 1, NULL));
    memset(key, '?', sizeof(key) - 1);
    memset(body, '?', sizeof(body) - 1);
    batch = take(w, 1);
    assert_same(batch.messages[0].key, SLICE("key-1"));
    assert_same(batch.messages[0].body, SLICE("{\"v\":1}"));
}

/* ---- receive, ack, seek ---------------------------------------------------------------------- */

static void receive_gives_publish_order(struct world *w)
{
    struct queue_batch batch;

    put_many(w, 100);
    put_many(w, 100);
    batch = take(w, 1000);
    g_assert_cmpint(batch.count, ==, 200);
    for (size_t i = 0; i < batch.count; i++) {
        assert_same(batch.messages[i].key, slice_text(arena_printf(&w->arena, "k-%zu", i % 100)));
        g_assert_cmpint(batch.messages[i].seq, ==, (int64_t)i + 1);
    }
}

static void receive_takes_at_most_max_and_goes_on(struct world *w)
{
    struct queue_batch batch;

    put_many(w, 5);
    g_assert_cmpint(take(w, 2).count, ==, 2);
    batch = take(w, 2);
    g_assert_cmpint(batch.count, ==, 2);
    g_assert_cmpint(batch.messages[0].seq, ==, 3);
    g_assert_cmpint(take(w, 2).count, ==, 1);
    g_assert_cmpint(take(w, 2).count, ==, 0);
}

static void receive_answers_when_time_has_passed(struct world *w)
{
    struct queue_batch batch = {.count = 99};
    int64_t start_us = clock_monotonic_us();

    g_assert_true(queue_receive(w->q, 10, 20, &w->arena, &batch, NULL));
    g_assert_cmpint(batch.count, ==, 0);
    g_assert_cmpint(clock_monotonic_us() - start_us, >=, 20000);
}

/* Large bodies are handed out in portions, so that a batch's memory has a limit. */
static void receive_bounds_the_bytes_of_a_batch(struct world *w)
{
    g_autofree char *large = g_malloc(QUEUE_MESSAGE_MAX);
    struct queue_message m = message("a", "");
    size_t total = 0;
    struct queue_batch batch;

    memset(large, 'x', QUEUE_MESSAGE_MAX);
    m.body = slice_of(large, QUEUE_MESSAGE_MAX);
    for (int i = 0; i < 12; i++)
        g_assert_true(queue_publish(w->q, &m, 1, NULL));
    batch = take(w, 100);
    g_assert_cmpint(batch.count, >, 0);
    g_assert_cmpint(batch.count, <, 10);
    for (total = batch.count; (batch = take(w, 100)).count > 0; total += batch.count)
        g_assert_cmpint(batch.messages[0].seq, ==, (int64_t)total + 1);
    g_assert_cmpint(total, ==, 12);
}

/* A consumer that waits without end: if a wake-up is missing, the test hangs and so fails. */
struct waiter {
    struct queue *q;
    int64_t received; /* the thread's until it was joined */
    GError *error;
};

static void *waiter_run(void *data)
{
    struct waiter *waiter = data;
    struct arena arena = {0};
    struct queue_batch batch;

    while (queue_receive(waiter->q, 10, G_MAXINT32, &arena, &batch, &waiter->error)) {
        waiter->received += (int64_t)batch.count;
        g_assert_true(queue_ack(waiter->q, waiter->received, NULL));
        arena_reset(&arena);
    }
    arena_done(&arena);
    return NULL;
}

/* Again and again, since a single publish may come before the consumer waits. */
static void receive_wakes_on_publish_and_on_stop(struct world *w)
{
    struct waiter waiter = {.q = w->q};
    GThread *thread = g_thread_new("waiter", waiter_run, &waiter);

    for (int i = 0; i < 100; i++) {
        put(w, "a");
        while (stats(w).waiting > 0)
            g_thread_yield();
    }
    queue_stop(w->q);
    g_thread_join(thread);
    g_assert_error(waiter.error, EF_ERROR, EF_ERROR_STOPPED);
    g_assert_cmpint(waiter.received, ==, 100);
    g_clear_error(&waiter.error);
}

static void receive_is_stopped_for_good(struct world *w)
{
    struct queue_batch batch;

    put(w, "a");
    queue_stop(w->q);
    for (int i = 0; i < 2; i++) {
        g_autoptr(GError) error = NULL;

        g_assert_false(queue_receive(w->q, 1, 0, &w->arena, &batch, &error));
        g_assert_error(error, EF_ERROR, EF_ERROR_STOPPED);
    }
}

static void ack_may_be_partial_and_repeated(struct world *w)
{
    put_many(w, 10);
    take(w, 10);
    ack(w, 4);
    g_assert_cmpint(stats(w).waiting, ==, 6);
    ack(w, 4);
    ack(w, 2);
    g_assert_cmpint(stats(w).waiting, ==, 6);
    ack(w, 10);
    g_assert_cmpint(stats(w).waiting, ==, 0);
}

static void received_messages_do_not_come_again(struct world *w)
{
    put_many(w, 3);
    g_assert_cmpint(take(w, 3).count, ==, 3);
    g_assert_cmpint(take(w, 3).count, ==, 0);
    put(w, "new");
    g_assert_cmpint(take(w, 3).count, ==, 1);
}

/* ---- read and find --------------------------------------------------------------------------- */

static void read_leaves_missing_ones_out(struct world *w)
{
    const int64_t seqs[] = {0, 2, 4, 5, 1000000};
    struct queue_batch batch;

    put_many(w, 4);
    batch = read_seqs(w, seqs, G_N_ELEMENTS(seqs));
    g_assert_cmpint(batch.count, ==, 2);
    g_assert_cmpint(batch.messages[0].seq, ==, 2);
    g_assert_cmpint(batch.messages[1].seq, ==, 4);
    g_assert_cmpint(read_seqs(w, NULL, 0).count, ==, 0);
}

static void acknowledged_messages_stay_readable(struct world *w)
{
    const int64_t seqs[] = {1, 2};

    g_assert_true(w->q->ops->flags & QUEUE_KEEPS);
    put_many(w, 2);
    take(w, 2);
    ack(w, 2);
    g_assert_cmpint(read_seqs(w, seqs, 2).count, ==, 2);
}

static void find_sees_only_what_waits(struct world *w)
{
    put(w, "a");
    put(w, "b");
    g_assert_cmpint(find(w, SLICE("a"), 9).count, ==, 1);
    take(w, 2);
    g_assert_cmpint(find(w, SLICE("a"), 9).count, ==, 1);
    ack(w, 1);
    g_assert_cmpint(find(w, SLICE("a"), 9).count, ==, 0);
    g_assert_cmpint(find(w, SLICE("b"), 9).count, ==, 1);
}

static void find_gives_the_oldest_first(struct world *w)
{
    struct queue_batch batch;

    for (int i = 0; i < 40; i++) {
        put(w, "twin");
        put(w, "other");
    }
    batch = find(w, SLICE("twin"), 3);
    g_assert_cmpint(batch.count, ==, 3);
    g_assert_cmpint(batch.messages[0].seq, ==, 1);
    g_assert_cmpint(batch.messages[2].seq, ==, 5);
    take(w, 3);
    ack(w, 3);
    batch = find(w, SLICE("twin"), 100);
    g_assert_cmpint(batch.count, ==, 38);
    for (size_t i = 0; i < batch.count; i++)
        g_assert_cmpint(batch.messages[i].seq, ==, 5 + 2 * (int64_t)i);
}

/* One id sent over and over costs no more than many ids: with a quadratic index this test would
 * take minutes. */
static void one_key_many_times_is_cheap(struct world *w)
{
    struct queue_message *messages = ARENA_NEW(&w->arena, struct queue_message, 1000);

    for (size_t i = 0; i < 1000; i++)
        messages[i] = message("twin", "{}");
    for (size_t i = 0; i < 100; i++)
        g_assert_true(queue_publish(w->q, messages, 1000, NULL));
    g_assert_cmpint(find(w, SLICE("twin"), 1).messages[0].seq, ==, 1);
    for (int64_t left = 100000; left > 0; left -= 1000)
        ack(w, take(w, 1000).messages[999].seq);
    g_assert_cmpint(find(w, SLICE("twin"), 1).count, ==, 0);
    g_assert_cmpint(stats(w).waiting, ==, 0);
}

static void find_compares_whole_keys(struct world *w)
{
    struct queue_message nul = message("", "{}");

    put(w, "order-1");
    put(w, "order-10");
    nul.key = SLICE("order-1\0x");
    g_assert_true(queue_publish(w->q, &nul, 1, NULL));
    g_assert_cmpint(find(w, SLICE("order-1"), 9).count, ==, 1);
    g_assert_cmpint(find(w, SLICE("order-1\0x"), 9).count, ==, 1);
    g_assert_cmpint(find(w, SLICE("order-"), 9).count, ==, 0);
    g_assert_cmpint(find(w, SLICE("ORDER-1"), 9).count, ==, 0);
    g_assert_cmpint(find(w, SLICE(""), 9).count, ==, 0);
}

/* ---- stats, check, metrics ------------------------------------------------------------------- */

static void stats_follow_the_messages(struct world *w)
{
    g_assert_cmpint(stats(w).last_seq, ==, 0);
    g_assert_cmpint(stats(w).waiting, ==, 0);
    g_assert_cmpint(stats(w).oldest_waiting_us, ==, 0);
    put_many(w, 5);
    g_assert_cmpint(stats(w).last_seq, ==, 5);
    g_assert_cmpint(stats(w).waiting, ==, 5);
    g_assert_cmpint(stats(w).oldest_waiting_us, ==, 1700000000000000);
    take(w, 5);
    g_assert_cmpint(stats(w).waiting, ==, 5);
    ack(w, 3);
    g_assert_cmpint(stats(w).waiting, ==, 2);
    g_assert_cmpint(stats(w).oldest_waiting_us, ==, 1700000000000003);
    ack(w, 5);
    g_assert_cmpint(stats(w).oldest_waiting_us, ==, 0);
    g_assert_cmpint(stats(w).last_seq, ==, 5);
}

/* The bookkeeping in memory moves and shrinks: it must stay right over many rounds. */
static void stats_and_find_hold_over_many_rounds(struct world *w)
{
    int64_t acked = 0;

    for (int round = 0; round < 60; round++) {
        put_many(w, 500);
        take(w, round % 3 == 0 ? 500 : 400);
        acked += 300;
        ack(w, acked);
        g_assert_cmpint(stats(w).waiting, ==, (round + 1) * 500 - acked);
        arena_reset(&w->arena);
    }
    g_assert_cmpint(find(w, SLICE("k-7"), 1000).count, ==, 60 - 36);
}

static void check_finds_nothing_in_a_good_queue(struct world *w)
{
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);

    put_many(w, 200);
    for (int level = QUEUE_CHECK_PING; level <= QUEUE_CHECK_FULL; level++) {
        g_assert_true(queue_check(w->q, (enum queue_check)level, problems, NULL));
        g_assert_cmpint(problems->len, ==, 0);
    }
}

static void publish_is_counted(struct world *w)
{
    struct metric *published = metrics_counter("queue_published_total", "", NULL);
    struct metric *errors = metrics_counter("queue_errors_total", "", "call=\"publish\"");
    double published_before = metric_value(published);
    double errors_before = metric_value(errors);
    struct queue_message empty = message("a", "");

    put_many(w, 7);
    assert_refused(w, &empty, 1, EF_ERROR_INPUT);
    g_assert_cmpfloat(metric_value(published), ==, published_before + 7);
    g_assert_cmpfloat(metric_value(errors), ==, errors_before + 1);
}

/* ---- several threads ------------------------------------------------------------------------- */

struct publisher {
    struct queue *q;
    size_t count;
};

static void *publisher_run(void *data)
{
    struct publisher *p = data;
    struct arena arena = {0};

    for (size_t done = 0; done < p->count;) {
        struct queue_message messages[97];
        size_t n = MIN(1 + done % 97, p->count - done);

        for (size_t i = 0; i < n; i++)
            messages[i] = message(arena_printf(&arena, "k-%zu", done + i), "{\"n\":1}");
        g_assert_true(queue_publish(p->q, messages, n, NULL));
        g_assert_cmpint(messages[n - 1].seq, ==, (int64_t)(done + n));
        done += n;
        arena_reset(&arena);
    }
    arena_done(&arena);
    return NULL;
}

/* Looks things up the whole time, as the front door does. */
struct looker {
    struct queue *q;
    int is_done; /* atomic */
};

static void *looker_run(void *data)
{
    struct looker *l = data;
    struct arena arena = {0};

    while (!g_atomic_int_get(&l->is_done)) {
        struct queue_stats now;
        struct queue_batch batch;

        queue_get_stats(l->q, &now);
        g_assert_cmpint(now.waiting, <=, now.last_seq);
        g_assert_true(queue_read(l->q, &now.last_seq, 1, &arena, &batch, NULL));
        g_assert_cmpint(batch.count, ==, now.last_seq > 0 ? 1 : 0);
        g_assert_true(queue_find(l->q, SLICE("k-40000"), 1, &arena, &batch, NULL));
        g_assert_cmpint(batch.count, <=, 1);
        arena_reset(&arena);
    }
    arena_done(&arena);
    return NULL;
}

static void nothing_is_lost_between_threads(struct world *w)
{
    struct publisher publisher = {.q = w->q, .count = MANY};
    struct looker looker = {.q = w->q};
    GThread *publishing = g_thread_new("publisher", publisher_run, &publisher);
    GThread *looking[] = {g_thread_new("looker-1", looker_run, &looker),
                          g_thread_new("looker-2", looker_run, &looker)};
    int64_t seen = 0;

    while (seen < MANY) {
        struct queue_batch batch;

        g_assert_true(queue_receive(w->q, 256, PATIENCE_MS, &w->arena, &batch, NULL));
        g_assert_cmpint(batch.count, >, 0);
        for (size_t i = 0; i < batch.count; i++)
            g_assert_cmpint(batch.messages[i].seq, ==, ++seen);
        g_assert_cmpstr(batch.messages[0].key.data, ==,
                        arena_printf(&w->arena, "k-%" G_GINT64_FORMAT, batch.messages[0].seq - 1));
        ack(w, seen);
        arena_reset(&w->arena);
    }
    g_thread_join(publishing);
    g_atomic_int_set(&looker.is_done, 1);
    g_thread_join(looking[0]);
    g_thread_join(looking[1]);
    g_assert_cmpint(stats(w).waiting, ==, 0);
    g_assert_cmpint(stats(w).last_seq, ==, MANY);
}

/* ---- promises about a second life ------------------------------------------------------------ */

static void messages_survive_close(struct world *w)
{
    struct queue_batch batch;

    put_many(w, 10);
    world_reopen(w, 0);
    g_assert_cmpint(stats(w).last_seq, ==, 10);
    batch = take(w, 100);
    g_assert_cmpint(batch.count, ==, 10);
    assert_same(batch.messages[9].key, SLICE("k-9"));
    g_assert_cmpint(put(w, "next"), ==, 11);
}

static void unsettled_messages_come_again(struct world *w)
{
    put_many(w, 10);
    take(w, 10);
    world_reopen(w, 0); /* received, not acknowledged */
    g_assert_cmpint(take(w, 10).count, ==, 10);
    ack(w, 10); /* acknowledged, but the store did not note it */
    world_reopen(w, 0);
    g_assert_cmpint(take(w, 10).count, ==, 10);
}

static void seek_skips_what_was_settled(struct world *w)
{
    struct queue_batch batch;

    put_many(w, 10);
    world_reopen(w, 7);
    g_assert_cmpint(stats(w).waiting, ==, 3);
    g_assert_cmpint(stats(w).last_seq, ==, 10);
    g_assert_cmpint(stats(w).oldest_waiting_us, ==, 1700000000000007);
    batch = take(w, 10);
    g_assert_cmpint(batch.count, ==, 3);
    g_assert_cmpint(batch.messages[0].seq, ==, 8);
    world_reopen(w, 10);
    g_assert_cmpint(take(w, 10).count, ==, 0);
    g_assert_cmpint(stats(w).waiting, ==, 0);
    g_assert_cmpint(put(w, "next"), ==, 11);
}

static void find_knows_the_waiting_ones_of_an_earlier_life(struct world *w)
{
    put_many(w, 10);
    world_reopen(w, 5);
    g_assert_cmpint(find(w, SLICE("k-4"), 9).count, ==, 0);
    g_assert_cmpint(find(w, SLICE("k-5"), 9).count, ==, 1);
    take(w, 10);
    ack(w, 6);
    g_assert_cmpint(find(w, SLICE("k-5"), 9).count, ==, 0);
    g_assert_cmpint(find(w, SLICE("k-9"), 9).messages[0].seq, ==, 10);
}

static void the_limit_counts_what_waited_before(struct world *w)
{
    struct queue_message m = message("x", "{}");

    world_limit(w, 5);
    put_many(w, 5);
    world_reopen(w, 1);
    g_assert_cmpint(put(w, "x"), ==, 6);
    assert_refused(w, &m, 1, EF_ERROR_FULL);
}

static void seek_past_the_end_is_damage(struct world *w)
{
    struct queue_options options = {.folder = w->folder};
    g_autoptr(GError) error = NULL;
    struct queue *q;

    put_many(w, 3);
    queue_close(w->q);
    q = open_backend(w->backend->name, &options);
    g_assert_false(queue_seek(q, 4, &error));
    g_assert_error(error, EF_ERROR, EF_ERROR_CORRUPT);
    queue_close(q);
    world_open(w, 3);
}

/* ---- the list -------------------------------------------------------------------------------- */

struct promise {
    const char *name;
    void (*check)(struct world *w);
    bool needs_reopen; /* only for backends whose messages outlive close */
};

#define PROMISE(f)                                                                                 \
    {                                                                                              \
#f, f, false                                                                               \
    }
#define PROMISE_REOPEN(f)                                                                          \
    {                                                                                              \
#f, f, true                                                                                \
    }

static const struct promise promises[] = {
    PROMISE(publish_numbers_densely_from_one),
    PROMISE(publish_accepts_an_empty_batch),
    PROMISE(publish_refuses_past_limit),
    PROMISE(publish_stores_all_or_nothing),
    PROMISE(ack_makes_room_below_the_limit),
    PROMISE(publish_refuses_an_empty_body),
    PROMISE(publish_takes_the_largest_body_and_no_larger),
    PROMISE(publish_refuses_what_is_too_long),
    PROMISE(every_field_comes_back),
    PROMISE(any_bytes_are_kept),
    PROMISE(published_bytes_are_copied),
    PROMISE(receive_gives_publish_order),
    PROMISE(receive_takes_at_most_max_and_goes_on),
    PROMISE(receive_answers_when_time_has_passed),
    PROMISE(receive_bounds_the_bytes_of_a_batch),
    PROMISE(receive_wakes_on_publish_and_on_stop),
    PROMISE(receive_is_stopped_for_good),
    PROMISE(ack_may_be_partial_and_repeated),
    PROMISE(received_messages_do_not_come_again),
    PROMISE(read_leaves_missing_ones_out),
    PROMISE(acknowledged_messages_stay_readable),
    PROMISE(find_sees_only_what_waits),
    PROMISE(find_gives_the_oldest_first),
    PROMISE(one_key_many_times_is_cheap),
    PROMISE(find_compares_whole_keys),
    PROMISE(stats_follow_the_messages),
    PROMISE(stats_and_find_hold_over_many_rounds),
    PROMISE(check_finds_nothing_in_a_good_queue),
    PROMISE(publish_is_counted),
    PROMISE(nothing_is_lost_between_threads),
    PROMISE_REOPEN(messages_survive_close),
    PROMISE_REOPEN(unsettled_messages_come_again),
    PROMISE_REOPEN(seek_skips_what_was_settled),
    PROMISE_REOPEN(find_knows_the_waiting_ones_of_an_earlier_life),
    PROMISE_REOPEN(the_limit_counts_what_waited_before),
    PROMISE_REOPEN(seek_past_the_end_is_damage),
};

/* One promise on one backend. */
struct test_case {
    const struct backend *backend;
    const struct promise *promise;
};

static void run_case(const void *data)
{
    const struct test_case *c = data;
    struct world w = {.backend = c->backend};

    w.folder = g_dir_make_tmp("eventflow-queue-XXXXXX", NULL);
    g_assert_nonnull(w.folder);
    world_open(&w, 0);
    c->promise->check(&w);
    queue_close(w.q);
    arena_done(&w.arena);
    remove_folder(w.folder);
    g_free(w.folder);
}

static void add_cases(const struct backend *backend)
{
    for (size_t i = 0; i < G_N_ELEMENTS(promises); i++) {
        g_autofree char *path = g_strdup_printf("/queue/%s/%s", backend->name, promises[i].name);
        struct test_case *c;

        if (promises[i].needs_reopen && !backend->survives_reopen)
            continue;
        c = g_new(struct test_case, 1);
        *c = (struct test_case){.backend = backend, .promise = &promises[i]};
        g_test_add_data_func_full(path, c, run_case, g_free);
    }
}

static void backends_are_found_by_name(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(backends); i++)
        g_assert_cmpstr(queue_find_backend(backends[i].name)->name, ==, backends[i].name);
    g_assert_null(queue_find_backend("sqs"));
    g_assert_null(queue_find_backend(""));
    queue_close(NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/queue/backends_are_found_by_name", backends_are_found_by_name);
    for (size_t i = 0; i < G_N_ELEMENTS(backends); i++)
        add_cases(&backends[i]);
    return g_test_run();
}
