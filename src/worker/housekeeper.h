/* housekeeper: once a second it looks at queue, store and process, and sets gauges and rates.
 *
 *   queue stats ┐
 *   summary     ├─▶ gauges (metrics), received_rate, processed_rate
 *   /proc/self  ┘
 *   disk ──probe──▶ disk_watch, while the disk is full
 *
 * What it does not do: change anything. When the store cannot be read its gauges keep their values.
 */
#ifndef WORKER_HOUSEKEEPER_H
#define WORKER_HOUSEKEEPER_H

#include <stdint.h>

#include "common/disk_watch.h"
#include "common/rate.h"
#include "queue/queue.h"
#include "store/store.h"

struct housekeeper;

struct housekeeper_options {
    struct queue *queue; /* borrowed until stop, like the others */
    struct store *store;
    struct disk_watch *disk;     /* probed while it is full; may be NULL */
    struct rate *received_rate;  /* messages published; may be NULL */
    struct rate *processed_rate; /* events processed; may be NULL */
    int64_t started_us;          /* wall clock; 0 = now */
    int64_t interval_ms;         /* 0 = 1000 */
};

/* Starts the thread; the first round is made at once. */
struct housekeeper *housekeeper_start(const struct housekeeper_options *options);

/* Ends at once, frees. Accepts NULL. */
void housekeeper_stop(struct housekeeper *h);

#endif
