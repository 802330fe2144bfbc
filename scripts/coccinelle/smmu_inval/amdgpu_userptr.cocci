// SPDX-License-Identifier: GPL-2.0-only
///
/// amdgpu's userptr BOs on smmu_inval: an instance for each, under the lock that the
/// callback took: the device's, or that of the KFD process. It is allocated for BOs that
/// have user pages only, where each BO had room for a notifier. The wait for the BO's
/// fences is the flush. Ranges of KFD's SVM (kfd_svm.c) keep their own notifiers, and
/// share struct amdgpu_hmm_range.
///
// Confidence: Moderate
// Options: --no-includes --include-headers
// Keywords: smmu_inval, amdgpu, amdkfd, hmm, userptr
// Flavours: x86-7.3-drivers
// Converts: drivers/gpu/drm/amd/amdgpu/amdgpu_hmm.c 7.3
// Changes: drivers/gpu/drm/amd/amdgpu/amdgpu_object.h
// Changes: drivers/gpu/drm/amd/amdgpu/amdgpu_hmm.h
// Changes: drivers/gpu/drm/amd/amdgpu/amdgpu_hmm.c
// Changes: drivers/gpu/drm/amd/amdgpu/amdgpu_ttm.c
// Changes: drivers/gpu/drm/amd/amdgpu/amdgpu_amdkfd.h
// Changes: drivers/gpu/drm/amd/amdgpu/amdgpu_amdkfd_gpuvm.c
// Leaves-no: mmu_interval_notifier_(insert|remove|ops)|mmu_notifier_range|bo->notifier
// Leaves-no: cur_seq
//

virtual patch

// amdgpu_object.h

@depends on patch@
symbol notifier;
@@

 struct amdgpu_bo {
 	...
-	struct mmu_interval_notifier notifier;
+	struct amdgpu_userptr *userptr;
 	...
 };

// amdgpu_hmm.h

@depends on patch@
@@

 #include <linux/interval_tree.h>
+#include <linux/smmu_inval.h>

@depends on patch@
symbol bo, hmm_range;
@@

+/* What a BO has while it follows user pages. */
+struct amdgpu_userptr {
+	struct smmu_inval si;
+	struct smmu_inval_interval ival;
+	struct amdgpu_bo *bo;
+};
+
+static inline struct mm_struct *
+amdgpu_userptr_mm(struct amdgpu_userptr *userptr)
+{
+	return smmu_inval_interval_notifier(&userptr->ival)->mm;
+}
+
 struct amdgpu_hmm_range {
 	struct hmm_range hmm_range;
 	struct amdgpu_bo *bo;
+	/* For the pages of a BO; NULL if hmm_range.notifier knows. */
+	struct smmu_inval_interval *ival;
+	struct smmu_inval_cookie cookie;
 };

// amdgpu_hmm.c: the callbacks

@depends on patch@
typedef bool;
@@

-static bool amdgpu_hmm_invalidate_gfx(...)
-{
-	...
-}

@depends on patch@
symbol amdgpu_hmm_gfx_ops, amdgpu_hmm_hsa_ops;
@@

-static const struct mmu_interval_notifier_ops amdgpu_hmm_gfx_ops = { ... };
+static void amdgpu_hmm_zap_gfx(struct smmu_inval *si,
+			       struct smmu_inval_batch *batch,
+			       const struct smmu_inval_span *span)
+{
+	struct amdgpu_userptr *userptr =
+		container_of(si, struct amdgpu_userptr, si);
+
+	amdgpu_vm_bo_invalidate(userptr->bo, false);
+	smmu_inval_changed(batch, span->start, span->last,
+			   __ffs(span->events));
+}
+
+/*
+ * Block for operations on BOs to finish and mark pages as accessed and
+ * potentially dirty.
+ */
+static void amdgpu_hmm_flush_gfx(struct smmu_inval *si,
+				 const struct smmu_inval_flush *flush)
+{
+	struct amdgpu_bo *bo = container_of(si, struct amdgpu_userptr, si)->bo;
+	long r;
+
+	r = dma_resv_wait_timeout(bo->parent->tbo.base.resv,
+				  DMA_RESV_USAGE_BOOKKEEP, false,
+				  MAX_SCHEDULE_TIMEOUT);
+	if (r <= 0)
+		DRM_ERROR("(%ld) failed to wait for user bo\n", r);
+}
+
+static const struct smmu_inval_ops amdgpu_hmm_gfx_ops = {
+	.zap = amdgpu_hmm_zap_gfx,
+	.flush = amdgpu_hmm_flush_gfx,
+};

@depends on patch@
@@

-static bool amdgpu_hmm_invalidate_hsa(...)
-{
-	...
-}

@depends on patch@
@@

-static const struct mmu_interval_notifier_ops amdgpu_hmm_hsa_ops = { ... };
+/*
+ * We temporarily evict the BO attached to this range. This necessitates
+ * evicting all user-mode queues of the process.
+ */
+static void amdgpu_hmm_zap_hsa(struct smmu_inval *si,
+			       struct smmu_inval_batch *batch,
+			       const struct smmu_inval_span *span)
+{
+	struct amdgpu_userptr *userptr =
+		container_of(si, struct amdgpu_userptr, si);
+
+	amdgpu_amdkfd_evict_userptr(amdgpu_userptr_mm(userptr),
+				    userptr->bo->kfd_bo);
+	smmu_inval_changed(batch, span->start, span->last,
+			   __ffs(span->events));
+}
+
+/* The queues are off the hardware: nobody is left who could use a TLB. */
+static void amdgpu_hmm_flush_hsa(struct smmu_inval *si,
+				 const struct smmu_inval_flush *flush)
+{
+}
+
+static const struct smmu_inval_ops amdgpu_hmm_hsa_ops = {
+	.zap = amdgpu_hmm_zap_hsa,
+	.flush = amdgpu_hmm_flush_hsa,
+};

