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

#ifdef CONFIG_DEVICE_PRIVATE
#include <linux/memremap.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 3, 0)
/* Device memory in huge pages, too. */
#define GPU_SELECT_COMPOUND	MIGRATE_VMA_SELECT_COMPOUND
#define GPU_PFN_COMPOUND	MIGRATE_PFN_COMPOUND

/* What is freed, and by which callback. */
#define GPU_PAGEMAP_FREE	folio_free
typedef struct folio gpu_freed_t;

static inline struct page *gpu_freed_page(struct folio *folio)
{
	return folio_page(folio, 0);
}

static inline unsigned long gpu_freed_nr(struct folio *folio)
{
	return folio_nr_pages(folio);
}

static inline struct dev_pagemap *gpu_page_pgmap(struct page *page)
{
	return page_pgmap(page);
}

static inline void gpu_zone_device_init(struct page *page,
					struct dev_pagemap *pgmap,
					unsigned int order)
{
	zone_device_page_init(page, pgmap, order);
}

/* A huge page for @vma at @addr, or NULL. */
static inline struct page *gpu_alloc_huge(struct vm_area_struct *vma, u64 addr)
{
	struct folio *folio = vma_alloc_folio(GFP_HIGHUSER_MOVABLE,
					      HPAGE_PMD_ORDER, vma, addr);

	return folio ? folio_page(folio, 0) : NULL;
}

/* What a fault of the CPU in device memory brings back at once, in bytes. */
static inline u64 gpu_fault_size(struct vm_fault *vmf)
{
	/* Mapped by an entry of its own: not all of the huge page may be. */
	return vmf->pte ? PAGE_SIZE : folio_size(page_folio(vmf->page));
}
#else
#define GPU_SELECT_COMPOUND	0
#define GPU_PFN_COMPOUND	0

#define GPU_PAGEMAP_FREE	page_free
typedef struct page gpu_freed_t;

static inline struct page *gpu_freed_page(struct page *page)
{
	return page;
}

static inline unsigned long gpu_freed_nr(struct page *page)
{
	return 1;
}

static inline struct dev_pagemap *gpu_page_pgmap(struct page *page)
{
	return page->pgmap;
}

static inline void gpu_zone_device_init(struct page *page,
					struct dev_pagemap *pgmap,
					unsigned int order)
{
	zone_device_page_init(page);
}

static inline struct page *gpu_alloc_huge(struct vm_area_struct *vma, u64 addr)
{
	return NULL;
}

static inline u64 gpu_fault_size(struct vm_fault *vmf)
{
	return PAGE_SIZE;
}
#endif
#endif /* CONFIG_DEVICE_PRIVATE */

#endif /* _GPU_HMM_COMPAT_H */
