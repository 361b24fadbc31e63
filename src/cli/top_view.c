/* The picture of "eventflow top", drawn line by line into a text.
 *
 *   label(12) value(10) sparkline(what is left) note(38)
 *
 * Every row is put together from left to right and cut at the window's edge by put(), so no row has
 * to know the width. Values are what the last step says, sparklines one character a step. What is
 * not known ("-", a gap) is told apart from 0: a server that was not asked has not done nothing.
 */
#include "cli/top_view.h"

#include <string.h>

#include "common/json.h"

#define LABEL_WIDTH 12 /* columns of a row's name */
#define VALUE_WIDTH 10 /* columns of its value */
#define SPARK_MAX   (TOP_HISTORY - 1)
#define NOTE_WIDTH  38 /* columns kept for what stands behind the sparkline */

/* ---- lines ----------------------------------------------------------------------------------- */

enum style { STYLE_PLAIN, STYLE_TITLE, STYLE_DIM, STYLE_BAD, STYLE_SPARK };

/* Parameters of SGR (ECMA-48, 8.3.117): the basic ones, which follow the terminal's own theme. */
static const char *const style_codes[] = {
    [STYLE_TITLE] = "1", [STYLE_DIM] = "2", [STYLE_BAD] = "1;31", [STYLE_SPARK] = "36"};

/* The line that is written at the moment. */
struct line {
    GString *out;
    bool is_colour;
    int left;  /* columns that are free */
    int lines; /* that may still come; this one counts */
};

/* As much of the text as fits. */
static void put(struct line *l, enum style style, const char *text)
{
    glong size = g_utf8_strlen(text, -1);
    glong shown = MIN(size, (glong)l->left);
    bool is_styled = l->is_colour && style != STYLE_PLAIN && shown > 0;

    if (l->lines <= 0 || shown <= 0)
        return;
    if (is_styled)
        g_string_append_printf(l->out, "\033[%sm", style_codes[style]);
    g_string_append_len(l->out, text, g_utf8_offset_to_pointer(text, shown) - text);
    if (is_styled)
        g_string_append(l->out, "\033[0m");
    l->left -= (int)shown;
}

