/* Windows of many events, since single ones differ much. */
#include "worker/campaign_watch.h"

#define WINDOW_EVENTS 8192

/* Candidates an event that are no trouble: below, an index is never built for them. */
#define CANDIDATES_FEW 64

/* Off by so much, the estimates with which the index was built are of other events. */
#define CANDIDATES_GROWN 4

/* An index built with fewer sample events than this was built blindly. */
#define SAMPLES_FEW 64

void campaign_watch_reset(struct campaign_watch *w, size_t samples)
{
    *w = (struct campaign_watch){.samples = samples};
}

/* What the first window says is what the index can do; a blind one is given a second try. */
bool campaign_watch_note(struct campaign_watch *w, uint64_t events, uint64_t candidates,
                         size_t samples)
{
    double average;

    w->events += events;
    w->candidates += candidates;
    if (w->events < WINDOW_EVENTS)
        return false;
    average = (double)w->candidates / (double)w->events;
    w->events = 0;
    w->candidates = 0;
    if (w->after_build == 0)
        w->after_build = average > CANDIDATES_FEW ? average : CANDIDATES_FEW;
    if (w->samples < SAMPLES_FEW && samples >= SAMPLES_FEW && average > CANDIDATES_FEW)
        return true;
    return average > CANDIDATES_GROWN * w->after_build;
}
