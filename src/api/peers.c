/* peers: a table of open connections by address, behind one lock.
 *
 * Touched when a connection comes and when it goes, never for a request: one lock is enough. An
 * entry lives as long as its connections, so the table cannot outgrow their number.
 * Deliberately missing: memory of the past. Whoever closes a connection may open the next. */
#include "api/peers.h"

#include <string.h>

#include <netinet/in.h>

#include <glib.h>

#define PEERS_IPV4 (UINT64_C(0xffff) << 32) /* keeps IPv4 keys apart from IPv6 prefixes */

/* table: under lock. */
struct peers {
    GMutex lock;
    GHashTable *table; /* key -> struct peer */
    int64_t max;       /* immutable */
};

/* Owned by the table; freed with its last connection. */
struct peer {
    gint64 key; /* first: hashed by g_int64_hash */
    int64_t count;
};

/* The table's key lies inside its value, so one free does for both. */
struct peers *peers_new(int64_t max)
{
    struct peers *p = g_new0(struct peers, 1);

    g_mutex_init(&p->lock);
    p->table = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
    p->max = max;
    return p;
}

/* Connections have left by then; entries that are still there are freed with the table. */
void peers_free(struct peers *p)
{
    if (p == NULL)
        return;
    g_hash_table_unref(p->table);
    g_mutex_clear(&p->lock);
    g_free(p);
}

/* The first 64 bits of an IPv6 address in the machine's byte order: it is a name, not a number. */
uint64_t peers_key(const struct sockaddr *address)
{
    struct sockaddr_in6 v6;
    uint64_t prefix;
    uint32_t v4;

    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;

        memcpy(&in, address, sizeof(in));
        return PEERS_IPV4 | ntohl(in.sin_addr.s_addr);
    }
    memcpy(&v6, address, sizeof(v6));
    /* What an IPv4 client looks like on a socket that takes both. */
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
        memcpy(&v4, v6.sin6_addr.s6_addr + 12, sizeof(v4));
        return PEERS_IPV4 | ntohl(v4);
    }
    memcpy(&prefix, v6.sin6_addr.s6_addr, sizeof(prefix));
    return prefix;
}

/* An entry that is made has room, so none with a count of 0 stays behind. */
bool peers_enter(struct peers *p, uint64_t key)
{
    gint64 wanted = (gint64)key;
    struct peer *peer;
    bool has_room;

    if (p->max <= 0)
        return true;
    g_mutex_lock(&p->lock);
    peer = g_hash_table_lookup(p->table, &wanted);
    if (peer == NULL) {
        peer = g_new0(struct peer, 1);
        peer->key = wanted;
        g_hash_table_insert(p->table, &peer->key, peer);
    }
    has_room = peer->count < p->max;
    if (has_room)
        peer->count++;
    g_mutex_unlock(&p->lock);
    return has_room;
}

/* An entry goes with its last connection. */
void peers_leave(struct peers *p, uint64_t key)
{
    gint64 wanted = (gint64)key;
    struct peer *peer;

    if (p->max <= 0)
        return;
    g_mutex_lock(&p->lock);
    peer = g_hash_table_lookup(p->table, &wanted);
    /* The table holds addresses with connections only: it cannot grow beyond their number. */
    g_assert(peer != NULL && peer->count > 0);
    if (--peer->count == 0)
        g_hash_table_remove(p->table, &wanted);
    g_mutex_unlock(&p->lock);
}
