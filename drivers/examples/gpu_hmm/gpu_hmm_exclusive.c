// SPDX-License-Identifier: GPL-2.0
/*
 * Exclusive access: the CPU's entries for a page are replaced by special ones,
 * so that nobody but this GPU can touch it, until somebody on the CPU tries to
 * and takes it back. Atomics that the bus does not know are done this way.
 *
 *	engine					CPU
 *	------					---
 *	make_device_exclusive()
 *	  EXCLUSIVE, with our owner: others
 *	  zap, and we need not
 *	install while the folio is locked
 *						touches the page, faults
 *						  waits for the folio's lock
 *	folio is unlocked
 *						  the event: our entry goes
 *						  its own entry comes back
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/rmap.h>
#include <linux/sched/mm.h>

#include "gpu_hmm.h"
#include "gpu_hmm_compat.h"

/* Errors that are worth a name, and that not all kernels tell apart. */
static int gpu_exclusive_check(struct mm_struct *mm, u64 addr)
{
	struct vm_area_struct *vma = vma_lookup(mm, addr);

	if (!vma)
		return -EFAULT;
	if (!vma_is_anonymous(vma))
		return -EOPNOTSUPP;
	return vma->vm_flags & VM_WRITE ? 0 : -EPERM;
}

/*
 * If the page is exclusive already, because the last try got it and was not
 * allowed to install it, make_device_exclusive() undoes that first, and the
 * event of this would send every try back, for ever. So undo it before the try
 * begins: what comes after that is not of our own making.
 */
static int gpu_exclusive_prepare(struct gpu_try *try, u64 addr)
{
	struct mm_struct *mm = try->vm->mm;
	int err;

	err = mmap_read_lock_killable(mm);
	if (err)
		return err;
	err = gpu_exclusive_check(mm, addr);
	if (!err)
		err = fixup_user_fault(mm, addr, FAULT_FLAG_WRITE, NULL);
	mmap_read_unlock(mm);
	if (err)
		return err;
	err = smmu_inval_interval_wait(try->ival, addr, addr + PAGE_SIZE - 1);
	if (!err)
		gpu_try_look(try);
	return err;
}

/**
 * gpu_exclusive_try() - try to map a page that nobody else has access to
 * @try: begun, for @addr
 * @fault: has the tables
 * @addr: page aligned
 *
 * Return: 0, -EAGAIN for another try, or an error as described for
 * struct gpu_hmm_command.
 */
int gpu_exclusive_try(struct gpu_try *try, struct gpu_fault *fault, u64 addr)
{
	struct gpu_vm *vm = try->vm;
	struct mm_struct *mm = vm->mm;
	struct page *page;
	int err;

	if (!mmget_not_zero(mm))
		return -ESRCH;
	err = gpu_exclusive_prepare(try, addr);
	if (!err)
		err = mmap_read_lock_killable(mm);
	if (err)
		goto put;
	page = gpu_make_exclusive(mm, addr, vm->dev);
	if (IS_ERR(page)) {
		err = PTR_ERR(page);
		goto unlock;
	}
	scoped_guard(mutex, &vm->lock) {
		err = -EAGAIN;
		if (gpu_try_retry(try, addr, addr + PAGE_SIZE - 1))
			break;
		gpu_fault_make_room(vm, fault);
		/* See gpu_fault_install(). */
		if (!PageDirty(page))
			SetPageDirty(page);
		gpu_pt_install(vm, fault, addr, page_to_pfn(page),
			       GPU_PTE_WRITE | GPU_PTE_EXCLUSIVE);
		vm->exclusive++;
		err = 0;
	}
	unlock_page(page);
	put_page(page);
unlock:
	mmap_read_unlock(mm);
put:
	mmput(mm);
	return err;
}
