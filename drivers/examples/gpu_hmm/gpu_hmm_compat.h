/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The differences between Linux 6.1, 6.12 and 7.3 that the software GPU meets.
 * No other file of it tests a kernel version.
 */
#ifndef _GPU_HMM_COMPAT_H
#define _GPU_HMM_COMPAT_H

#include <linux/err.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/rmap.h>
#include <linux/version.h>

/*
 * Make a page exclusive, and return it with a reference and locked. -EAGAIN if
 * it cannot be had at the moment.
 */
#if !defined(CONFIG_DEVICE_PRIVATE)
static inline struct page *gpu_make_exclusive(struct mm_struct *mm, u64 addr,
					      void *owner)
{
	return ERR_PTR(-EOPNOTSUPP);
}
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(7, 3, 0)
static inline struct page *gpu_make_exclusive(struct mm_struct *mm, u64 addr,
					      void *owner)
{
	struct folio *folio;

	return make_device_exclusive(mm, addr, owner, &folio);
}
#else
static inline struct page *gpu_make_exclusive(struct mm_struct *mm, u64 addr,
					      void *owner)
{
	struct page *page = NULL;
	int ret;

	ret = make_device_exclusive_range(mm, addr, addr + PAGE_SIZE, &page,
					  owner);
	if (ret < 0)
		return ERR_PTR(ret);
	return page ? page : ERR_PTR(-EAGAIN);
}
#endif

#endif /* _GPU_HMM_COMPAT_H */
