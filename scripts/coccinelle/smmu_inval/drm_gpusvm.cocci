// SPDX-License-Identifier: GPL-2.0-only
///
/// drm_gpusvm and its user xe on smmu_inval. Each notifier of drm_gpusvm, 512 MiB or
/// more, is an interval with an instance under notifier_lock, so that a fault is retried
/// for changes in its own range only. xe's userptrs have one each: what stops the GPU is
/// zap, and the two passes are flush_issue and flush_wait. Who waits in the second pass
/// serves all that came before, so that no callback has to do everything in the first
/// because another is in flight.
///
// Confidence: Moderate
// Options: --no-includes --include-headers
// Keywords: smmu_inval, drm_gpusvm, xe, hmm, svm, userptr
// Flavours: x86-7.3-drivers
// Converts: drivers/gpu/drm/drm_gpusvm.c 7.3
// Converts: drivers/gpu/drm/xe/xe_userptr.c 7.3
// Changes: include/drm/drm_gpusvm.h drivers/gpu/drm/drm_gpusvm.c
// Changes: drivers/gpu/drm/xe/xe_svm.c drivers/gpu/drm/xe/xe_userptr.h
// Changes: drivers/gpu/drm/xe/xe_userptr.c drivers/gpu/drm/xe/xe_pt.c
// Changes: drivers/gpu/drm/xe/xe_vm.c
// Leaves-no: mmu_interval_|struct mmu_notifier_range|finish_inuse|notifier\.mm
// Leaves-no: struct mmu_interval_notifier
//

virtual patch

// drm_gpusvm.h

@depends on patch@
@@

 #include <linux/mmu_notifier.h>
+#include <linux/smmu_inval.h>

@depends on patch@
typedef bool, u64;
symbol notifier, mm, jiffies, true, false, err_free, mmu_range, current;
@@

 struct drm_gpusvm_notifier {
 	...
-	struct mmu_interval_notifier notifier;
+	struct smmu_inval_interval notifier;
 	...
 	struct { ... } flags;
+	/* private: what @notifier is bound to */
+	struct smmu_inval si;
 };

@depends on patch@
symbol flags;
@@

 struct drm_gpusvm_pages {
 	...
 	struct drm_gpusvm_pages_flags flags;
+	/* private: from before the pages were found; @notifier_seq is its quiet */
+	struct smmu_inval_cookie cookie;
 };

@depends on patch@
@@

 drm_gpusvm_get_pages(...,
-	struct mmu_interval_notifier *notifier,
+	struct smmu_inval_interval *notifier,
 	...)
 { ... when any
 }

@depends on patch@
@@

 int drm_gpusvm_get_pages(...,
-	struct mmu_interval_notifier *notifier,
+	struct smmu_inval_interval *notifier,
 	...);

@depends on patch@
@@

+/* Have they changed since they were found? notifier_lock is held. */
+static inline bool
+drm_gpusvm_pages_invalidated(struct drm_gpusvm_pages *svm_pages,
+			     struct smmu_inval_interval *notifier,
+			     u64 start, u64 size)
+{
+	return smmu_inval_interval_read_retry(notifier, svm_pages->cookie,
+					      start, start + size - 1);
+}
+
 void drm_gpusvm_free_pages(...);

// drm_gpusvm.c: the callback

@depends on patch@
@@

-static bool drm_gpusvm_notifier_invalidate(...)
-{
-	...
-}

@depends on patch@
symbol drm_gpusvm_notifier_ops;
@@

