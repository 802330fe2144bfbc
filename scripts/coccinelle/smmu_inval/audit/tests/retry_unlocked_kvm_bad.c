// SPDX-License-Identifier: GPL-2.0
/* KVM's check, once in the lock's section and once behind it. */
#include <linux/kvm_host.h>

static int toy_map_gfn(struct kvm *kvm, gfn_t gfn, unsigned long seq)
{
	int ret = 0;

	read_lock(&kvm->mmu_lock);
	if (mmu_invalidate_retry_gfn(kvm, seq, gfn))
		ret = -EAGAIN;
	else
		toy_install(kvm, gfn);
	read_unlock(&kvm->mmu_lock);
	return ret;
}

static int toy_map_late(struct kvm *kvm, gfn_t gfn, unsigned long seq)
{
	write_lock(&kvm->mmu_lock);
	toy_prepare(kvm, gfn);
	write_unlock(&kvm->mmu_lock);
	if (mmu_invalidate_retry_gfn(kvm, seq, gfn))	/* audit: retry_unlocked */
		return -EAGAIN;
	toy_install(kvm, gfn);
	return 0;
}
