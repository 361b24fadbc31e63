/* replays: which failures this process has queued again, so that none is queued twice.
 *
 * A failure is marked as replayed by the worker, when its message is settled. Until then two
 * requests could both find it open. An id stays here until the process ends: by then the row says
 * so itself, and after a crash a second message is recognised as a duplicate.
 * Threads: any.
 */
#ifndef API_REPLAYS_H
#define API_REPLAYS_H

#include <stdbool.h>
#include <stdint.h>

struct replays;

/* Empty. Owned by caller (replays_free). */
struct replays *replays_new(void);
void replays_free(struct replays *r); /* accepts NULL */

/* Takes the failure for the caller alone; false when somebody has it already. */
bool replays_claim(struct replays *r, int64_t failure_id);

/* Gives it back: it was not queued after all. */
void replays_release(struct replays *r, int64_t failure_id);

#endif
