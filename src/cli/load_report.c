/* The words and numbers of a load run.
 *
 * Latencies are kept in microseconds and shown in milliseconds. The report always says from which
 * moment they count, because the two ways cannot be compared.
 *
 * "failed" is what makes the exit code 65: other statuses than a success or 503, and requests
 * without a usable answer. 503 is left out, since a server that defends itself does what it should;
 * requests that were cut short by somebody are left out, since nobody knows.
 */
#include "cli/load_report.h"

#include <inttypes.h>

#include "common/json.h"

/* p95 is the SLO of many, p99.9 what a page of a thousand requests shows. */
static const struct {
    const char *title; /* for people */
    const char *key;   /* in JSON */
    double share;
} PERCENTILES[] = {
    {"p50", "p50", 0.5},       {"p95", "p95", 0.95}, {"p99", "p99", 0.99},
    {"p99.9", "p99_9", 0.999}, {"max", "max", 1.0},
};

/* ---- totals ---------------------------------------------------------------------------------- */

/* Counts of a running thread may differ by the request in hand. */
static uint64_t read_count(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* Every member is a sum, except for the last answer, which is a maximum. */
void load_totals_add(struct load_totals *totals, const struct load_counts *counts)
{
    totals->requests += read_count(&counts->requests);
    totals->events += read_count(&counts->events);
    totals->duplicates += read_count(&counts->duplicates);
    totals->accepted += read_count(&counts->accepted);
    totals->unsent += read_count(&counts->unsent);
    totals->lost += read_count(&counts->lost);
    totals->timeouts += read_count(&counts->timeouts);
    totals->unanswered += read_count(&counts->unanswered);
    totals->bad_answers += read_count(&counts->bad_answers);
    totals->connect_errors += read_count(&counts->connect_errors);
    for (size_t i = 0; i < LOAD_STATUS_END; i++)
        totals->statuses[i] += read_count(&counts->statuses[i]);
    totals->last_us =
        MAX(totals->last_us, atomic_load_explicit(&counts->last_us, memory_order_relaxed));
    latency_merge(&totals->latency, &counts->latency);
}

/* A server that says "later" has kept its promise. */
uint64_t load_totals_refused(const struct load_totals *totals)
{
    return totals->statuses[503] + totals->statuses[507];
}

/* Statuses that are neither a success nor a refusal. */
static uint64_t totals_other_statuses(const struct load_totals *totals)
{
    uint64_t count = 0;

    for (size_t i = 300; i < LOAD_STATUS_END; i++)
        count += totals->statuses[i];
    return count - load_totals_refused(totals);
}

/* 507 is a refusal and a failure: nobody should take a full disk for a good run. */
uint64_t load_totals_failed(const struct load_totals *totals)
{
    return totals_other_statuses(totals) + totals->statuses[507] + totals->lost + totals->timeouts +
           totals->bad_answers;
}

/* Events or requests a second. */
static double rate_of(uint64_t count, double seconds)
{
    return seconds > 0 ? (double)count / seconds : 0;
}

/* To three decimals exactly, since the histogram has whole microseconds. */
static double percentile_ms(const struct latency *l, double share)
{
    return (double)latency_percentile(l, share) / 1000.0;
}

/* ---- while it runs --------------------------------------------------------------------------- */

/* Counts of trouble are those of the interval, so that one can see when it began and ended. */
void load_report_live(GString *out, double seconds, const struct load_totals *now,
                      const struct load_totals *before, double pace)
{
    g_autofree struct latency *recent = g_new0(struct latency, 1);
    uint64_t refused = load_totals_refused(now) - load_totals_refused(before);
    uint64_t failed = load_totals_failed(now) - load_totals_failed(before) + now->connect_errors -
                      before->connect_errors;

    latency_merge(recent, &now->latency);
    latency_subtract(recent, &before->latency);
    g_string_append_printf(out, "accepted %.0f/s",
                           rate_of(now->accepted - before->accepted, seconds));
    if (pace >= 0)
        g_string_append_printf(out, "  processed %.0f/s", pace);
    if (recent->count > 0)
        g_string_append_printf(out, "  p50 %.2f ms  p99 %.2f ms", percentile_ms(recent, 0.5),
                               percentile_ms(recent, 0.99));
    else
        g_string_append(out, "  no answers");
    if (refused > 0)
        g_string_append_printf(out, "  refused %" PRIu64, refused);
    if (failed > 0)
        g_string_append_printf(out, "  failed %" PRIu64, failed);
}

/* When the sending is over, its numbers would all be 0. */
void load_report_waiting(GString *out, double pace, int64_t waiting)
{
    g_string_append(out, "all sent, waiting for the server");
    if (pace >= 0)
        g_string_append_printf(out, ": processed %.0f/s, %" PRId64 " events left", pace, waiting);
}

/* ---- for people ------------------------------------------------------------------------------ */

/* What kind of run it was: two reports are compared by this line first. */
static void append_head(GString *out, const struct load_result *r)
{
    if (r->run->rate > 0)
        g_string_append_printf(out, "open loop at %.0f events/s", r->run->rate);
    else
        g_string_append(out, "closed loop at full speed");
    g_string_append_printf(out, ", %" PRIu64 " connections, ", r->run->connections);
    if (r->run->batch > 1)
        g_string_append_printf(out, "batches of %" PRIu64, r->run->batch);
    else
        g_string_append(out, "one event a request");
    g_string_append_printf(out, ", %.1f s%s\n\n", r->seconds,
                           r->is_interrupted ? ", interrupted" : "");
}

/* Without a word when the server does not say. */
static void append_processed(GString *out, const struct load_result *r)
{
    int64_t done = load_books_done(&r->books);

    if (!r->has_books)
        return;
    g_string_append_printf(out, "processed  %12" PRId64 " events  %10.0f/s", done,
                           rate_of((uint64_t)MAX(done, 0), r->processed_seconds));
    g_string_append_printf(out,
                           "  (%" PRId64 " duplicates, %" PRId64 " failed, %" PRId64 " matches)\n",
                           r->books.duplicate, r->books.failed, r->books.matches);
    if (!r->is_settled)
        g_string_append_printf(out, "waiting    %12" PRId64 " events when the run ended\n",
                               r->books.waiting);
}

/* The second line is left out only with the first: 0.00 ms would be a lie. */
static void append_latency(GString *out, const struct load_result *r)
{
    if (r->totals.latency.count == 0) {
        g_string_append(out, "latency    none was measured\n");
        return;
    }
    g_string_append(out, "latency    ");
    for (size_t i = 0; i < G_N_ELEMENTS(PERCENTILES); i++)
        g_string_append_printf(out, "%s%s %.2f", i > 0 ? "  " : "", PERCENTILES[i].title,
                               percentile_ms(&r->totals.latency, PERCENTILES[i].share));
    g_string_append_printf(out, " ms\n           counted from %s\n",
                           r->run->rate > 0 ? "the intended send time of each request"
                                            : "sending (a slow server slows the load down, too)");
}

/* Only what is not 0: a good run has none of these lines. */
static void append_trouble(GString *out, const struct load_totals *t)
{
    const struct {
        const char *text;
        uint64_t count;
    } lines[] = {
        {"connections that could not be made", t->connect_errors},
        {"requests whose connection broke (their wait is in the latency)", t->lost},
        {"requests without an answer in time (the same)", t->timeouts},
        {"requests without an answer when the run was cut short (the same)", t->unanswered},
        {"answers that could not be read (the same)", t->bad_answers},
        {"events that were due and never sent (the same)", t->unsent},
    };

    for (size_t i = 300; i < LOAD_STATUS_END; i++)
        if (t->statuses[i] > 0)
            g_string_append_printf(out, "%s    %12" PRIu64 " requests, status %zu\n",
                                   i == 503 || i == 507 ? "refused" : "failed ", t->statuses[i], i);
    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++)
        if (lines[i].count > 0)
            g_string_append_printf(out, "trouble    %12" PRIu64 " %s\n", lines[i].count,
                                   lines[i].text);
}

