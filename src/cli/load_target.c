/* From a URL to a socket address.
 *
 * A name may have several addresses (localhost has two), of which only one is listened on: each is
 * tried once before the run, so that the connections of the run need not.
 */
#include "cli/load_target.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"

#define TARGET_CONNECT_MS 5000

/* A path in front of ours stays, a query could not. */
static bool target_take(struct load_target *t, GUri *uri)
{
    const char *host = g_uri_get_host(uri);
    int port = g_uri_get_port(uri);
    const char *left = strchr(host, ':') != NULL ? "[" : ""; /* IPv6 */
    const char *right = left[0] != '\0' ? "]" : "";
    g_autofree char *path = g_strdup(g_uri_get_path(uri));
    size_t size = strlen(path);

    while (size > 0 && path[size - 1] == '/')
        path[--size] = '\0';
    t->path = g_strconcat(path, "/events", NULL);
    t->host = port <= 0 || port == 80 ? g_strdup_printf("%s%s%s", left, host, right)
                                      : g_strdup_printf("%s%s%s:%d", left, host, right, port);
    return strlen(t->path) <= 1024 && strlen(t->host) <= 300;
}

/* Such bytes could end a line of the request's head. */
static bool target_has_space(const char *url)
{
    for (const char *p = url; *p != '\0'; p++)
        if (g_ascii_isspace(*p) || g_ascii_iscntrl(*p))
            return true;
    return false;
}

/* https gets its own message: it is the one mistake that looks right. Port 0 is refused here, since
 * everything behind would take it for a URL without a port, which means 80. */
bool load_target_init(struct load_target *t, const char *url, GError **error)
{
    g_autoptr(GUri) uri = g_uri_parse(url, G_URI_FLAGS_ENCODED, NULL);
    const char *host = uri != NULL ? g_uri_get_host(uri) : NULL;

    *t = (struct load_target){0};
    if (uri != NULL && g_str_equal(g_uri_get_scheme(uri), "https")) {
        g_set_error(error, EF_ERROR, EF_ERROR_INPUT,
                    "'%s': load speaks http only; point it behind the TLS proxy", url);
        return false;
    }
    if (host == NULL || g_uri_get_port(uri) == 0 || target_has_space(url) || host[0] == '\0' ||
        !g_str_equal(g_uri_get_scheme(uri), "http") || g_uri_get_query(uri) != NULL ||
        !target_take(t, uri)) {
        g_set_error(error, EF_ERROR, EF_ERROR_INPUT,
                    "'%s' is no address of a server; valid is http://HOST:PORT", url);
        return false;
    }
    return true;
}

/* What init left behind, whether it went well or not. */
void load_target_done(struct load_target *t)
{
    g_clear_pointer(&t->host, g_free);
    g_clear_pointer(&t->path, g_free);
}

/* 0 or an errno. Waiting here instead of leaving it to the first thread makes "cannot connect" an
 * answer within seconds, with the reason, before anything was started. */
static int target_try(const struct addrinfo *info)
{
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    socklen_t size = sizeof(int);
    int problem = 0;

    if (fd < 0)
        return errno;
    if (connect(fd, info->ai_addr, info->ai_addrlen) != 0) {
        problem = errno;
        if (problem == EINPROGRESS)
            problem = poll(&wait, 1, TARGET_CONNECT_MS) == 1 ? 0 : ETIMEDOUT;
        if (problem == 0) /* writable says only that it is over; this says how */
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &size);
    }
    close(fd);
    return problem;
}

/* The connection that proves the address is closed again: each thread makes its own. */
bool load_target_connect(struct load_target *t, const char *url, GError **error)
{
    g_autoptr(GUri) uri = g_uri_parse(url, G_URI_FLAGS_ENCODED, NULL);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    int port = g_uri_get_port(uri);
    g_autofree char *service = g_strdup_printf("%d", port > 0 ? port : 80);
    int found = getaddrinfo(g_uri_get_host(uri), service, &hints, &list);
    int problem = EADDRNOTAVAIL;

    if (found != 0) {
        g_set_error(error, EF_ERROR, EF_ERROR_RETRY, "cannot connect to %s: %s", url,
                    gai_strerror(found));
        return false;
    }
    for (const struct addrinfo *info = list; info != NULL && problem != 0; info = info->ai_next) {
        problem = target_try(info);
        memcpy(&t->address, info->ai_addr, info->ai_addrlen);
        t->address_size = info->ai_addrlen;
    }
    freeaddrinfo(list);
    if (problem != 0)
        g_set_error(error, EF_ERROR, EF_ERROR_RETRY, "cannot connect to %s: %s", url,
                    g_strerror(problem));
    return problem == 0;
}
