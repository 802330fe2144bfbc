// SPDX-License-Identifier: GPL-2.0
/*
 * KVM on smmu_inval: from user addresses to GFNs, and what KVM itself has to do
 * around an invalidation. The walks of the nested page tables are the
 * architecture's: kvm_unmap_gfn_range().
 *
 * An invalidation that hits no memslot never takes mmu_lock. That is decided
 * at start and again at end, with the same result, because memslots do not
 * change while mn_active_invalidate_count is elevated.
 */
#include <linux/interval_tree.h>
#include <linux/kvm_host.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/srcu.h>
#include <trace/events/kvm.h>

#include "kvm_mm.h"

#ifdef KVM_HAVE_MMU_RWLOCK
#define kvm_inval_lock_shared(kvm)	read_lock(&(kvm)->mmu_lock)
#define kvm_inval_unlock_shared(kvm)	read_unlock(&(kvm)->mmu_lock)
#else
#define kvm_inval_lock_shared(kvm)	KVM_MMU_LOCK(kvm)
#define kvm_inval_unlock_shared(kvm)	KVM_MMU_UNLOCK(kvm)
#endif

/* How many ranges are pending at once, and how many a fault may miss. */
#define KVM_INVAL_RANGES	256

static bool kvm_inval_coarse;

/* x86 has one as a guest of Hyper-V only, and flushes everything without it. */
static bool kvm_inval_has_range_flush(void)
{
#ifndef __KVM_HAVE_ARCH_FLUSH_REMOTE_TLBS_RANGE
	return false;
#elif defined(CONFIG_X86)
	return kvm_x86_ops.flush_remote_tlbs_range;
#else
	return true;
#endif
}

static struct kvm *si_to_kvm(struct smmu_inval *si)
{
	return container_of(si, struct kvm, inval.si);
}

static struct kvm *mn_to_kvm(struct mmu_notifier *mn)
{
	return container_of(mn, struct kvm, inval.mn.mn);
}

static struct kvm_memory_slot *node_to_slot(struct interval_tree_node *node,
					    const struct kvm_memslots *slots)
{
	return container_of(node, struct kvm_memory_slot,
			    hva_node[slots->node_idx]);
}

/* Is any of it guest memory? kvm->srcu is held, here and below. */
static bool kvm_inval_hits(struct kvm *kvm,
			   const struct mmu_notifier_range *range)
{
	int i;

	/* The library takes what is empty or inverted for everything. */
	if (range->start >= range->end)
		return true;
	for (i = 0; i < kvm_arch_nr_memslot_as_ids(kvm); i++)
		if (interval_tree_iter_first(&__kvm_memslots(kvm, i)->hva_tree,
					     range->start, range->end - 1))
			return true;
	return false;
}

/* The part of @slot that the user addresses touch. */
static void slot_gfns(struct kvm_memory_slot *slot, u64 first, u64 last,
		      struct kvm_gfn_range *range)
{
	u64 slot_last = slot->userspace_addr + (slot->npages << PAGE_SHIFT) - 1;

	range->slot = slot;
	range->start = hva_to_gfn_memslot(max_t(u64, first,
						slot->userspace_addr), slot);
	range->end = hva_to_gfn_memslot(min(last, slot_last), slot) + 1;
}

static void kvm_inval_add_ranges(struct smmu_inval *si,
				 struct smmu_inval_token *token,
				 const struct smmu_inval_span *span)
{
	struct kvm *kvm = si_to_kvm(si);
	struct interval_tree_node *node;
	struct kvm_gfn_range range;
	struct kvm_memslots *slots;
	int i;

	for (i = 0; i < kvm_arch_nr_memslot_as_ids(kvm); i++) {
		slots = __kvm_memslots(kvm, i);
		node = interval_tree_iter_first(&slots->hva_tree, span->start,
						span->last);
		for (; node; node = interval_tree_iter_next(node, span->start,
							    span->last)) {
			slot_gfns(node_to_slot(node, slots), span->start,
				  span->last, &range);
			smmu_inval_add(si, token, range.start, range.end - 1);
		}
	}
}

/* Do what @walk says in each memslot that the user addresses are in. */
static void kvm_inval_do(struct kvm *kvm, const struct kvm_inval_walk *walk,
			 u64 first, u64 last)
{
	struct kvm_gfn_range range = {
		.may_block = smmu_inval_may_yield(walk->batch),
		.inval = walk,
	};
	struct interval_tree_node *node;
	struct kvm_memslots *slots;
	int i;

	for (i = 0; i < kvm_arch_nr_memslot_as_ids(kvm); i++) {
		slots = __kvm_memslots(kvm, i);
		node = interval_tree_iter_first(&slots->hva_tree, first, last);
		for (; node; node = interval_tree_iter_next(node, first, last)) {
			slot_gfns(node_to_slot(node, slots), first, last,
				  &range);
			/* User addresses do not map private memory. */
			range.attr_filter = KVM_FILTER_SHARED;
			/* What does not say what it changed, changed it all. */
			if (kvm_unmap_gfn_range(kvm, &range))
				smmu_inval_changed(walk->batch, range.start,
						   range.end - 1, walk->event);
		}
	}
}