-static const struct mmu_interval_notifier_ops drm_gpusvm_notifier_ops = { ... };
+static void drm_gpusvm_notifier_zap(struct smmu_inval *si,
+				    struct smmu_inval_batch *batch,
+				    const struct smmu_inval_span *span)
+{
+	struct drm_gpusvm_notifier *notifier =
+		container_of(si, struct drm_gpusvm_notifier, si);
+	struct drm_gpusvm *gpusvm = notifier->gpusvm;
+
+	gpusvm->ops->invalidate(gpusvm, notifier, span);
+	smmu_inval_changed(batch, span->start, span->last,
+			   __ffs(span->events));
+}
+
+/* The driver's invalidate flushes before it unmaps the pages. */
+static void drm_gpusvm_notifier_flush(struct smmu_inval *si,
+				      const struct smmu_inval_flush *flush)
+{
+}
+
+static const struct smmu_inval_ops drm_gpusvm_notifier_ops = {
+	.zap = drm_gpusvm_notifier_zap,
+	.flush = drm_gpusvm_notifier_flush,
+};
+
+static int drm_gpusvm_notifier_follow(struct drm_gpusvm_notifier *notifier,
+				      struct mm_struct *mm)
+{
+	const struct smmu_inval_config cfg = {
+		.name = "drm_gpusvm",
+		.lock = SMMU_INVAL_LOCK(&notifier->gpusvm->notifier_lock),
+		.start = drm_gpusvm_notifier_start(notifier),
+		.last = drm_gpusvm_notifier_end(notifier) - 1,
+		.page_shift = PAGE_SHIFT,
+		.nr_history = 1,
+		.flush_spans = SMMU_INVAL_BATCH_SPANS,
+		.zap_sleeps = true,
+		.shared_stats = true,
+	};
+	int err;
+
+	err = smmu_inval_init(&notifier->si, &drm_gpusvm_notifier_ops, &cfg);
+	if (err)
+		return err;
+	err = smmu_inval_interval_insert(&notifier->notifier, &notifier->si, mm,
+					 cfg.start, cfg.last, 16);
+	if (err)
+		smmu_inval_destroy(&notifier->si);
+	return err;
+}
+
+static void drm_gpusvm_notifier_unfollow(struct drm_gpusvm_notifier *notifier)
+{
+	smmu_inval_interval_remove(&notifier->notifier);
+	smmu_inval_destroy(&notifier->si);
+}

@depends on patch@
expression E;
@@

-	mmu_interval_notifier_insert(&notifier->notifier, mm,
-		drm_gpusvm_notifier_start(notifier),
-		drm_gpusvm_notifier_size(notifier), E)
+	drm_gpusvm_notifier_follow(notifier, mm)

@depends on patch@
@@

-	mmu_interval_notifier_remove(&notifier->notifier)
+	drm_gpusvm_notifier_unfollow(notifier)

// drm_gpusvm.c: the faults. No rule of these spans a function: they are large.

@depends on patch@
symbol hmm_range, err, gpusvm, start, end, pfns, EBUSY;
statement S;
@@

-	while (true) S
+	err = hmm_range_fault(&hmm_range);
 	if (err)
 		goto err_free;

@depends on patch@
@@

-	hmm_range.notifier_seq = mmu_interval_read_begin(&notifier->notifier);
 	hmm_range.hmm_pfns = pfns;

@depends on patch@
symbol timeout;
@@

 	struct hmm_range hmm_range = {
 		.default_flags = 0,
-		.notifier = &notifier->notifier,
+		.notifier = smmu_inval_interval_notifier(&notifier->notifier),
 		...,
 	};
-	unsigned long timeout = jiffies + msecs_to_jiffies(...);

@depends on patch@
symbol range;
@@

-	struct mmu_interval_notifier *notifier = &range->notifier->notifier;
+	struct smmu_inval_interval *notifier = &range->notifier->notifier;

@depends on patch@
@@

 	struct smmu_inval_interval *notifier = &range->notifier->notifier;
+	struct smmu_inval_cookie cookie;
 	unsigned long start = drm_gpusvm_range_start(range);

@depends on patch@
@@

 	struct hmm_range hmm_range = {
 		...,
-		.notifier = notifier,
+		.notifier = smmu_inval_interval_notifier(notifier),
 		...,
 	};

@depends on patch@
@@

+	err = smmu_inval_interval_wait(notifier, start, end - 1);
+	if (err)
+		goto err_free;
+	cookie = smmu_inval_interval_read_begin(notifier);
 	err = hmm_range_fault_unlocked_timeout(&hmm_range, timeout);
 	if (err)
 		goto err_free;

@depends on patch@
symbol zdd;
@@

+	struct smmu_inval_cookie cookie;
 	void *zdd;
 	unsigned long timeout = jiffies + msecs_to_jiffies(...);

@depends on patch@
symbol pages_start, pages_end, svm_pages;
@@

-	hmm_range.notifier_seq = mmu_interval_read_begin(notifier);
+	err = smmu_inval_interval_wait(notifier, pages_start, pages_end - 1);
+	if (err)
+		return err;
+	cookie = smmu_inval_interval_read_begin(notifier);

@depends on patch@
@@

