// SPDX-License-Identifier: GPL-2.0-only
/* What secondary_tlb.cocci converts. */
#include <linux/mmu_notifier.h>
#include <linux/spinlock.h>

/* One callback and release. */
struct toy_ctx {
	struct toy_device *dev;
	struct mmu_notifier mn;
	spinlock_t lock;
	u32 pasid;
};

static void toy_invalidate(struct mmu_notifier *mn, struct mm_struct *mm,
			   unsigned long start, unsigned long end)
{
	struct toy_ctx *ctx = container_of(mn, struct toy_ctx, mn);
	unsigned long flags;

	spin_lock_irqsave(&ctx->lock, flags);
	toy_flush_range(ctx->dev, ctx->pasid, start, end - start);
	spin_unlock_irqrestore(&ctx->lock, flags);
}

static void toy_release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	struct toy_ctx *ctx = container_of(mn, struct toy_ctx, mn);

	toy_detach(ctx->dev, ctx->pasid);
}

static const struct mmu_notifier_ops toy_mn_ops = {
	.release = toy_release,
	.arch_invalidate_secondary_tlbs = toy_invalidate,
};

int toy_open(struct toy_ctx *ctx, struct mm_struct *mm)
{
	ctx->mn.ops = &toy_mn_ops;
	return mmu_notifier_register(&ctx->mn, mm);
}

void toy_close(struct toy_ctx *ctx, struct mm_struct *mm)
{
	mmu_notifier_unregister(&ctx->mn, mm);
}

/* No release, a lock that is not the library's to take, and an older kernel. */
struct probe {
	struct mmu_notifier notifier;
	struct probe_link *link;
};

static void probe_forget(struct mmu_notifier *mn, struct mm_struct *mm,
			 unsigned long start, unsigned long end)
{
	struct probe *probe = container_of(mn, struct probe, notifier);
	unsigned long addr;

	spin_lock(&probe->link->lock);
	for (addr = start; addr < end; addr += PAGE_SIZE)
		probe_send(probe->link, addr);
	spin_unlock(&probe->link->lock);
}

static const struct mmu_notifier_ops probe_mn_ops = {
	.invalidate_range = probe_forget,
};

int probe_add(struct probe *probe)
{
	int err;

	probe->notifier.ops = &probe_mn_ops;
	err = mmu_notifier_register(&probe->notifier, current->mm);
	if (err)
		kfree(probe);
	return err;
}
