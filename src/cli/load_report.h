/* load_report: what a load run says while it runs and at its end. Pure: text in, text out.
 */
#ifndef CLI_LOAD_REPORT_H
#define CLI_LOAD_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "cli/latency.h"
#include "cli/load_books.h"
#include "cli/load_worker.h"

/* The sum over all threads. Plain numbers: a copy that nobody changes. */
struct load_totals {
    uint64_t requests;
    uint64_t events;
    uint64_t duplicates;
    uint64_t accepted; /* events */
    uint64_t unsent;   /* events */
    uint64_t lost;
    uint64_t timeouts;
    uint64_t unanswered;
    uint64_t bad_answers;
    uint64_t connect_errors;
    uint64_t statuses[LOAD_STATUS_END];
    int64_t last_us; /* of the last answer; monotonic */
    struct latency latency;
};

/* Everything the report is made of. */
struct load_result {
    const char *url;
    const struct load_run *run;
    struct load_totals totals;
    uint64_t seed;
    double seconds; /* from the start to the last answer; unless all that was wanted was sent and
                       answered, to the planned end when that is later */
    bool is_interrupted;
    bool has_books;           /* the next four lines are known */
    bool is_settled;          /* nothing was waiting at the end, or as much done as was sent */
    struct load_books books;  /* since the start */
    double processed_seconds; /* from the start until it was settled or given up; >= seconds */
    int64_t user_us;          /* processor time of the load threads */
    int64_t system_us;
};

/* Adds the counts of one thread, which may be running. */
void load_totals_add(struct load_totals *totals, const struct load_counts *counts);

/* Requests that were answered 503 or 507. */
uint64_t load_totals_refused(const struct load_totals *totals);

/* Requests that failed for any reason but 503. */
uint64_t load_totals_failed(const struct load_totals *totals);

/* Appends the live line, without its end, of an interval of so many seconds. before: the totals at
 * its start. pace: events a second that got an outcome; negative: not known. */
void load_report_live(GString *out, double seconds, const struct load_totals *now,
                      const struct load_totals *before, double pace);

/* The same when all is sent and the server is waited for. */
void load_report_waiting(GString *out, double pace, int64_t waiting);

/* Appends the report for people, and as one JSON object with a newline. */
void load_report_text(GString *out, const struct load_result *r);
void load_report_json(GString *out, const struct load_result *r);

#endif
