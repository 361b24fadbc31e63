/* conn: one connection: its bytes in and out, its states, its end.
 *
 * The states are in deadlines.h; conn_run moves a connection through them as far as it goes
 * without waiting. One request is in flight at a time: while it is, nothing is read, so answers
 * keep their order and a client that sends more than it reads is held back by TCP.
 */
#ifndef API_CONN_H
#define API_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/types.h>
#include <sys/uio.h>

#include "api/deadlines.h"
#include "api/http.h"
#include "api/loop.h"

#define CONN_LINGER_MS       2000              /* after an answer that closes the connection */
#define CONN_LINGER_SIZE_MAX (8 * 1024 * 1024) /* bytes dropped in that time */
#define CONN_TURN_STEPS      64                /* then the other connections have their turn */

struct conn;
struct exchange;

/* How bytes go in and out; TLS will be a second table. Nothing here blocks. The socket is closed by
 * close and by nothing else. */
struct conn_ops {
    const char *name;
    /* Bytes read, 0 at the end of the stream, -1 with errno (EAGAIN: nothing now). Fewer bytes
     * than asked for means that there is nothing more now. */
    ssize_t (*read)(struct conn *c, void *to, size_t size);
    /* Bytes written, -1 with errno (EAGAIN: no room now). */
    ssize_t (*write)(struct conn *c, const struct iovec *parts, int count);
    /* Ends our side of the stream; reading goes on. */
    void (*shut)(struct conn *c);
    void (*close)(struct conn *c);
};

extern const struct conn_ops conn_plain_ops;

/* Where the body of the current request goes. */
enum body_kind {
    BODY_NONE,
    BODY_IN_PLACE, /* fits behind its head in the read buffer: not copied */
    BODY_BUFFERED, /* Content-Length, in a buffer of its own */
    BODY_CHUNKED,  /* decoded into a buffer of its own */
};

/* Buffers exist only while there is something in them, so an idle connection is this struct.
 * Loop thread only. */
struct conn {
    struct watch watch;       /* first: epoll's data */
    struct deadline deadline; /* the state */
    struct loop *loop;
    const struct conn_ops *ops;
    struct exchange *exchange; /* from the end of a head to the end of its answer */
    GList again_link;          /* in loop->again while is_again */

    char *in; /* LOOP_BUFFER_SIZE bytes or NULL; the slices of the open request point into it */
    size_t in_start; /* of the current request */
    size_t in_end;   /* behind the last byte read */
    size_t scanned;  /* of its head, see http_parse_head */
    size_t head_end; /* once parsed */

    enum body_kind body_kind;
    char *body;                  /* BUFFERED, CHUNKED */
    size_t body_size;            /* bytes in body */
    size_t body_room;            /* bytes allocated */
    struct http_chunked chunked; /* state of the decoder, CHUNKED only */

    size_t sent;      /* of the answer */
    size_t dropped;   /* while lingering */
    uint64_t peer;    /* peers_key of the client's address */
    unsigned door;    /* ROUTE_MAIN or ROUTE_METRICS: which routes it may use */
    bool is_readable; /* since the last edge, reading has not yet found nothing */
    bool has_hung_up; /* the peer sends no more (it may still read) */
    bool closes;      /* after the current answer */
    bool is_counted;  /* in peers: false for one that is only told to go away */
    bool is_probe;    /* came through the metrics door while draining */
    bool is_again;    /* stands in loop->again */
};

/* What a step answers: nothing more to do now, or look at the (new) state again. */
enum conn_step { CONN_WAIT, CONN_GO };
/* What one read gave: bytes, nothing now, or the end of the stream (an error, too). */
enum conn_fill { CONN_FILL_DATA, CONN_FILL_NOTHING, CONN_FILL_END };

/* Takes the socket. Adds it to the loop. */
struct conn *conn_open(struct loop *loop, int fd, unsigned door, uint64_t peer, bool is_counted);

/* As far as it goes without waiting. */
void conn_run(struct conn *c);

/* Renders the answer that c->exchange holds and enters CONN_WRITE. conn_run sends it. */
void conn_answer(struct conn *c);

/* Answers with a problem and closes: broken framing, time out, too many connections. */
void conn_refuse(struct conn *c, int status, const char *slug, const char *why);

/* Its deadline has passed. */
void conn_expire(struct conn *c);

/* For the drain: closes it unless a request has begun. */
void conn_close_idle(struct conn *c);

/* At once, without a word. The memory lives until conn_free. */
void conn_close(struct conn *c);
/* Frees the struct and counts the connection out. At the end of a round only. */
void conn_free(struct conn *c);

/* Moves it into another state's list; the state's deadline starts now. */
void conn_set_state(struct conn *c, enum conn_state state);

/* Reads once into to; *size says how much there was room for, then how much came. */
enum conn_fill conn_fill(struct conn *c, char *to, size_t *size);

/* ---- body.c ---------------------------------------------------------------------------------- */

enum body_result {
    BODY_DONE,   /* *body is set, borrowed until the answer is sent */
    BODY_WAIT,   /* more must arrive */
    BODY_CLOSED, /* the client went away */
    BODY_BAD,    /* framing: *why */
    BODY_LARGE,  /* above body_max */
};

/* Decides where the body of the parsed head goes. */
void body_start(struct conn *c, const struct http_head *head);

/* Reads as much as there is. */
enum body_result body_read(struct conn *c, const struct http_head *head, struct slice *body,
                           const char **why);

/* True when no byte of the body has to be waited for. */
bool body_is_here(const struct conn *c, const struct http_head *head);

/* Forgets the request's body and moves in_start behind the request. */
void body_finish(struct conn *c, const struct http_head *head);

#endif
