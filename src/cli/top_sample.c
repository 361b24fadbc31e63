/* Three answers of a server, read into one struct.
 *
 * What is not there stays 0, except in the summary: a server that lacks one of its numbers is none
 * of ours. /metrics grows with every version, and lines that are not known are passed over. All
 * texts come from outside: nothing is assumed of their form, and names are made safe for a
 * terminal.
 */
#include "cli/top_sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <glib.h>

#include "cli/summary.h"
#include "cli/table.h"
#include "common/arena.h"
#include "common/json.h"

#define NUMBER_SIZE 64 /* bytes of a number's text */

/* ---- the summary ----------------------------------------------------------------------------- */

static const struct summary_member summary_numbers[] = {
    {"received", offsetof(struct top_sample, received)},
    {"processed", offsetof(struct top_sample, processed)},
    {"failed", offsetof(struct top_sample, failed)},
    {"duplicate", offsetof(struct top_sample, duplicate)},
    {"waiting", offsetof(struct top_sample, waiting)},
    {"matches", offsetof(struct top_sample, matches)},
    {"pending_messages", offsetof(struct top_sample, retrying)},
    {"failed_open", offsetof(struct top_sample, failed_open)},
    {"campaigns_active", offsetof(struct top_sample, campaigns_active)},
};

/* 0 for what is no number. */
static double number_of(struct slice text)
{
    char copy[NUMBER_SIZE];

    if (text.size == 0 || text.size >= sizeof(copy))
        return 0;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    return g_ascii_strtod(copy, NULL);
}

/* The age has a fraction, so it is no member of the table. */
static bool read_summary(struct top_sample *s, const struct json_value *root)
{
    const struct json_value *oldest = json_get(root, SLICE("oldest_waiting_age_seconds"));

    if (!summary_read(root, summary_numbers, G_N_ELEMENTS(summary_numbers), s))
        return false;
    s->oldest_seconds = oldest != NULL ? number_of(oldest->text) : 0;
    return true;
}

/* The arena holds the tree only as long as it is looked at. */
bool top_sample_read_summary(struct top_sample *s, struct slice json)
{
    struct arena a = {0};
    bool is_good;

    arena_init(&a);
    is_good = read_summary(s, json_parse_any(json, &a, NULL));
    arena_done(&a);
    return is_good;
}

/* ---- the metrics ----------------------------------------------------------------------------- */

/* One line: name{labels} value. */
struct metric_line {
    struct slice name, labels, value;
};

/* false: a comment, or no metric. */
static bool split_line(struct slice line, struct metric_line *out)
{
    const char *brace = memchr(line.data, '{', line.size);
    const char *end = line.data + line.size;
    const char *space;

    if (line.size == 0 || line.data[0] == '#')
        return false;
    *out = (struct metric_line){0};
    if (brace != NULL) {
        const char *close = memrchr(line.data, '}', line.size);

        if (close == NULL || close < brace || end - close < 3)
            return false;
        out->name = slice_of(line.data, (size_t)(brace - line.data));
        out->labels = slice_of(brace + 1, (size_t)(close - brace - 1));
        out->value = slice_of(close + 2, (size_t)(end - close - 2)); /* behind "} " */
        return true;
    }
    space = memchr(line.data, ' ', line.size);
    if (space == NULL)
        return false;
    out->name = slice_of(line.data, (size_t)(space - line.data));
    out->value = slice_of(space + 1, (size_t)(end - space - 1));
    return true;
}

/* The value of a label, as it stands: none of ours has escapes. Empty: not there. */
static struct slice label_of(struct slice labels, const char *name)
{
    g_autofree char *pattern = g_strconcat(name, "=\"", NULL);
    const char *at = memmem(labels.data, labels.size, pattern, strlen(pattern));
    const char *end = labels.data + labels.size;
    const char *quote;

    if (at == NULL)
        return (struct slice){0};
    at += strlen(pattern);
    quote = memchr(at, '"', (size_t)(end - at));
    return quote != NULL ? slice_of(at, (size_t)(quote - at)) : (struct slice){0};
}

/* Buckets come in rising order. */
static void take_bucket(struct top_histogram *h, const struct metric_line *line)
{
    struct slice bound = label_of(line->labels, "le");

    if (h->size == TOP_BUCKETS_MAX || bound.size == 0)
        return;
    h->bounds[h->size] = slice_equal(bound, SLICE("+Inf")) ? INFINITY : number_of(bound);
    h->counts[h->size++] = number_of(line->value);
}

/* An answer to POST /events. */
static void take_status(struct top_sample *s, const struct metric_line *line)
{
    if (!slice_equal(label_of(line->labels, "route"), SLICE("/events")) ||
        !slice_equal(label_of(line->labels, "method"), SLICE("POST")) ||
        s->status_count == TOP_STATUSES_MAX)
        return;
    s->statuses[s->status_count++] =
        (struct top_status){.status = (int)number_of(label_of(line->labels, "status")),
                            .count = number_of(line->value)};
}

