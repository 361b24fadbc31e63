#include "cli/engine.h"

#include <stdatomic.h>

#include "api/replays.h"
#include "api/server.h"
#include "cli/data_folder.h"
#include "cli/examples.h"
#include "common/clock.h"
#include "common/error.h"
#include "common/log.h"
#include "common/memory_limit.h"
#include "intake/intake.h"
#include "queue/queue.h"
#include "store/store.h"
#include "worker/campaigns.h"
#include "worker/housekeeper.h"
#include "worker/worker.h"

/* A limit that fits itself into the memory there is, so that a small container refuses, or goes to
 * disk, where the kernel would kill it in the middle of a flood. The settings' texts say the same.
 */
struct fitting {
    unsigned share;     /* this part of the memory */
    unsigned unit_size; /* bytes that one of what is limited takes */
    uint64_t most;
};

static const struct fitting DEDUPE_BYTES = {8, 1, UINT64_C(1) << 30};
static const struct fitting MATCHER_BYTES = {8, 1, UINT64_C(1) << 30};
static const struct fitting INFLIGHT_BYTES = {8, 1, UINT64_C(32) << 20};
static const struct fitting INFLIGHT_EVENTS = {8, 1024, 65536};
static const struct fitting WAITING_EVENTS = {16, 64, 1000000};

/* The five, as the settings say or as they fit. */
struct limits {
    size_t dedupe_bytes, matcher_bytes, inflight_bytes, inflight_events, waiting_events;
};

/* Main thread, but for api (see there) and fatal_seen (any thread). */
struct engine {
    struct data_folder folder;
    struct queue *queue;
    struct store *store;
    struct campaigns *campaigns;
    struct worker *worker;
    struct housekeeper *housekeeper;
    struct server *server;
    struct api api;
    void (*on_fatal)(void);
    atomic_flag fatal_seen;
};

/* Any thread: nothing is acknowledged from now on; the main thread is told once. */
static void engine_fatal(void *user, const char *message)
{
    struct engine *e = user;

    atomic_store(&e->api.is_broken, true);
    if (atomic_flag_test_and_set(&e->fatal_seen))
        return;
    log_error(LOG_MSG("cannot go on, ending the process; what was acknowledged is safe"),
              LOG_STRING("error", message));
    e->on_fatal();
}

/* The newest processed event; seq 0 = there is none. */
struct newest {
    struct arena arena;
    int64_t seq;
    struct slice event_id;
};

static void keep_newest(const struct store_row *row, void *user)
{
    struct newest *newest = user;

    newest->seq = row->seq;
    newest->event_id = arena_copy(&newest->arena, row->event_id);
}

/* The message is the one of that event, or is not kept any more. */
static bool check_message(struct engine *e, struct newest *newest, GError **error)
{
    struct queue_batch found = {0};

    if (newest->seq == 0)
        return true;
    if (!queue_read(e->queue, &newest->seq, 1, &newest->arena, &found, error))
        return false;
    if (found.count == 0 || slice_equal(found.messages[0].key, newest->event_id))
        return true;
    g_set_error(
        error, EF_ERROR, EF_ERROR_CORRUPT,
        "queue.db and eventflow.db in '%s' do not belong together: message %" G_GINT64_FORMAT
        " is another event in each; put back two files of the same time",
        e->folder.path, newest->seq);
    return false;
}

/* Files of two folders may fit by their numbers alone: then messages that never were processed
 * would be taken for done. So the newest result must be of the message that it names. */
static bool check_same_history(struct engine *e, GError **error)
{
    struct store_query query = {.view = STORE_EVENTS, .limit = 1};
    struct store_page page = {0};
    struct newest newest = {0};
    bool is_ok;

    arena_init(&newest.arena);
    is_ok = store_list(e->store, &query, &newest.arena, keep_newest, &newest, &page, error) &&
            check_message(e, &newest, error);
    arena_done(&newest.arena);
    return is_ok;
}

