/* server: the front door: listeners, epoll loops, connections, deadlines, drain.
 *
 *   loop thread 1..N: accept ─ read ─ parse ─▶ handler │ executor │ intake ─▶ one send
 *
 * What it guarantees: one request in flight per connection, so pipelined answers keep their order
 * and a busy client is not read; absolute deadlines per phase (head, body, idle); limits on
 * connections, heads, bodies and requests in flight; nothing after a framing error is answered.
 * What it does not do: HTTP/2 (left to a proxy), TLS (later: conn_ops is the place).
 * Source: docs/internals/http.md holds the rules for deferred answers.
 */
#ifndef API_SERVER_H
#define API_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "api/api.h"

struct server;

/* All limits and time-outs of the front door; the strings are borrowed until server_start
 * returned. */
struct server_options {
    const char *listen;             /* "127.0.0.1:8080", "[::1]:8080", "localhost:8080" */
    const char *metrics_listen;     /* same; empty = no second door */
    bool allow_open;                /* permits addresses other than loopback */
    int loops;                      /* loop threads */
    int executors;                  /* threads for blocking handlers */
    size_t executor_queue_max;      /* waiting blocking requests; beyond it 503 + Retry-After */
    int64_t connections_max;        /* all loops together; beyond it 503 and close */
    int64_t connections_per_ip_max; /* of one address (IPv6: one /64); 0 = no limit */
    int64_t body_max;               /* bytes */
    /* Units: milliseconds for one phase of a connection; 0 = no limit. */
    int64_t head_timeout_ms, body_timeout_ms, idle_timeout_ms, write_timeout_ms;
    int64_t drain_timeout_ms; /* then the rest is cut off */
};

/* Binds both doors; what connects from now on waits in the backlog. Borrows api until server_stop
 * has returned, but does not look into it before server_start. Errors: INPUT address wrong or not
 * loopback without allow_open; IN_USE port taken; FATAL. */
struct server *server_open(struct api *api, const struct server_options *options, GError **error);

/* Starts the threads: api must be complete. Once. */
void server_start(struct server *s);

/* The ports really bound (for port 0 in tests). */
int server_port(const struct server *s);
int server_metrics_port(const struct server *s);

/* Begins the drain: no new connections or requests, idle ones closed, the rest is answered with
 * Connection: close. Does not wait. */
void server_drain(struct server *s);

/* Waits until nothing is in flight, ends the threads, frees. After drain_timeout_ms (since the
 * drain began) every client is cut off; work that is at the committer or in a handler then is still
 * waited for, since it uses the server's memory. intake must still run (its answers are awaited)
 * and is stopped by the caller afterwards. Accepts NULL. */
void server_stop(struct server *s);

#endif
