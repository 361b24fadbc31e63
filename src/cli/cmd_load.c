/* "eventflow load": made-up events at a rate or at full speed, and what came of it.
 *
 *   flags ─▶ struct load_run ─▶ threads (load_worker.c) ─▶ totals ─▶ report
 *                                  └─ a line a second ◀─ main thread ─▶ /metrics/summary
 *
 * The main thread sends nothing: it waits for signals and ends, draws the live line and asks the
 * server how far it is. Deliberately missing: https (the cost of TLS would be the generator's), and
 * any repetition at a rate.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/load_report.h"
#include "cli/options.h"
#include "common/clock.h"

#define LOAD_DURATION_MS   10000        /* when neither --duration nor --events is given */
#define LOAD_SPARE_FILES   64           /* descriptors beside those of the connections */
#define LOAD_LEAD_US       1000         /* from now to the first event of the schedule */
#define LOAD_LIVE_US       1000000      /* between two live lines */
#define LOAD_LOOK_US       50000        /* between two looks whether the threads are over */
#define LOAD_BOOKS_LOOK_US 10000        /* the same for the server's books */
#define LOAD_CONNECT_US    5000000      /* for all connections of all threads, before the run */
#define LOAD_DRAIN_US      10000000     /* for the last answers, unless --timeout is shorter */
#define LOAD_AWAY_US       5000000      /* without any connection: the server is gone */
#define LOAD_EVENTS_MAX    999999999999 /* twelve digits, as an event's number has */

/* Filled by the table below. */
struct load_flags {
    char *url;
    int64_t connections;
    int64_t threads;
    int64_t duration_ms;
    int64_t events;
    int64_t rate;
    int64_t timeout_ms;
    int64_t batch;
    char *duplicates;
    char *mix;
    int64_t customers;
    int64_t seed;
    bool wait;
    bool json;
    bool quiet;
};

/* --timeout is one for answers and for progress: whoever cannot wait for one cannot for the other.
 */
static const struct config_setting LOAD_FLAGS[] = {
    {.name = "url",
     .type = CONFIG_TEXT,
     .fallback = OPTIONS_URL,
     .help = "Address of the server, http only",
     .offset = offsetof(struct load_flags, url)},
    {.name = "connections",
     .type = CONFIG_INTEGER,
     .fallback = "64",
     .min = 1,
     .max = 10000,
     .help = "Connections that send at the same time",
     .offset = offsetof(struct load_flags, connections)},
    {.name = "duration",
     .type = CONFIG_DURATION,
     .max = 7 * 24 * 3600 * INT64_C(1000),
     .help = "How long to send (10s unless --events is given)",
     .offset = offsetof(struct load_flags, duration_ms)},
    {.name = "events",
     .type = CONFIG_INTEGER,
     .max = LOAD_EVENTS_MAX,
     .help = "How many events to send (0: until the duration is over)",
     .offset = offsetof(struct load_flags, events)},
    {.name = "rate",
     .type = CONFIG_INTEGER,
     .fallback = "0",
     .max = 1000000,
     .help = "Events a second, on a schedule that does not wait (0: full speed)",
     .offset = offsetof(struct load_flags, rate)},
    {.name = "timeout",
     .type = CONFIG_DURATION,
     .fallback = "30s",
     .min = 100,
     .max = 3600000,
     .help = "Longest wait for an answer, or for any progress at all",
     .offset = offsetof(struct load_flags, timeout_ms)},
    {.name = "batch",
     .type = CONFIG_INTEGER,
     .fallback = "1",
     .min = 1,
     .max = 1000,
     .help = "Events in one request; more than 1 are sent as NDJSON",
     .offset = offsetof(struct load_flags, batch)},
    {.name = "duplicates",
     .type = CONFIG_TEXT,
     .fallback = "0%",
     .help = "Share of events that repeat an earlier one, 0% to 100%",
     .offset = offsetof(struct load_flags, duplicates)},
    {.name = "mix",
     .type = CONFIG_TEXT,
     .fallback = "purchase",
     .help = "Types of events and their weights, TYPE=WEIGHT,…",
     .offset = offsetof(struct load_flags, mix)},
    {.name = "customers",
     .type = CONFIG_INTEGER,
     .fallback = "10000",
     .min = 1,
     .max = 1000000000,
     .help = "Different customers, c1 to cN with zeros in front",
     .offset = offsetof(struct load_flags, customers)},
    {.name = "seed",
     .type = CONFIG_INTEGER,
     .fallback = "1",
     .help = "The same seed gives the same types, customers and amounts",
     .offset = offsetof(struct load_flags, seed)},
    {.name = "threads",
     .type = CONFIG_INTEGER,
     .fallback = "1",
     .min = 1,
     .max = 64,
     .help = "Threads that share the connections",
     .offset = offsetof(struct load_flags, threads)},
    {.name = "wait",
     .type = CONFIG_BOOL,
     .fallback = "true",
     .help = "Wait until all is processed (this is the default; --wait=false: do not)",
     .offset = offsetof(struct load_flags, wait)},
    {.name = "json",
     .type = CONFIG_BOOL,
     .help = "Print the report as JSON",
     .offset = offsetof(struct load_flags, json)},
    {.name = "quiet",
     .type = CONFIG_BOOL,
     .help = "Print neither live line nor report",
     .offset = offsetof(struct load_flags, quiet)},
};

