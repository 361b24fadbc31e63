/* fake_server: an HTTP server for tests that gives the answers it was told to, in order, and keeps
 * what it was asked. One connection after the other; a real socket, so the real client is tested.
 */
#ifndef TEST_FAKE_SERVER_H
#define TEST_FAKE_SERVER_H

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <unistd.h>

#include <glib.h>

struct fake_server {
    const char *const *answers; /* whole HTTP answers, NULL at the end; "" = hang up */
    int fd;
    char *url;
    GThread *thread;
    GPtrArray *requests; /* char *: head and body of each; read after fake_server_stop */
    int connections;
};

#define FAKE_ANSWER(status, headers, body) "HTTP/1.1 " status "\r\n" headers "\r\n" body

/* Reads one request; false when the client has hung up. */
static inline gboolean fake_server_read(int fd, GString *request)
{
    for (;;) {
        const char *end = strstr(request->str, "\r\n\r\n");
        const char *length = end != NULL ? strstr(request->str, "Content-Length: ") : NULL;
        gsize size = length != NULL && length < end ? (gsize)strtoul(length + 16, NULL, 10) : 0;
        char buffer[65536];
        ssize_t got;

        if (end != NULL && request->len >= (gsize)(end - request->str) + 4 + size)
            return TRUE;
        got = recv(fd, buffer, sizeof(buffer), 0);
        if (got <= 0)
            return FALSE;
        g_string_append_len(request, buffer, got);
    }
}

/* Serves one connection; returns the next answer to give. */
static inline size_t fake_server_serve(struct fake_server *s, int fd, size_t next)
{
    while (s->answers[next] != NULL) {
        GString *request = g_string_new(NULL);
        const char *answer = s->answers[next];

        if (!fake_server_read(fd, request)) {
            g_string_free(request, TRUE);
            break;
        }
        next++;
        g_ptr_array_add(s->requests, g_string_free(request, FALSE));
        if (send(fd, answer, strlen(answer), MSG_NOSIGNAL) < 0 || answer[0] == '\0' ||
            strstr(answer, "Connection: close") != NULL)
            break;
    }
    close(fd);
    return next;
}

static inline gpointer fake_server_thread(gpointer data)
{
    struct fake_server *s = data;
    size_t next = 0;

    while (s->answers[next] != NULL) {
        int fd = accept(s->fd, NULL, NULL);

        if (fd < 0)
            break;
        s->connections++;
        next = fake_server_serve(s, fd, next);
    }
    return NULL;
}

static inline void fake_server_start(struct fake_server *s, const char *const *answers)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);

    *s = (struct fake_server){.answers = answers,
                              .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                              .requests = g_ptr_array_new_with_free_func(g_free)};
    g_assert_cmpint(bind(s->fd, (struct sockaddr *)&address, size), ==, 0);
    g_assert_cmpint(listen(s->fd, 8), ==, 0);
    g_assert_cmpint(getsockname(s->fd, (struct sockaddr *)&address, &size), ==, 0);
    s->url = g_strdup_printf("http://127.0.0.1:%d", ntohs(address.sin_port));
    s->thread = g_thread_new("fake-server", fake_server_thread, s);
}

/* Waits until every answer has been given (or the client is gone); requests are safe to read. */
static inline void fake_server_stop(struct fake_server *s)
{
    shutdown(s->fd, SHUT_RDWR);
    g_thread_join(s->thread);
    close(s->fd);
}

static inline void fake_server_done(struct fake_server *s)
{
    g_ptr_array_unref(s->requests);
    g_free(s->url);
}

static inline const char *fake_server_request(const struct fake_server *s, guint i)
{
    g_assert_cmpuint(i, <, s->requests->len);
    return g_ptr_array_index(s->requests, i);
}

#endif
