/* conn_plain: bytes straight to and from the socket, one system call each.
 *
 * Nothing is buffered and nothing is retried here: EINTR, short counts and errors are the
 * caller's.
 * Deliberately missing: TLS, which would be a second table of the same four functions. */
#include "api/conn.h"

#include <sys/socket.h>
#include <unistd.h>

/* 0 is the end of the stream; the socket is non-blocking, so EAGAIN means "nothing now". */
static ssize_t plain_read(struct conn *c, void *to, size_t size)
{
    return recv(c->watch.fd, to, size, 0);
}

/* sendmsg instead of writev: only it can be told not to raise SIGPIPE. The parts are copied since
 * msghdr wants them writable; the bytes themselves are not. */
static ssize_t plain_write(struct conn *c, const struct iovec *parts, int count)
{
    struct iovec copy[2];
    struct msghdr message = {.msg_iov = copy, .msg_iovlen = (size_t)count};

    g_assert((size_t)count <= G_N_ELEMENTS(copy));
    for (int i = 0; i < count; i++)
        copy[i] = parts[i];
    return sendmsg(c->watch.fd, &message, MSG_NOSIGNAL);
}

/* The client sees the end of our answers, and we can still read what it sends. */
static void plain_shut(struct conn *c)
{
    shutdown(c->watch.fd, SHUT_WR);
}

/* EINTR is no reason to repeat it: on Linux the descriptor is gone either way (close(2)). */
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