/* One call of the command. */
struct load {
    struct options options;
    struct load_flags flags;
    struct load_target target;
    struct load_events *events;
    struct load_run run;
    struct load_worker **workers; /* run.threads of them */
    struct client *client;        /* for the books; NULL: they are not read */
    struct load_books books;      /* at the start */
    struct load_result result;
    struct load_totals before; /* at the last live line */
    struct load_pace pace;     /* of the books, for the live line */
    int64_t live_us;           /* when it was drawn; monotonic, as those below */
    uint64_t accepted;         /* events, at the last look */
    int64_t moved_us;          /* when that grew last */
    int64_t ended_us;          /* when the end was wanted, or all was over; 0: not yet */
    bool is_stuck;             /* it did not grow for --timeout, and nothing else ends the run */
    sigset_t signals;          /* those that end the run */
    bool has_line;             /* a live line stands on the terminal */
};

/* ---- live line ------------------------------------------------------------------------------- */

/* Asked twenty times a second: a run is at most that much longer than its threads. */
static bool load_is_over(const struct load *l)
{
    for (uint64_t i = 0; i < l->run.threads; i++)
        if (!load_worker_is_over(l->workers[i]))
            return false;
    return true;
}

/* The sums of this moment. */
static void load_read_totals(const struct load *l, struct load_totals *totals)
{
    *totals = (struct load_totals){0};
    for (uint64_t i = 0; i < l->run.threads; i++)
        load_totals_add(totals, load_worker_counts(l->workers[i]));
}

/* Redrawn on a terminal, and cut at its edge: a line that wraps could not be redrawn. In a file a
 * line each, unless a script reads the report. Source: xterm's control sequences, DECAWM. */
static void load_print_live(struct load *l, const char *text)
{
    bool is_terminal = isatty(STDERR_FILENO) == 1;

    if (is_terminal)
        fprintf(stderr, "\r\033[K\033[?7l%s\033[?7h", text);
    else if (!l->flags.json)
        fprintf(stderr, "%s\n", text);
    fflush(stderr);
    l->has_line = is_terminal;
}

/* So that report and messages begin in the first column. */
static void load_clear_line(struct load *l)
{
    if (l->has_line)
        fputs("\r\033[K", stderr);
    l->has_line = false;
}