/* Processor time for a request, in microseconds. */
static double cpu_per_request(const struct load_result *r, int64_t cpu_us)
{
    return r->totals.requests > 0 ? (double)cpu_us / (double)r->totals.requests : 0;
}

/* The generator's own cost stands there, too: it shares the machine with the server, mostly. */
void load_report_text(GString *out, const struct load_result *r)
{
    const struct load_totals *t = &r->totals;

    append_head(out, r);
    g_string_append_printf(out, "sent       %12" PRIu64 " events  in %" PRIu64 " requests",
                           t->events, t->requests);
    if (t->duplicates > 0)
        g_string_append_printf(out, ", %" PRIu64 " of them duplicates", t->duplicates);
    g_string_append_printf(out, "\naccepted   %12" PRIu64 " events  %10.0f/s\n", t->accepted,
                           rate_of(t->accepted, r->seconds));
    append_processed(out, r);
    append_latency(out, r);
    append_trouble(out, t);
    g_string_append_printf(out, "generator  %.1f us user and %.1f us system time a request\n",
                           cpu_per_request(r, r->user_us), cpu_per_request(r, r->system_us));
}

/* ---- for scripts ----------------------------------------------------------------------------- */

/* JSON knows no unsigned numbers; ours are far below the limit. */
static void put_count(struct json_writer *w, const char *key, uint64_t count)
{
    json_put_integer(w, key, (int64_t)count);
}

