/* A reader that knows one grammar and a writer that knows one form. The C library is left out: its
 * time functions follow the locale and the zone of the process, and its structs have no offset.
 * Everything is 64-bit arithmetic on days and microseconds; years 1 to 9999 stay far from its
 * limits, so nothing here needs a check for overflow.
 * Deliberately missing: names of zones, week dates, times without an offset (which are no instant).
 */
#include "common/rfc3339.h"

#include <string.h>

#include <glib.h>

#define SECOND_US  INT64_C(1000000)
#define DAY_S      INT64_C(86400)
#define ERA_DAYS   INT64_C(146097)                         /* days in 400 years */
#define EPOCH_DAYS INT64_C(719468)                         /* from 0000-03-01 to 1970-01-01 */
#define FIRST_US   (INT64_C(-62135596800) * SECOND_US)     /* 0001-01-01T00:00:00Z */
#define LAST_US    (INT64_C(253402300800) * SECOND_US - 1) /* 9999-12-31T23:59:59.999999Z */

struct civil {
    int64_t year;   /* 1 to 9999 in what is read; 64 bits for the arithmetic */
    unsigned month; /* 1 to 12 */
    unsigned day;   /* 1 to 31 */
};

/* Days since 1970. Years are counted from March on, so the leap day is a year's last day, and
 * (153 * m + 2) / 5 gives the days before the m-th month after March.
 * Source: proleptic Gregorian calendar; the cycle of 400 years has 146,097 days. */
static int64_t days_from_civil(struct civil date)
{
    int64_t year = date.year - (date.month <= 2);
    int64_t era = year / 400; /* year >= 0 here */
    int64_t year_of_era = year - era * 400;
    int64_t month = ((int64_t)date.month + 9) % 12; /* March is 0 */
    int64_t day_of_year = (153 * month + 2) / 5 + date.day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * ERA_DAYS + day_of_era - EPOCH_DAYS;
}

/* The way back. days is not before 0000-03-01. The corrections in year_of_era take out the leap
 * days of the 4-year (1460), 100-year (36524) and 400-year (146096) cycles before dividing by 365.
 */
static struct civil civil_from_days(int64_t days)
{
    int64_t shifted = days + EPOCH_DAYS;
    int64_t era = shifted / ERA_DAYS;
    int64_t day_of_era = shifted - era * ERA_DAYS;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153; /* March is 0 */
    struct civil date = {
        .year = year_of_era + era * 400 + (month >= 10),
        .month = (unsigned)(month < 10 ? month + 3 : month - 9),
        .day = (unsigned)(day_of_year - (153 * month + 2) / 5 + 1),
    };

    return date;
}

/* How many days the date's month has, in its year. */
static unsigned month_days(const struct civil *date)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = date->year % 4 == 0 && (date->year % 100 != 0 || date->year % 400 == 0);

    return days[date->month - 1] + (date->month == 2 && is_leap);
}

/* What is left to read. Readers move it forward; on failure its place does not matter. */
struct cursor {
    const char *p;
    const char *end;
};

/* Exactly count digits, a number within [min, max]. No signs and no spaces: the grammar has fixed
 * places, and a shorter number is another text. */
static bool read_number(struct cursor *c, unsigned count, unsigned min, unsigned max, unsigned *out)
{
    unsigned value = 0;

    if ((size_t)(c->end - c->p) < count)
        return false;
    for (unsigned i = 0; i < count; i++) {
        if (!g_ascii_isdigit(*c->p))
            return false;
        value = value * 10 + (unsigned)g_ascii_digit_value(*c->p++);
    }
    *out = value;
    return value >= min && value <= max;
}

/* One byte out of the given ones. NUL is looked at apart: strchr finds the one that ends bytes. */
static bool read_one_of(struct cursor *c, const char *bytes)
{
    if (c->p == c->end || *c->p == '\0' || strchr(bytes, *c->p) == NULL)
        return false;
    c->p++;
    return true;
}

/* full-date: four digits, two, two, and a day that its month has. */
static bool read_date(struct cursor *c, struct civil *date)
{
    unsigned year;

    if (!read_number(c, 4, 1, 9999, &year) || !read_one_of(c, "-") ||
        !read_number(c, 2, 1, 12, &date->month) || !read_one_of(c, "-") ||
        !read_number(c, 2, 1, 31, &date->day))
        return false;
    date->year = year;
    return date->day <= month_days(date);
}

/* Seconds of the day; *is_leap when the second is 60. Whether a leap second may be there depends on
 * date and offset, so the caller decides. 24:00:00 is refused: RFC 3339 has no such hour. */