static void kvm_inval_do_span(struct smmu_inval *si,
			      struct smmu_inval_batch *batch,
			      const struct smmu_inval_span *span,
			      enum smmu_inval_action action)
{
	struct kvm_inval_walk walk = {
		.batch = batch,
		.event = __ffs(span->events),
		.action = action,
	};

	kvm_inval_do(si_to_kvm(si), &walk, span->start, span->last);
}

static void kvm_inval_zap(struct smmu_inval *si, struct smmu_inval_batch *batch,
			  const struct smmu_inval_span *span)
{
	kvm_inval_do_span(si, batch, span, SMMU_INVAL_ZAP);
}

/* Which of them the kvm_unmap_gfn_range() of an architecture knows. */
#if defined(CONFIG_X86) || defined(CONFIG_ARM64)
static void kvm_inval_wrprotect(struct smmu_inval *si,
				struct smmu_inval_batch *batch,
				const struct smmu_inval_span *span)
{
	kvm_inval_do_span(si, batch, span, SMMU_INVAL_WRPROTECT);
}
#endif

#ifdef CONFIG_X86
static void kvm_inval_decide(struct smmu_inval *si,
			     struct smmu_inval_batch *batch,
			     const struct smmu_inval_look *look)
{
	struct kvm_inval_walk walk = {
		.batch = batch,
		.event = look->event,
		.action = SMMU_INVAL_DECIDE,
		.look = look,
	};

	kvm_inval_do(si_to_kvm(si), &walk, look->start, look->last);
}
#endif

static void kvm_inval_flush(struct smmu_inval *si,
			    const struct smmu_inval_flush *flush)
{
	struct kvm *kvm = si_to_kvm(si);
	unsigned int i;

	if (flush->all)
		kvm_flush_remote_tlbs(kvm);
	for (i = 0; i < flush->nr; i++)
		kvm_flush_remote_tlbs_range(kvm, flush->spans[i].start,
					    flush->spans[i].last -
					    flush->spans[i].start + 1);
}

static const struct smmu_inval_ops kvm_inval_ops = {
	.add_ranges = kvm_inval_add_ranges,
	.zap = kvm_inval_zap,
#if defined(CONFIG_X86) || defined(CONFIG_ARM64)
	.wrprotect = kvm_inval_wrprotect,
#endif
#ifdef CONFIG_X86
	.decide = kvm_inval_decide,
#endif
	.flush = kvm_inval_flush,
};

/* Every event: a cache is a writable mapping, and nobody decides about it. */
static void kvm_inval_gpc_zap(struct smmu_inval *si,
			      struct smmu_inval_batch *batch,
			      const struct smmu_inval_span *span)
{
	struct kvm *kvm = container_of(si, struct kvm, inval.gpc);
	/* The last page of the address space is nobody's. */
	u64 end = min_t(u64, span->last, ULONG_MAX - 1) + 1;

	gfn_to_pfn_cache_invalidate_start(kvm, span->start, end);
}

static void kvm_inval_gpc_flush(struct smmu_inval *si,
				const struct smmu_inval_flush *flush)
{
	/* Who uses a cache holds its lock: there is no TLB of its own. */
}

static const struct smmu_inval_ops kvm_inval_gpc_ops = {
	.zap = kvm_inval_gpc_zap,
	.flush = kvm_inval_gpc_flush,
};

/**
 * kvm_inval_init() - make the instances of a VM
 * @kvm: with its locks and its stats_id set up
 *
 * Return: 0 or -ENOMEM.
 */
