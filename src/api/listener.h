/* listener: from "host:port" to bound, listening sockets. */
#ifndef API_LISTENER_H
#define API_LISTENER_H

#include <stdbool.h>
#include <stddef.h>

#include <glib.h>

#define LISTENER_SOCKETS_MAX 2 /* "localhost" is 127.0.0.1 and ::1 */

/* One address the server was told to listen on. */
struct listener {
    int fds[LISTENER_SOCKETS_MAX]; /* non-blocking, owned */
    size_t count;
    int port; /* really bound */
};

/* Whether text could be listened on: its syntax, that it names an address, and that this address is
 * loopback unless allow_open. Binds nothing. Errors: INPUT. */
bool listener_check(const char *text, bool allow_open, GError **error);

/* Opens text ("127.0.0.1:8080", "[::1]:8080", "localhost:8080"; port 0 picks one). "localhost"
 * takes both loopback addresses when the machine has both; "[::]" takes IPv4, too.
 * Errors: INPUT bad address, or not loopback without allow_open; IN_USE port taken; FATAL. */
bool listener_open(struct listener *l, const char *text, bool allow_open, GError **error);

/* Closes the sockets. Accepts one that never was open (all zero). */
void listener_close(struct listener *l);

#endif