/* Enough to run the same load again. */
static void put_settings(struct json_writer *w, const struct load_result *r)
{
    bool is_open = r->run->rate > 0;

    json_put_string(w, "url", r->url);
    json_put_string(w, "loop", is_open ? "open" : "closed");
    json_put_string(w, "latency_from", is_open ? "intended send time" : "send time");
    json_key(w, "rate");
    if (is_open)
        json_add_number(w, r->run->rate);
    else
        json_add_null(w);
    put_count(w, "connections", r->run->connections);
    put_count(w, "threads", r->run->threads);
    put_count(w, "batch", r->run->batch);
    put_count(w, "seed", r->seed);
}

/* {"503":12}: refused ones and the rest apart. */
static void put_statuses(struct json_writer *w, const char *key, const struct load_totals *t,
                         bool is_refused)
{
    json_key(w, key);
    json_open_object(w);
    for (size_t i = 300; i < LOAD_STATUS_END; i++) {
        char name[8];

        if (t->statuses[i] == 0 || (i == 503 || i == 507) != is_refused)
            continue;
        g_snprintf(name, sizeof(name), "%zu", i);
        put_count(w, name, t->statuses[i]);
    }
    json_close_object(w);
}

/* null for a server that does not say. */
static void put_books(struct json_writer *w, const struct load_result *r)
{
    int64_t done = load_books_done(&r->books);

    json_key(w, "processed");
    if (!r->has_books) {
        json_add_null(w);
        return;
    }
    json_open_object(w);
    json_put_integer(w, "events", done);
    json_put_integer(w, "duplicate", r->books.duplicate);
    json_put_integer(w, "failed", r->books.failed);
    json_put_integer(w, "matches", r->books.matches);
    json_put_integer(w, "waiting", r->books.waiting);
    json_put_bool(w, "settled", r->is_settled);
    json_put_number(w, "seconds", r->processed_seconds);
    json_put_number(w, "per_second", rate_of((uint64_t)MAX(done, 0), r->processed_seconds));
    json_close_object(w);
}

/* The mean stands only here: among percentiles it misleads people. */
static void put_latency(struct json_writer *w, const struct latency *l)
{
    json_key(w, "latency_ms");
    if (l->count == 0) {
        json_add_null(w);
        return;
    }
    json_open_object(w);
    for (size_t i = 0; i < G_N_ELEMENTS(PERCENTILES); i++)
        json_put_number(w, PERCENTILES[i].key, percentile_ms(l, PERCENTILES[i].share));
    json_put_number(w, "mean", latency_mean(l) / 1000.0);
    json_close_object(w);
}

/* All of them, also those that are 0: scripts need no defaults. */
static void put_totals(struct json_writer *w, const struct load_totals *t)
{
    put_count(w, "sent_requests", t->requests);
    put_count(w, "sent_events", t->events);
    put_count(w, "sent_duplicates", t->duplicates);
    put_count(w, "unsent_events", t->unsent);
    put_statuses(w, "refused", t, true);
    put_statuses(w, "failed", t, false);
    put_count(w, "connection_errors", t->connect_errors);
    put_count(w, "lost_requests", t->lost);
    put_count(w, "timeouts", t->timeouts);
    put_count(w, "unanswered_requests", t->unanswered);
    put_count(w, "bad_answers", t->bad_answers);
}

/* Rates are given although they could be computed, so that nobody divides by the wrong time. */
void load_report_json(GString *out, const struct load_result *r)
{
    struct json_writer w;

    json_writer_init(&w, out);
    json_open_object(&w);
    put_settings(&w, r);
    json_put_bool(&w, "interrupted", r->is_interrupted);
    json_put_number(&w, "seconds", r->seconds);
    put_totals(&w, &r->totals);
    put_count(&w, "accepted_events", r->totals.accepted);
    json_put_number(&w, "accepted_per_second", rate_of(r->totals.accepted, r->seconds));
    put_books(&w, r);
    put_latency(&w, &r->totals.latency);
    json_key(&w, "generator_us_per_request");
    json_open_object(&w);
    json_put_number(&w, "user", cpu_per_request(r, r->user_us));
    json_put_number(&w, "system", cpu_per_request(r, r->system_us));
    json_close_object(&w);
    json_close_object(&w);
    g_string_append_c(out, '\n');
}
