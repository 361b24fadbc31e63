/* IP addresses as patterns know them: a plain value that is an address, and cidr.
 *
 * The forms are those that the peer takes, so that a pattern carried over keeps its meaning: v4
 * with decimal parts of any length up to 15 bytes in all, v6 in groups of hexadecimal digits with
 * one "::", and an IPv4-mapped v6 address counts as the v4 address. Not taken: zones ("%eth0"), v4
 * in dotted form inside v6, host names. Nothing here asks the system.
 */
#include "core/pattern_internal.h"

#define V4_TEXT_MAX 15 /* "255.255.255.255" */
#define V4_SIZE     4
#define V6_SIZE     16

/* Four decimal parts. A leading zero does not mean octal here: "010" is ten. The value is checked
 * while it grows, so no run of digits can overflow it. */
static bool parse_v4(struct slice text, uint8_t bytes[V4_SIZE])
{
    const char *p = text.data, *end = text.data + text.size;

    if (text.size > V4_TEXT_MAX)
        return false;
    for (unsigned part = 0; part < V4_SIZE; part++) {
        unsigned value = 0;

        if (part > 0 && (p == end || *p++ != '.'))
            return false;
        if (p == end || !g_ascii_isdigit(*p))
            return false;
        while (p < end && g_ascii_isdigit(*p) && value <= UINT8_MAX)
            value = value * 10 + (unsigned)(*p++ - '0');
        if (value > UINT8_MAX)
            return false;
        bytes[part] = (uint8_t)value;
    }
    return p == end;
}

/* One group of hexadecimal digits up to ffff; leading zeros are fine. Returns the place behind it,
 * NULL when there is none or it is too large. */
static const char *parse_group(const char *p, const char *end, uint8_t group[2])
{
    const char *start = p;
    unsigned value = 0;

    for (; p < end && g_ascii_isxdigit(*p) && value <= UINT16_MAX; p++)
        value = value * 16 + (unsigned)g_ascii_xdigit_value(*p);
    if (p == start || value > UINT16_MAX)
        return NULL;
    group[0] = (uint8_t)(value >> 8);
    group[1] = (uint8_t)(value & 0xff);
    return p;
}

/* Moves what stands behind "::" to the end and fills the gap with zeros. gap: bytes before it, -1
 * when there was none; used: bytes read in all. false: too few groups, or none left for "::". */
static bool close_gap(uint8_t bytes[V6_SIZE], int gap, int used)
{
    if (gap < 0)
        return used == V6_SIZE;
    if (used == V6_SIZE)
        return false;
    memmove(bytes + V6_SIZE - (used - gap), bytes + gap, (size_t)(used - gap));
    memset(bytes + gap, 0, (size_t)(V6_SIZE - used));
    return true;
}

/* Groups of two bytes with a colon between them. A single colon at either end is refused; bytes may
 * be half-written then.
 * Source: RFC 4291 section 2.2, forms 1 and 2. */
static bool parse_v6(struct slice text, uint8_t bytes[V6_SIZE])
{
    const char *p = text.data, *end = text.data + text.size;
    int used = 0, gap = -1;

    if (slice_starts_with(text, SLICE("::"))) {
        gap = 0;
        p += 2;
    }
    while (p < end) {
        if (used == V6_SIZE || (p = parse_group(p, end, bytes + used)) == NULL)
            return false;
        used += 2;
        if (p == end)
            break;
        if (*p++ != ':' || p == end)
            return false;
        if (*p == ':') {
            if (gap >= 0)
                return false;
            gap = used;
            p++;
        }
    }
    return close_gap(bytes, gap, used);
}

/* The order matters little: no text is both. v4 is tried first because it fails sooner. An event's
 * text is read anew for each test: few fields are addresses, so nothing is kept with the leaf. */
bool pattern_address_parse(struct slice text, struct pattern_network *network)
{
    /* Source: RFC 4291 section 2.5.5.2. */
    static const uint8_t MAPPED[12] = {[10] = 0xff, [11] = 0xff};
    uint8_t bytes[V6_SIZE] = {0};

    /* Most texts are no address and end here. */
    if (text.size < 2 || (!g_ascii_isxdigit(text.data[0]) && text.data[0] != ':'))
        return false;
    if (parse_v4(text, bytes)) {
        *network = (struct pattern_network){.size = V4_SIZE, .bits = 8 * V4_SIZE};
        memcpy(network->bytes, bytes, V4_SIZE);
        return true;
    }
    if (!parse_v6(text, bytes))
        return false;
    if (memcmp(bytes, MAPPED, sizeof(MAPPED)) == 0) {
        *network = (struct pattern_network){.size = V4_SIZE, .bits = 8 * V4_SIZE};
        memcpy(network->bytes, bytes + sizeof(MAPPED), V4_SIZE);
        return true;
    }
    *network = (struct pattern_network){.size = V6_SIZE, .bits = 8 * V6_SIZE};
    memcpy(network->bytes, bytes, V6_SIZE);
    return true;
}

/* At most three digits are read, so that the length cannot overflow. A whole address as a network
 * is refused as the peer does; it would be the plain value. Bits behind the prefix need not be
 * zero: they are not looked at. */
const char *pattern_network_parse(struct slice text, struct pattern_network *network)
{
    const char *slash = text.size > 0 ? memchr(text.data, '/', text.size) : NULL;
    struct pattern_network parsed;
    size_t digits;
    unsigned bits = 0;

    if (slash == NULL)
        return "must be an address and a prefix length, e.g. \"10.0.0.0/8\"";
    if (!pattern_address_parse(slice_of(text.data, (size_t)(slash - text.data)), &parsed))
        return "must begin with an IPv4 or IPv6 address, e.g. \"10.0.0.0/8\"";
    digits = (size_t)(text.data + text.size - slash) - 1;
    for (size_t i = 1; i <= digits && digits <= 3; i++) {
        if (!g_ascii_isdigit(slash[i]))
            return "must end with a prefix length in digits, e.g. \"10.0.0.0/8\"";
        bits = bits * 10 + (unsigned)(slash[i] - '0');
    }
    if (digits == 0 || digits > 3 || bits >= parsed.bits)
        return parsed.size == V4_SIZE
                   ? "must have a prefix length from 0 to 31 (one address alone is a plain value, e.g. [\"10.0.0.9\"])"
                   : "must have a prefix length from 0 to 127 (one address alone is a plain value, e.g. [\"2001:db8::1\"])";
    parsed.bits = (uint8_t)bits;
    *network = parsed;
    return NULL;
}

/* Compares whole bytes first, then the bits that are left of the prefix. An IPv4 network never
 * contains an IPv6 address, save a mapped one, which was read as IPv4. */
bool pattern_network_contains(const struct pattern_network *network, struct slice address)
{
    struct pattern_network a;
    size_t whole = network->bits / 8;
    unsigned rest = network->bits % 8;

    if (!pattern_address_parse(address, &a) || a.size != network->size)
        return false;
    if (memcmp(a.bytes, network->bytes, whole) != 0)
        return false;
    return rest == 0 || ((a.bytes[whole] ^ network->bytes[whole]) >> (8 - rest)) == 0;
}