-	mmu_interval_read_retry(notifier, hmm_range.notifier_seq)
+	smmu_inval_interval_read_retry(notifier, cookie, hmm_range.start,
+				       hmm_range.end - 1)

@depends on patch@
@@

-	svm_pages->notifier_seq = hmm_range.notifier_seq;
+	svm_pages->notifier_seq = cookie.quiet;
+	svm_pages->cookie = cookie;

@depends on patch@
symbol LONG_MAX;
@@

 	svm_pages->notifier_seq = LONG_MAX;
+	memset(&svm_pages->cookie, 0, sizeof(svm_pages->cookie));

// xe_svm.c: a span, that lies inside of the notifier

@depends on patch@
symbol vm, usm, asid;
expression E;
constant char[] fmt;
@@

-	vm_dbg(E, fmt, vm->usm.asid, gpusvm, notifier->notifier.invalidate_seq, mmu_range->start, mmu_range->end, mmu_range->event);
+	vm_dbg(E,
+	       "INVALIDATE: asid=%u, gpusvm=%p, start=0x%016llx, last=0x%016llx, events=%#x",
+	       vm->usm.asid, gpusvm, mmu_range->start, mmu_range->last,
+	       mmu_range->events);

@depends on patch@
symbol mmu_range, event, MMU_NOTIFY_UNMAP;
@@

-	mmu_range->event == MMU_NOTIFY_UNMAP
+	(mmu_range->events & BIT(SMMU_INVAL_UNMAP))

@depends on patch@
@@

-	mmu_range->end
+	mmu_range->last + 1

// xe_userptr.h

@depends on patch@
@@

 struct xe_userptr {
 	...
-	struct mmu_interval_notifier notifier;
+	struct smmu_inval_interval notifier;
+	/** @si: what @notifier is bound to */
+	struct smmu_inval si;
+	/**
+	 * @flush_issued: how many flushes were asked for
+	 * Protected by struct xe_vm::svm.gpusvm.notifier_lock in write mode.
+	 */
+	u64 flush_issued;
+	/** @flush_done: how many of them are over; same locking */
+	u64 flush_done;
-	struct mmu_interval_notifier_finish finish;
 	...
 };

@depends on patch@
@@

 struct xe_userptr {
 	...
-	bool finish_inuse;
 	...
 };

// xe_userptr.c: pass one

@depends on patch@
symbol uvma, vma, userptr;
@@

-bool xe_vma_userptr_invalidate_start(...)
-{
-	...
-}

@depends on patch@
@@

-void xe_vma_userptr_invalidate_finish(...)
-{
-	...
-}

@depends on patch@
@@

-struct mmu_interval_notifier_finish *xe_vma_userptr_invalidate_pass1
+void xe_vma_userptr_invalidate_pass1
 (...)
 { ... }

@depends on patch@
iterator name dma_resv_for_each_fence_unlocked;
symbol signaled, fence, cursor;
@@

 xe_vma_userptr_invalidate_pass1(...)
 {
 	...
-	bool signaled = true;
 	...
 	dma_resv_for_each_fence_unlocked(&cursor, fence) {
 		dma_fence_enable_signaling(fence);
-		if (signaled && !dma_fence_is_signaled(fence))
-			signaled = false;
 	}
 	dma_resv_iter_end(&cursor);
-	if (signaled || userptr->finish_inuse)
-		return xe_vma_userptr_do_inval(vm, uvma, false);
-	userptr->finish_inuse = true;
-	return &userptr->finish;
 }

// xe_userptr.c: pass two

@depends on patch@
symbol is_deferred;
@@

-struct mmu_interval_notifier_finish *xe_vma_userptr_do_inval
+void xe_vma_userptr_do_inval
 (struct xe_vm *vm, struct xe_userptr_vma *uvma
-	, bool is_deferred
 ) { ... }

@depends on patch@
expression E;
@@

 xe_vma_userptr_do_inval(...)
 {
 	...
-	if (is_deferred)
-		xe_assert(vm->xe, E);
 	...
 	if (xe_vm_in_fault_mode(vm) && userptr->initial_bind) {
-		if (!userptr->finish_inuse) {
-			...
-		}
 		...
 	}
-	if (is_deferred)
-		userptr->finish_inuse = false;
 	...
-	return NULL;
 }

@depends on patch@
@@

 xe_vma_userptr_complete_tlb_inval(...)
 {
 	...
-	xe_assert(vm->xe, userptr->finish_inuse);
 	...
-	userptr->finish_inuse = false;
 	...
 }

