/* acceptor: takes new connections and deals them to the loops.
 *
 * The first loop accepts for all of them and gives each connection to the loop with the fewest.
 * Why not a socket per loop (SO_REUSEPORT): a second process could share the port unseen, and
 * closing one socket resets what waits in its backlog. Why not one socket in all epolls
 * (EPOLLEXCLUSIVE): the loop that wakes first takes whole bursts, so long-lived connections end up
 * on one core. Accepting costs a few microseconds a connection, which is no bottleneck.
 *
 * Out of file descriptors it stops looking for ACCEPTOR_PAUSE_MS instead of spinning.
 */
#ifndef API_ACCEPTOR_H
#define API_ACCEPTOR_H

#include <stdint.h>

/* Units: milliseconds. Long enough not to spin, short enough that nobody notices. */
#define ACCEPTOR_PAUSE_MS    100
#define ACCEPTOR_REFUSED_MAX 64 /* connections over the limit that are told so at the same time */

struct acceptor;
struct loop;

/* Watches the server's listeners in the loop. */
struct acceptor *acceptor_open(struct loop *loop);

/* When to call acceptor_resume; INT64_MAX when it is not pausing. Units: monotonic. */
int64_t acceptor_resume_at(const struct acceptor *a);
void acceptor_resume(struct acceptor *a);

/* Closes the main door, after taking what waits in its backlog. The metrics door stays open, so
 * that probes are told "not ready" until the end. Not inside the round of events. */
void acceptor_drain(struct acceptor *a);

/* Closes both doors. Accepts NULL; frees. */
void acceptor_close(struct acceptor *a);

#endif
