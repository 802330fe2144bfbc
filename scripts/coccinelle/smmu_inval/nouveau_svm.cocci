// SPDX-License-Identifier: GPL-2.0-only
///
/// nouveau's SVM on smmu_inval: one instance and one interval for each address space.
/// It takes the place of two notifiers for the same thing, a start callback without an
/// end, and an interval inserted and removed for each fault, whose order in core mm the
/// driver relied on. A fault that maps a huge page around the one it asked for checks
/// the huge page; and when the process exits the GPU's mappings go at once.
///
// Confidence: Moderate
// Options: --no-includes --include-headers
// Keywords: smmu_inval, nouveau, hmm, svm
// Flavours: x86-7.3-drivers
// Converts: drivers/gpu/drm/nouveau/nouveau_svm.c 7.3
// Changes: drivers/gpu/drm/nouveau/nouveau_svm.h drivers/gpu/drm/nouveau/nouveau_svm.c
// Leaves-no: mmu_interval_|mmu_notifier|svm_notifier|[^_]notifier_seq
//

virtual patch

// nouveau_svm.h

@depends on patch@
@@

-#include <linux/mmu_notifier.h>
+#include <linux/smmu_inval.h>

@depends on patch@
symbol notifier, vmm;
@@

 struct nouveau_svmm {
-	struct mmu_notifier notifier;
+	struct smmu_inval si;
+	struct smmu_inval_interval ival;
+	struct mm_struct *mm;
 	struct nouveau_vmm *vmm;
 	...
 };

// The callback: zap. The owner is the library's to compare.

@zap depends on patch@
symbol mn, update;
typedef u64;
@@

-int
-nouveau_svmm_invalidate_range_start(struct mmu_notifier *mn,
-				    const struct mmu_notifier_range *update)
+void
+nouveau_svmm_zap(struct smmu_inval *si, struct smmu_inval_batch *batch,
+		 const struct smmu_inval_span *span)
 {
 	...
 }

@depends on zap@
identifier out;
@@

 nouveau_svmm_zap(...)
 {
 	<...
-	goto out;
+	return;
 	...>
 }

@depends on zap@
symbol svmm;
@@

-	container_of(mn, struct nouveau_svmm, notifier)
+	container_of(si, struct nouveau_svmm, si)

@depends on zap@
@@

-	update->start
+	span->start

@depends on zap@
@@

-	update->end
+	span->last + 1

@depends on zap@
symbol EAGAIN;
@@

-	if (!mmu_notifier_range_blockable(update))
-		return -EAGAIN;
-

@depends on zap@
symbol mutex;
@@

-	mutex_lock(&svmm->mutex);
 	if (unlikely(!svmm->vmm))
 		return;

@depends on zap@
symbol MMU_NOTIFY_MIGRATE, cli, drm, dev, event, owner;
@@

-	if (update->event == MMU_NOTIFY_MIGRATE &&
-	    update->owner == svmm->vmm->cli->drm->dev)
-		return;
-

@depends on zap@
identifier out;
symbol start, limit;
@@

 	nouveau_svmm_invalidate(svmm, start, limit);
-
-out:
-	mutex_unlock(&svmm->mutex);
-	return 0;

@depends on zap@
@@

 nouveau_svmm_zap(...)
 {
 	...
 	nouveau_svmm_invalidate(svmm, start, limit);
+	smmu_inval_changed(batch, span->start, span->last,
+			   __ffs(span->events));
 }

@depends on patch@
@@

-static void nouveau_svmm_free_notifier(...)
-{
-	...
-}

@depends on zap@
symbol nouveau_mn_ops, nouveau_svm_mni_ops;
@@

-static const struct mmu_notifier_ops nouveau_mn_ops = { ... };
+/* NVIF_VMM_V0_PFNCLR also flushes the TLB, and waits for that. */
+static void
+nouveau_svmm_flush(struct smmu_inval *si, const struct smmu_inval_flush *flush)
+{
+}
+
+static const struct smmu_inval_ops nouveau_svmm_ops = {
+	.zap = nouveau_svmm_zap,
+	.flush = nouveau_svmm_flush,
+};

// An address space begins and ends.

@depends on patch@
@@

-	mmu_notifier_put(&svmm->notifier);
+	smmu_inval_interval_remove(&svmm->ival);
+	smmu_inval_destroy(&svmm->si);
+	kfree(svmm);

@init depends on patch@
symbol current, ret, args, data, cookie;
identifier out_mm_unlock;
@@

 	mmap_write_lock(current->mm);
+	ret = smmu_inval_interval_insert_locked(&svmm->ival, &svmm->si,
+						current->mm, 0, ULONG_MAX, 16);
+	if (ret)
+		goto out_mm_unlock;
+
+	cli->svm.svmm = svmm;
-	svmm->notifier.ops = &nouveau_mn_ops;
-	ret = __mmu_notifier_register(&svmm->notifier, current->mm);
-	if (ret)
-		goto out_mm_unlock;
-	cli->svm.svmm = svmm;

@depends on init@
@@

 nouveau_svmm_init(...)
 {
 	...
 	struct drm_nouveau_svm_init *args = data;
+	struct smmu_inval_config cfg = {
+		SMMU_INVAL_CONFIG_DEFAULTS,
+		.name = "nouveau_svm",
+		.owner = cli->drm->dev,
+		.zap_sleeps = true,
+	};
 	int ret;
 	...
 }

@depends on init@
@@

 	mutex_unlock(&cli->mutex);
