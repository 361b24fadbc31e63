/* campaign_schema: the closed schema of a campaign document, as tables of fields.
 *
 *   document tree ──campaign_schema_check──▶ problems (all of them, each with its pointer)
 *                 └─campaign_schema_write──▶ canonical JSON, fields in the tables' order
 *
 * Inner header of campaign*.c. A field that the language has but the program does not know yet, one
 * that only the server sets, and one that nobody knows each get their own answer. Pure.
 */
#ifndef CORE_CAMPAIGN_SCHEMA_H
#define CORE_CAMPAIGN_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

#include "common/json.h"
#include "common/slice.h"
#include "core/problem.h"

/* A set of json_type values. */
#define SCHEMA_TYPE(type) (1u << (type))
#define SCHEMA_TEXT       SCHEMA_TYPE(JSON_TEXT)
#define SCHEMA_NUMBER     SCHEMA_TYPE(JSON_NUMBER)
#define SCHEMA_ARRAY      SCHEMA_TYPE(JSON_ARRAY)
#define SCHEMA_OBJECT     SCHEMA_TYPE(JSON_OBJECT)

/* How a name that the table has is answered. */
enum schema_kind {
    SCHEMA_KNOWN,
    SCHEMA_LATER,  /* of the language, not supported yet */
    SCHEMA_SERVER, /* set by the server, never in a document */
};

/* Checks a value of the right type further; adds problems at or below pointer, which is borrowed
 * for the call. */
typedef void schema_check(const struct json_value *value, const char *pointer,
                          struct problems *problems);

/* One row of a table: a member that an object may have. Tables are const and live for ever. */
struct schema_field {
    const char *name;
    enum schema_kind kind;
    bool is_required;    /* for known fields */
    unsigned types;      /* SCHEMA_… bits; 0: any */
    schema_check *check; /* NULL: the type says it all */
};

/* Checks an object against a closed list of fields. */
void schema_check_object(const struct schema_field *fields, size_t count,
                         const struct json_value *object, const char *pointer,
                         struct problems *problems);

/* A string of 1 to max characters (code points) without U+0000. */
void schema_check_size(const struct json_value *text, size_t max, const char *pointer,
                       struct problems *problems);

/* That a dotted path begins with a field of an event. pointer: where the path is written. */
void schema_check_root(struct slice path, const char *pointer, struct problems *problems);

/* Whether the text is a campaign id: ^[a-z0-9][a-z0-9-]{0,62}$ */
bool schema_is_id(struct slice text);

/* The "then" array. In campaign_reward.c. */
void schema_check_rewards(const struct json_value *value, const char *pointer,
                          struct problems *problems);

/* The whole document, except what the pattern parser checks inside "rules". */
void campaign_schema_check(const struct json_value *document, struct problems *problems);

/* Writes the canonical document of a tree without problems: the fields in the schema's order, id
 * and status as given. */
void campaign_schema_write(struct json_writer *w, const struct json_value *document,
                           struct slice id, struct slice status);

#endif
