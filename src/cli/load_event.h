/* load_event: the events of a load run, each a pure function of its number.
 *
 *   number ──hash(seed)──▶ type, variant, customer, amount ──▶ a prepared text, digits put in
 *
 * The JSON is made once, at the start; writing an event copies a prepared text and overwrites
 * digits of fixed width. As the same number always gives the same bytes, a duplicate is an earlier
 * number written again, and nothing that was sent must be kept.
 */
#ifndef CLI_LOAD_EVENT_H
#define CLI_LOAD_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <glib.h>

#define LOAD_EVENT_MAX       1024  /* bytes of one event, at most */
#define LOAD_MIX_MAX         16    /* types in a mix */
#define LOAD_TYPE_MAX        64    /* bytes of a type's name */
#define LOAD_REPEAT_DISTANCE 65536 /* a duplicate repeats one of that many events before it */
#define LOAD_REPEAT_STEPS    1000  /* from duplicate to duplicate; then the lane's first event */

struct load_events_options {
    const char *mix;               /* "purchase=70,signup=20"; a name alone weighs 1 */
    uint64_t seed;                 /* the same seed gives the same types, customers and amounts */
    uint32_t customers;            /* that many different ones */
    uint32_t duplicates_per_10000; /* share of events that repeat an earlier one */
    uint64_t run;                  /* makes the ids unique: begins each of them, in hex */
    int64_t start_us;              /* "timestamp" of event 0, since 1970 */
    double step_us;                /* between the timestamps of neighbours */
};

/* The requests of one thread: every count-th one, beginning with index. Position p is the p-th
 * event that the thread sends. */
struct load_lane {
    uint64_t index;
    uint64_t count; /* of threads */
    uint64_t batch; /* events in a request */
};

/* Immutable after it was made: any number of threads may write events. */
struct load_events;

/* Errors: EF_ERROR_INPUT when the mix is none. Everything is copied. */
struct load_events *load_events_new(const struct load_events_options *options, GError **error);
void load_events_free(struct load_events *e); /* accepts NULL */

/* The number of the event at a position of a lane; of an earlier one of the same lane when it is a
 * duplicate. */
uint64_t load_events_pick(const struct load_events *e, const struct load_lane *lane,
                          uint64_t position, bool *is_duplicate);

/* Writes one event, without a newline. out: room for LOAD_EVENT_MAX. Returns the size. */
size_t load_events_write(const struct load_events *e, uint64_t number, char *out);

/* Reads "5%", "5" or "0.5%" as a share of 10,000. false: it is none from 0 to 100. */
bool load_percent_read(const char *text, uint32_t *per_10000);

#endif
