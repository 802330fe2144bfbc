// SPDX-License-Identifier: GPL-2.0
/*
 * Everything in core mm that sends an event, as far as this kernel has it and
 * a test can make it happen. Each works on memory of its own, and affects one
 * half of it; what the device makes of that is mm_dev_expect()'s business.
 */
#include <linux/anon_inodes.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/hugetlb.h>
#include <linux/mempolicy.h>
#include <linux/migrate.h>
#include <linux/mman.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/swap.h>
#include <linux/uaccess.h>
#include <linux/userfaultfd.h>
#include <uapi/linux/memfd.h>

#include "mm_helpers.h"

#define SMALL_PAGES	16
#define RW		(PROT_READ | PROT_WRITE)
#define ANON		(MAP_PRIVATE | MAP_ANONYMOUS)

static unsigned long ctx_len(const struct mm_ctx *ctx)
{
	return (unsigned long)ctx->nr * PAGE_SIZE;
}

static unsigned long half(const struct mm_ctx *ctx)
{
	return ctx_len(ctx) / 2;
}

/* Pseudo file systems; nothing is mounted yet when the tests run. */

static void mm_unmount(void *ctx)
{
	kern_unmount(ctx);
}

struct vfsmount *mm_mount(struct kunit *test, const char *type)
{
	struct file_system_type *fs = get_fs_type(type);
	struct vfsmount *mnt;

	if (!fs)
		kunit_skip(test, "no %s", type);
	mnt = kern_mount(fs);
	put_filesystem(fs);
	KUNIT_ASSERT_FALSE(test, IS_ERR(mnt));
	mm_defer(test, mm_unmount, mnt);
	return mnt;
}

long mm_write_file(struct vfsmount *mnt, const char *path,
		   const void __user *text, size_t len)
{
	struct file *file = file_open_root_mnt(mnt, path, O_WRONLY, 0);
	loff_t pos = 0;
	long ret;

	if (IS_ERR(file))
		return PTR_ERR(file);
	ret = vfs_write(file, text, len, &pos);
	filp_close(file, NULL);
	return ret < 0 ? ret : 0;
}

static void write_file(struct mm_ctx *ctx, const char *path, const char *text)
{
	void __user *user = mm_scratch(ctx->test, text, strlen(text));

	KUNIT_ASSERT_EQ_MSG(ctx->test,
			    mm_write_file(ctx->mnt, path, user, strlen(text)),
			    0, "%s", path);
}

static unsigned long read_file(struct mm_ctx *ctx, const char *path)
{
	struct file *file = file_open_root_mnt(ctx->mnt, path, O_RDONLY, 0);
	unsigned long value = 0;
	char text[24] = {};
	loff_t pos = 0;

	KUNIT_ASSERT_FALSE_MSG(ctx->test, IS_ERR(file), "%s", path);
	if (kernel_read(file, text, sizeof(text) - 1, &pos) > 0 &&
	    kstrtoul(strim(text), 0, &value))
		value = 0;
	filp_close(file, NULL);
	return value;
}

/* Memory. */

static void map_anon(struct mm_ctx *ctx, unsigned int nr)
{
	ctx->nr = nr;
	ctx->base = mm_map(ctx->test, NULL, ctx_len(ctx), RW, ANON);
}

static void prepare_anon(struct mm_ctx *ctx)
{
	map_anon(ctx, SMALL_PAGES);
	mm_touch(ctx->test, ctx->base, ctx_len(ctx));
}

static void prepare_read_only(struct mm_ctx *ctx)
{
	prepare_anon(ctx);
	KUNIT_ASSERT_EQ(ctx->test, mm_sys_mprotect(ctx->base, ctx_len(ctx),
						   PROT_READ, 0, 0, 0), 0);
}