/* What the setting says; 0 = what fits. */
static size_t fit(int64_t setting, const struct fitting *f, uint64_t memory)
{
    return setting > 0 ? (size_t)setting : (size_t)MIN(memory / f->share / f->unit_size, f->most);
}

/* Logged, since the settings alone do not tell. */
static struct limits choose_limits(const struct settings *s)
{
    uint64_t memory = memory_limit("");
    struct limits limits = {
        .dedupe_bytes = fit(s->dedupe_memory_max, &DEDUPE_BYTES, memory),
        .matcher_bytes = fit(s->matcher_memory_max, &MATCHER_BYTES, memory),
        .inflight_bytes = fit(s->inflight_bytes_max, &INFLIGHT_BYTES, memory),
        .inflight_events = fit(s->inflight_max, &INFLIGHT_EVENTS, memory),
        .waiting_events = fit(s->queue_depth_max, &WAITING_EVENTS, memory),
    };

    log_info(LOG_MSG("limits chosen"), LOG_INT("memory_bytes", (int64_t)memory),
             LOG_INT("inflight_max", (int64_t)limits.inflight_events),
             LOG_INT("inflight_bytes_max", (int64_t)limits.inflight_bytes),
             LOG_INT("queue_depth_max", (int64_t)limits.waiting_events),
             LOG_INT("dedupe_memory_max", (int64_t)limits.dedupe_bytes),
             LOG_INT("matcher_memory_max", (int64_t)limits.matcher_bytes));
    return limits;
}

static bool open_backends(struct engine *e, const struct settings *s, size_t dedupe_bytes,
                          GError **error)
{
    struct queue_options queue_options = {.folder = s->data, /* intake keeps the depth limit */
                                          .on_fatal = engine_fatal,
                                          .user = e};
    struct store_options store_options = {
        .folder = s->data, .dedupe_memory_max = dedupe_bytes, .on_fatal = engine_fatal, .user = e};
    struct store_summary summary;

    e->store = store_open(&store_sqlite_ops, &store_options, error);
    if (e->store == NULL)
        return false;
    e->queue = queue_open(&queue_embedded_ops, &queue_options, error);
    if (e->queue == NULL)
        return false;
    return data_folder_sync(&e->folder, error) && store_get_summary(e->store, &summary, error) &&
           queue_seek(e->queue, summary.position, error) && check_same_history(e, error);
}

static void start_threads(struct engine *e, const struct settings *s, const struct limits *limits)
{
    e->campaigns = campaigns_start(
        &(struct campaigns_options){.store = e->store, .memory_max = limits->matcher_bytes});
    e->worker = worker_start(e->queue, e->store,
                             &(struct worker_options){
                                 .id = "worker-1",
                                 .batch_max = (size_t)s->worker_batch_max,
                                 .pace_ms = s->worker_pace_ms,
                                 .attempts_max = (int)s->attempts_max,
                                 .backoff_ms = s->retry_backoff_ms,
                                 .campaigns = e->campaigns,
                                 .is_suspicious = e->folder.was_unclean,
                                 .disk = e->api.disk,
                                 .on_fatal = engine_fatal,
                                 .user = e,
                             });
    e->api.intake = intake_start(e->queue, &(struct intake_options){
                                               .batch_max = (size_t)s->batch_max,
                                               .inflight_max = limits->inflight_events,
                                               .inflight_bytes_max = limits->inflight_bytes,
                                               .waiting_max = (int64_t)limits->waiting_events,
                                               .disk = e->api.disk,
                                               .on_fatal = engine_fatal,
                                               .user = e,
                                           });
    e->housekeeper = housekeeper_start(&(struct housekeeper_options){
        .queue = e->queue,
        .store = e->store,
        .disk = e->api.disk,
        .received_rate = e->api.received_rate,
        .processed_rate = e->api.processed_rate,
        .started_us = e->api.started_us,
    });
}

