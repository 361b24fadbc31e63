/* backup_manifest: what a backup says about itself, as JSON. Pure.
 *
 *   {"format":1,"program":"eventflow 0.1.0","made_at":"…","position":…, …,
 *    "members":[{"name":"eventflow.db","size":…,"schema":1,"sha256":"…"},{"name":"queue.db",…}],
 *    "manifest_sha256":"…"}
 *
 * It is the first member of the file, filled up with spaces to a fixed size, since it is written
 * last. manifest_sha256 is that of all its bytes with the 64 digits themselves read as '0'.
 * In every format, also the ones to come: the first member is manifest.json, a JSON object with
 * "format" (an integer, raised with every change that an older program cannot read) and
 * "manifest_sha256" as above. So a damaged backup is never taken for a newer one.
 */
#ifndef CLI_BACKUP_MANIFEST_H
#define CLI_BACKUP_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "common/slice.h"

#define BACKUP_FORMAT        1
#define BACKUP_MANIFEST_NAME "manifest.json"
/* With two heads of 512 bytes it puts the first database at 8192, a multiple of its pages. */
#define BACKUP_MANIFEST_SIZE 7168
#define BACKUP_MANIFEST_MAX  (1024 * 1024) /* of any format */
#define BACKUP_SHA256_SIZE   65            /* hex digits and a NUL */

/* The two databases, in the order in which they are copied and stand in the file. */
enum backup_member_id { BACKUP_RESULTS, BACKUP_LOG, BACKUP_MEMBERS };

struct backup_member {
    const char *name; /* static text */
    int64_t size;     /* bytes */
    int64_t schema;   /* the database's version */
    char sha256[BACKUP_SHA256_SIZE];
};

/* All counts are of the moment when eventflow.db was copied, but accepted, which is of queue.db. */
struct backup_manifest {
    char *program;      /* who made it; owned */
    int64_t made_at_us; /* begin of the copying: what was acknowledged before is in it */
    int64_t position;   /* last message that is settled or waits for another attempt */
    int64_t accepted;   /* newest message */
    int64_t processed, failed, duplicate, matches;
    int64_t retrying; /* messages up to position that wait for another attempt */
    struct backup_member members[BACKUP_MEMBERS];
};

/* Zeroes all, names the members. */
void backup_manifest_init(struct backup_manifest *m);
void backup_manifest_done(struct backup_manifest *m);

/* Messages without an end. */
int64_t backup_manifest_waiting(const struct backup_manifest *m);

/* Whether every message has exactly one end or waits. */
bool backup_manifest_adds_up(const struct backup_manifest *m);

/* Adds the counts to an open JSON object: what manifest and command line have in common. */
struct json_writer;
void backup_manifest_put(const struct backup_manifest *m, struct json_writer *w);

/* BACKUP_MANIFEST_SIZE bytes. Owned by caller. */
GString *backup_manifest_write(const struct backup_manifest *m);

/* Reads and checks all of the member's content. m is initialised, and complete only after true.
 * Errors: CORRUPT, NEWER. */
bool backup_manifest_read(struct backup_manifest *m, struct slice text, GError **error);

#endif
