/* executor: a few threads for handlers that block, with a bounded queue before them.
 *
 *   loop ──submit──▶ [ queue, at most queue_max ] ──▶ thread: run(user, item)
 *
 * What it does not do: bring the item back; run() hands it to whoever waits for it.
 */
#ifndef API_EXECUTOR_H
#define API_EXECUTOR_H

#include <stdbool.h>
#include <stddef.h>

struct executor;

/* Takes the item. On one of the threads; may block. */
typedef void (*executor_fn)(void *user, void *item);

/* Starts the threads. run is called on them, with the given user. */
struct executor *executor_open(int threads, size_t queue_max, executor_fn run, void *user);

/* false: queue_max items wait already, the item stays the caller's. Any thread, never blocks. */
bool executor_submit(struct executor *e, void *item);

/* Runs what is queued, ends the threads, frees. Accepts NULL. */
void executor_close(struct executor *e);

#endif