int kvm_inval_init(struct kvm *kvm)
{
	struct smmu_inval_config config = {
		.name = kvm->stats_id,
		.lock = SMMU_INVAL_LOCK(&kvm->mmu_lock),
		/* GFNs, of which no architecture has 64 bits. */
		.last = U64_MAX >> PAGE_SHIFT,
		.nr_ranges = KVM_INVAL_RANGES,
		.nr_history = KVM_INVAL_RANGES,
		.flush_spans = kvm_inval_has_range_flush() ?
			       SMMU_INVAL_BATCH_SPANS : 0,
		.coarse = READ_ONCE(kvm_inval_coarse),
	};
	struct smmu_inval_config gpc_config = {
		SMMU_INVAL_CONFIG_DEFAULTS,
		.name = "kvm-gpc",
		.lock = SMMU_INVAL_LOCK(&kvm->mn_invalidate_lock),
	};
	int ret;

	ret = smmu_inval_init(&kvm->inval.si, &kvm_inval_ops, &config);
	if (ret)
		return ret;
	ret = smmu_inval_init(&kvm->inval.gpc, &kvm_inval_gpc_ops, &gpc_config);
	if (ret)
		smmu_inval_destroy(&kvm->inval.si);
	return ret;
}

/**
 * kvm_inval_destroy() - free the instances of a VM
 * @kvm: without users, vCPUs and memslots
 */
void kvm_inval_destroy(struct kvm *kvm)
{
	smmu_inval_destroy(&kvm->inval.gpc);
	smmu_inval_destroy(&kvm->inval.si);
}

/**
 * kvm_inval_register() - begin to follow the VMM
 * @kvm: complete, but not yet visible to anybody
 *
 * Return: 0, or an error of smmu_inval_mn_init() or mmu_notifier_register().
 */
int kvm_inval_register(struct kvm *kvm)
{
	struct kvm_inval *inval = &kvm->inval;
	int ret;

	ret = smmu_inval_mn_init(&inval->mn, &inval->si, &kvm_mmu_notifier_ops);
	if (!ret)
		ret = smmu_inval_mn_init(&inval->gpc_mn, &inval->gpc,
					 &smmu_inval_mn_ops);
	if (!ret)
		ret = smmu_inval_mn_register(&inval->mn, kvm->mm);
	if (ret)
		return ret;
	ret = smmu_inval_mn_register(&inval->gpc_mn, kvm->mm);
	if (ret)
		smmu_inval_mn_unregister(&inval->mn);
	return ret;
}

/**
 * kvm_inval_unregister() - follow the VMM no more
 * @kvm: without users
 *
 * Nothing can be mapped any more. Ends of what is pending may never come, so
 * mn_active_invalidate_count may remain unbalanced.
 */
void kvm_inval_unregister(struct kvm *kvm)
{
	smmu_inval_mn_unregister(&kvm->inval.gpc_mn);
	smmu_inval_mn_unregister(&kvm->inval.mn);
}

/* SEV: what may be freed must not be in a cache under the guest's key. */
static bool may_free_pages(const struct mmu_notifier_range *range)
{
	switch (range->event) {
	case MMU_NOTIFY_PROTECTION_VMA:
	case MMU_NOTIFY_PROTECTION_PAGE:
	case MMU_NOTIFY_SOFT_DIRTY:
	case MMU_NOTIFY_EXCLUSIVE:
		return false;
	default:
		return true;
	}
}

/* invalidate_range_start of a VM's struct mmu_notifier. */
int kvm_inval_range_start(struct mmu_notifier *mn,
			  const struct mmu_notifier_range *range)
{
	struct kvm *kvm = mn_to_kvm(mn);
	bool hits;
	int idx;

	trace_kvm_unmap_hva_range(range->start, range->end);

	/* Until the end, kvm_swap_active_memslots() waits. */
	spin_lock(&kvm->mn_invalidate_lock);
	kvm->mn_active_invalidate_count++;
	spin_unlock(&kvm->mn_invalidate_lock);

	idx = srcu_read_lock(&kvm->srcu);
	hits = kvm_inval_hits(kvm, range);
	if (hits)
		smmu_inval_mn_ops.invalidate_range_start(mn, range);
	srcu_read_unlock(&kvm->srcu, idx);

	/* Slow, and so without mmu_lock. */
	if (hits && may_free_pages(range))
		kvm_arch_guest_memory_reclaimed(kvm);
	return 0;
}

/* invalidate_range_end of a VM's struct mmu_notifier. */
void kvm_inval_range_end(struct mmu_notifier *mn,
			 const struct mmu_notifier_range *range)
{
	struct kvm *kvm = mn_to_kvm(mn);
	bool wake;
	int idx;

	idx = srcu_read_lock(&kvm->srcu);
	if (kvm_inval_hits(kvm, range))
		smmu_inval_mn_ops.invalidate_range_end(mn, range);
	srcu_read_unlock(&kvm->srcu, idx);

	spin_lock(&kvm->mn_invalidate_lock);
	if (!WARN_ON_ONCE(!kvm->mn_active_invalidate_count))
		--kvm->mn_active_invalidate_count;
	wake = !kvm->mn_active_invalidate_count;
	spin_unlock(&kvm->mn_invalidate_lock);

	/* One at most, since it waits with slots_lock held. */
	if (wake)
		rcuwait_wake_up(&kvm->mn_memslots_update_rcuwait);
}