/* Once a second. The totals are large, so they are not kept on the stack. */
static void load_show_live(struct load *l)
{
    int64_t now_us = clock_monotonic_us();
    g_autoptr(GString) text = g_string_new(NULL);
    g_autofree struct load_totals *now = NULL;
    struct load_books books;
    double pace = -1;
    double seconds = (double)(now_us - l->live_us) / G_USEC_PER_SEC;

    if (l->flags.quiet || now_us - l->live_us < LOAD_LIVE_US)
        return;
    now = g_new(struct load_totals, 1);
    load_read_totals(l, now);
    if (l->client != NULL && load_books_read(l->client, &books))
        pace = load_pace_of(&l->pace, &books, clock_monotonic_us()); /* reading takes its time */
    g_string_append_printf(text, "%5.0f s  ", (double)(now_us - l->run.start_us) / G_USEC_PER_SEC);
    if (load_is_over(l))
        load_report_waiting(text, pace, l->pace.books.waiting);
    else
        load_report_live(text, seconds, now, &l->before, pace);
    load_print_live(l, text->str);
    l->before = *now;
    l->live_us = now_us;
}

/* ---- the run --------------------------------------------------------------------------------- */

/* Sleeps; true: somebody pressed Ctrl-C or asked for the end. */
static bool load_sleep(const struct load *l, int64_t wait_us)
{
    struct timespec wait = {.tv_sec = wait_us / 1000000, .tv_nsec = wait_us % 1000000 * 1000};

    return sigtimedwait(&l->signals, NULL, &wait) > 0;
}

/* At full speed the clock ends a run, at a rate the last event of the schedule. */
static void load_set_times(struct load *l)
{
    double planned_us = (double)l->flags.duration_ms * 1000.0;

    if (l->flags.rate > 0)
        planned_us = (double)l->run.events_max * 1e6 / l->run.rate;
    l->run.start_us = clock_monotonic_us() + LOAD_LEAD_US;
    l->run.end_us = planned_us > 0 ? l->run.start_us + (int64_t)planned_us : INT64_MAX;
}

/* Whatever the reason, the first one counts. */
static void load_stop(struct load *l)
{
    atomic_store(&l->run.is_stopping, true);
    if (l->ended_us == 0)
        l->ended_us = clock_monotonic_us();
}

/* A number of events is no end if the server takes none of them: one that is full or silent would
 * be asked for ever. Any other run ends by the clock. */
static bool load_is_stuck(struct load *l)
{
    int64_t now_us = clock_monotonic_us();
    uint64_t accepted = 0;

    if (l->run.end_us < INT64_MAX)
        return false;
    for (uint64_t i = 0; i < l->run.threads; i++)
        accepted += atomic_load(&load_worker_counts(l->workers[i])->accepted);
    if (accepted > l->accepted)
        l->moved_us = now_us;
    l->accepted = accepted;
    return now_us - l->moved_us > l->run.timeout_us;
}

/* Until the threads are over, which somebody may want early. */
static void load_watch(struct load *l)
{
    while (!load_is_over(l)) {
        if (load_sleep(l, LOAD_LOOK_US)) {
            l->result.is_interrupted = true;
            load_stop(l);
        } else if (!l->result.is_interrupted && load_is_stuck(l)) {
            l->is_stuck = true;
            load_stop(l);
        }
        load_show_live(l);
    }
    if (l->ended_us == 0)
        l->ended_us = clock_monotonic_us();
}

/* The moment that the rates are counted to: the last answer when the run came to its own end before
 * the planned one; else that, or the end that somebody wanted: a server that falls silent half-way
 * gets half of its rate. */
static int64_t load_until(const struct load *l)
{
    const struct load_totals *totals = &l->result.totals;
    bool is_cut = l->result.is_interrupted || l->is_stuck || atomic_load(&l->run.is_unreachable);
    int64_t end_us = MIN(l->ended_us, l->run.end_us);
    bool is_early =
        !is_cut && end_us < l->run.end_us && totals->timeouts == 0 && totals->last_us > 0;

    return is_early ? totals->last_us : MAX(totals->last_us, end_us);
}

