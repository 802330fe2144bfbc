/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SWAP_H
#define SWAP_H

#define SWAP_DEVICE	"/dev/ram0"

/* A swap area of our own, on a RAM disk. Returns 0, or -1 with errno set. */
int swap_on_ram_disk(void);

#endif /* SWAP_H */