/* Two mappings that cannot merge. */
static void prepare_two_vmas(struct mm_ctx *ctx)
{
	prepare_anon(ctx);
	KUNIT_ASSERT_EQ(ctx->test,
			mm_sys_madvise(ctx->base, half(ctx), MADV_DONTFORK,
				       0, 0, 0), 0);
}

static void prepare_forked(struct mm_ctx *ctx)
{
	prepare_anon(ctx);
	KUNIT_ASSERT_EQ(ctx->test, mm_child_start(&ctx->child, 0, NULL, NULL),
			0);
	ctx->forked = true;
}

static void prepare_shmem(struct mm_ctx *ctx)
{
	void __user *name = mm_scratch(ctx->test, "mm", 3);

	ctx->nr = SMALL_PAGES;
	ctx->fd = mm_sys_memfd_create((unsigned long)name, MFD_CLOEXEC, 0, 0,
				      0, 0);
	KUNIT_ASSERT_GE(ctx->test, ctx->fd, 0);
	KUNIT_ASSERT_EQ(ctx->test, mm_sys_ftruncate(ctx->fd, ctx_len(ctx), 0, 0,
						    0, 0), 0);
	ctx->file = fget(ctx->fd);
	KUNIT_ASSERT_NOT_NULL(ctx->test, ctx->file);
	ctx->base = mm_map(ctx->test, ctx->file, ctx_len(ctx), RW, MAP_SHARED);
	mm_touch(ctx->test, ctx->base, ctx_len(ctx));
}

/* A block device: the one file system that is always there, and writes back. */
static void prepare_block_device(struct mm_ctx *ctx)
{
	ctx->file = file_open_root_mnt(mm_mount(ctx->test, "devtmpfs"), "ram0",
				       O_RDWR | O_LARGEFILE, 0);
	if (IS_ERR(ctx->file)) {
		ctx->file = NULL;
		kunit_skip(ctx->test, "no RAM disk");
	}
	ctx->nr = SMALL_PAGES;
	ctx->base = mm_map(ctx->test, ctx->file, ctx_len(ctx), RW, MAP_SHARED);
}

static void prepare_clean_file(struct mm_ctx *ctx)
{
	unsigned int i;
	u8 __maybe_unused byte;

	prepare_block_device(ctx);
	for (i = 0; i < ctx->nr; i++)
		KUNIT_ASSERT_EQ(ctx->test,
				get_user(byte, (u8 __user *)mm_page(ctx, i)), 0);
	/* Reclaim leaves alone what is not on its lists yet. */
	lru_add_drain_all();
}

static void prepare_dirty_file(struct mm_ctx *ctx)
{
	prepare_block_device(ctx);
	mm_touch(ctx->test, ctx->base, ctx_len(ctx));
}

/* munmap, mremap, madvise, mprotect, fork. */

static long op_munmap(struct mm_ctx *ctx)
{
	return vm_munmap(ctx->base, half(ctx));
}

static long op_mremap(struct mm_ctx *ctx)
{
	unsigned long to = mm_map(ctx->test, NULL, half(ctx), PROT_NONE, ANON);

	return mm_sys_mremap(ctx->base, half(ctx), half(ctx),
			     MREMAP_MAYMOVE | MREMAP_FIXED, to, 0) == to ?
	       0 : -EINVAL;
}

static long op_dontneed(struct mm_ctx *ctx)
{
	return mm_sys_madvise(ctx->base, half(ctx), MADV_DONTNEED, 0, 0, 0);
}

static long op_mprotect(struct mm_ctx *ctx, unsigned long prot)
{
	return mm_sys_mprotect(ctx->base, half(ctx), prot, 0, 0, 0);
}

static long op_mprotect_read(struct mm_ctx *ctx)
{
	return op_mprotect(ctx, PROT_READ);
}

static long op_mprotect_none(struct mm_ctx *ctx)
{
	return op_mprotect(ctx, PROT_NONE);
}

static long op_mprotect_write(struct mm_ctx *ctx)
{
	return op_mprotect(ctx, RW);
}

