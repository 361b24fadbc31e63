/* listener: addresses as the user writes them become listening sockets, or an error that says
 * why.
 *
 * Names are resolved at the start only, so that getaddrinfo, which blocks, never meets a
 * request. sockaddr structs are copied in and out instead of cast: that is what the language
 * allows.
 * Deliberately missing: a list of addresses. One door listens on one, or on both loopbacks. */
#include "api/listener.h"

#include <errno.h>
#include <string.h>

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/error.h"

/* Connections that wait in the kernel; it takes less when net.core.somaxconn says so. */
#define LISTENER_BACKLOG 4096

/* What to bind; borrowed from the getaddrinfo result. */
struct target {
    const struct sockaddr *address;
    socklen_t size;
    const char *text; /* as the user wrote it */
};

/* "host:port" or "[v6]:port". The parts are owned by caller. An IPv6 address needs its brackets,
 * otherwise its last group could be taken for the port. Errors: INPUT. */
static bool split_address(const char *text, char **host, char **port, GError **error)
{
    const char *colon = strrchr(text, ':');
    size_t size = colon != NULL ? (size_t)(colon - text) : 0;
    bool is_v6 = size > 2 && text[0] == '[' && text[size - 1] == ']';
    char *end = NULL;
    guint64 number = colon != NULL ? g_ascii_strtoull(colon + 1, &end, 10) : 0;

    if (size == 0 || !g_ascii_isdigit(colon[1]) || *end != '\0' || number > 65535 ||
        (!is_v6 && memchr(text, ':', size) != NULL)) {
        g_set_error(error, EF_ERROR, EF_ERROR_INPUT,
                    "\"%s\" is no address to listen on; write host:port or [IPv6 address]:port",
                    text);
        return false;
    }
    *host = is_v6 ? g_strndup(text + 1, size - 2) : g_strndup(text, size);
    *port = g_strdup(colon + 1);
    return true;
}

/* 127.0.0.0/8, ::1, and the first written as IPv6. */
static bool is_loopback(const struct sockaddr *address)
{
    struct sockaddr_in6 v6;

    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;

        memcpy(&v4, address, sizeof(v4));
        return ntohl(v4.sin_addr.s_addr) >> 24 == 127;
    }
    memcpy(&v6, address, sizeof(v6));
    return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr) ||
           (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr) && v6.sin6_addr.s6_addr[12] == 127);
}

/* Writes the port into an address of either family. */
static void set_port(struct sockaddr_storage *address, int port)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (address->ss_family == AF_INET) {
        memcpy(&v4, address, sizeof(v4));
        v4.sin_port = htons((uint16_t)port);
        memcpy(address, &v4, sizeof(v4));
    } else {
        memcpy(&v6, address, sizeof(v6));
        v6.sin6_port = htons((uint16_t)port);
        memcpy(address, &v6, sizeof(v6));
    }
}

/* The port that the kernel chose for 0; 0 when it cannot be told. */
static int bound_port(int fd)
{
    struct sockaddr_storage address = {0};
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    socklen_t size = sizeof(address);

    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        return 0;
    if (address.ss_family == AF_INET) {
        memcpy(&v4, &address, sizeof(v4));
        return ntohs(v4.sin_port);
    }
    memcpy(&v6, &address, sizeof(v6));
    return ntohs(v6.sin6_port);
}

/* Errors: IN_USE, INPUT for an address that is not ours or a port that needs root, else FATAL. */
static void set_bind_error(GError **error, const char *text, int number)
{
    if (number == EADDRINUSE)
        g_set_error(error, EF_ERROR, EF_ERROR_IN_USE,
                    "cannot listen on %s: another process has that port", text);
    else
        g_set_error(error, EF_ERROR,
                    number == EADDRNOTAVAIL || number == EACCES ? EF_ERROR_INPUT : EF_ERROR_FATAL,
                    "cannot listen on %s: %s", text, g_strerror(number));
}

/* A plain, not shared, port: a second process must not be able to take half of the connections.
 * Returns the listening socket, or -1. SO_REUSEADDR only lets a restart have its port back from
 * connections that linger; it does not share one. */