/* release of a VM's struct mmu_notifier. */
void kvm_inval_release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	struct kvm *kvm = mn_to_kvm(mn);
	int idx;

	idx = srcu_read_lock(&kvm->srcu);
	kvm_arch_flush_shadow_all(kvm);
	kvm_arch_guest_memory_reclaimed(kvm);
	/* Nothing is left to zap; from here on nothing is mapped any more. */
	smmu_inval_mn_ops.release(mn, mm);
	srcu_read_unlock(&kvm->srcu, idx);
}

/**
 * kvm_inval_wait() - wait for the invalidation that a fault would run into
 * @kvm: the VM
 * @gfn: the page that faulted
 *
 * Without it the vCPU would enter the guest, fault and come back until the
 * invalidation is over, and slow that down. Only a hint: the fault checks
 * again, under mmu_lock.
 *
 * Context: process context, where a page may be faulted in; sleeps. A signal
 * ends it after a tick at most, since it may be somebody's kick.
 */
void kvm_inval_wait(struct kvm *kvm, u64 gfn)
{
	struct smmu_inval *si = &kvm->inval.si;
	struct smmu_inval_waiter waiter;
	bool wait;

	while (smmu_inval_retry_hint(si, smmu_inval_read_begin(si), gfn, gfn)) {
		kvm_inval_lock_shared(kvm);
		wait = smmu_inval_wait_prepare(si, &waiter, gfn, gfn);
		kvm_inval_unlock_shared(kvm);
		if (!wait ||
		    smmu_inval_wait_timeout(&waiter, 1) != -ETIMEDOUT ||
		    signal_pending(current))
			return;
	}
}

#ifdef CONFIG_X86
/**
 * kvm_inval_max_level() - the largest page that may be mapped
 * @kvm: the VM
 * @gfn: a page in it, not pending
 * @level: what the primary MMU maps there
 *
 * What is pending may be a part of a huge page only. It then splits, or its
 * parts differ when that is over.
 *
 * Context: mmu_lock held.
 * Return: @level, or the next smaller one that holds nothing that is pending.
 */
int kvm_inval_max_level(struct kvm *kvm, u64 gfn, int level)
{
	u64 pages, start;

	for (; level > PG_LEVEL_4K; level--) {
		pages = KVM_PAGES_PER_HPAGE(level);
		start = gfn & ~(pages - 1);
		if (!mmu_invalidate_is_pending(kvm, start, start + pages))
			break;
	}
	return level;
}
#endif

/* Invalidations by KVM itself. */

struct smmu_inval_token *kvm_mmu_invalidate_open(struct kvm *kvm)
{
	return smmu_inval_begin(&kvm->inval.si, SMMU_INVAL_DRIVER);
}

void kvm_mmu_invalidate_add(struct kvm *kvm, struct smmu_inval_token *token,
			    u64 start, u64 end)
{
	smmu_inval_add(&kvm->inval.si, token, start, end - 1);
}

void kvm_mmu_invalidate_close(struct kvm *kvm, struct smmu_inval_token *token)
{
	smmu_inval_end(&kvm->inval.si, token);
}

void kvm_inval_attrs_start(struct kvm *kvm)
{
	lockdep_assert_held(&kvm->slots_lock);
	kvm->inval.attrs = kvm_mmu_invalidate_open(kvm);
}

void kvm_inval_attrs_end(struct kvm *kvm)
{
	lockdep_assert_held(&kvm->slots_lock);
	kvm_mmu_invalidate_close(kvm, kvm->inval.attrs);
}

/* At run time, for the VMs that are there and for those to come. */
static int coarse_param_set(const char *value, const struct kernel_param *param)
{
	struct kvm *kvm;
	int ret;

	ret = param_set_bool(value, param);
	if (ret)
		return ret;
	mutex_lock(&kvm_lock);
	list_for_each_entry(kvm, &vm_list, vm_list)
		smmu_inval_set_coarse(&kvm->inval.si,
				      READ_ONCE(kvm_inval_coarse));
	mutex_unlock(&kvm_lock);
	return 0;
}

static const struct kernel_param_ops coarse_param_ops = {
	.flags = KERNEL_PARAM_OPS_FL_NOARG,
	.set = coarse_param_set,
	.get = param_get_bool,
};
module_param_cb(smmu_inval_coarse, &coarse_param_ops, &kvm_inval_coarse, 0644);
MODULE_PARM_DESC(smmu_inval_coarse,
		 "zap for every event, one hull, one sequence, as without smmu_inval");
