/* glib_sync: GLib's locks over pthread's, for builds under the thread sanitizer.
 *
 * The sanitizer sees what it compiled and what it intercepts, which is pthread. Debian's GLib is
 * neither: its GMutex and GCond are futexes, so whatever they protect would be reported as a race.
 * The functions here bear GLib's names and keep its promises, and the linker meets them first.
 *
 * GLib's calls to itself stay inside GLib: a GMutex or GCond of ours must not be handed to a
 * function of GLib that locks it. What we do not use is not here: whoever starts to use GRecMutex,
 * GRWLock, GOnce or more of GAsyncQueue (which would crash) adds it. */
#include <errno.h>
#include <pthread.h>
#include <time.h>

#include <glib.h>

/* One lock for all g_once_init_enter; recursive, as one initialisation may need another. */
static pthread_mutex_t once_lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

/* A GMutex is a pointer to its twin, made on first use: zeroed memory is a valid GMutex. */
static pthread_mutex_t *twin_of_mutex(GMutex *mutex)
{
    void *twin = __atomic_load_n(&mutex->p, __ATOMIC_ACQUIRE);
    pthread_mutex_t *fresh;

    if (twin != NULL)
        return twin;
    fresh = g_new(pthread_mutex_t, 1);
    pthread_mutex_init(fresh, NULL);
    if (__atomic_compare_exchange_n(&mutex->p, &twin, fresh, FALSE, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE))
        return fresh;
    pthread_mutex_destroy(fresh);
    g_free(fresh);
    return twin;
}

void g_mutex_init(GMutex *mutex)
{
    mutex->p = NULL;
}

void g_mutex_clear(GMutex *mutex)
{
    if (mutex->p != NULL && pthread_mutex_destroy(mutex->p) != 0)
        g_error("g_mutex_clear: the mutex is locked");
    g_clear_pointer(&mutex->p, g_free);
}

void g_mutex_lock(GMutex *mutex)
{
    pthread_mutex_lock(twin_of_mutex(mutex));
}

gboolean g_mutex_trylock(GMutex *mutex)
{
    return pthread_mutex_trylock(twin_of_mutex(mutex)) == 0;
}

void g_mutex_unlock(GMutex *mutex)
{
    pthread_mutex_unlock(twin_of_mutex(mutex));
}

static pthread_cond_t *new_cond(void)
{
    pthread_cond_t *cond = g_new(pthread_cond_t, 1);
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
    return cond;
}

static pthread_cond_t *twin_of_cond(GCond *cond)
{
    void *twin = __atomic_load_n(&cond->p, __ATOMIC_ACQUIRE);
    pthread_cond_t *fresh;

    if (twin != NULL)
        return twin;
    fresh = new_cond();
    if (__atomic_compare_exchange_n(&cond->p, &twin, fresh, FALSE, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE))
        return fresh;
    pthread_cond_destroy(fresh);
    g_free(fresh);
    return twin;
}

void g_cond_init(GCond *cond)
{
    cond->p = NULL;
}

void g_cond_clear(GCond *cond)
{
    if (cond->p != NULL)
        pthread_cond_destroy(cond->p);
    g_clear_pointer(&cond->p, g_free);
}

void g_cond_signal(GCond *cond)
{
    pthread_cond_signal(twin_of_cond(cond));
}

void g_cond_broadcast(GCond *cond)
{
    pthread_cond_broadcast(twin_of_cond(cond));
}

void g_cond_wait(GCond *cond, GMutex *mutex)
{
    pthread_cond_wait(twin_of_cond(cond), twin_of_mutex(mutex));
}

/* end_time is of g_get_monotonic_time(), hence CLOCK_MONOTONIC above. */
gboolean g_cond_wait_until(GCond *cond, GMutex *mutex, gint64 end_time)
{
    struct timespec until = {.tv_sec = end_time / G_USEC_PER_SEC,
                             .tv_nsec = (end_time % G_USEC_PER_SEC) * 1000};

    return pthread_cond_timedwait(twin_of_cond(cond), twin_of_mutex(mutex), &until) != ETIMEDOUT;
}

/* In brackets wherever GLib has a macro of the name, too. The lock is kept until leave. */
gboolean(g_once_init_enter)(volatile void *location)
{
    volatile gsize *value = location;

    pthread_mutex_lock(&once_lock);
    if (__atomic_load_n(value, __ATOMIC_ACQUIRE) == 0)
        return TRUE;
    pthread_mutex_unlock(&once_lock);
    return FALSE;
}

void(g_once_init_leave)(volatile void *location, gsize result)
{
    volatile gsize *value = location;

    __atomic_store_n(value, result, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&once_lock);
}

void(g_atomic_ref_count_inc)(gatomicrefcount *count)
{
    __atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
}

gboolean(g_atomic_ref_count_dec)(gatomicrefcount *count)
{
    return __atomic_fetch_sub(count, 1, __ATOMIC_ACQ_REL) == 1;
}

/* GAsyncQueue, as far as we use it; GLib's would keep its lock to itself. */
struct _GAsyncQueue {
    GMutex lock;
    GCond arrived;
    GQueue items;
};

GAsyncQueue *g_async_queue_new(void)
{
    return g_new0(GAsyncQueue, 1);
}

/* There is no g_async_queue_ref here, so this was the only reference. */
void g_async_queue_unref(GAsyncQueue *queue)
{
    g_queue_clear(&queue->items);
    g_cond_clear(&queue->arrived);
    g_mutex_clear(&queue->lock);
    g_free(queue);
}

void g_async_queue_push(GAsyncQueue *queue, gpointer data)
{
    g_mutex_lock(&queue->lock);
    g_queue_push_head(&queue->items, data);
    g_cond_signal(&queue->arrived);
    g_mutex_unlock(&queue->lock);
}

gpointer g_async_queue_pop(GAsyncQueue *queue)
{
    void *data;

    g_mutex_lock(&queue->lock);
    while (g_queue_is_empty(&queue->items))
        g_cond_wait(&queue->arrived, &queue->lock);
    data = g_queue_pop_tail(&queue->items);
    g_mutex_unlock(&queue->lock);
    return data;
}

gpointer g_async_queue_timeout_pop(GAsyncQueue *queue, guint64 timeout_us)
{
    gint64 until_us = g_get_monotonic_time() + (gint64)timeout_us;
    gboolean is_in_time = TRUE;
    void *data;

    g_mutex_lock(&queue->lock);
    while (g_queue_is_empty(&queue->items) && is_in_time)
        is_in_time = g_cond_wait_until(&queue->arrived, &queue->lock, until_us);
    data = g_queue_pop_tail(&queue->items); /* NULL when there is none */
    g_mutex_unlock(&queue->lock);
    return data;
}