// amdgpu_hmm.c: a BO begins to follow its pages, and no longer does

@depends on patch@
symbol r, addr;
@@

 amdgpu_hmm_register(struct amdgpu_bo *bo, unsigned long addr)
 {
-	int r;
-	if (bo->kfd_bo)
-		r = mmu_interval_notifier_insert(...);
-	else
-		r = mmu_interval_notifier_insert(...);
-	if (r)
-		bo->notifier.mm = NULL;
-
+	const struct smmu_inval_ops *ops = &amdgpu_hmm_gfx_ops;
+	struct smmu_inval_config cfg = {
+		.name = "amdgpu_userptr",
+		.lock = SMMU_INVAL_LOCK(&amdgpu_ttm_adev(bo->tbo.bdev)->notifier_lock),
+		.start = addr & PAGE_MASK,
+		.last = (addr + amdgpu_bo_size(bo) - 1) | ~PAGE_MASK,
+		.page_shift = PAGE_SHIFT,
+		.nr_history = 1,
+		.flush_spans = 1,
+		.zap_sleeps = true,
+		.shared_stats = true,
+	};
+	struct amdgpu_userptr *userptr;
+	int r;
+
+	if (bo->kfd_bo) {
+		ops = &amdgpu_hmm_hsa_ops;
+		cfg.lock = SMMU_INVAL_LOCK(&bo->kfd_bo->process_info->notifier_lock);
+	}
+	userptr = kzalloc_obj(*userptr);
+	if (!userptr)
+		return -ENOMEM;
+	userptr->bo = bo;
+	r = smmu_inval_init(&userptr->si, ops, &cfg);
+	if (!r)
+		r = smmu_inval_interval_insert(&userptr->ival, &userptr->si,
+					       current->mm, cfg.start,
+					       cfg.last, 1);
+	if (r) {
+		smmu_inval_destroy(&userptr->si);
+		kfree(userptr);
+		return r;
+	}
+	bo->userptr = userptr;
 	return r;
 }

@depends on patch@
symbol mm;
@@

 amdgpu_hmm_unregister(struct amdgpu_bo *bo)
 {
-	if (!bo->notifier.mm)
-		return;
-	mmu_interval_notifier_remove(&bo->notifier);
-	bo->notifier.mm = NULL;
+	struct amdgpu_userptr *userptr = bo->userptr;
+
+	if (!userptr)
+		return;
+	bo->userptr = NULL;
+	smmu_inval_interval_remove(&userptr->ival);
+	smmu_inval_destroy(&userptr->si);
+	kfree(userptr);
 }

@depends on patch@
symbol range, notifier_seq;
@@

 amdgpu_hmm_range_valid(...)
 {
 	...
+	if (range->ival)
+		return !smmu_inval_interval_read_retry(range->ival,
+						       range->cookie,
+						       range->hmm_range.start,
+						       range->hmm_range.end - 1);
 	return !mmu_interval_read_retry(...);
 }

// amdgpu_ttm.c: the fault

@depends on patch@
symbol gtt, ttm, start, readonly, userptr;
typedef u64;
@@

 amdgpu_ttm_tt_get_user_pages(...)
 {
 	...
 	unsigned long start = gtt->userptr;
+	u64 last = start + (u64)ttm->num_pages * PAGE_SIZE - 1;
+	struct amdgpu_userptr *userptr = bo->userptr;
+	struct smmu_inval_interval *ival;
 	...
-	mm = bo->notifier.mm;
-	if (unlikely(!mm)) {
+	if (unlikely(!userptr)) {
 		...
 	}
+	mm = amdgpu_userptr_mm(userptr);
 	if (!mmget_not_zero(mm))
 		return ...;
+	ival = &userptr->ival;
+	r = smmu_inval_interval_wait(ival, start, last);
+	if (r) {
+		mmput(mm);
+		return r;
+	}
+	range->ival = ival;
+	range->cookie = smmu_inval_interval_read_begin(ival);
 	mmap_read_lock(mm);
 	...
-	r = amdgpu_hmm_range_get_pages(&bo->notifier, start, ttm->num_pages, readonly, NULL, range);
+	r = amdgpu_hmm_range_get_pages(smmu_inval_interval_notifier(ival),
+				       start, ttm->num_pages, readonly, NULL,
+				       range);
 	...
 }

// amdgpu_amdkfd: the lock and the sequence are the library's

@depends on patch@
symbol mni, cur_seq, mem, process_info, notifier_lock;
@@

 amdgpu_amdkfd_evict_userptr(
-	struct mmu_interval_notifier *mni, unsigned long cur_seq, struct kgd_mem *mem
+	struct mm_struct *mm, struct kgd_mem *mem
 ) { ... }

@depends on patch@
@@

-	mutex_lock(&process_info->notifier_lock);
-	mmu_interval_set_seq(mni, cur_seq);
+	lockdep_assert_held(&process_info->notifier_lock);

@depends on patch@
@@

 amdgpu_amdkfd_evict_userptr(...)
 {
 	<...
-	mni->mm
+	mm
 	...>
 }

@depends on patch@
@@

 amdgpu_amdkfd_evict_userptr(...)
 {
 	...
-	mutex_unlock(&process_info->notifier_lock);
 	return r;
 }
