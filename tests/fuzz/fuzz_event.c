/* fuzz_event: bytes as the body of a request. The first byte chooses the format, the rest is the
 * body. Whatever is accepted must be a good event when it is read again, as the worker will. */
#include <stddef.h>
#include <stdint.h>

#include <glib.h>

#include "common/error.h"
#include "core/event.h"
#include "intake/intake.h"

#define ARRIVED_US INT64_C(1795255200000000)
#define EVENTS_MAX 50

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The message reads as one event again, and its columns hold what the event says. */
static void check_message(const struct queue_message *message, struct flat *flat)
{
    struct problems problems;
    struct event event;
    size_t used;

    g_assert_true(flat_parse(flat, message->body, 0, &used, NULL));
    g_assert_cmpuint(used, ==, message->body.size);
    problems_init(&problems);
    g_assert_true(
        event_decode(flat, message->body, message->published_at_us, "#", &event, &problems));
    g_assert_true(slice_equal(event.body, message->body));
    g_assert_true(slice_equal(event.event_id, message->key));
    g_assert_true(event_correlation_is_valid(message->correlation));
    g_assert_true(event.at_us <= ARRIVED_US + EVENT_FUTURE_MAX_US);
    problems_done(&problems);
}

static void check_job(const struct intake_job *job, struct flat *flat)
{
    size_t size = 0;

    g_assert_cmpuint(job->count + job->rejected, <=, EVENTS_MAX);
    for (size_t i = 0; i < job->count; i++) {
        size += job->messages[i].body.size;
        check_message(&job->messages[i], flat);
    }
    g_assert_cmpuint(job->bytes, ==, size);
    for (size_t i = 0; i < job->rejected; i++)
        g_assert_cmpuint(job->rejections[i].problems->total, >, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct intake_limits LIMITS = {.events_max = EVENTS_MAX};
    enum intake_format format = size > 0 && data[0] % 2 == 1 ? INTAKE_NDJSON : INTAKE_JSON;
    struct slice body = size > 0 ? slice_of(data + 1, size - 1) : SLICE("");
    g_autoptr(GError) error = NULL;
    struct intake_job job;
    struct flat flat;

    flat_init(&flat);
    intake_job_init(&job);
    if (intake_decode(&job, format, body, SLICE(""), SLICE(""), ARRIVED_US, &LIMITS, &flat,
                      &error)) {
        check_job(&job, &flat);
    } else {
        g_assert_true(g_error_matches(error, EF_ERROR, EF_ERROR_INPUT) ||
                      g_error_matches(error, EF_ERROR, EF_ERROR_FULL));
        g_assert_cmpuint(job.count + job.rejected, ==, 0);
    }
    intake_job_done(&job);
    flat_done(&flat);
    return 0;
}
