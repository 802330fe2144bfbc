// SPDX-License-Identifier: GPL-2.0-only
///
/// The NPU driver's user mappings on smmu_inval: an instance for each mapping of a
/// buffer, under the device's notifier_lock. The wait for jobs is a flush in two phases:
/// all buffers of a process are marked before the first of them is waited for, and a
/// signal does not end the wait any more, as core mm is about to free the pages.
///
// Confidence: Moderate
// Options: --no-includes --include-headers
// Keywords: smmu_inval, mmu_interval_notifier, hmm_range_fault, amdxdna
// Flavours: x86-7.3-drivers
// Converts: drivers/accel/amdxdna/amdxdna_gem.c 7.3
// Changes: drivers/accel/amdxdna/amdxdna_gem.h drivers/accel/amdxdna/amdxdna_gem.c
// Changes: drivers/accel/amdxdna/amdxdna_pci_drv.h drivers/accel/amdxdna/aie2_pci.h
// Changes: drivers/accel/amdxdna/aie2_ctx.c drivers/accel/amdxdna/aie2_pci.c
// Leaves-no: mmu_interval_|mmu_notifier_range|mapp->notifier
//

virtual patch

@depends on patch@
typedef bool;
typedef u64;
@@

 #include <linux/hmm.h>
+#include <linux/smmu_inval.h>

@depends on patch@
@@

 struct amdxdna_umap {
-	struct mmu_interval_notifier	notifier;
+	struct smmu_inval		inval;
+	struct smmu_inval_interval	interval;
+	struct mm_struct		*mm;
+	/* Of the last flush that was asked for. */
+	u64				ticket;
 	...
 };

// Jobs that use the buffer

@depends on patch@
@@

 struct amdxdna_dev_ops {
 	...
-	void (*hmm_invalidate)(struct amdxdna_gem_obj *abo, unsigned long cur_seq);
+	void (*hmm_wait)(struct amdxdna_gem_obj *abo);
 	...
 };

@depends on patch@
@@

-void aie2_hmm_invalidate(struct amdxdna_gem_obj *abo, unsigned long cur_seq);
+void aie2_hmm_wait(struct amdxdna_gem_obj *abo);

@depends on patch@
identifier ops;
@@

 struct amdxdna_dev_ops ops = {
-	.hmm_invalidate = aie2_hmm_invalidate,
+	.hmm_wait = aie2_hmm_wait,
 };

@depends on patch@
symbol abo, cur_seq, true, false, ret, xdna, gobj;
expression E1;
@@

-void aie2_hmm_invalidate(struct amdxdna_gem_obj *abo, unsigned long cur_seq)
+void aie2_hmm_wait(struct amdxdna_gem_obj *abo)
 {
 	...
 	ret = dma_resv_wait_timeout(gobj->resv, DMA_RESV_USAGE_BOOKKEEP,
-				    true,
+				    false,
 				    E1);
-	if (!ret)
+	if (ret <= 0)
 		XDNA_ERR(...);
-	else if (ret == -ERESTARTSYS)
-		XDNA_DBG(...);
 }

// Faults

@depends on patch@
symbol mapp, mm, timeout, put_mm;
@@

 aie2_populate_range(...)
 {
+	struct smmu_inval_cookie cookie;
 	...
-	unsigned long timeout;
+	unsigned long deadline;
 	...
-	timeout = msecs_to_jiffies(HMM_RANGE_DEFAULT_TIMEOUT);
+	deadline = jiffies + msecs_to_jiffies(HMM_RANGE_DEFAULT_TIMEOUT);
 	... when any
 }

@depends on patch@
@@

 aie2_populate_range(...)
 {
 	<...
-	mm = mapp->notifier.mm;
+	mm = mapp->mm;
 	...>
 }

@depends on patch@
@@

-	ret = hmm_range_fault_unlocked_timeout(&mapp->range, timeout);
+	/* HMM does not see invalidations, so the limit is here. */
+	ret = -EBUSY;
+	if (time_after(jiffies, deadline))
+		goto put_mm;
+	ret = smmu_inval_interval_wait(&mapp->interval, mapp->range.start,
+				       mapp->range.end - 1);
+	if (ret)
+		goto put_mm;
+	cookie = smmu_inval_interval_read_begin(&mapp->interval);
+	ret = hmm_range_fault_unlocked_timeout(&mapp->range, 0);

@depends on patch@
@@

-	mmu_interval_read_retry(&mapp->notifier, mapp->range.notifier_seq)
+	smmu_inval_interval_read_retry(&mapp->interval, cookie,
+				       mapp->range.start, mapp->range.end - 1)

@depends on patch@
@@

 aie2_populate_range(...)
 {
 	<...
 	mapp->invalid = false;
+	deadline = jiffies + msecs_to_jiffies(HMM_RANGE_DEFAULT_TIMEOUT);
 	...>
 }

