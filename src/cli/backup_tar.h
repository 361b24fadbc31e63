/* backup_tar: the heads of members in a tar file, both ways. Pure.
 *
 *   head (512 bytes) | content, filled up to a multiple of 512 | head | content | … | 1024 zeroes
 *
 * Source: POSIX.1-2017, pax, "ustar Interchange Format". A size that does not fit its eleven octal
 * digits (8 GiB) is written in base 256, as GNU tar, bsdtar and Python read it.
 */
#ifndef CLI_BACKUP_TAR_H
#define CLI_BACKUP_TAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BACKUP_TAR_BLOCK 512  /* bytes of a head; every content is filled up to a multiple */
#define BACKUP_TAR_END   1024 /* zero bytes behind the last member */
#define BACKUP_TAR_NAME  100  /* bytes of a name, its NUL included */

/* One member as its head tells. */
struct backup_tar_head {
    char name[BACKUP_TAR_NAME];
    int64_t size; /* bytes of the content */
    int64_t at_s; /* seconds since 1970; at least 0 */
};

/* Writes the head of a plain file that only its owner may read and write. The same head always
 * gives the same bytes. */
void backup_tar_write(const struct backup_tar_head *head, unsigned char out[BACKUP_TAR_BLOCK]);

/* Reads a head. false: it is none, or not one that backup_tar_write makes, down to the last bit. */
bool backup_tar_read(const unsigned char block[BACKUP_TAR_BLOCK], struct backup_tar_head *head);

/* size, filled up to a multiple of BACKUP_TAR_BLOCK. */
int64_t backup_tar_filled(int64_t size);

#endif
