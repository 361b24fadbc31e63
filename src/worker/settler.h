/* settler: a thread that settles one decided batch while the worker decides the next.
 *
 *   worker    receive ▸ decide N ──begin──▶ receive ▸ decide N+1 ──wait──▶ begin ▸ …
 *   settler                       settle N ────────────────────────┘
 *
 * What it is for: deciding needs the processor, settling waits for the disk. Only full batches take
 * this way, when work is waiting; otherwise the worker settles itself, which is sooner done.
 * What it does not do: react to errors. The worker does, in its own thread, after wait.
 * Threads: the worker's only. At most one batch at a time.
 */
#ifndef WORKER_SETTLER_H
#define WORKER_SETTLER_H

#include <stdbool.h>

#include <glib.h>

#include "worker/pipeline.h"

struct settler;

/* Starts the thread. */
struct settler *settler_new(void);

/* Ends the thread. Nothing may be under way. Accepts NULL. */
void settler_free(struct settler *s);

/* Begins to settle all items of the pipeline, which must have been decided; until settler_wait has
 * returned it may only be read. */
void settler_begin(struct settler *s, struct pipeline *p);

/* Waits for the end of what was begun: the answer of pipeline_settle. */
bool settler_wait(struct settler *s, GError **error);

#endif
