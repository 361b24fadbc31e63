#include "rig.h"

#include "common/clock.h"
#include "common/error.h"
#include "common/log.h"
#include "worker/campaigns.h"

#define DEADLINE_US (INT64_C(30) * 1000000)

static void on_fatal(void *user, const char *message)
{
    struct rig *rig = user;

    g_free(rig->fatal_message);
    rig->fatal_message = g_strdup(message);
    atomic_fetch_add(&rig->fatals, 1);
}

static bool probe(void *user, struct slice event_id, GError **error)
{
    struct rig *rig = user;

    atomic_fetch_add(&rig->probed, 1);
    if (rig->bad_id == NULL || !slice_equal(event_id, slice_text(rig->bad_id)) ||
        atomic_load(&rig->refusals) == 0)
        return true;
    atomic_fetch_sub(&rig->refusals, 1);
    g_set_error(error, EF_ERROR, EF_ERROR_RETRY, "the probe refuses it");
    return false;
}

static struct queue *open_queue(void)
{
    g_autoptr(GError) error = NULL;
    struct queue_options options = {0};
    struct queue *q = queue_open(&queue_memory_ops, &options, &error);

    g_assert_no_error(error);
    options.inner = q;
    q = queue_open(&queue_fault_ops, &options, &error);
    g_assert_no_error(error);
    g_assert_true(queue_seek(q, 0, &error));
    return q;
}

static struct store *open_store(void)
{
    g_autoptr(GError) error = NULL;
    struct store_options options = {0};
    struct store *s = store_open(&store_memory_ops, &options, &error);

    g_assert_no_error(error);
    options.inner = s;
    s = store_open(&store_fault_ops, &options, &error);
    g_assert_no_error(error);
    return s;
}

void rig_init(struct rig *rig)
{
    log_set_level(LOG_LEVEL_ERROR);
    *rig = (struct rig){
        .queue = open_queue(),
        .store = open_store(),
        .published = g_array_new(FALSE, FALSE, sizeof(struct queue_message)),
    };
    rig->options = (struct worker_options){
        .id = "worker-1",
        .batch_max = 64,
        .attempts_max = 3,
        .backoff_ms = 1,
        .on_fatal = on_fatal,
        .user = rig,
        .probe = probe,
        .probe_user = rig,
    };
    arena_init(&rig->arena);
}

void rig_start(struct rig *rig)
{
    g_assert_null(rig->worker);
    rig->campaigns =
        campaigns_start(&(struct campaigns_options){.store = rig->store, .retry_ms = 1});
    rig->options.campaigns = rig->campaigns;
    rig->worker = worker_start(rig->queue, rig->store, &rig->options);
}

void rig_stop(struct rig *rig)
{
    queue_stop(rig->queue);
    campaigns_halt(rig->campaigns);
    worker_stop(rig->worker);
    rig->worker = NULL;
    campaigns_stop(rig->campaigns);
    rig->campaigns = NULL;
}

void rig_done(struct rig *rig)
{
    rig_stop(rig);
    queue_close(rig->queue);
    store_close(rig->store);
    g_array_unref(rig->published);
    g_free(rig->fatal_message);
    arena_done(&rig->arena);
}

void rig_reopen_queue(struct rig *rig)
{
    g_autoptr(GError) error = NULL;

    rig_stop(rig);
    queue_close(rig->queue);
    rig->queue = open_queue();
    queue_publish(rig->queue, (struct queue_message *)(void *)rig->published->data,
                  rig->published->len, &error);
    g_assert_no_error(error);
}

static void publish(struct rig *rig, struct queue_message *messages, size_t count)
{
    g_autoptr(GError) error = NULL;

    queue_publish(rig->queue, messages, count, &error);
    g_assert_no_error(error);
    g_array_append_vals(rig->published, messages, (guint)count);
}

int64_t rig_publish(struct rig *rig, const char *key, const char *body, int64_t reference)
{
    struct queue_message message = {
        .published_at_us = RIG_ARRIVED_US,
        .key = arena_copy(&rig->arena, slice_text(key)),
        .correlation = slice_text(arena_printf(&rig->arena, "corr-%s", key)),
        .reference = reference,
        .body = arena_copy(&rig->arena, slice_text(body)),
    };

    publish(rig, &message, 1);
    return message.seq;
}

int64_t rig_publish_event(struct rig *rig, const char *id, int amount)
{
    g_autofree char *body =
        g_strdup_printf("{\"event_id\":\"%s\",\"event_type\":\"purchase\",\"customer_id\":\"c1\","
                        "\"payload\":{\"amount\":%d}}",
                        id, amount);

    return rig_publish(rig, id, body, 0);
}

