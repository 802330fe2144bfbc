// SPDX-License-Identifier: GPL-2.0
/*
 * ksm_exec PROGRAM [ARGUMENT]...: run it with all of its memory open to KSM, since
 * the kernel's own tests do not ask for that themselves.
 */
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67
#endif

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: ksm_exec PROGRAM [ARGUMENT]...\n");
		return 2;
	}
	if (prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0)) {
		perror("PR_SET_MEMORY_MERGE");
		return 1;
	}
	execv(argv[1], argv + 1);
	perror(argv[1]);
	return 1;
}