static long op_mprotect_all(struct mm_ctx *ctx)
{
	return mm_sys_mprotect(ctx->base, ctx_len(ctx), PROT_READ, 0, 0, 0);
}

static long op_fork(struct mm_ctx *ctx)
{
	long ret = mm_child_start(&ctx->child, 0, NULL, NULL);

	ctx->forked = !ret;
	return ret;
}

static long op_touch(struct mm_ctx *ctx)
{
	mm_touch(ctx->test, ctx->base, half(ctx));
	return 0;
}

static long op_truncate(struct mm_ctx *ctx)
{
	return mm_sys_ftruncate(ctx->fd, half(ctx), 0, 0, 0, 0);
}

static long op_pageout(struct mm_ctx *ctx)
{
	return mm_sys_madvise(ctx->base, half(ctx), MADV_PAGEOUT, 0, 0, 0);
}

static long op_fsync(struct mm_ctx *ctx)
{
	return vfs_fsync(ctx->file, 0);
}

/* clear_refs. */

static const char *no_clear_refs(void)
{
	return IS_ENABLED(CONFIG_PROC_PAGE_MONITOR) ? NULL : "no clear_refs";
}

static void prepare_clear_refs(struct mm_ctx *ctx)
{
	prepare_anon(ctx);
	ctx->mnt = mm_mount(ctx->test, "proc");
	ctx->arg = mm_scratch(ctx->test, "4", 1);
}

static int write_clear_refs(void *arg)
{
	struct mm_ctx *ctx = arg;

	return mm_write_file(ctx->mnt, "self/clear_refs", ctx->arg, 1);
}

static long op_clear_refs(struct mm_ctx *ctx)
{
	/* procfs knows no address space of a kernel thread. */
	return mm_call_in_user_task(write_clear_refs, ctx);
}

/* userfaultfd and PAGEMAP_SCAN. */

#if defined(CONFIG_USERFAULTFD) && \
	(defined(CONFIG_HAVE_ARCH_USERFAULTFD_WP) || defined(UFFDIO_MOVE))
static void uffd_ioctl(struct mm_ctx *ctx, unsigned int cmd, const void *arg,
		       size_t len)
{
	void __user *user = mm_scratch(ctx->test, arg, len);

	KUNIT_ASSERT_EQ(ctx->test,
			mm_sys_ioctl(ctx->fd, cmd, (unsigned long)user, 0, 0, 0),
			0);
}

static void uffd_open(struct mm_ctx *ctx, u64 features, unsigned long start,
		      unsigned long len, u64 mode)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	struct uffdio_register reg = {
		.range = { .start = start, .len = len },
		.mode = mode,
	};

	ctx->fd = mm_sys_userfaultfd(O_CLOEXEC, 0, 0, 0, 0, 0);
	KUNIT_ASSERT_GE(ctx->test, ctx->fd, 0);
	uffd_ioctl(ctx, UFFDIO_API, &api, sizeof(api));
	uffd_ioctl(ctx, UFFDIO_REGISTER, &reg, sizeof(reg));
}
#endif

#if defined(CONFIG_USERFAULTFD) && defined(CONFIG_HAVE_ARCH_USERFAULTFD_WP)
static const char *no_uffd_wp(void)
{
	return NULL;
}

static void prepare_uffd_wp(struct mm_ctx *ctx)
{
	struct uffdio_writeprotect wp = {
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};

	prepare_anon(ctx);
	uffd_open(ctx, 0, ctx->base, ctx_len(ctx), UFFDIO_REGISTER_MODE_WP);
	wp.range.start = ctx->base;
	wp.range.len = half(ctx);
	ctx->arg = mm_scratch(ctx->test, &wp, sizeof(wp));
}

static long op_uffd_wp(struct mm_ctx *ctx)
{
	return mm_sys_ioctl(ctx->fd, UFFDIO_WRITEPROTECT,
			    (unsigned long)ctx->arg, 0, 0, 0);
}
#else
#define prepare_uffd_wp	NULL
#define op_uffd_wp	NULL

