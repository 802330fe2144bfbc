/* SPDX-License-Identifier: GPL-2.0 */
/*
 * KVM on smmu_inval: what a VM has of it, and what the rest of KVM calls.
 * Included by the converted linux/kvm_host.h.
 */
#ifndef _LINUX_KVM_INVAL_H
#define _LINUX_KVM_INVAL_H

#include <linux/smmu_inval.h>

struct kvm;
struct kvm_gfn_range;

/**
 * struct kvm_inval - the two secondary MMUs of a VM
 * @si: the nested page tables: GFNs, under mmu_lock
 * @mn: binds @si to the VMM
 * @gpc: the gfn_to_pfn_caches, which are kernel mappings of guest memory: user
 *	addresses, under mn_invalidate_lock, since a cache may have no memslot,
 *	and is used where mmu_lock is not
 * @gpc_mn: binds @gpc to the VMM
 * @attrs: the change of memory attributes that is under way; slots_lock
 */
struct kvm_inval {
	struct smmu_inval si;
	struct smmu_inval_mn mn;
	struct smmu_inval gpc;
	struct smmu_inval_mn gpc_mn;
	struct smmu_inval_token *attrs;
};

/**
 * struct kvm_inval_walk - why kvm_unmap_gfn_range() is called
 * @batch: takes what was changed, which the caller then does not flush
 * @event: for smmu_inval_changed()
 * @action: zap, write-protect, or decide by @look
 * @look: the primary page tables, for SMMU_INVAL_DECIDE
 */
struct kvm_inval_walk {
	struct smmu_inval_batch *batch;
	enum smmu_inval_event event;
	enum smmu_inval_action action;
	const struct smmu_inval_look *look;
};

/* In virt/kvm/kvm_main.c: the callbacks below, and KVM's own for aging. */
extern const struct mmu_notifier_ops kvm_mmu_notifier_ops;

int kvm_inval_init(struct kvm *kvm);
void kvm_inval_destroy(struct kvm *kvm);
int kvm_inval_register(struct kvm *kvm);
void kvm_inval_unregister(struct kvm *kvm);
void kvm_inval_wait(struct kvm *kvm, u64 gfn);

/* x86 */
int kvm_inval_max_level(struct kvm *kvm, u64 gfn, int level);
/* arm64 */
bool kvm_inval_wrprotect_stage2(struct kvm *kvm,
				const struct kvm_gfn_range *range);

int kvm_inval_range_start(struct mmu_notifier *mn,
			  const struct mmu_notifier_range *range);
void kvm_inval_range_end(struct mmu_notifier *mn,
			 const struct mmu_notifier_range *range);
void kvm_inval_release(struct mmu_notifier *mn, struct mm_struct *mm);

/*
 * Invalidations by KVM itself: memory attributes, guest_memfd, and whatever
 * kvm_zap_gfn_range() is for. mmu_lock held for write; [start, end) in GFNs.
 */
struct smmu_inval_token *kvm_mmu_invalidate_open(struct kvm *kvm);
void kvm_mmu_invalidate_add(struct kvm *kvm, struct smmu_inval_token *token,
			    u64 start, u64 end);
void kvm_mmu_invalidate_close(struct kvm *kvm, struct smmu_inval_token *token);
void kvm_inval_attrs_start(struct kvm *kvm);
void kvm_inval_attrs_end(struct kvm *kvm);

#endif /* _LINUX_KVM_INVAL_H */