static void put_format(struct line *l, enum style style, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Longer than the window is allowed: put() cuts. */
static void put_format(struct line *l, enum style style, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    put(l, style, text);
}

/* Lines below the window are counted on, too, so that whoever writes need not ask. */
static void end_line(struct line *l, const struct top_view *v)
{
    if (l->lines > 0)
        g_string_append_c(l->out, '\n');
    l->lines--;
    l->left = v->width;
}

/* ---- numbers --------------------------------------------------------------------------------- */

/* 1234567 -> "1,234,567". Owned by caller. */
static char *count_text(double value)
{
    GString *text = g_string_new(NULL);

    g_string_printf(text, "%.0f", MAX(value, 0));
    for (gssize at = (gssize)text->len - 3; at > 0; at -= 3)
        g_string_insert_c(text, at, ',');
    return g_string_free(text, FALSE);
}

/* A rate: with a decimal where that says something. Negative: unknown. Owned by caller. */
static char *rate_text(double value)
{
    g_autofree char *count = NULL;

    if (value < 0)
        return g_strdup("-");
    if (value > 0 && value < 10)
        return g_strdup_printf("%.1f/s", value);
    count = count_text(value);
    return g_strconcat(count, "/s", NULL);
}

/* About three digits in the unit that people would say, from a sync's microseconds to a server's
 * age in hours. Negative: unknown. */
/* Owned by caller. */
static char *duration_text(double seconds)
{
    if (seconds < 0)
        return g_strdup("-");
    if (seconds < 0.001)
        return g_strdup_printf("%.0f us", seconds * 1e6);
    if (seconds < 1)
        return g_strdup_printf(seconds < 0.01 ? "%.1f ms" : "%.0f ms", seconds * 1e3);
    if (seconds < 120)
        return g_strdup_printf("%.1f s", seconds);
    if (seconds < 7200)
        return g_strdup_printf("%.0f min", seconds / 60);
    return g_strdup_printf("%.0f h %.0f min", (double)(int64_t)(seconds / 3600),
                           (double)((int64_t)seconds % 3600 / 60));
}

/* Shares of the largest one, not of a fixed limit: the shape is what tells, the number stands
 * beside it. A gap is no low value. */
void top_sparkline(const double *values, int count, bool is_utf8, GString *out)
{
    static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const marks[] = {".", ":", "-", "=", "+", "*", "%", "#"};
    double most = 0;

    for (int i = 0; i < count; i++)
        most = MAX(most, values[i]);
    for (int i = 0; i < count; i++) {
        int level = most > 0 ? (int)(values[i] / most * 7 + 0.5) : 0;

        g_string_append(out, values[i] < 0 ? " " : (is_utf8 ? blocks : marks)[level]);
    }
}

/* ---- history --------------------------------------------------------------------------------- */

/* Sixty samples are moved once a second: a ring would be quicker and harder to read. */
void top_history_add(struct top_history *h, const struct top_sample *sample)
{
    if (h->count == TOP_HISTORY) {
        memmove(&h->samples[0], &h->samples[1], sizeof(h->samples[0]) * (TOP_HISTORY - 1));
        h->count--;
    }
    h->samples[h->count++] = *sample;
}

/* 0 is the newest one. NULL: not so many have been taken yet. */
static const struct top_sample *sample_at(const struct top_history *h, int back)
{
    return h->count > back ? &h->samples[h->count - 1 - back] : NULL;
}

/* All from the books, which a restart does not set back. */
static int64_t total_of(const struct top_sample *s, enum top_rate rate)
{
    const int64_t totals[TOP_RATES] = {[TOP_ACCEPTED] = s->received,
                                       [TOP_PROCESSED] = s->processed,
                                       [TOP_FAILED] = s->failed,
                                       [TOP_DUPLICATE] = s->duplicate,
                                       [TOP_MATCHES] = s->matches};

    return totals[rate];
}

/* By the time that has passed and not by the interval: an answer may have been late. */
double top_rate_at(const struct top_history *h, enum top_rate rate, int step)
{
    const struct top_sample *now = sample_at(h, step);
    const struct top_sample *before = sample_at(h, step + 1);

    if (before == NULL || now->at_us <= before->at_us)
        return -1;
    return top_growth((double)total_of(before, rate), (double)total_of(now, rate)) /
           ((double)(now->at_us - before->at_us) / G_USEC_PER_SEC);
}

/* The counters and histograms of /metrics begin at 0 with the process: two samples of different
 * ones have nothing in common, also when the new one has counted past the old one by now. */
static bool is_same_process(const struct top_sample *a, const struct top_sample *b)
{
    return a->started_seconds == b->started_seconds;
}

/* Answers to POST /events with a status, per second in the last step. */
static double status_rate(const struct top_history *h, const struct top_status *status)
{
    const struct top_sample *now = sample_at(h, 0);
    const struct top_sample *before = sample_at(h, 1);
    double was = 0;

    if (before == NULL || now->at_us <= before->at_us)
        return 0;
    for (int i = 0; i < before->status_count; i++)
        if (is_same_process(before, now) && before->statuses[i].status == status->status)
            was = before->statuses[i].count;
    return top_growth(was, status->count) / ((double)(now->at_us - before->at_us) / G_USEC_PER_SEC);
}

/* Picks a histogram out of a sample. */
typedef const struct top_histogram *(*histogram_fn)(const struct top_sample *s);

/* The wait for the disk that is in every answer. */
static const struct top_histogram *commit_of(const struct top_sample *s)
{
    return &s->commit;
}

/* The same for what the worker writes. */
static const struct top_histogram *settle_of(const struct top_sample *s)
{
    return &s->settle;
}

/* What a user of the results notices. */
static const struct top_histogram *lag_of(const struct top_sample *s)
{
    return &s->lag;
}

/* Over some steps that end `step` samples before the newest one; negative: nothing happened. */
static double p99_at(const struct top_history *h, histogram_fn pick, int step, int steps)
{
    static const struct top_histogram none = {0};
    const struct top_sample *now = sample_at(h, step);
    int back = MIN(step + steps, h->count - 1);
    const struct top_sample *before;

    if (now == NULL || back <= step)
        return -1;
    before = sample_at(h, back);
    return top_quantile(is_same_process(before, now) ? pick(before) : &none, pick(now), 0.99);
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* Gives the value of a step, negative for none. */
typedef double (*series_fn)(const struct top_history *h, int which, int step);

/* The first sample of a run has no step before it, so a rate has one value less than the others. */
static double series_rate(const struct top_history *h, int which, int step)
{
    return top_rate_at(h, (enum top_rate)which, step);
}

/* A state and no growth: the sample itself is the value. */
static double series_waiting(const struct top_history *h, int which, int step)
{
    (void)which;
    return h->count > step ? (double)sample_at(h, step)->waiting : -1;
}

/* The same. */
static double series_memory(const struct top_history *h, int which, int step)
{
    (void)which;
    return h->count > step ? sample_at(h, step)->memory_bytes : -1;
}

/* Step by step, so that one slow second can be seen; the number beside it looks further back, since
 * a p99 of one second would jump. */
static double series_sync(const struct top_history *h, int which, int step)
{
    (void)which;
    return p99_at(h, commit_of, step, 1);
}

/* Name, value, sparkline. The note follows through put. */
static void put_row(struct line *l, const struct top_view *v, const char *label, const char *value,
                    series_fn series, int which)
{
    double values[SPARK_MAX];
    int count = CLAMP(v->width - LABEL_WIDTH - VALUE_WIDTH - NOTE_WIDTH, 0, SPARK_MAX);
    g_autoptr(GString) spark = g_string_new("  ");

    put_format(l, STYLE_TITLE, "%-*s", LABEL_WIDTH, label);
    put_format(l, STYLE_PLAIN, "%*s", VALUE_WIDTH, value);
    if (v->is_live && series != NULL && count > 0) {
        for (int i = 0; i < count; i++)
            values[i] = series(v->history, which, count - 1 - i);
        top_sparkline(values, count, v->is_utf8, spark);
        put(l, STYLE_SPARK, spark->str);
    } else if (v->is_live) {
        put_format(l, STYLE_PLAIN, "%*s", count + 2, "");
    }
    put(l, STYLE_PLAIN, "  ");
}

/* Failures that nobody has replayed are the one total that asks for something. */
static void put_rate_row(struct line *l, const struct top_view *v, const char *label,
                         enum top_rate rate)
{
    const struct top_sample *s = sample_at(v->history, 0);
    g_autofree char *value = rate_text(top_rate_at(v->history, rate, 0));
    g_autofree char *total = count_text((double)total_of(s, rate));

    put_row(l, v, label, value, series_rate, rate);
    put_format(l, STYLE_DIM, "%s in all", total);
    if (rate == TOP_FAILED && s->failed_open > 0)
        put_format(l, STYLE_BAD, ", %" G_GINT64_FORMAT " open", s->failed_open);
    end_line(l, v);
}

/* How long is shown beside how many: a short queue that stands still is worse than a long one that
 * moves. */
static void put_waiting_row(struct line *l, const struct top_view *v)
{
    const struct top_sample *s = sample_at(v->history, 0);
    g_autofree char *value = count_text((double)s->waiting);
    g_autofree char *oldest = duration_text(s->oldest_seconds);

    put_row(l, v, "waiting", value, series_waiting, 0);
    put_format(l, STYLE_DIM, "oldest %s", s->waiting > 0 ? oldest : "-");
    if (s->retrying > 0)
        put_format(l, STYLE_BAD, ", %" G_GINT64_FORMAT " to be tried again", s->retrying);
    end_line(l, v);
}

/* Only the statuses that mean "not accepted". */
static void put_refused_row(struct line *l, const struct top_view *v)
{
    const struct top_sample *s = sample_at(v->history, 0);
    g_autoptr(GString) parts = g_string_new(NULL);
    g_autofree char *value = NULL;
    double rate = 0;

    for (int i = 0; i < s->status_count; i++) {
        const struct top_status *status = &s->statuses[i];
        g_autofree char *count = count_text(status->count);

        if (status->status < 400)
            continue;
        rate += status_rate(v->history, status);
        g_string_append_printf(parts, "%s%d: %s", parts->len > 0 ? ", " : "", status->status,
                               count);
    }
    value = rate_text(v->history->count > 1 ? rate : -1);
    put_row(l, v, "refused", value, NULL, 0);
    put(l, rate > 0 ? STYLE_BAD : STYLE_DIM, parts->len > 0 ? parts->str : "requests: none");
    end_line(l, v);
}

/* From the disk outwards: what a client waits for, what the worker waits for, what comes of it. */
static void put_sync_row(struct line *l, const struct top_view *v)
{
    g_autofree char *sync = duration_text(p99_at(v->history, commit_of, 0, TOP_WINDOW));
    g_autofree char *settle = duration_text(p99_at(v->history, settle_of, 0, TOP_WINDOW));
    g_autofree char *lag = duration_text(p99_at(v->history, lag_of, 0, TOP_WINDOW));

    put_row(l, v, "sync p99", sync, series_sync, 0);
    put_format(l, STYLE_DIM, "settle p99 %s, lag p99 %s", settle, lag);
    end_line(l, v);
}

/* The gauges of the process. */
static void put_memory_row(struct line *l, const struct top_view *v)
{
    const struct top_sample *s = sample_at(v->history, 0);
    g_autofree char *value = g_strdup_printf("%.1f MiB", s->memory_bytes / (1024 * 1024));

    put_row(l, v, "memory", value, series_memory, 0);
    put_format(l, STYLE_DIM, "%.0f connections", s->connections);
    end_line(l, v);
}

/* The share of a bar that is full. */
static void put_bar(struct line *l, const struct top_view *v, int matches, int most)
{
    int width = MIN(l->left, 20) * matches / MAX(most, 1);
    g_autoptr(GString) bar = g_string_new(NULL);

    for (int i = 0; i < width; i++)
        g_string_append(bar, v->is_utf8 ? "█" : "#");
    put(l, STYLE_SPARK, bar->str);
}

/* The server has no counter a campaign, so this says what it is: a look at the newest matches. */
static void put_campaigns(struct line *l, const struct top_view *v)
{
    const struct top_sample *s = sample_at(v->history, 0);

    end_line(l, v);
    put_format(l, STYLE_TITLE, "%" G_GINT64_FORMAT " active campaigns", s->campaigns_active);
    if (s->campaign_count > 0)
        put_format(l, STYLE_DIM, "; the newest %d matches by campaign", s->matches_seen);
    end_line(l, v);
    for (int i = 0; i < s->campaign_count; i++) {
        const struct top_campaign *c = &s->campaigns[i];

        put_format(l, STYLE_PLAIN, "  %-32.64s %4d  %3.0f %%  ", c->name, c->matches,
                   100.0 * c->matches / s->matches_seen);
        put_bar(l, v, c->matches, s->campaigns[0].matches);
        end_line(l, v);
    }
}

/* The age is left out while the server is away: it may be another process that comes back. */
static void put_head(struct line *l, const struct top_view *v)
{
    const struct top_sample *s = sample_at(v->history, 0);

    put(l, STYLE_TITLE, "eventflow top");
    put_format(l, STYLE_PLAIN, "  %s  %s", v->url, v->time);
    if (s != NULL && s->started_seconds > 0 && v->away == NULL) {
        g_autofree char *age = duration_text(MAX(0, v->now_seconds - s->started_seconds));

        put_format(l, STYLE_DIM, "  up %s", age);
    }
    end_line(l, v);
    if (v->away != NULL) {
        put_format(l, STYLE_BAD, "no answer for %.0f s, trying on: %s", v->away_seconds, v->away);
        end_line(l, v);
    }
    end_line(l, v);
}

/* In the order in which an event meets them; what says that something is wrong stands in the middle
 * of the screen, also of a small one. */
static void put_rows(struct line *l, const struct top_view *v)
{
    put_rate_row(l, v, "accepted", TOP_ACCEPTED);
    put_rate_row(l, v, "processed", TOP_PROCESSED);
    put_waiting_row(l, v);
    put_rate_row(l, v, "matches", TOP_MATCHES);
    put_rate_row(l, v, "failed", TOP_FAILED);
    put_rate_row(l, v, "duplicates", TOP_DUPLICATE);
    put_refused_row(l, v);
    put_sync_row(l, v);
    put_memory_row(l, v);
    put_campaigns(l, v);
}

/* Without a sample there is the head alone, which then says why. */
void top_view_render(const struct top_view *v, GString *out)
{
    struct line l = {.out = out,
                     .is_colour = v->is_colour,
                     .left = v->width,
                     .lines = v->height > 0 ? v->height : G_MAXINT};

    put_head(&l, v);
    if (v->history->count > 0)
        put_rows(&l, v);
    if (v->is_live) {
        end_line(&l, v);
        put(&l, STYLE_DIM, "q or Ctrl-C: leave");
        end_line(&l, v);
    }
}

/* ---- JSON ------------------------------------------------------------------------------------ */

/* All that were counted since the process began, by status. */
static void put_json_refused(const struct top_view *v, struct json_writer *w)
{
    const struct top_sample *s = sample_at(v->history, 0);

    json_key(w, "refused");
    json_open_object(w);
    for (int i = 0; i < s->status_count; i++)
        if (s->statuses[i].status >= 400) {
            g_autofree char *name = g_strdup_printf("%d", s->statuses[i].status);

            json_put_number(w, name, s->statuses[i].count);
        }
    json_close_object(w);
}

/* Named for what it is: a look at the newest matches, no total. */
static void put_json_campaigns(const struct top_view *v, struct json_writer *w)
{
    const struct top_sample *s = sample_at(v->history, 0);

    json_put_integer(w, "newest_matches", s->matches_seen);
    json_key(w, "campaigns");
    json_open_array(w);
    for (int i = 0; i < s->campaign_count; i++) {
        json_open_object(w);
        json_put_string(w, "campaign_id", s->campaigns[i].name);
        json_put_integer(w, "matches", s->campaigns[i].matches);
        json_close_object(w);
    }
    json_close_array(w);
}

/* A number that may be unknown: then null. */
static void put_json_known(struct json_writer *w, const char *name, double value)
{
    json_key(w, name);
    if (value < 0)
        json_add_null(w);
    else
        json_add_number(w, value);
}

/* Totals and rates side by side; all seconds are seconds and all sizes bytes, as in /metrics. */
void top_view_json(const struct top_view *v, GString *out)
{
    static const char *const names[TOP_RATES][2] = {
        [TOP_ACCEPTED] = {"accepted", "accepted_per_second"},
        [TOP_PROCESSED] = {"processed", "processed_per_second"},
        [TOP_FAILED] = {"failed", "failed_per_second"},
        [TOP_DUPLICATE] = {"duplicate", "duplicate_per_second"},
        [TOP_MATCHES] = {"matches", "matches_per_second"}};
    const struct top_sample *s = sample_at(v->history, 0);
    struct json_writer w;

    json_writer_init(&w, out);
    json_open_object(&w);
    json_put_string(&w, "url", v->url);
    json_put_string(&w, "time", v->time);
    for (int i = 0; i < TOP_RATES; i++) {
        json_put_integer(&w, names[i][0], total_of(s, (enum top_rate)i));
        put_json_known(&w, names[i][1], top_rate_at(v->history, (enum top_rate)i, 0));
    }
    json_put_integer(&w, "waiting", s->waiting);
    json_put_number(&w, "oldest_waiting_seconds", s->oldest_seconds);
    json_put_integer(&w, "retrying", s->retrying);
    json_put_integer(&w, "failed_open", s->failed_open);
    put_json_refused(v, &w);
    put_json_known(&w, "sync_p99_seconds", p99_at(v->history, commit_of, 0, TOP_WINDOW));
    put_json_known(&w, "settle_p99_seconds", p99_at(v->history, settle_of, 0, TOP_WINDOW));
    put_json_known(&w, "lag_p99_seconds", p99_at(v->history, lag_of, 0, TOP_WINDOW));
    json_put_number(&w, "memory_bytes", s->memory_bytes);
    json_put_number(&w, "connections", s->connections);
    json_put_integer(&w, "campaigns_active", s->campaigns_active);
    put_json_campaigns(v, &w);
    json_close_object(&w);
    g_string_append_c(out, '\n');
}
