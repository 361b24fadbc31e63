/* Broken on purpose: a batch is acknowledged before it is committed.
 *
 * publish only hands a copy to a thread that does the real work a moment later: a process that is
 * killed in between has promised what it does not have. */
#include "queue/queue.h"

bool __real_queue_publish(struct queue *q, struct queue_message *messages, size_t count,
                          GError **error);
bool __wrap_queue_publish(struct queue *q, struct queue_message *messages, size_t count,
                          GError **error);

struct late_batch {
    struct arena arena;
    struct queue *queue;
    struct queue_message *messages;
    size_t count;
};

static void publish_late(void *data, void *user)
{
    struct late_batch *late = data;

    (void)user;
    __real_queue_publish(late->queue, late->messages, late->count, NULL);
    arena_done(&late->arena);
    g_free(late);
}

/* One thread, since the queue has one publisher. Never freed. */
static GThreadPool *late_thread(void)
{
    static GThreadPool *pool;

    if (g_once_init_enter(&pool))
        g_once_init_leave(&pool, g_thread_pool_new(publish_late, NULL, 1, TRUE, NULL));
    return pool;
}

bool __wrap_queue_publish(struct queue *q, struct queue_message *messages, size_t count,
                          GError **error)
{
    struct late_batch *late = g_new0(struct late_batch, 1);

    (void)error;
    arena_init(&late->arena);
    late->queue = q;
    late->count = count;
    late->messages = ARENA_NEW(&late->arena, struct queue_message, count);
    for (size_t i = 0; i < count; i++) {
        struct queue_message *m = &late->messages[i];

        *m = messages[i];
        m->key = arena_copy(&late->arena, m->key);
        m->correlation = arena_copy(&late->arena, m->correlation);
        m->trace = arena_copy(&late->arena, m->trace);
        m->body = arena_copy(&late->arena, m->body);
    }
    g_thread_pool_push(late_thread(), late, NULL);
    return true;
}
