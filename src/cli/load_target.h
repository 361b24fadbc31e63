/* load_target: the address under load: an http URL, resolved once, with a socket address that
 * answered.
 */
#ifndef CLI_LOAD_TARGET_H
#define CLI_LOAD_TARGET_H

#include <stdbool.h>

#include <glib.h>
#include <sys/socket.h>

/* Immutable after it was opened. */
struct load_target {
    char *host;                      /* for the Host header: with the port unless it is 80 */
    char *path;                      /* "/events", behind the path of the URL if it has one */
    struct sockaddr_storage address; /* the first of the host's that took a connection */
    socklen_t address_size;
};

/* Reads the URL; the address is not known yet. Errors: EF_ERROR_INPUT, also for https.
 * Owns: load_target_done afterwards, in both cases. */
bool load_target_init(struct load_target *t, const char *url, GError **error);
void load_target_done(struct load_target *t);

/* Looks the host up and tries its addresses in order, five seconds each at most. Blocks.
 * Errors: EF_ERROR_RETRY when none takes a connection. */
bool load_target_connect(struct load_target *t, const char *url, GError **error);

#endif
