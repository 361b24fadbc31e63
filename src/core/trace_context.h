/* trace_context: W3C traceparent headers. Source: W3C Trace Context, section 3.2. Pure. */
#ifndef CORE_TRACE_CONTEXT_H
#define CORE_TRACE_CONTEXT_H

#include <stdbool.h>

#include "common/slice.h"

#define TRACE_PARENT_SIZE 55

/* Reads a traceparent. false (ignore the header, start anew) when it is not valid: all-zero ids,
 * version ff, upper case, wrong lengths; a higher version is read as far as it is known.
 * trace_id: 32 lower-case hex digits, borrowed from header. */
bool trace_context_parse(struct slice header, struct slice *trace_id);

#endif
