/* doctor_pair: whether queue.db and eventflow.db are of one history.
 *
 * Each of them can be sound, and the counts of both can fit, although one is from another folder or
 * another day. So processed events are compared with the messages that they came from.
 */
#ifndef CLI_DOCTOR_PAIR_H
#define CLI_DOCTOR_PAIR_H

#include "cli/doctor_report.h"
#include "queue/queue.h"
#include "store/store.h"

/* Compares the newest processed events with their messages; with is_full all of them. */
void doctor_check_pair(struct doctor *d, struct store *store, struct queue *queue);

#endif