static int open_socket(const struct target *t, GError **error)
{
    int fd = socket(t->address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    int off = 0;
    int number;

    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        /* "[::]" then takes IPv4 clients as well; the kernel's default depends on the machine. */
        if (t->address->sa_family == AF_INET6)
            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
        /* Connections inherit it from the listening socket. */
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (bind(fd, t->address, t->size) == 0 && listen(fd, LISTENER_BACKLOG) == 0)
            return fd;
    }
    number = errno;
    if (fd >= 0)
        close(fd);
    set_bind_error(error, t->text, number);
    return -1;
}

/* The second socket of a listener takes the port that the first one got. After false the listener
 * is as before. */
static bool listener_add(struct listener *l, const struct addrinfo *info, const char *text,
                         GError **error)
{
    struct sockaddr_storage address = {0};
    struct target t = {(const struct sockaddr *)&address, info->ai_addrlen, text};
    int fd;

    memcpy(&address, info->ai_addr, info->ai_addrlen);
    if (l->count > 0)
        set_port(&address, l->port);
    fd = open_socket(&t, error);
    if (fd < 0)
        return false;
    if (l->count == 0)
        l->port = bound_port(fd);
    l->fds[l->count++] = fd;
    return true;
}

/* The first address of a name is the one that is meant. Freed by the caller. NULL with INPUT when
 * the name is unknown. AI_PASSIVE has no effect here, as a host is always given. */
static struct addrinfo *resolve(const char *host, const char *port, const char *text,
                                GError **error)
{
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *infos = NULL;
    int result = getaddrinfo(host, port, &hints, &infos);

    if (result != 0)
        g_set_error(error, EF_ERROR, EF_ERROR_INPUT, "cannot listen on %s: %s", text,
                    gai_strerror(result));
    return infos;
}

/* Safe by default: without access control only this machine may come in. Errors: INPUT. */
static bool check_open(const struct addrinfo *info, const char *text, bool allow_open,
                       GError **error)
{
    if (allow_open || is_loopback(info->ai_addr))
        return true;
    g_set_error(error, EF_ERROR, EF_ERROR_INPUT,
                "refusing to listen on %s: anybody who reaches that address could send events and "
                "change campaigns, because there is no access control yet; listen on 127.0.0.1 or "
                "[::1], or say --allow-open if the network keeps others out",
                text);
    return false;
}

/* Resolves, checks and adds one address; after false the listener is as before. */
static bool open_host(struct listener *l, const char *host, const char *port, const char *text,
                      bool allow_open, GError **error)
{
    struct addrinfo *infos = resolve(host, port, text, error);
    bool is_open = infos != NULL && check_open(infos, text, allow_open, error) &&
                   listener_add(l, infos, text, error);

    if (infos != NULL)
        freeaddrinfo(infos);
    return is_open;
}

/* Before anything is opened: a wrong setting must not leave half of an engine behind. */
bool listener_check(const char *text, bool allow_open, GError **error)
{
    g_autofree char *host = NULL;
    g_autofree char *port = NULL;
    struct addrinfo *infos;
    bool is_good;

    if (!split_address(text, &host, &port, error))
        return false;
    if (g_ascii_strcasecmp(host, "localhost") == 0)
        return true;
    infos = resolve(host, port, text, error);
    is_good = infos != NULL && check_open(infos, text, allow_open, error);
    if (infos != NULL)
        freeaddrinfo(infos);
    return is_good;
}

/* "localhost" is not resolved: what a machine's files say about it must not open a door to
 * others. */
bool listener_open(struct listener *l, const char *text, bool allow_open, GError **error)
{
    g_autofree char *host = NULL;
    g_autofree char *port = NULL;

    *l = (struct listener){0};
    if (!split_address(text, &host, &port, error))
        return false;
    if (g_ascii_strcasecmp(host, "localhost") != 0)
        return open_host(l, host, port, text, allow_open, error);
    if (!open_host(l, "127.0.0.1", port, text, true, error))
        return false;
    /* A machine without IPv6 is fine; the port may also be taken there, which harms nobody. */
    open_host(l, "::1", port, text, true, NULL);
    return true;
}

/* What waits in its backlog is reset by the kernel. */
void listener_close(struct listener *l)
{
    for (size_t i = 0; i < l->count; i++)
        close(l->fds[i]);
    *l = (struct listener){0};
}
