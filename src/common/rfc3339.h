/* rfc3339: times as text, both ways, without the C library (pure, no locale, no time zone data).
 *
 * Source: RFC 3339 section 5.6; civil-day arithmetic on the proleptic Gregorian calendar.
 * Years 0001 to 9999, counted in UTC.
 */
#ifndef COMMON_RFC3339_H
#define COMMON_RFC3339_H

#include <stdbool.h>
#include <stdint.h>

#include "common/slice.h"

#define RFC3339_SIZE 28 /* "2026-11-21T10:00:00.123456Z" and a NUL */

/* Reads a full date-time with offset ("Z", "z", "+01:30"); 'T' may be 't' or a space. Fractions
 * beyond microseconds are cut off. A leap second (:60, at the end of a UTC month only) is read as
 * the following second's start; its fraction is dropped.
 * Units: microseconds UTC since 1970. */
bool rfc3339_parse(struct slice text, int64_t *at_us);

/* Writes UTC with six decimals and 'Z', NUL-terminated. Returns the length (27). A time outside
 * the years above is written as the nearest one inside. */
size_t rfc3339_format(int64_t at_us, char out[RFC3339_SIZE]);

#endif
