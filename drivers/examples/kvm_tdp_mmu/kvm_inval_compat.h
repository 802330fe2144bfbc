/* SPDX-License-Identifier: GPL-2.0 */
/*
 * KVM on smmu_inval: where the KVM of one kernel differs from another's.
 * Included by kvm_inval_tdp.h.
 */
#include <linux/version.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)

/* Since 6.13 a page is dirty from when it is mapped writable. */
#define KVM_INVAL_DIRTY_MASK	0ULL

/* Since 6.14 roots may have GFNs with bits of their own. */
#define kvm_inval_for_each_pte(iter, kvm, root, start, end)		\
	for_each_tdp_pte_min_level(iter, kvm, root, PG_LEVEL_4K, start, end)

#else

/* Before, losing D marks the page dirty: its writes end here. */
#define KVM_INVAL_DIRTY_MASK	shadow_dirty_mask

static inline struct kvm_mmu_page *kvm_inval_root(const struct kvm *kvm,
						  struct kvm_mmu_page *root)
{
	return root;
}

#define kvm_inval_for_each_pte(iter, kvm, root, start, end)		\
	for_each_tdp_pte_min_level(iter, kvm_inval_root(kvm, root),	\
				   PG_LEVEL_4K, start, end)

/* Without the question for progress, which the next call asks. */
static inline bool tdp_mmu_iter_need_resched(struct kvm *kvm,
					     const struct tdp_iter *iter)
{
	return need_resched() || rwlock_needbreak(&kvm->mmu_lock);
}

#endif