static const char *no_uffd_wp(void)
{
	return "no userfaultfd write protection";
}
#endif

#if defined(UFFDIO_RWPROTECT) && defined(CONFIG_USERFAULTFD_RWP)
static const char *no_uffd_rwp(void)
{
	return NULL;
}

static void prepare_uffd_rwp(struct mm_ctx *ctx)
{
	struct uffdio_rwprotect rwp = {
		.mode = UFFDIO_RWPROTECT_MODE_RWP,
	};

	prepare_anon(ctx);
	uffd_open(ctx, UFFD_FEATURE_RWP, ctx->base, ctx_len(ctx),
		  UFFDIO_REGISTER_MODE_RWP);
	rwp.range.start = ctx->base;
	rwp.range.len = half(ctx);
	ctx->arg = mm_scratch(ctx->test, &rwp, sizeof(rwp));
}

static long op_uffd_rwp(struct mm_ctx *ctx)
{
	return mm_sys_ioctl(ctx->fd, UFFDIO_RWPROTECT,
			    (unsigned long)ctx->arg, 0, 0, 0);
}
#else
#define prepare_uffd_rwp	NULL
#define op_uffd_rwp		NULL

static const char *no_uffd_rwp(void)
{
	return "no userfaultfd read-write protection";
}
#endif

#if defined(CONFIG_USERFAULTFD) && defined(UFFDIO_MOVE)
static const char *no_uffd_move(void)
{
	return NULL;
}

static void prepare_uffd_move(struct mm_ctx *ctx)
{
	struct uffdio_move move = {};
	unsigned long to;

	prepare_anon(ctx);
	to = mm_map(ctx->test, NULL, half(ctx), RW, ANON);
	uffd_open(ctx, 0, to, half(ctx), UFFDIO_REGISTER_MODE_MISSING);
	move.dst = to;
	move.src = ctx->base;
	move.len = half(ctx);
	ctx->arg = mm_scratch(ctx->test, &move, sizeof(move));
}

static long op_uffd_move(struct mm_ctx *ctx)
{
	return mm_sys_ioctl(ctx->fd, UFFDIO_MOVE, (unsigned long)ctx->arg, 0, 0,
			    0);
}
#else
#define prepare_uffd_move	NULL
#define op_uffd_move		NULL

static const char *no_uffd_move(void)
{
	return "no UFFDIO_MOVE";
}
#endif

#if defined(PAGEMAP_SCAN) && defined(CONFIG_PROC_PAGE_MONITOR)
static const char *no_pagemap_scan(void)
{
	return NULL;
}

static void prepare_pagemap_scan(struct mm_ctx *ctx)
{
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.flags = PM_SCAN_WP_MATCHING,
		.category_mask = PAGE_IS_WRITTEN,
		.return_mask = PAGE_IS_WRITTEN,
	};

	prepare_anon(ctx);
#ifdef CONFIG_PTE_MARKER_UFFD_WP
	/* Elsewhere it says that it protects, and finds nothing that it may. */
	uffd_open(ctx, UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED,
		  ctx->base, ctx_len(ctx), UFFDIO_REGISTER_MODE_WP);
#endif
	arg.start = ctx->base;
	arg.end = ctx->base + half(ctx);
	ctx->arg = mm_scratch(ctx->test, &arg, sizeof(arg));
	/* /proc/self/pagemap, which a kernel thread cannot open. */
	mmgrab(ctx->mm);
	ctx->file = anon_inode_getfile("[pagemap]", &proc_pagemap_operations,
				       ctx->mm, O_RDONLY);
	if (IS_ERR(ctx->file)) {
		ctx->file = NULL;
		mmdrop(ctx->mm);
	}
	KUNIT_ASSERT_NOT_NULL(ctx->test, ctx->file);
}