@depends on patch@
symbol vma_userptr_notifier_ops;
@@

-static const struct mmu_interval_notifier_ops vma_userptr_notifier_ops = { ... };
+/*
+ * If a TLB invalidation was previously submitted, wait for it and unmap pages.
+ * Otherwise wait for the fences, invalidate the TLB and unmap.
+ */
+static void xe_vma_userptr_finish(struct xe_vm *vm, struct xe_userptr_vma *uvma)
+{
+	WRITE_ONCE(uvma->userptr.flush_done, uvma->userptr.flush_issued);
+	if (uvma->userptr.tlb_inval_submitted)
+		xe_vma_userptr_complete_tlb_inval(vm, uvma);
+	else
+		xe_vma_userptr_do_inval(vm, uvma);
+	trace_xe_vma_userptr_invalidate_complete(&uvma->vma);
+}
+
+static void xe_vma_userptr_zap(struct smmu_inval *si,
+			       struct smmu_inval_batch *batch,
+			       const struct smmu_inval_span *span)
+{
+	struct xe_userptr_vma *uvma = container_of(si, typeof(*uvma), userptr.si);
+
+	trace_xe_vma_userptr_invalidate(&uvma->vma);
+	xe_vma_userptr_invalidate_pass1(xe_vma_vm(&uvma->vma), uvma);
+	smmu_inval_changed(batch, span->start, span->last,
+			   __ffs(span->events));
+}
+
+/*
+ * What was submitted and not waited for covers this one too: nothing can have
+ * been bound again meanwhile.
+ */
+static u64 xe_vma_userptr_flush_issue(struct smmu_inval *si,
+				      const struct smmu_inval_flush *flush)
+{
+	struct xe_userptr_vma *uvma = container_of(si, typeof(*uvma), userptr.si);
+	struct xe_userptr *userptr = &uvma->userptr;
+	struct xe_vm *vm = xe_vma_vm(&uvma->vma);
+	bool flush_tlb = xe_vm_in_fault_mode(vm) && userptr->initial_bind;
+	bool idle = dma_resv_test_signaled(xe_vm_resv(vm),
+					   DMA_RESV_USAGE_BOOKKEEP);
+	int err;
+
+	if (flush_tlb && idle && !userptr->tlb_inval_submitted) {
+		userptr->tlb_inval_submitted = true;
+		err = xe_vm_invalidate_vma_submit(&uvma->vma,
+						  &userptr->inval_batch);
+		XE_WARN_ON(err);
+	}
+	/* READ_ONCE in xe_vma_userptr_check_repin() */
+	WRITE_ONCE(userptr->flush_issued, userptr->flush_issued + 1);
+	return userptr->flush_issued;
+}
+
+static void xe_vma_userptr_flush_wait(struct smmu_inval *si, u64 ticket)
+{
+	struct xe_userptr_vma *uvma = container_of(si, typeof(*uvma), userptr.si);
+	struct xe_vm *vm = xe_vma_vm(&uvma->vma);
+
+	down_write(&vm->svm.gpusvm.notifier_lock);
+	if (uvma->userptr.flush_done < ticket)
+		xe_vma_userptr_finish(vm, uvma);
+	up_write(&vm->svm.gpusvm.notifier_lock);
+}
+
+static void xe_vma_userptr_flush(struct smmu_inval *si,
+				 const struct smmu_inval_flush *flush)
+{
+	struct xe_userptr_vma *uvma = container_of(si, typeof(*uvma), userptr.si);
+
+	xe_vma_userptr_finish(xe_vma_vm(&uvma->vma), uvma);
+}
+
+static const struct smmu_inval_ops xe_vma_userptr_ops = {
+	.zap = xe_vma_userptr_zap,
+	.flush = xe_vma_userptr_flush,
+	.flush_issue = xe_vma_userptr_flush_issue,
+	.flush_wait = xe_vma_userptr_flush_wait,
+};

@depends on patch@
symbol finish;
@@

 xe_vma_userptr_force_invalidate(...)
 {
-	struct mmu_interval_notifier_finish *finish;
 	...
-	if (!mmu_interval_read_retry(...))
-		uvma->userptr.pages.notifier_seq -= 2;
-	finish = xe_vma_userptr_invalidate_pass1(vm, uvma);
-	if (finish)
-		finish = xe_vma_userptr_do_inval(vm, uvma, true);
-	if (finish)
-		xe_vma_userptr_complete_tlb_inval(vm, uvma);
+	uvma->userptr.pages.cookie = (struct smmu_inval_cookie){};
+	xe_vma_userptr_invalidate_pass1(vm, uvma);
+	xe_vma_userptr_finish(vm, uvma);
 }

