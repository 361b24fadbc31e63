/* problem: what is wrong with a document, each with a JSON Pointer to the place.
 *
 * Checkers collect all problems instead of stopping at the first; the front door answers them as
 * problem+json "errors", the dead letter keeps them as its error text.
 */
#ifndef CORE_PROBLEM_H
#define CORE_PROBLEM_H

#include <stddef.h>

#include <glib.h>

#include "common/slice.h"

#define PROBLEMS_MAX     32  /* further ones are counted, not kept */
#define PROBLEM_NAME_MAX 100 /* bytes that are repeated of a name in the document */

struct problem {
    char *pointer; /* URI fragment: "#", "#/payload/amount" (RFC 6901 section 6) */
    char *detail;  /* a sentence for people */
};

/* One thread at a time. */
struct problems {
    struct problem items[PROBLEMS_MAX];
    size_t count; /* kept */
    size_t total; /* seen */
};

/* The caller's storage; done frees the texts and accepts NULL. */
void problems_init(struct problems *p);
void problems_done(struct problems *p);

/* pointer is copied. */
void problems_add(struct problems *p, const char *pointer, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A name of the document's for a detail: as it is, or its beginning and "…". Owned by caller. */
char *problem_show(struct slice name);

/* parent + "/" + escaped key ("~" -> "~0", "/" -> "~1", then percent-encoded as a URI fragment
 * needs it). Of a key beyond PROBLEM_NAME_MAX bytes the beginning and "…". Owned by caller. */
char *problem_pointer(const char *parent, struct slice key);
char *problem_pointer_index(const char *parent, size_t index);

/* "#/a: must be …; #/b: …": all of them on one line. Owned by caller. */
char *problems_text(const struct problems *p);

#endif