static long op_pagemap_scan(struct mm_ctx *ctx)
{
	long ret = ctx->file->f_op->unlocked_ioctl(ctx->file, PAGEMAP_SCAN,
						   (unsigned long)ctx->arg);

	return min(ret, 0L);
}
#else
#define prepare_pagemap_scan	NULL
#define op_pagemap_scan		NULL

static const char *no_pagemap_scan(void)
{
	return "no PAGEMAP_SCAN";
}
#endif

/* KSM. */

#ifdef CONFIG_KSM
static const char *no_ksm(void)
{
	return NULL;
}

static void prepare_ksm(struct mm_ctx *ctx)
{
	unsigned int i;

	map_anon(ctx, SMALL_PAGES);
	for (i = 0; i < ctx->nr; i++)
		KUNIT_ASSERT_EQ(ctx->test,
				clear_user((void __user *)mm_page(ctx, i),
					   PAGE_SIZE), 0);
	/* One half all the same, one half all different. */
	for (i = 0; i < ctx->nr; i++)
		KUNIT_ASSERT_EQ(ctx->test,
				put_user(i < ctx->nr / 2 ? 0x6b736dull : i,
					 (u64 __user *)mm_page(ctx, i)), 0);
	KUNIT_ASSERT_EQ(ctx->test,
			mm_sys_madvise(ctx->base, ctx_len(ctx), MADV_MERGEABLE,
				       0, 0, 0), 0);
	ctx->mnt = mm_mount(ctx->test, "sysfs");
	write_file(ctx, "kernel/mm/ksm/pages_to_scan", "1000");
	write_file(ctx, "kernel/mm/ksm/sleep_millisecs", "1");
}

static long op_ksm(struct mm_ctx *ctx)
{
	unsigned long end = jiffies + TEST_SOON;
	unsigned long scans = read_file(ctx, "kernel/mm/ksm/full_scans");

	/* It merges what looked the same in two scans. */
	write_file(ctx, "kernel/mm/ksm/run", "1");
	while (read_file(ctx, "kernel/mm/ksm/full_scans") < scans + 4 &&
	       time_before(jiffies, end))
		schedule_timeout_uninterruptible(1);
	write_file(ctx, "kernel/mm/ksm/run", "0");
	return read_file(ctx, "kernel/mm/ksm/pages_sharing") ? 0 : -ENOENT;
}
#else
#define prepare_ksm	NULL
#define op_ksm		NULL

static const char *no_ksm(void)
{
	return "no KSM";
}
#endif

/* Transparent huge pages. */

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
static const char *no_thp(void)
{
	return has_transparent_hugepage() ? NULL : "no huge pages";
}

static void prepare_thp(struct mm_ctx *ctx)
{
	map_anon(ctx, HPAGE_PMD_NR);
	KUNIT_ASSERT_EQ(ctx->test,
			mm_sys_madvise(ctx->base, ctx_len(ctx), MADV_HUGEPAGE,
				       0, 0, 0), 0);
	mm_touch(ctx->test, ctx->base, ctx_len(ctx));
}

static void prepare_small(struct mm_ctx *ctx)
{
	map_anon(ctx, HPAGE_PMD_NR);
	mm_touch(ctx->test, ctx->base, ctx_len(ctx));
}

static long op_collapse(struct mm_ctx *ctx)
{
	return mm_sys_madvise(ctx->base, ctx_len(ctx), MADV_COLLAPSE, 0, 0, 0);
}
#else
#define prepare_thp	NULL
#define prepare_small	NULL
#define op_collapse	NULL

static const char *no_thp(void)
{
	return "no huge pages";
}
#endif

/* hugetlb. */

#if defined(CONFIG_HUGETLBFS) && defined(CONFIG_X86_64)
static const char *no_hugetlb(void)
{
	return hugepages_supported() ? NULL : "no hugetlb pages";
}