/* From the first thread's start to the last one's end, with a live line meanwhile. */
static void load_send(struct load *l)
{
    for (uint64_t i = 0; i < l->run.threads; i++)
        load_worker_start(l->workers[i]);
    l->live_us = l->run.start_us;
    l->moved_us = l->run.start_us;
    l->pace = (struct load_pace){.books = l->books, .at_us = l->run.start_us};
    load_watch(l);
    for (uint64_t i = 0; i < l->run.threads; i++) {
        int64_t user_us;
        int64_t system_us;

        load_worker_join(l->workers[i]);
        load_worker_cpu(l->workers[i], &user_us, &system_us);
        l->result.user_us += user_us;
        l->result.system_us += system_us;
    }
    load_read_totals(l, &l->result.totals);
    l->result.seconds = (double)(load_until(l) - l->run.start_us) / G_USEC_PER_SEC;
}

/* Until the server has an outcome for everything; it may have other clients, so nothing more than
 * what we sent is waited for. Ends early when nothing moves, or at a signal. */
static void load_await_books(struct load *l)
{
    struct load_result *r = &l->result;
    int64_t moved_us = clock_monotonic_us();
    int64_t done = -1;
    struct load_books books;

    do {
        int64_t now_us = clock_monotonic_us();

        if (load_books_read(l->client, &books)) {
            r->has_books = true;
            r->books = load_books_since(&books, &l->books);
            r->processed_seconds =
                MAX(r->seconds, (double)(clock_monotonic_us() - l->run.start_us) / G_USEC_PER_SEC);
            r->is_settled =
                books.waiting == 0 || load_books_done(&r->books) >= (int64_t)r->totals.events;
        }
        if (load_books_done(&r->books) != done)
            moved_us = now_us;
        done = load_books_done(&r->books);
        load_show_live(l);
        if (r->is_settled || r->is_interrupted || l->is_stuck ||
            now_us - moved_us > l->run.timeout_us)
            return; /* of a run that was cut short one look is enough */
    } while (!load_sleep(l, LOAD_BOOKS_LOOK_US));
    r->is_interrupted = true;
}

/* ---- report ---------------------------------------------------------------------------------- */

/* --json wins over --quiet: a program that asks for numbers wants them. */
static void load_print_report(struct load *l)
{
    g_autoptr(GString) out = g_string_new(NULL);

    load_clear_line(l);
    if (l->flags.json)
        load_report_json(out, &l->result);
    else if (!l->flags.quiet)
        load_report_text(out, &l->result);
    fputs(out->str, stdout);
}

/* What took too long took that long. */
static int load_give_up(const struct load *l, const char *what)
{
    fprintf(stderr, "eventflow load: %s for %g s\n", what, (double)l->flags.timeout_ms / 1000.0);
    return EXIT_CODE_UNAVAILABLE;
}

/* All kinds of end have had their report by then. A run that nobody cut short and that did not get
 * to its end is no success, whatever the server answered. */
static int load_exit_code(const struct load *l)
{
    if (atomic_load(&l->run.is_unreachable)) {
        fprintf(stderr, "eventflow load: the server at %s is gone\n", l->flags.url);
        return EXIT_CODE_UNAVAILABLE;
    }
    if (l->is_stuck)
        return load_give_up(l, "no event was accepted");
    if (l->client != NULL && !l->result.is_settled && !l->result.is_interrupted)
        return load_give_up(l, "not everything was processed, and nothing more");
    return load_totals_failed(&l->result.totals) > 0 ? EXIT_CODE_DATA : EXIT_CODE_OK;
}

/* ---- before the run -------------------------------------------------------------------------- */