static bool read_clock(struct cursor *c, int64_t *seconds, bool *is_leap)
{
    unsigned hour;
    unsigned minute;
    unsigned second;

    if (!read_number(c, 2, 0, 23, &hour) || !read_one_of(c, ":") ||
        !read_number(c, 2, 0, 59, &minute) || !read_one_of(c, ":") ||
        !read_number(c, 2, 0, 60, &second))
        return false;
    *seconds = (int64_t)hour * 3600 + (int64_t)minute * 60 + second;
    *is_leap = second == 60;
    return true;
}

/* An optional fraction; digits behind the sixth are cut off (unit is 0 by then), however many there
 * are. Cut, not rounded: rounding could carry into another second, day or year. */
static bool read_fraction(struct cursor *c, int64_t *us)
{
    int64_t unit = SECOND_US / 10;
    const char *first;

    *us = 0;
    if (!read_one_of(c, "."))
        return true;
    for (first = c->p; c->p < c->end && g_ascii_isdigit(*c->p); c->p++) {
        *us += unit * g_ascii_digit_value(*c->p);
        unit /= 10;
    }
    return c->p > first;
}

/* "Z" or a distance from UTC, which must be the end of the text. "-00:00" (the offset is not known)
 * is read as UTC. Source: RFC 3339 section 4.3. */
static bool read_offset(struct cursor *c, int64_t *seconds)
{
    int64_t sign = c->p < c->end && *c->p == '-' ? -1 : 1;
    unsigned hours;
    unsigned minutes;

    *seconds = 0;
    if (read_one_of(c, "Zz"))
        return c->p == c->end;
    if (!read_one_of(c, "+-") || !read_number(c, 2, 0, 23, &hours) || !read_one_of(c, ":") ||
        !read_number(c, 2, 0, 59, &minutes))
        return false;
    *seconds = sign * ((int64_t)hours * 3600 + (int64_t)minutes * 60);
    return c->p == c->end;
}

/* Leap seconds stand at the end of a UTC month only, so the one behind it begins a month. Which
 * months had one is not looked up: that list grows, and programs outlive it.
 * Source: RFC 3339 section 5.7. */
static bool begins_month(int64_t seconds)
{
    return seconds % DAY_S == 0 && civil_from_days(seconds / DAY_S).day == 1;
}

/* The range is checked after the offset was applied: 9999-12-31T23:30:00-01:00 is in year 10000. */
bool rfc3339_parse(struct slice text, int64_t *at_us)
{
    struct cursor c;
    struct civil date;
    int64_t seconds;
    int64_t fraction_us;
    int64_t offset;
    int64_t result;
    bool is_leap;

    if (text.size == 0)
        return false;
    c = (struct cursor){.p = text.data, .end = text.data + text.size};
    if (!read_date(&c, &date) || !read_one_of(&c, "Tt ") || !read_clock(&c, &seconds, &is_leap) ||
        !read_fraction(&c, &fraction_us) || !read_offset(&c, &offset))
        return false;
    seconds += days_from_civil(date) * DAY_S - offset;
    if (is_leap)
        fraction_us = 0;
    result = seconds * SECOND_US + fraction_us;
    if (result < FIRST_US || result > LAST_US || (is_leap && !begins_month(seconds)))
        return false;
    *at_us = result;
    return true;
}

/* Writes the number with leading zeros, and the byte that follows it. Returns the place behind
 * that. value has at most that many digits. */
static char *put_number(char *out, int64_t value, int digits, char behind)
{
    for (int i = digits - 1; i >= 0; i--) {
        out[i] = (char)('0' + value % 10);
        value /= 10;
    }
    out[digits] = behind;
    return out + digits + 1;
}

/* Counted from year 1, so that divisions and remainders are of numbers that are not negative. */
size_t rfc3339_format(int64_t at_us, char out[RFC3339_SIZE])
{
    int64_t since_first = CLAMP(at_us, FIRST_US, LAST_US) - FIRST_US;
    int64_t seconds = since_first / SECOND_US;
    struct civil date = civil_from_days(seconds / DAY_S + FIRST_US / SECOND_US / DAY_S);
    char *p = out;

    seconds %= DAY_S;
    p = put_number(p, date.year, 4, '-');
    p = put_number(p, date.month, 2, '-');
    p = put_number(p, date.day, 2, 'T');
    p = put_number(p, seconds / 3600, 2, ':');
    p = put_number(p, seconds / 60 % 60, 2, ':');
    p = put_number(p, seconds % 60, 2, '.');
    p = put_number(p, since_first % SECOND_US, 6, 'Z');
    *p = '\0';
    return (size_t)(p - out);
}