// xe_userptr.c: the rest

@depends on patch@
typedef u16;
symbol EAGAIN;
@@

 xe_vma_userptr_check_repin(...)
 {
-	return mmu_interval_check_retry(...) ? -EAGAIN : 0;
+	struct drm_gpusvm_pages_flags flags = {
+		/* READ_ONCE pairs with WRITE_ONCE for opportunistic checks */
+		.__flags = READ_ONCE(uvma->userptr.pages.flags.__flags),
+	};
+
+	/* Being invalidated: the repin waits for that. */
+	if (READ_ONCE(uvma->userptr.flush_done) !=
+	    READ_ONCE(uvma->userptr.flush_issued))
+		return -EAGAIN;
+	return flags.has_dma_mapping ? 0 : -EAGAIN;
 }

@depends on patch@
symbol current;
@@

 xe_userptr_setup(struct xe_userptr_vma *uvma, unsigned long start,
		  unsigned long range)
 {
 	struct xe_userptr *userptr = &uvma->userptr;
 	struct xe_vm *vm = xe_vma_vm(&uvma->vma);
+	const struct smmu_inval_config cfg = {
+		.name = "xe_userptr",
+		.lock = SMMU_INVAL_LOCK(&vm->svm.gpusvm.notifier_lock),
+		.start = start,
+		.last = start + range - 1,
+		.page_shift = PAGE_SHIFT,
+		.nr_history = 1,
+		.flush_spans = 1,
+		.zap_sleeps = true,
+		.shared_stats = true,
+	};
 	...
-	err = mmu_interval_notifier_insert(...);
+	err = smmu_inval_init(&userptr->si, &xe_vma_userptr_ops, &cfg);
 	if (err)
 		return err;
+
+	err = smmu_inval_interval_insert(&userptr->notifier, &userptr->si,
+					 current->mm, cfg.start, cfg.last, 1);
+	if (err)
+		smmu_inval_destroy(&userptr->si);
-	return 0;
+	return err;
 }

@depends on patch@
@@

-	mmu_interval_notifier_remove(&userptr->notifier);
+	smmu_inval_interval_remove(&userptr->notifier);
+	smmu_inval_destroy(&userptr->si);

// xe_pt.c, xe_vm.c

@depends on patch@
symbol notifier_seq;
@@

 vma_check_userptr(...)
 {
 	...
-	unsigned long notifier_seq;
+	bool invalid;
 	...
-	notifier_seq = uvma->userptr.pages.notifier_seq;
-	if (!mmu_interval_read_retry(&uvma->userptr.notifier, notifier_seq))
+	invalid = drm_gpusvm_pages_invalidated(&uvma->userptr.pages,
+					       &uvma->userptr.notifier,
+					       xe_vma_userptr(vma),
+					       xe_vma_size(vma));
+	if (!invalid)
 		return 0;
 	...
 }

@depends on patch@
symbol tile_mask, ret, id;
typedef u8;
@@

 	u8 tile_mask = 0;
+	bool invalid;
 	int ret = 0;
 	u8 id;

@depends on patch@
@@

-	WARN_ON_ONCE(!mmu_interval_check_retry(&to_userptr_vma(vma)->userptr.notifier, to_userptr_vma(vma)->userptr.pages.notifier_seq));
+	invalid = drm_gpusvm_pages_invalidated(&to_userptr_vma(vma)->userptr.pages,
+					       &to_userptr_vma(vma)->userptr.notifier,
+					       xe_vma_userptr(vma),
+					       xe_vma_size(vma));
+	WARN_ON_ONCE(!invalid);

@depends on patch@
@@

-	to_userptr_vma(vma)->userptr.notifier.mm
+	smmu_inval_interval_notifier(&to_userptr_vma(vma)->userptr.notifier)->mm

@depends on patch@
@@

-	uvma->userptr.notifier.mm
+	smmu_inval_interval_notifier(&uvma->userptr.notifier)->mm

// The type of what is left: parameters.

@depends on patch@
@@

-struct mmu_notifier_range
+struct smmu_inval_span
