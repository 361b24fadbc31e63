#include "worker/settler.h"

/* The queues carry pointers; what they point to changes hands with them. */
struct settler {
    GThread *thread;
    GAsyncQueue *begun; /* struct settling; one without pipeline ends the thread */
    GAsyncQueue *ended; /* the same, with its answer */
    struct settling {
        struct pipeline *pipeline;
        bool is_settled;
        GError *error;
    } settling;
};

static void *settler_main(void *user)
{
    struct settler *s = user;
    struct settling *one;

    while ((one = g_async_queue_pop(s->begun))->pipeline != NULL) {
        one->is_settled = pipeline_settle(one->pipeline, 0, one->pipeline->count, &one->error);
        g_async_queue_push(s->ended, one);
    }
    return NULL;
}

struct settler *settler_new(void)
{
    struct settler *s = g_new0(struct settler, 1);

    s->begun = g_async_queue_new();
    s->ended = g_async_queue_new();
    s->thread = g_thread_new("settler", settler_main, s);
    return s;
}

void settler_free(struct settler *s)
{
    if (s == NULL)
        return;
    s->settling.pipeline = NULL;
    g_async_queue_push(s->begun, &s->settling);
    g_thread_join(s->thread);
    g_async_queue_unref(s->begun);
    g_async_queue_unref(s->ended);
    g_free(s);
}

void settler_begin(struct settler *s, struct pipeline *p)
{
    s->settling = (struct settling){.pipeline = p};
    g_async_queue_push(s->begun, &s->settling);
}

bool settler_wait(struct settler *s, GError **error)
{
    struct settling *one = g_async_queue_pop(s->ended);

    if (!one->is_settled)
        g_propagate_error(error, g_steal_pointer(&one->error));
    return one->is_settled;
}