// Invalidations

@depends on patch@
@@

-static bool amdxdna_hmm_invalidate(...)
-{
-	...
-}

@depends on patch@
symbol amdxdna_hmm_ops;
@@

-static const struct mmu_interval_notifier_ops amdxdna_hmm_ops = { ... };
+static void amdxdna_umap_zap(struct smmu_inval *si,
+			     struct smmu_inval_batch *batch,
+			     const struct smmu_inval_span *span)
+{
+	struct amdxdna_umap *mapp = container_of(si, struct amdxdna_umap, inval);
+	struct amdxdna_gem_obj *abo = mapp->abo;
+	struct amdxdna_dev *xdna = to_xdna_dev(to_gobj(abo)->dev);
+
+	abo->mem.map_invalid = true;
+	mapp->invalid = true;
+	if ((span->events & BIT(SMMU_INVAL_UNMAP)) && !mapp->unmapped) {
+		queue_work(xdna->notifier_wq, &mapp->hmm_unreg_work);
+		mapp->unmapped = true;
+	}
+	smmu_inval_changed(batch, span->start, span->last,
+			   __ffs(span->events));
+}
+
+/* The NPU lets go of the pages when the jobs are over that use the buffer. */
+static u64 amdxdna_umap_flush_issue(struct smmu_inval *si,
+				    const struct smmu_inval_flush *flush)
+{
+	struct amdxdna_umap *mapp = container_of(si, struct amdxdna_umap, inval);
+
+	return ++mapp->ticket;
+}
+
+static void amdxdna_umap_flush_wait(struct smmu_inval *si, u64 ticket)
+{
+	struct amdxdna_umap *mapp = container_of(si, struct amdxdna_umap, inval);
+	struct amdxdna_gem_obj *abo = mapp->abo;
+	struct amdxdna_dev *xdna = to_xdna_dev(to_gobj(abo)->dev);
+
+	if (xdna->dev_info->ops->hmm_wait)
+		xdna->dev_info->ops->hmm_wait(abo);
+}
+
+static void amdxdna_umap_flush(struct smmu_inval *si,
+			       const struct smmu_inval_flush *flush)
+{
+	amdxdna_umap_flush_wait(si, amdxdna_umap_flush_issue(si, flush));
+}
+
+static const struct smmu_inval_ops amdxdna_umap_ops = {
+	.zap = amdxdna_umap_zap,
+	.flush = amdxdna_umap_flush,
+	.flush_issue = amdxdna_umap_flush_issue,
+	.flush_wait = amdxdna_umap_flush_wait,
+};

@depends on patch@
symbol mm;
@@

 compare_range(...)
 {
 	<...
-	mapp->notifier.mm
+	mapp->mm
 	...>
 }

@depends on patch@
@@

 amdxdna_umap_release(...)
 {
 	...
-	mmu_interval_notifier_remove(&mapp->notifier);
+	smmu_inval_interval_remove(&mapp->interval);
+	smmu_inval_destroy(&mapp->inval);
 	...
 }

@depends on patch@
symbol xdna, abo, vma, addr, len, current, free_pfns, ret;
@@

 amdxdna_hmm_register(...)
 {
+	struct smmu_inval_config config = {
+		SMMU_INVAL_OBJECT_CONFIG_DEFAULTS,
+		.name = "amdxdna",
+		.zap_sleeps = true,
+	};
 	...
-	ret = mmu_interval_notifier_insert_locked(&mapp->notifier, current->mm,
-						  addr, len, &amdxdna_hmm_ops);
-	if (ret) {
-		XDNA_ERR(xdna, "Insert mmu notifier failed, ret %d", ret);
-		goto free_pfns;
-	}
-
-	mapp->range.notifier = &mapp->notifier;
+	mapp->mm = current->mm;
+	mapp->range.notifier = smmu_inval_interval_notifier(&mapp->interval);
 	mapp->range.start = vma->vm_start;
 	...
-	INIT_WORK(&mapp->hmm_unreg_work, amdxdna_hmm_unreg_work);
+	INIT_WORK(&mapp->hmm_unreg_work, amdxdna_hmm_unreg_work);
+
+	/* Last, since it may be called at once. */
+	config.lock = SMMU_INVAL_LOCK(&xdna->notifier_lock);
+	ret = smmu_inval_init(&mapp->inval, &amdxdna_umap_ops, &config);
+	if (ret)
+		goto free_pfns;
+	ret = smmu_inval_interval_insert_locked(&mapp->interval, &mapp->inval,
+						mapp->mm, addr, addr + len - 1,
+						1);
+	if (ret) {
+		XDNA_ERR(xdna, "Insert mmu notifier failed, ret %d", ret);
+		smmu_inval_destroy(&mapp->inval);
+		goto free_pfns;
+	}
 	...
 }