/* What is taken, by the metric's name: a number, or a histogram's buckets. */
static const struct {
    const char *name;
    size_t number, histogram; /* one of them; 0: the other */
} known_metrics[] = {
    {"process_start_time_seconds", offsetof(struct top_sample, started_seconds), 0},
    {"process_resident_memory_bytes", offsetof(struct top_sample, memory_bytes), 0},
    {"http_connections", offsetof(struct top_sample, connections), 0},
    {"queue_commit_duration_seconds_bucket", 0, offsetof(struct top_sample, commit)},
    {"store_settle_duration_seconds_bucket", 0, offsetof(struct top_sample, settle)},
    {"event_lag_seconds_bucket", 0, offsetof(struct top_sample, lag)},
};

/* A walk along six names; a line that none of them fits costs six comparisons of lengths, mostly.
 */
static void take_line(struct top_sample *s, const struct metric_line *line)
{
    if (slice_equal(line->name, SLICE("http_requests_total")))
        take_status(s, line);
    for (size_t i = 0; i < G_N_ELEMENTS(known_metrics); i++) {
        if (!slice_equal(line->name, slice_text(known_metrics[i].name)))
            continue;
        if (known_metrics[i].histogram > 0)
            take_bucket((void *)((char *)s + known_metrics[i].histogram), line);
        else
            *(double *)(void *)((char *)s + known_metrics[i].number) = number_of(line->value);
    }
}

/* One pass over some 20 KB a second: nothing is copied, and lines are told apart by their names. */
void top_sample_read_metrics(struct top_sample *s, struct slice text)
{
    const char *at = text.data;
    const char *end = text.data + text.size;

    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        struct metric_line line;

        if (stop == NULL)
            stop = end;
        if (split_line(slice_of(at, (size_t)(stop - at)), &line))
            take_line(s, &line);
        at = stop + 1;
    }
}

/* ---- the matches ----------------------------------------------------------------------------- */

/* Most matches first, then by name. */
static int compare_campaigns(gconstpointer a, gconstpointer b)
{
    const struct top_campaign *x = a;
    const struct top_campaign *y = b;

    return x->matches != y->matches ? y->matches - x->matches : strcmp(x->name, y->name);
}

/* The newest matches are few, so the list of their campaigns is short enough to walk. */
static void count_campaign(GArray *campaigns, struct slice id)
{
    g_autofree char *safe = table_safe_text(id);
    struct top_campaign one = {.matches = 1};

    g_strlcpy(one.name, safe, sizeof(one.name));
    for (guint i = 0; i < campaigns->len; i++) {
        struct top_campaign *known = &g_array_index(campaigns, struct top_campaign, i);

        if (strcmp(known->name, one.name) == 0) {
            known->matches++;
            return;
        }
    }
    g_array_append_val(campaigns, one);
}

/* A list that is none (an old server, a proxy's page) counts as one without matches. */
void top_sample_read_matches(struct top_sample *s, struct slice json)
{
    struct arena a = {0};
    g_autoptr(GArray) campaigns = g_array_new(FALSE, FALSE, sizeof(struct top_campaign));
    const struct json_value *list;

    arena_init(&a);
    list = json_get(json_parse_any(json, &a, NULL), SLICE("matches"));
    if (list != NULL && list->type == JSON_ARRAY)
        for (const struct json_value *m = list->first; m != NULL; m = m->next) {
            count_campaign(campaigns, json_get_text(m, "campaign_id"));
            s->matches_seen++;
        }
    g_array_sort(campaigns, compare_campaigns);
    s->campaign_count = (int)MIN(campaigns->len, TOP_CAMPAIGNS_MAX);
    if (s->campaign_count > 0)
        memcpy(s->campaigns, campaigns->data,
               (size_t)s->campaign_count * sizeof(struct top_campaign));
    arena_done(&a);
}

/* ---- two samples ----------------------------------------------------------------------------- */

/* The first number after a restart may hide some growth, but never invents any. */
double top_growth(double before, double now)
{
    return now >= before ? now - before : now;
}

/* How many observations of a bucket and those below it came between; a histogram that began anew
 * has them all. */
static double came_between(const struct top_histogram *before, const struct top_histogram *now,
                           int bucket)
{
    bool is_same =
        before->size == now->size && before->counts[now->size - 1] <= now->counts[now->size - 1];

    return now->counts[bucket] - (is_same ? before->counts[bucket] : 0);
}

/* The +Inf bucket has no upper limit to go to in proportion: its lower one is all that is known. */
double top_quantile(const struct top_histogram *before, const struct top_histogram *now,
                    double share)
{
    double below = 0;
    double lower = 0;
    double rank;

    if (now->size == 0)
        return -1;
    rank = share * came_between(before, now, now->size - 1);
    if (rank <= 0)
        return -1;
    for (int i = 0; i < now->size; i++) {
        double count = came_between(before, now, i);

        if (count >= rank)
            return isinf(now->bounds[i])
                       ? lower
                       : lower + (now->bounds[i] - lower) * (rank - below) / (count - below);
        below = count;
        lower = now->bounds[i];
    }
    return lower;
}