+	smmu_inval_destroy(&svmm->si);
 	kfree(svmm);

@depends on init@
identifier out;
symbol svm;
@@

 	mutex_init(&svmm->mutex);
+	svmm->mm = current->mm;

 	mutex_lock(&cli->mutex);
 	if (cli->svm.cli) {
 		...
 		goto out;
 	}
+
+	cfg.lock = SMMU_INVAL_LOCK(&svmm->mutex);
+	ret = smmu_inval_init(&svmm->si, &nouveau_svmm_ops, &cfg);
+	if (ret)
+		goto out;

// The faults.

@depends on patch@
@@

-struct svm_notifier {
-	...
-};

@depends on patch@
typedef bool;
@@

-static bool nouveau_svm_range_invalidate(...)
-{
-	...
-}

@depends on patch@
@@

-static const struct mmu_interval_notifier_ops nouveau_svm_mni_ops = { ... };

@depends on patch@
typedef u32;
symbol size, hmm_flags, mm;
@@

 nouveau_range_fault(struct nouveau_svmm *svmm, struct nouveau_drm *drm,
	struct nouveau_pfnmap_args *args, u32 size, unsigned long hmm_flags
-	, struct svm_notifier *notifier
 ) { ... }

@depends on patch@
@@

 nouveau_atomic_range_fault(struct nouveau_svmm *svmm, struct nouveau_drm *drm,
	struct nouveau_pfnmap_args *args, u32 size
-	, struct svm_notifier *notifier
 ) { ... }

@depends on patch@
identifier f =~ "^nouveau_(atomic_)?range_fault$";
expression list[n] es;
@@

 f(es
-	, &notifier
 )

@depends on patch@
@@

-	struct svm_notifier notifier;

@depends on patch@
@@

-	notifier.svmm = svmm;

@depends on patch@
@@

-	svmm->notifier.mm
+	svmm->mm

@depends on patch@
expression E;
@@

-	ret = mmu_interval_notifier_insert(&notifier->notifier, mm,
-					   args->p.addr, args->p.size, E);
-	if (ret)
-		return ret;

@depends on patch@
identifier f =~ "^nouveau_(atomic_)?range_fault$";
identifier out;
expression E;
constant C;
@@

 f(...)
 {
 	<...
-	if (E) {
-		ret = -C;
-		goto out;
-	}
+	if (E)
+		return -C;
 	...>
 }

@depends on patch@
identifier f =~ "^nouveau_(atomic_)?range_fault$";
identifier out;
@@

 f(...)
 {
 	<...
-	goto out;
+	return ret;
 	...>
 }

@depends on patch@
identifier out;
@@

-out:
-	mmu_interval_notifier_remove(&notifier->notifier);
 	return ret;

@depends on patch@
symbol folio, notifier_seq, p, addr;
@@

-	unsigned long notifier_seq;
-	int ret = 0;
+	unsigned long last = start + PAGE_SIZE - 1;
+	struct smmu_inval_cookie cookie;
+	int ret;

@depends on patch@
@@

-	notifier_seq = mmu_interval_read_begin(&notifier->notifier);
+	ret = smmu_inval_interval_wait(&svmm->ival, start, last);
+	if (ret)
+		return ret;
+	cookie = smmu_inval_interval_read_begin(&svmm->ival);

@depends on patch@
@@

-	if (!mmu_interval_read_retry(&notifier->notifier, notifier_seq))
+	if (!smmu_inval_interval_read_retry(&svmm->ival, cookie, start, last))
 		break;

@depends on patch@
symbol hmm_pfns, range;
@@

 nouveau_range_fault(...)
 {
 	...
 	struct hmm_range range = {
-		.notifier = &notifier->notifier,
+		.notifier = smmu_inval_interval_notifier(&svmm->ival),
 		...,
 	};
-	struct mm_struct *mm = svmm->mm;
-	int ret;
+	struct smmu_inval_cookie cookie;
+	unsigned long start;
+	unsigned long last;
+	int ret;
 	...
 }

@depends on patch@
@@

-	notifier->notifier.interval_tree.start
+	args->p.addr

@depends on patch@
@@

-	notifier->notifier.interval_tree.last + 1
+	range.start + args->p.size

@depends on patch@
@@

 	range.end = range.start + args->p.size;
+	start = range.start;
+	last = range.end - 1;

// What is mapped may be a huge page, larger than what was asked for.

@depends on patch@
symbol remaining, timeout, jiffies;
@@

+	ret = smmu_inval_interval_wait(&svmm->ival, start, last);
+	if (ret)
+		return ret;
+	cookie = smmu_inval_interval_read_begin(&svmm->ival);
 	ret = hmm_range_fault_unlocked_timeout(&range, remaining);
 	if (ret)
 		return ret;
 	mutex_lock(&svmm->mutex);
+	args->p.addr = range.start;
+	args->p.page = PAGE_SHIFT;
+	args->p.size = PAGE_SIZE;
+	nouveau_hmm_convert_pfn(drm, &range, args);
+	start = args->p.addr;
+	last = start + args->p.size - 1;
-	if (mmu_interval_read_retry(range.notifier, range.notifier_seq)) {
+	if (smmu_inval_interval_read_retry(&svmm->ival, cookie, start, last)) {
 		mutex_unlock(&svmm->mutex);
 		continue;
 	}

@depends on patch@
@@

-	nouveau_hmm_convert_pfn(drm, &range, args);
 	ret = nvif_object_ioctl(&svmm->vmm->vmm.object, args, size, NULL);
