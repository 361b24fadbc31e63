/* "eventflow top": a live view of a running server.
 *
 *    /metrics/summary, /metrics, /matches ──every interval──▶ top_sample ─▶ top_view ─▶ top_screen
 *
 * It only asks; three small requests each time. Without a terminal, or with --once, it takes two
 * samples, prints one picture of them and ends.
 */
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/options.h"
#include "cli/remote.h"
#include "cli/top_sample.h"
#include "cli/top_screen.h"
#include "cli/top_view.h"
#include "common/clock.h"
#include "common/config.h"
#include "common/error.h"

#define ANSWER_MS   1500 /* for one request; a key waits for all three, 4.5 s at worst */
#define PLAIN_WIDTH 100  /* columns without a terminal */

/* Filled by the table below. */
struct top_flags {
    char *url;
    int64_t interval_ms;
    bool once;
    bool json;
};

static const struct config_setting TOP_FLAGS[] = {
    {.name = "url",
     .type = CONFIG_TEXT,
     .fallback = OPTIONS_URL,
     .help = "Address of the server",
     .offset = offsetof(struct top_flags, url)},
    {.name = "interval",
     .type = CONFIG_DURATION,
     .fallback = "1s",
     .min = 100,
     .max = 3600000,
     .help = "Time between two looks",
     .offset = offsetof(struct top_flags, interval_ms)},
    {.name = "once",
     .type = CONFIG_BOOL,
     .help = "Print one picture after one interval and end",
     .offset = offsetof(struct top_flags, once)},
    {.name = "json",
     .type = CONFIG_BOOL,
     .help = "With --once: print it as JSON",
     .offset = offsetof(struct top_flags, json)},
};

/* One call of the command. */
struct top {
    struct options options;
    struct top_flags flags;
    struct client *client;
    struct top_history *history;
    struct top_screen screen;
    char *away;         /* why the last sample could not be taken; NULL: it could */
    int64_t away_at_us; /* since when; monotonic */
    bool is_colour, is_utf8;
};

/* ---- samples --------------------------------------------------------------------------------- */

/* One GET. NULL with *error: no answer, or not a good one. Owned by caller. */
static GString *top_get(struct top *t, const char *path, GError **error)
{
    const struct client_request request = {.method = "GET", .path = path, .timeout_ms = ANSWER_MS};
    struct client_response response;
    GString *body = NULL;

    if (!client_send(t->client, &request, &response, error))
        return NULL;
    if (remote_exit_code(response.status) == EXIT_CODE_OK)
        body = g_steal_pointer(&response.body);
    else
        g_set_error(error, EF_ERROR, EF_ERROR_RETRY, "%s answered with status %d", path,
                    response.status);
    client_response_done(&response);
    return body;
}

/* Borrowed from text. */
static struct slice top_slice(const GString *text)
{
    return slice_of(text->str, text->len);
}

/* All three answers, or nothing: a picture of half a server would mislead. */
static bool top_fetch(struct top *t, struct top_sample *s, GError **error)
{
    g_autofree char *path = g_strdup_printf("/matches?limit=%d", TOP_NEWEST);
    g_autoptr(GString) summary = top_get(t, "/metrics/summary", error);
    g_autoptr(GString) metrics = summary != NULL ? top_get(t, "/metrics", error) : NULL;
    g_autoptr(GString) matches = metrics != NULL ? top_get(t, path, error) : NULL;

    if (matches == NULL)
        return false;
    s->at_us = clock_monotonic_us();
    if (!top_sample_read_summary(s, top_slice(summary))) {
        g_set_error_literal(error, EF_ERROR, EF_ERROR_INPUT,
                            "the answer of /metrics/summary is not that of EventFlow");
        return false;
    }
    top_sample_read_metrics(s, top_slice(metrics));
    top_sample_read_matches(s, top_slice(matches));
    return true;
}

/* A failure is kept to be shown; the numbers before it stay. */
static bool top_sample(struct top *t, GError **error)
{
    g_autofree struct top_sample *s = g_new0(struct top_sample, 1);
    g_autoptr(GError) problem = NULL;

    if (top_fetch(t, s, &problem)) {
        g_clear_pointer(&t->away, g_free);
        top_history_add(t->history, s);
        return true;
    }
    if (t->away == NULL)
        t->away_at_us = clock_monotonic_us();
    g_free(t->away);
    t->away = table_safe_text(slice_text(problem->message));
    g_propagate_error(error, g_steal_pointer(&problem));
    return false;
}

/* ---- pictures -------------------------------------------------------------------------------- */

/* The moment as text: RFC 3339, cut to the second. */
static char *top_time(void)
{
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();

    return g_date_time_format(now, "%Y-%m-%dT%H:%M:%SZ");
}