void rig_publish_many(struct rig *rig, const char *prefix, int count)
{
    struct queue_message *messages = g_new0(struct queue_message, (gsize)count);

    for (int i = 0; i < count; i++) {
        char *body = arena_printf(&rig->arena,
                                  "{\"event_id\":\"%s%d\",\"event_type\":\"purchase\","
                                  "\"payload\":{\"amount\":%d}}",
                                  prefix, i, i);

        messages[i].published_at_us = RIG_ARRIVED_US;
        messages[i].key = slice_text(arena_printf(&rig->arena, "%s%d", prefix, i));
        messages[i].body = slice_text(body);
    }
    publish(rig, messages, (size_t)count);
    g_free(messages);
}

void rig_write_campaign(struct rig *rig, enum store_campaign_change change, const char *id,
                        const char *status, const char *document)
{
    struct store_campaign_write write = {
        .change = change,
        .id = slice_text(id),
        .name = slice_text(id),
        .status = slice_text(status),
        .document = slice_text(document),
        .at_us = RIG_ARRIVED_US,
    };
    g_autoptr(GError) error = NULL;

    store_write_campaign(rig->store, &write, &rig->arena, NULL, &error);
    g_assert_no_error(error);
}

void rig_add_campaign(struct rig *rig, const char *id, const char *rules)
{
    g_autofree char *document =
        g_strdup_printf("{\"id\":\"%s\",\"name\":\"%s\",\"status\":\"active\",\"rules\":%s,"
                        "\"then\":[{\"type\":\"points\",\"amount\":5,\"unit\":\"points\"}]}",
                        id, id, rules);

    rig_write_campaign(rig, STORE_CAMPAIGN_CREATE, id, "active", document);
}

struct store_summary rig_summary(struct rig *rig)
{
    g_autoptr(GError) error = NULL;
    struct store_summary summary = {0};

    store_get_summary(rig->store, &summary, &error);
    g_assert_no_error(error);
    return summary;
}

void rig_wait(struct rig *rig, bool (*condition)(struct rig *rig, int64_t n), int64_t n)
{
    int64_t deadline_us = clock_monotonic_us() + DEADLINE_US;

    while (!condition(rig, n)) {
        g_assert_cmpint(clock_monotonic_us(), <, deadline_us);
        g_usleep(500);
    }
}

static bool is_settled(struct rig *rig, int64_t n)
{
    struct store_summary s = rig_summary(rig);

    return s.processed + s.failed + s.duplicate >= n && s.retrying == 0;
}

void rig_wait_settled(struct rig *rig, int64_t count)
{
    struct store_summary s;

    rig_wait(rig, is_settled, count);
    s = rig_summary(rig);
    g_assert_cmpint(s.processed + s.failed + s.duplicate, ==, count);
}

bool rig_has_died(struct rig *rig, int64_t n)
{
    return atomic_load(&rig->fatals) == n;
}

bool rig_is_retrying(struct rig *rig, int64_t n)
{
    return rig_summary(rig).retrying == n;
}

bool rig_has_position(struct rig *rig, int64_t n)
{
    return rig_summary(rig).position >= n;
}

/* The newest row and how many there are. */
struct rows {
    struct arena *arena;
    struct store_row *newest;
    size_t count;
};

static void keep_row(const struct store_row *row, void *user)
{
    struct rows *rows = user;
    struct store_row *copy;

    if (rows->count++ > 0)
        return;
    copy = ARENA_NEW(rows->arena, struct store_row, 1);
    *copy = *row;
    copy->event_id = arena_copy(rows->arena, row->event_id);
    copy->source = arena_copy(rows->arena, row->source);
    copy->event_type = arena_copy(rows->arena, row->event_type);
    copy->customer_id = arena_copy(rows->arena, row->customer_id);
    copy->correlation_id = arena_copy(rows->arena, row->correlation_id);
    copy->worker_id = arena_copy(rows->arena, row->worker_id);
    copy->campaign_id = arena_copy(rows->arena, row->campaign_id);
    copy->rewards = arena_copy(rows->arena, row->rewards);
    copy->reason = arena_copy(rows->arena, row->reason);
    copy->error = arena_copy(rows->arena, row->error);
    copy->body = arena_copy(rows->arena, row->body);
    rows->newest = copy;
}

static struct rows list(struct rig *rig, enum store_view view, const char *id)
{
    struct store_query query = {.view = view, .event_id = slice_text(id), .limit = 1000};
    struct rows rows = {.arena = &rig->arena};
    struct store_page page = {0};
    g_autoptr(GError) error = NULL;

    store_list(rig->store, &query, &rig->arena, keep_row, &rows, &page, &error);
    g_assert_no_error(error);
    return rows;
}

const struct store_row *rig_event(struct rig *rig, const char *id)
{
    return list(rig, STORE_EVENTS, id).newest;
}

const struct store_row *rig_failure(struct rig *rig, const char *id)
{
    return list(rig, STORE_FAILURES, id).newest;
}

const struct store_row *rig_match(struct rig *rig, const char *id)
{
    return list(rig, STORE_MATCHES, id).newest;
}

size_t rig_count(struct rig *rig, enum store_view view, const char *id)
{
    return list(rig, view, id).count;
}