/* The limit is raised as far as the system lets us. false: reported. */
static bool load_make_room(const struct load *l)
{
    rlim_t needed = (rlim_t)l->flags.connections + LOAD_SPARE_FILES;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed)
        return true;
    limit.rlim_cur = MIN(needed, limit.rlim_max);
    if (limit.rlim_cur == needed && setrlimit(RLIMIT_NOFILE, &limit) == 0)
        return true;
    options_refuse(&l->options,
                   "--connections: %" G_GINT64_FORMAT " need %" G_GUINT64_FORMAT
                   " open files, but at most %" G_GUINT64_FORMAT " are allowed here (ulimit -n)",
                   l->flags.connections, (guint64)needed, (guint64)limit.rlim_max);
    return false;
}

/* Event times: at a rate the intended ones, else a microsecond apart, which is never ahead of the
 * clock. The run's number begins with the time, so ids of later runs are greater. */
static bool load_make_events(struct load *l, uint32_t duplicates, GError **error)
{
    int64_t now_us = clock_now_us();
    const struct load_events_options options = {
        .mix = l->flags.mix,
        .seed = (uint64_t)l->flags.seed,
        .customers = (uint32_t)l->flags.customers,
        .duplicates_per_10000 = duplicates,
        .run = (uint64_t)(now_us / 1000) << 16 | (g_random_int() & 0xffff),
        .start_us = now_us,
        .step_us = l->flags.rate > 0 ? 1e6 / (double)l->flags.rate : 1,
    };

    l->events = load_events_new(&options, error);
    return l->events != NULL;
}

/* What the flags' table cannot check. EXIT_CODE_OK, or refused with its code. */
static int load_check(struct load *l)
{
    g_autoptr(GError) error = NULL;
    uint32_t duplicates = 0;

    if (l->options.operands->len > 0)
        return options_refuse(&l->options, "takes no arguments, only flags");
    if (!load_percent_read(l->flags.duplicates, &duplicates))
        return options_refuse(&l->options,
                              "--duplicates: valid is a share from 0%% to 100%%, such as 5%%");
    if (l->flags.threads > l->flags.connections)
        return options_refuse(&l->options, "--threads: there are not more than connections");
    if (!load_target_init(&l->target, l->flags.url, &error))
        return options_refuse(&l->options, "--url: %s", error->message);
    if (!load_make_events(l, duplicates, &error))
        return options_refuse(&l->options, "--mix: %s", error->message);
    if (!load_make_room(l))
        return EXIT_CODE_USAGE;
    if (l->flags.duration_ms == 0 && l->flags.events == 0)
        l->flags.duration_ms = LOAD_DURATION_MS;
    return EXIT_CODE_OK;
}

/* Another server than EventFlow may be measured as well; it has no books. */
static void load_open_books(struct load *l)
{
    l->client = l->flags.wait ? client_new(l->flags.url, NULL) : NULL;
    if (l->client != NULL && !load_books_read(l->client, &l->books)) {
        client_free(l->client);
        l->client = NULL;
        if (!l->flags.quiet)
            fprintf(stderr, "eventflow load: no /metrics/summary there, so nothing is known of "
                            "processing\n");
    }
}

/* At least one event, however short the duration. */
static uint64_t load_plan_events(const struct load *l)
{
    uint64_t count = l->flags.events > 0 ? (uint64_t)l->flags.events : UINT64_MAX;
    double planned = (double)l->flags.rate * (double)l->flags.duration_ms / 1000.0;

    if (l->flags.rate > 0 && l->flags.duration_ms > 0)
        count = MIN(count, MAX((uint64_t)planned, 1));
    return count;
}

/* All but the times, which begin when the connections stand. */
static void load_plan(struct load *l)
{
    l->run.target = &l->target;
    l->run.events = l->events;
    l->run.connections = (uint64_t)l->flags.connections;
    l->run.threads = (uint64_t)l->flags.threads;
    l->run.batch = (uint64_t)l->flags.batch;
    l->run.rate = (double)l->flags.rate;
    l->run.events_max = load_plan_events(l);
    l->run.timeout_us = l->flags.timeout_ms * 1000;
    l->run.drain_us = MIN(l->run.timeout_us, LOAD_DRAIN_US);
    l->run.away_us = LOAD_AWAY_US;
}

