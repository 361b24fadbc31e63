#include "cli/backup_tar.h"

#include <string.h>

#include <glib.h>

/* Offsets and widths of the fields that are used. */
#define AT_NAME     0
#define AT_MODE     100
#define AT_UID      108
#define AT_GID      116
#define AT_SIZE     124
#define AT_TIME     136
#define AT_CHECKSUM 148
#define AT_TYPE     156
#define AT_MAGIC    257

#define SIZE_FIELD     12
#define CHECKSUM_FIELD 8
#define OCTAL_SIZE_MAX INT64_C(077777777777) /* eleven digits */

/* Octal digits with leading zeroes and a NUL at the end. */
static void put_octal(unsigned char *field, int width, int64_t value)
{
    for (int i = width - 2; i >= 0; i--) {
        field[i] = (unsigned char)('0' + (value & 7));
        value >>= 3;
    }
    field[width - 1] = '\0';
}

/* Big-endian, with the highest bit of the field set. */
static void put_size(unsigned char *field, int64_t size)
{
    if (size <= OCTAL_SIZE_MAX) {
        put_octal(field, SIZE_FIELD, size);
        return;
    }
    for (int i = SIZE_FIELD - 1; i >= 0; i--) {
        field[i] = (unsigned char)(size & 0xff);
        size >>= 8;
    }
    field[0] = 0x80;
}

/* Digits up to a NUL or space. -1: something else stands there. */
static int64_t get_octal(const unsigned char *field, int width)
{
    int64_t value = 0;
    int i = 0;

    for (; i < width && field[i] >= '0' && field[i] <= '7'; i++)
        value = value << 3 | (field[i] - '0');
    return i == width - 1 && field[i] == '\0' ? value : -1;
}

/* -1: no size, or one beyond 63 bits. */
static int64_t get_size(const unsigned char *field)
{
    int64_t value = 0;

    if (field[0] != 0x80)
        return get_octal(field, SIZE_FIELD);
    if (field[1] != 0 || field[2] != 0 || field[3] != 0 || field[4] > 0x7f)
        return -1;
    for (int i = 4; i < SIZE_FIELD; i++)
        value = value << 8 | field[i];
    return value;
}

/* The sum of all bytes, with the field of the sum itself read as spaces: six digits, NUL, space. */
static void put_checksum(unsigned char *block)
{
    unsigned sum = 0;

    memset(block + AT_CHECKSUM, ' ', CHECKSUM_FIELD);
    for (int i = 0; i < BACKUP_TAR_BLOCK; i++)
        sum += block[i];
    put_octal(block + AT_CHECKSUM, CHECKSUM_FIELD - 1, sum);
}

void backup_tar_write(const struct backup_tar_head *head, unsigned char out[BACKUP_TAR_BLOCK])
{
    memset(out, 0, BACKUP_TAR_BLOCK);
    g_strlcpy((char *)out + AT_NAME, head->name, BACKUP_TAR_NAME);
    put_octal(out + AT_MODE, 8, 0600);
    put_octal(out + AT_UID, 8, 0);
    put_octal(out + AT_GID, 8, 0);
    put_size(out + AT_SIZE, head->size);
    put_octal(out + AT_TIME, 12, head->at_s);
    out[AT_TYPE] = '0';
    memcpy(out + AT_MAGIC,
           "ustar\0"
           "00",
           8);
    put_checksum(out);
}

/* The fields are read, written again, and compared: whatever differs anywhere is no head of ours.
 */
bool backup_tar_read(const unsigned char block[BACKUP_TAR_BLOCK], struct backup_tar_head *head)
{
    unsigned char again[BACKUP_TAR_BLOCK];

    memcpy(head->name, block + AT_NAME, BACKUP_TAR_NAME);
    head->name[BACKUP_TAR_NAME - 1] = '\0';
    head->size = get_size(block + AT_SIZE);
    head->at_s = get_octal(block + AT_TIME, 12);
    if (head->size < 0 || head->at_s < 0)
        return false;
    backup_tar_write(head, again);
    return memcmp(block, again, BACKUP_TAR_BLOCK) == 0;
}

int64_t backup_tar_filled(int64_t size)
{
    return (size + BACKUP_TAR_BLOCK - 1) / BACKUP_TAR_BLOCK * BACKUP_TAR_BLOCK;
}