static void give_back_hugetlb(void *arg)
{
	struct mm_ctx *ctx = arg;
	struct file *file;
	loff_t pos = 0;

	/* Runs perhaps in another task, without the address space. */
	file = file_open_root_mnt(ctx->mnt,
				  "kernel/mm/hugepages/hugepages-2048kB/nr_hugepages",
				  O_WRONLY, 0);
	if (IS_ERR(file))
		return;
	kernel_write(file, "0", 1, &pos);
	filp_close(file, NULL);
}

static void prepare_hugetlb(struct mm_ctx *ctx)
{
	unsigned long addr;

	ctx->mnt = mm_mount(ctx->test, "sysfs");
	write_file(ctx, "kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "4");
	mm_defer(ctx->test, give_back_hugetlb, ctx);
	ctx->nr = 2 * PTRS_PER_PTE;
	addr = mm_map(ctx->test, NULL, ctx_len(ctx), PROT_NONE, ANON);
	ctx->base = ksys_mmap_pgoff(addr, ctx_len(ctx), RW,
				    ANON | MAP_HUGETLB | MAP_HUGE_2MB | MAP_FIXED,
				    -1, 0);
	if (IS_ERR_VALUE(ctx->base))
		kunit_skip(ctx->test, "no memory for hugetlb pages");
	mm_touch(ctx->test, ctx->base, ctx_len(ctx));
}
#else
#define prepare_hugetlb	NULL

static const char *no_hugetlb(void)
{
	return "no hugetlb pages";
}
#endif

/* NUMA. */

#ifdef CONFIG_NUMA_BALANCING
static const char *no_numa_hinting(void)
{
	return NULL;
}

static long op_numa_hinting(struct mm_ctx *ctx)
{
	struct vm_area_struct *vma;
	unsigned long changed = 0;

	mmap_read_lock(ctx->mm);
	vma = find_vma(ctx->mm, ctx->base);
	if (vma)
		changed = change_prot_numa(vma, ctx->base,
					   ctx->base + half(ctx));
	mmap_read_unlock(ctx->mm);
	return changed ? 0 : -ENOENT;
}
#else
#define op_numa_hinting	NULL

static const char *no_numa_hinting(void)
{
	return "no NUMA balancing";
}
#endif

#ifdef CONFIG_NUMA
static const char *no_nodes(void)
{
	return num_online_nodes() > 1 ? NULL : "only one node";
}

static void bind_node(struct mm_ctx *ctx, unsigned long len, unsigned int node)
{
	unsigned long nodes = BIT(node);
	void __user *user = mm_scratch(ctx->test, &nodes, sizeof(nodes));

	KUNIT_ASSERT_EQ(ctx->test,
			mm_sys_mbind(ctx->base, len, MPOL_BIND,
				     (unsigned long)user, BITS_PER_LONG,
				     MPOL_MF_MOVE | MPOL_MF_STRICT), 0);
}

static void prepare_node(struct mm_ctx *ctx)
{
	map_anon(ctx, SMALL_PAGES);
	bind_node(ctx, ctx_len(ctx), 0);
	mm_touch(ctx->test, ctx->base, ctx_len(ctx));
}

static long op_mbind(struct mm_ctx *ctx)
{
	bind_node(ctx, half(ctx), 1);
	return 0;
}
#else
#define prepare_node	NULL
#define op_mbind	NULL

static const char *no_nodes(void)
{
	return "no NUMA";
}
#endif

/* Migration by a driver. */

#ifdef CONFIG_DEVICE_MIGRATION
static const char *no_migrate_vma(void)
{
	return NULL;
}

static long op_migrate_vma(struct mm_ctx *ctx)
{
	unsigned long src[SMALL_PAGES / 2] = {}, dst[SMALL_PAGES / 2] = {};
	struct migrate_vma args = {
		.start = ctx->base,
		.end = ctx->base + half(ctx),
		.src = src,
		.dst = dst,
		.flags = MIGRATE_VMA_SELECT_SYSTEM,
		.pgmap_owner = ctx,
	};
	unsigned long i;
	int ret;

	mmap_read_lock(ctx->mm);
	args.vma = find_vma(ctx->mm, ctx->base);
	ret = migrate_vma_setup(&args);
	for (i = 0; !ret && i < args.npages; i++) {
		struct page *page;

		if (!(src[i] & MIGRATE_PFN_MIGRATE))
			continue;
		page = alloc_page(GFP_HIGHUSER);
		if (!page)
			continue;
		lock_page(page);
		copy_highpage(page, migrate_pfn_to_page(src[i]));
		dst[i] = migrate_pfn(page_to_pfn(page));
	}
	if (!ret) {
		migrate_vma_pages(&args);
		migrate_vma_finalize(&args);
	}
	mmap_read_unlock(ctx->mm);
	return ret ?: args.cpages ? 0 : -ENOENT;
}
#else
#define op_migrate_vma	NULL

static const char *no_migrate_vma(void)
{
	return "no device memory";
}
#endif

#define SENDS(event)	BIT(SMMU_INVAL_##event)

const struct mm_sender mm_senders[MM_NR_SENDERS] = {
	{
		.name = "munmap",
		.prepare = prepare_anon,
		.op = op_munmap,
		.sends = SENDS(UNMAP),
		.spares = 8,
	}, {
		.name = "munmap, file",
		.prepare = prepare_shmem,
		.op = op_munmap,
		.sends = SENDS(UNMAP),
		.spares = 8,
	}, {
		.name = "mremap",
		.prepare = prepare_anon,
		.op = op_mremap,
		.sends = SENDS(UNMAP),
		.spares = 8,
	}, {
		.name = "MADV_DONTNEED",
		.prepare = prepare_anon,
		.op = op_dontneed,
		.sends = SENDS(CLEAR),
		.spares = 8,
	}, {
		.name = "truncate",
		.prepare = prepare_shmem,
		.op = op_truncate,
		.sends = SENDS(CLEAR),
		.spares = 8,
	}, {
		.name = "mprotect, read",
		.prepare = prepare_anon,
		.op = op_mprotect_read,
		.sends = SENDS(PROTECTION_VMA),
		.spares = 16,
	}, {
		.name = "mprotect, none",
		.prepare = prepare_anon,
		.op = op_mprotect_none,
		.sends = SENDS(PROTECTION_VMA),
		.spares = 8,
	}, {
		.name = "mprotect, write again",
		.prepare = prepare_read_only,
		.op = op_mprotect_write,
		.sends = SENDS(PROTECTION_VMA),
		.spares = 16,
	}, {
		.name = "mprotect, several mappings",
		.prepare = prepare_two_vmas,
		.op = op_mprotect_all,
		.sends = SENDS(PROTECTION_VMA),
		.spares = 16,
	}, {
		.name = "fork",
		.prepare = prepare_anon,
		.op = op_fork,
		.sends = SENDS(PROTECTION_PAGE),
		.spares = 16,
	}, {
		.name = "copy on write",
		.prepare = prepare_forked,
		.op = op_touch,
		.sends = SENDS(CLEAR),
		.spares = 8,
	}, {
		.name = "reclaim",
		.prepare = prepare_clean_file,
		.op = op_pageout,
		.sends = SENDS(CLEAR),
		.spares = 8,
	}, {
		.name = "writeback",
		.prepare = prepare_dirty_file,
		.op = op_fsync,
		.sends = SENDS(PROTECTION_PAGE),
		.spares = 16,
	}, {
		.name = "clear_refs",
		.unavailable = no_clear_refs,
		.prepare = prepare_clear_refs,
		.op = op_clear_refs,
		.sends = SENDS(SOFT_DIRTY),
		.spares = 16,
	}, {
		.name = "KSM",
		.unavailable = no_ksm,
		.prepare = prepare_ksm,
		.op = op_ksm,
		.sends = SENDS(CLEAR),
	}, {
		.name = "UFFDIO_WRITEPROTECT",
		.unavailable = no_uffd_wp,
		.prepare = prepare_uffd_wp,
		.op = op_uffd_wp,
		.sends = SENDS(PROTECTION_VMA),
		.spares = 16,
	}, {
		.name = "UFFDIO_RWPROTECT",
		.unavailable = no_uffd_rwp,
		.prepare = prepare_uffd_rwp,
		.op = op_uffd_rwp,
		.sends = SENDS(PROTECTION_VMA),
		.spares = 8,
	}, {
		.name = "UFFDIO_MOVE",
		.unavailable = no_uffd_move,
		.prepare = prepare_uffd_move,
		.op = op_uffd_move,
		.sends = SENDS(CLEAR),
		.spares = 8,
	}, {
		.name = "PAGEMAP_SCAN",
		.unavailable = no_pagemap_scan,
		.prepare = prepare_pagemap_scan,
		.op = op_pagemap_scan,
		.sends = SENDS(PROTECTION_VMA),
		.spares = 16,
	}, {
		.name = "split of a huge page",
		.unavailable = no_thp,
		.prepare = prepare_thp,
		.op = op_mprotect_read,
		.sends = SENDS(CLEAR) | SENDS(PROTECTION_VMA),
	}, {
		.name = "collapse to a huge page",
		.unavailable = no_thp,
		.prepare = prepare_small,
		.op = op_collapse,
		.sends = SENDS(CLEAR),
	}, {
		.name = "mprotect, hugetlb",
		.unavailable = no_hugetlb,
		.prepare = prepare_hugetlb,
		.op = op_mprotect_read,
		.sends = SENDS(PROTECTION_VMA),
		.hugetlb = true,
	}, {
		.name = "munmap, hugetlb",
		.unavailable = no_hugetlb,
		.prepare = prepare_hugetlb,
		.op = op_munmap,
		.sends = SENDS(UNMAP),
		.hugetlb = true,
	}, {
		.name = "NUMA hinting",
		.unavailable = no_numa_hinting,
		.prepare = prepare_anon,
		.op = op_numa_hinting,
		.sends = SENDS(PROTECTION_VMA),
		.spares = 8,
	}, {
		.name = "mbind",
		.unavailable = no_nodes,
		.prepare = prepare_node,
		.op = op_mbind,
		.sends = SENDS(CLEAR),
		.spares = 8,
	}, {
		.name = "migrate_vma",
		.unavailable = no_migrate_vma,
		.prepare = prepare_anon,
		.op = op_migrate_vma,
		.sends = SENDS(MIGRATE),
		.spares = 8,
	},
};

static void mm_sender_undo(void *arg)
{
	struct mm_ctx *ctx = arg;

	if (ctx->forked)
		mm_child_stop(&ctx->child);
	if (ctx->fd >= 0)
		close_fd(ctx->fd);
	if (ctx->file)
		fput(ctx->file);
}

/* An address space with memory for @sender to work on, or skip the test. */
struct mm_ctx *mm_sender_prepare(struct kunit *test,
				 const struct mm_sender *sender)
{
	const char *reason = sender->unavailable ? sender->unavailable() : NULL;
	struct mm_ctx *ctx;

	if (reason)
		kunit_skip(test, "%s", reason);
	ctx = kunit_kzalloc(test, sizeof(*ctx), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ctx);
	ctx->test = test;
	ctx->fd = -1;
	ctx->mm = current->mm ?: mm_attach(test);
	mm_defer(test, mm_sender_undo, ctx);
	sender->prepare(ctx);
	return ctx;
}

const struct mm_sender *mm_sender_named(const char *name)
{
	unsigned int i;

	for (i = 0; i < MM_NR_SENDERS; i++)
		if (!strcmp(mm_senders[i].name, name))
			return &mm_senders[i];
	return NULL;
}