/* Connections stand before the clock starts, so that connecting is in no latency. They share one
 * deadline: each of 64 threads with one of its own would take minutes. */
static bool load_connect(struct load *l, GError **error)
{
    int64_t until_us;

    if (!load_target_connect(&l->target, l->flags.url, error))
        return false;
    load_open_books(l);
    load_plan(l);
    l->workers = g_new0(struct load_worker *, l->run.threads);
    until_us = clock_monotonic_us() + LOAD_CONNECT_US;
    for (uint64_t i = 0; i < l->run.threads; i++) {
        l->workers[i] = load_worker_new(&l->run, i, until_us, error);
        if (l->workers[i] == NULL)
            return false;
    }
    load_set_times(l);
    return true;
}

/* ---- the command ----------------------------------------------------------------------------- */

/* Blocked before any load thread starts, so that only load_sleep gets them; not before, so that
 * Ctrl-C ends a slow connect at once. */
static void load_block_signals(struct load *l)
{
    sigemptyset(&l->signals);
    sigaddset(&l->signals, SIGINT);
    sigaddset(&l->signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &l->signals, NULL);
}

/* The report comes even when the server has gone: what was measured until then is true. */
static int load_run(struct load *l)
{
    g_autoptr(GError) error = NULL;
    int code = load_check(l);

    if (code != EXIT_CODE_OK)
        return code;
    if (!load_connect(l, &error)) {
        fprintf(stderr, "eventflow load: %s\n", error->message);
        return exit_code_of(error);
    }
    load_block_signals(l);
    l->result.url = l->flags.url;
    l->result.run = &l->run;
    l->result.seed = (uint64_t)l->flags.seed;
    load_send(l);
    if (l->client != NULL && !atomic_load(&l->run.is_unreachable))
        load_await_books(l);
    load_print_report(l);
    return load_exit_code(l);
}

/* Safe after every failure: all pointers begin as NULL. */
static void load_free(struct load *l)
{
    for (uint64_t i = 0; l->workers != NULL && i < l->run.threads; i++)
        load_worker_free(l->workers[i]);
    g_free(l->workers);
    client_free(l->client);
    load_events_free(l->events);
    load_target_done(&l->target);
    options_done(&l->options);
    g_free(l);
}

/* On the heap: the totals are some ten kilobytes each. */
static int run_load(int argc, const char *const *argv)
{
    struct load *l = g_new0(struct load, 1);
    int code;

    l->options = (struct options){
        .command = &command_load,
        .table = LOAD_FLAGS,
        .count = G_N_ELEMENTS(LOAD_FLAGS),
        .settings = &l->flags,
        .notes =
            "With --rate the load is an open loop: every request has its time from the\n"
            "start on, whatever the server does, and its latency counts from that time. A\n"
            "server that stalls therefore shows it. A refused request (503, 507) is not sent\n"
            "again and has no latency. At full speed (closed loop) each connection waits for\n"
            "its answer, latency counts from sending, and a refused request is sent again\n"
            "after the time the server asks for. Either way a request that gets no answer is\n"
            "in the latency with the time it waited.\n"
            "The report goes to standard output, all other lines to standard error. Ctrl-C\n"
            "ends early, with the report.\n\n"
            "Exit codes: 0 done (or Ctrl-C), 64 wrong use, 65 some requests failed otherwise\n"
            "than with 503, 69 cannot connect, the server went away, or for --timeout it\n"
            "accepted nothing (--events alone) or processed nothing of what was left (--wait).\n"};
    if (options_load(&l->options, argc, argv, &code))
        code = load_run(l);
    load_free(l);
    return exit_code_flushed(code);
}

const struct command command_load = {
    .name = "load",
    .summary = "Send made-up events at a rate or at full speed and report latencies",
    .run = run_load,
    .usage =
        "[--url URL] [--rate N] [--connections N] [--duration DURATION|--events N] [--batch N] …",
};
