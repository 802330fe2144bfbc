// SPDX-License-Identifier: GPL-2.0
/* A box in a file without notifiers. */
#include <linux/mmu_notifier.h>

static void box_add(struct box *box, int x)
{
	box->left = min(box->left, x);
	box->right = max(box->right, x);
}