/* The picture of what is known now. time must live as long as it. */
static struct top_view top_picture(const struct top *t, const char *time)
{
    return (struct top_view){.history = t->history,
                             .url = t->flags.url,
                             .time = time,
                             .away = t->away,
                             .away_seconds =
                                 (double)(clock_monotonic_us() - t->away_at_us) / G_USEC_PER_SEC,
                             .now_seconds = (double)clock_now_us() / G_USEC_PER_SEC,
                             .width = t->screen.is_open ? t->screen.width : PLAIN_WIDTH,
                             .height = t->screen.is_open ? t->screen.height : 0,
                             .is_colour = t->is_colour && t->screen.is_open,
                             .is_utf8 = t->is_utf8,
                             .is_live = t->screen.is_open};
}

/* Drawn after every wait, also after one that brought no sample: the window may have changed, and
 * "no answer for N s" counts on. */
static void top_draw(struct top *t)
{
    g_autofree char *time = top_time();
    g_autoptr(GString) lines = g_string_new(NULL);
    struct top_view view = top_picture(t, time);

    top_view_render(&view, lines);
    top_screen_draw(&t->screen, lines);
}

/* ---- the two ways ---------------------------------------------------------------------------- */

/* Two samples, one picture. */
static int top_run_once(struct top *t)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *time = NULL;
    g_autoptr(GString) out = g_string_new(NULL);
    struct top_view view;

    if (top_sample(t, &error)) {
        g_usleep((gulong)t->flags.interval_ms * 1000);
        top_sample(t, &error);
    }
    if (error != NULL) {
        fprintf(stderr, "eventflow top: %s\n", error->message);
        return exit_code_of(error);
    }
    time = top_time();
    view = top_picture(t, time);
    if (t->flags.json)
        top_view_json(&view, out);
    else
        top_view_render(&view, out);
    fputs(out->str, stdout);
    return EXIT_CODE_OK;
}

/* The next sample is due an interval after this one was, so the steps stay even; one that is late
 * (a server that hangs) does not make the others crowd. */
static int top_run_live(struct top *t)
{
    enum top_event event = TOP_EVENT_TIME;
    int64_t due_us = clock_monotonic_us();

    top_screen_open(&t->screen);
    while (event != TOP_EVENT_QUIT) {
        if (event == TOP_EVENT_TIME) {
            top_sample(t, NULL);
            due_us = MAX(due_us + t->flags.interval_ms * 1000, clock_monotonic_us());
        }
        top_draw(t);
        event = top_screen_wait(&t->screen, due_us);
    }
    top_screen_close(&t->screen);
    return EXIT_CODE_OK;
}

/* ---- the command ----------------------------------------------------------------------------- */

/* Source: no-color.org. */
static void top_look_around(struct top *t)
{
    const char *no_colour = g_getenv("NO_COLOR");

    t->is_colour = no_colour == NULL || no_colour[0] == '\0';
    setlocale(LC_CTYPE, "");
    t->is_utf8 = g_ascii_strcasecmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

/* A terminal that cannot move its cursor is none for us. */
static bool top_has_screen(void)
{
    const char *term = g_getenv("TERM");

    return isatty(STDOUT_FILENO) == 1 && term != NULL && term[0] != '\0' &&
           !g_str_equal(term, "dumb");
}

/* A pipe gets one picture instead of sequences that move a cursor. The history is too large for the
 * stack. */
static int top_run(struct top *t)
{
    g_autoptr(GError) error = NULL;
    bool is_once = t->flags.once || !top_has_screen();
    int code;

    if (t->options.operands->len > 0)
        return options_refuse(&t->options, "there is nothing to name: '%s'",
                              (const char *)g_ptr_array_index(t->options.operands, 0));
    if (t->flags.json && !is_once)
        return options_refuse(&t->options, "--json needs --once");
    t->client = client_new(t->flags.url, &error);
    if (t->client == NULL)
        return options_refuse(&t->options, "--url: %s", error->message);
    t->history = g_new0(struct top_history, 1);
    top_look_around(t);
    code = is_once ? top_run_once(t) : top_run_live(t);
    g_free(t->history);
    g_free(t->away);
    client_free(t->client);
    return code;
}

static int run_top(int argc, const char *const *argv)
{
    struct top t = {
        .options = {.command = &command_top,
                    .table = TOP_FLAGS,
                    .count = G_N_ELEMENTS(TOP_FLAGS),
                    .notes = "Rates are those of the last interval, percentiles (p99) those of "
                             "the last ten.\nCampaigns are counted in the newest matches. "
                             "Without a terminal it prints one\npicture and ends. NO_COLOR=1 "
                             "turns colours off; q or Ctrl-C leaves.\n"}};
    int code;

    t.options.settings = &t.flags;
    if (options_load(&t.options, argc, argv, &code))
        code = top_run(&t);
    options_done(&t.options);
    return exit_code_flushed(code);
}

const struct command command_top = {
    .name = "top",
    .summary = "Watch a running server: rates, lag, failures, matches",
    .run = run_top,
    .usage = "[--url URL] [--interval DURATION] [--once [--json]]",
};
