// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <sys/swap.h>
#include <unistd.h>

#include "swap.h"

int swap_on_ram_disk(void)
{
	struct {
		char boot[1024];
		uint32_t version, last_page, nr_bad;
	} header = { .version = 1 };
	static const char magic[] = "SWAPSPACE2";
	off_t page_size = sysconf(_SC_PAGESIZE), size;
	int fd = open(SWAP_DEVICE, O_RDWR | O_CLOEXEC);
	int ret = -1;

	if (fd < 0)
		return -1;
	size = lseek(fd, 0, SEEK_END);
	header.last_page = size / page_size - 1;
	if (size > page_size * 16 &&
	    pwrite(fd, &header, sizeof(header), 0) == sizeof(header) &&
	    pwrite(fd, magic, 10, page_size - 10) == 10 && !fsync(fd))
		ret = swapon(SWAP_DEVICE, 0);
	close(fd);
	return ret;
}
