// SPDX-License-Identifier: GPL-2.0
/* Mirrors one page, at va=, of the process that loads it. */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/smmu_inval.h>

static DEFINE_SPINLOCK(lock);	/* protects the "page table": one entry, pfn */
static unsigned long va, pfn;
static struct smmu_inval si;
static struct smmu_inval_mn smn;
module_param(va, ulong, 0444);

static void mirror_zap(struct smmu_inval *si, struct smmu_inval_batch *batch,
		       const struct smmu_inval_span *span)
{
	if (!pfn || va < span->start || va > span->last)
		return;
	pfn = 0;
	smmu_inval_changed(batch, va, va | ~PAGE_MASK, __ffs(span->events));
}

static void mirror_flush(struct smmu_inval *si, const struct smmu_inval_flush *flush)
{	/* Here the device forgets flush->spans, or everything. */	}

static const struct smmu_inval_ops ops = { .zap = mirror_zap, .flush = mirror_flush };

static int __init mirror_init(void)
{
	struct smmu_inval_config cfg = { SMMU_INVAL_CONFIG_DEFAULTS,
					 .name = "mirror", .lock = SMMU_INVAL_LOCK(&lock) };
	int ret = PAGE_ALIGNED(va) ? smmu_inval_init(&si, &ops, &cfg) : -EINVAL;
	struct page *page;
	bool retry = true;

	if (!ret)
		ret = smmu_inval_mn_init(&smn, &si, &smmu_inval_mn_ops) ?:
		      smmu_inval_mn_register(&smn, current->mm);
	while (!ret && retry) {
		u64 cookie = smmu_inval_read_begin(&si);

		if (get_user_pages_fast(va, 1, FOLL_WRITE, &page) != 1)
			break;
		scoped_guard(spinlock, &lock) {
			retry = smmu_inval_read_retry(&si, cookie, va, va | ~PAGE_MASK);
			pfn = retry ? 0 : page_to_pfn(page);
		}
		put_page(page);
	}
	if (ret)
		smmu_inval_destroy(&si);
	return ret;
}
module_init(mirror_init);

static void __exit mirror_exit(void)
{
	smmu_inval_mn_unregister(&smn);
	smmu_inval_destroy(&si);
}
module_exit(mirror_exit);
MODULE_DESCRIPTION("The smallest secondary MMU: one page");
MODULE_LICENSE("GPL");
