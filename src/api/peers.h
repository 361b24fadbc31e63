/* peers: how many connections each address has open.
 *
 * An IPv6 network hands out addresses by the /64, so that is what counts as one address there.
 */
#ifndef API_PEERS_H
#define API_PEERS_H

#include <stdbool.h>
#include <stdint.h>

#include <sys/socket.h>

/* One for all loops; locks for itself. */
struct peers;

/* max: connections of one address; 0 = no limit, nothing is counted. */
struct peers *peers_new(int64_t max);
void peers_free(struct peers *p); /* accepts NULL */

/* The number under which an address is counted. */
uint64_t peers_key(const struct sockaddr *address);

/* Counts a new connection; false (not counted) when the address has max already. Any thread. */
bool peers_enter(struct peers *p, uint64_t key);

/* Every entered connection leaves once. Any thread. */
void peers_leave(struct peers *p, uint64_t key);

#endif
