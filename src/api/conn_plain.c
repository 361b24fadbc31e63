/* Bytes straight to and from the socket. */
#include "api/conn.h"

#include <sys/socket.h>
#include <unistd.h>

static ssize_t plain_read(struct conn *c, void *to, size_t size)
{
    return recv(c->watch.fd, to, size, 0);
}

/* sendmsg instead of writev: only it can be told not to raise SIGPIPE. */
static ssize_t plain_write(struct conn *c, const struct iovec *parts, int count)
{
    struct iovec copy[2];
    struct msghdr message = {.msg_iov = copy, .msg_iovlen = (size_t)count};

    g_assert((size_t)count <= G_N_ELEMENTS(copy));
    for (int i = 0; i < count; i++)
        copy[i] = parts[i];
    return sendmsg(c->watch.fd, &message, MSG_NOSIGNAL);
}

static void plain_shut(struct conn *c)
{
    shutdown(c->watch.fd, SHUT_WR);
}

static void plain_close(struct conn *c)
{
    close(c->watch.fd);
}

const struct conn_ops conn_plain_ops = {
    .name = "plain",
    .read = plain_read,
    .write = plain_write,
    .shut = plain_shut,
    .close = plain_close,
};
