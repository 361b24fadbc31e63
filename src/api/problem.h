/* problem: the kinds of problem+json answers (RFC 9457), and how one is written.
 *
 * Most handlers use response_problem and response_error (request.h). This is for answers that add
 * members of their own, and for documents that list the kinds.
 */
#ifndef API_PROBLEM_H
#define API_PROBLEM_H

#include <stddef.h>

#include "api/request.h"
#include "common/json.h"
#include "core/problem.h"

#define PROBLEM_MEDIA "application/problem+json"

/* "/problems/<slug>" is a problem's type. */
struct problem_type {
    const char *slug;
    const char *meaning; /* one sentence for the documentation */
};

/* All kinds this server ever answers with; static storage. */
extern const struct problem_type PROBLEM_TYPES[];
extern const size_t PROBLEM_TYPE_COUNT;

/* The kind with that slug, NULL when there is none. */
const struct problem_type *problem_type_find(const char *slug);

/* The reason phrase of a status code, "Unknown" for one we never send. Static storage. */
const char *problem_reason(int status);

/* Starts a problem in res->body: type, title, status, detail, instance, correlation_id. The caller
 * may add members and must call json_close_object. A body written before is dropped. */
void problem_open(struct json_writer *w, struct response *res, const struct request *req,
                  int status, const char *slug, const char *detail);

/* The 507 of a full or read-only disk, with the member "code":"disk_full". */
void response_disk_full(struct response *res, const struct request *req);

/* Adds "errors":[{"pointer","detail"}], and "errors_total" when more were seen than kept. */
void problem_add_errors(struct json_writer *w, const struct problems *problems);

#endif