/* Binds before the databases are touched: a taken port leaves everything as it was. */
static bool open_server(struct engine *e, const struct settings *s, GError **error)
{
    struct server_options options = {
        .listen = s->listen,
        .metrics_listen = s->metrics_listen,
        .allow_open = s->allow_open,
        .loops = (int)s->loops,
        .executors = (int)s->executors,
        .executor_queue_max = (size_t)s->executor_queue_max,
        .connections_max = s->connections_max,
        .connections_per_ip_max = s->connections_per_ip_max,
        .body_max = s->body_max,
        .head_timeout_ms = s->head_timeout_ms,
        .body_timeout_ms = s->body_timeout_ms,
        .idle_timeout_ms = s->idle_timeout_ms,
        .write_timeout_ms = s->write_timeout_ms,
        .drain_timeout_ms = s->drain_timeout_ms,
    };

    e->server = server_open(&e->api, &options, error);
    return e->server != NULL;
}

/* SQLite often says "unable to open" where there is no room, not even for an inode. Damage and a
 * newer schema stay what they are. */
static void name_full_disk(const struct settings *s, GError **error)
{
    static const int hides[] = {EF_ERROR_RETRY, EF_ERROR_INPUT, EF_ERROR_FATAL};
    bool is_hidden = false;

    for (size_t i = 0; i < G_N_ELEMENTS(hides); i++)
        is_hidden = is_hidden || g_error_matches(*error, EF_ERROR, hides[i]);
    if (!is_hidden || disk_has_room(s->data))
        return;
    (*error)->code = EF_ERROR_FULL;
    g_prefix_error(error, "the disk under '%s' is full (space or inodes): make room; ", s->data);
}

struct engine *engine_open(const struct settings *s, void (*on_fatal)(void), GError **error)
{
    struct engine *e = g_new0(struct engine, 1);
    struct limits limits;

    e->on_fatal = on_fatal;
    atomic_flag_clear(&e->fatal_seen);
    if (!data_folder_open(&e->folder, s->data, error))
        goto out;
    /* What SQLite sorts on disk goes where there is room; /var/tmp may be memory, or read-only. No
     * thread runs yet. */
    g_setenv("SQLITE_TMPDIR", s->data, FALSE);
    limits = choose_limits(s);
    if (!open_server(e, s, error))
        goto out;
    if (!open_backends(e, s, limits.dedupe_bytes, error)) {
        name_full_disk(s, error);
        goto out;
    }
    if (s->examples && e->folder.was_new && !examples_load(e->store, error))
        goto out;
    if (e->folder.was_unclean)
        log_warn(LOG_MSG("the last process did not end cleanly; its first waiting events are "
                         "processed one by one"),
                 LOG_STRING("data", s->data));
    e->api.queue = e->queue;
    e->api.store = e->store;
    e->api.durability = "full";
    e->api.started_us = clock_now_us();
    e->api.started_monotonic_us = clock_monotonic_us();
    e->api.intake_limits.events_max = (size_t)s->events_max;
    e->api.pattern_limits = settings_pattern_limits(&s->pattern);
    e->api.replays = replays_new();
    e->api.disk = disk_watch_new(s->data);
    e->api.received_rate = rate_new();
    e->api.processed_rate = rate_new();
    start_threads(e, s, &limits);
    server_start(e->server);
    return e;
out:
    engine_close(e, !e->folder.was_unclean); /* nothing ran: the marker stays as it was */
    return NULL;
}

bool engine_was_new(const struct engine *e)
{
    return e->folder.was_new;
}

void engine_close(struct engine *e, bool is_clean)
{
    atomic_store(&e->api.is_draining, true);
    server_stop(e->server);
    housekeeper_stop(e->housekeeper);
    if (e->api.intake != NULL)
        intake_stop(e->api.intake);
    if (e->queue != NULL)
        queue_stop(e->queue);
    campaigns_halt(e->campaigns); /* the worker may wait for a load */
    if (e->worker != NULL)
        worker_stop(e->worker);
    campaigns_stop(e->campaigns);
    queue_close(e->queue);
    store_close(e->store);
    replays_free(e->api.replays);
    rate_free(e->api.received_rate);
    rate_free(e->api.processed_rate);
    disk_watch_free(e->api.disk);
    data_folder_close(&e->folder, is_clean);
    g_free(e);
}
