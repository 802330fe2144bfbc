// SPDX-License-Identifier: GPL-2.0-only
///
/// Have lib/test_hmm.c follow the mirrored process through smmu_inval: one
/// instance for each open file, with the file's mutex as its lock, and one
/// interval for all of the process. For Linux 6.12 and 7.3.
///
/// What a driver gets by it, and this one does: a fault is only sent back by an
/// invalidation that overlaps it; a migration by the driver itself is seen by
/// faults in flight; pages are made exclusive only if nothing changed meanwhile.
///
/// Not converted: dmirror_migrate_finalize_and_map() maps, as before, without asking
/// whether an invalidation came since migrate_vma_setup(). It could, with
/// cookie.own, and a driver whose engines fault should. But in 7.3
/// migrate_vma_pages() splits huge pages, which is an invalidation without an
/// owner, and HMM_DMIRROR_MIGRATE_TO_DEV promises to have mapped what it moved:
/// four of hmm-tests fail if it is not.
///
// Confidence: High
// Options: --no-includes --include-headers
// Converts: lib/test_hmm.c 6.12 7.3
// Keywords: smmu_inval, mmu_interval_notifier, hmm_range_fault
// Leaves-no: mmu_interval_|mmu_notifier_range|dmirror_interval\>
// Leaves-no: make_device_exclusive(_range)?\([^;]*\<NULL\>
// Leaves-no: ^ *xa_erase\(&dmirror->pt, addr
// Leaves-no: dmirror->notifier|notifier_seq
//

virtual patch

@depends on patch@
typedef bool;
@@

-#include <linux/mmu_notifier.h>
+#include <linux/smmu_inval.h>

// What belongs to an open file

@depends on patch@
@@

-struct dmirror_interval {
-	...
-};

@depends on patch@
@@

 struct dmirror {
 	...
-	struct mmu_interval_notifier notifier;
+	struct mm_struct		*mm;
+	struct smmu_inval		si;
+	struct smmu_inval_interval	interval;
 	...
 };

@depends on patch@
symbol dmirror_min_ops, dmirror_mrn_ops;
@@

-static const struct mmu_interval_notifier_ops dmirror_min_ops;
+static const struct smmu_inval_ops dmirror_min_ops;

@depends on patch@
symbol dmirror, ret, current;
@@

 dmirror_fops_open(...)
 {
+	struct smmu_inval_config config = {
+		SMMU_INVAL_CONFIG_DEFAULTS,
+		.name = "dmirror",
+	};
 	...
-	ret = mmu_interval_notifier_insert(&dmirror->notifier, current->mm,
-				0, ULONG_MAX & PAGE_MASK, &dmirror_min_ops);
-	if (ret) {
-		kfree(dmirror);
-		return ret;
-	}
+	config.lock = SMMU_INVAL_LOCK(&dmirror->mutex);
+	/* Its own migrations are handled where it migrates. */
+	config.owner = dmirror->mdevice;
+	ret = smmu_inval_init(&dmirror->si, &dmirror_min_ops, &config);
+	if (ret)
+		goto err_free;
+
+	dmirror->mm = current->mm;
+	mmgrab(dmirror->mm);
+	ret = smmu_inval_interval_insert(&dmirror->interval, &dmirror->si,
+					 dmirror->mm, 0, ULONG_MAX,
+					 DMIRROR_RECORDS);
+	if (ret)
+		goto err_drop;

 	filp->private_data = dmirror;
 	return 0;
+
+err_drop:
+	mmdrop(dmirror->mm);
+	smmu_inval_destroy(&dmirror->si);
+err_free:
+	kfree(dmirror);
+	return ret;
 }

@depends on patch@
@@

 #define DMIRROR_RANGE_FAULT_TIMEOUT 1000
+/* How many invalidations a fault can tell apart. */
+#define DMIRROR_RECORDS			64

@depends on patch@
@@

 dmirror_fops_release(...)
 {
 	...
-	mmu_interval_notifier_remove(&dmirror->notifier);
+	smmu_inval_interval_remove(&dmirror->interval);
 	...
+	smmu_inval_destroy(&dmirror->si);
 	xa_destroy(&dmirror->pt);
+	mmdrop(dmirror->mm);
 	kfree(dmirror);
 	...
 }

// What core mm calls

@depends on patch@
@@

+static void dmirror_unmap_page(struct dmirror *dmirror, unsigned long addr)
+{
+	unsigned long pfn = addr >> PAGE_SHIFT;
+
+	/* The page is about to be copied: the device has to let go of it. */
+	guard(mutex)(&dmirror->mutex);
+	CLASS(smmu_inval_batch, batch)(&dmirror->si);
+
+	if (xa_erase(&dmirror->pt, pfn))
+		smmu_inval_changed(&batch, addr, addr + PAGE_SIZE - 1,
+				   SMMU_INVAL_MIGRATE);
+}
+
 static int dmirror_do_fault(struct dmirror *dmirror, struct hmm_range *range)
 {
 	...
 }

@depends on patch@
@@

+static void dmirror_flush(struct smmu_inval *si,
+			  const struct smmu_inval_flush *flush)
+{
+	struct dmirror *dmirror = container_of(si, struct dmirror, si);
+
+	/* No TLB: each access goes through the XArray, with this held. */
+	lockdep_assert_held(&dmirror->mutex);
+}
+
 static int dmirror_do_fault(struct dmirror *dmirror, struct hmm_range *range)
 {
 	...
 }

@depends on patch@
iterator name xa_for_each_range;
expression table, pfn, entry;
symbol start, end;
@@

-static void dmirror_do_update(struct dmirror *dmirror, unsigned long start,
-			      unsigned long end)
+static void dmirror_zap(struct smmu_inval *si, struct smmu_inval_batch *batch,
+			const struct smmu_inval_span *span)
 {
+	struct dmirror *dmirror = container_of(si, struct dmirror, si);
 	...
 	xa_for_each_range(table, pfn, entry,
-			  start >> PAGE_SHIFT, end >> PAGE_SHIFT)
-		xa_erase(table, pfn);
+			  span->start >> PAGE_SHIFT, span->last >> PAGE_SHIFT) {
+		u64 addr = (u64)pfn << PAGE_SHIFT;
+
+		xa_erase(table, pfn);
+		smmu_inval_changed(batch, addr, addr + PAGE_SIZE - 1,
+				   __ffs(span->events));
+	}
 }

@depends on patch@
@@

-static bool dmirror_interval_invalidate(...)
-{
-	...
-}

@depends on patch@
@@

-static const struct mmu_interval_notifier_ops dmirror_min_ops = { ... };
+static const struct smmu_inval_ops dmirror_min_ops = {
+	.zap = dmirror_zap,
+	.flush = dmirror_flush,
+};

@depends on patch@
@@

-static bool dmirror_snapshot_invalidate(...)
-{
-	...
-}

@depends on patch@
@@

-static const struct mmu_interval_notifier_ops dmirror_mrn_ops = { ... };

// Faults

@depends on patch@
symbol range, out, true;
@@

 dmirror_range_fault(...)
 {
+	struct smmu_inval_interval *ival = &dmirror->interval;
+	u64 last = range->end - 1;
+	struct smmu_inval_cookie cookie;
 	...
 	while (true) {
 		...
-		range->notifier_seq = mmu_interval_read_begin(range->notifier);
+		ret = smmu_inval_interval_wait(ival, range->start, last);
+		if (ret)
+			goto out;
+		cookie = smmu_inval_interval_read_begin(ival);
 		...
-		if (ret) {
-			if (ret == -EBUSY)
-				continue;
+		if (ret)
 			goto out;
-		}
 		...
-		if (mmu_interval_read_retry(range->notifier,
-					    range->notifier_seq)) {
+		if (smmu_inval_interval_read_retry(ival, cookie,
+						   range->start, last)) {
 			...
 		}
 		...
 	}
 	...
 }

@depends on patch@
symbol timeout;
@@

 dmirror_range_fault_unlocked(...)
 {
+	unsigned long deadline = jiffies + timeout;
+	struct smmu_inval_interval *ival = &dmirror->interval;
+	u64 last = range->end - 1;
+	struct smmu_inval_cookie cookie;
 	...
 	while (true) {
+		/* HMM does not see invalidations, so the limit is here. */
+		if (timeout && time_after(jiffies, deadline)) {
+			ret = -EBUSY;
+			goto out;
+		}
+
+		ret = smmu_inval_interval_wait(ival, range->start, last);
+		if (ret)
+			goto out;
+		cookie = smmu_inval_interval_read_begin(ival);
 		ret = hmm_range_fault_unlocked_timeout(range, timeout);
 		...
-		if (mmu_interval_read_retry(range->notifier,
-					    range->notifier_seq)) {
+		if (smmu_inval_interval_read_retry(ival, cookie,
+						   range->start, last)) {
 			...
 		}
 		...
 	}
 	...
 }

@depends on patch@
identifier range_of;
@@

 struct hmm_range range_of = {
-	.notifier = &dmirror->notifier,
+	.notifier = smmu_inval_interval_notifier(&dmirror->interval),
 };

@depends on patch@
symbol notifier, mm;
@@

 dmirror_range_snapshot(...)
 {
 	...
-	struct dmirror_interval notifier;
+	u64 last = range->end - 1;
+	struct smmu_inval_interval interval;
+	struct smmu_inval_cookie cookie;
 	...
-	notifier.dmirror = dmirror;
-	range->notifier = &notifier.notifier;
-
-	ret = mmu_interval_notifier_insert(range->notifier, mm,
-			range->start, range->end - range->start,
-			&dmirror_mrn_ops);
+	ret = smmu_inval_interval_insert(&interval, &dmirror->si, mm,
+					 range->start, last, DMIRROR_RECORDS);
 	if (ret)
 		return ret;
+	range->notifier = smmu_inval_interval_notifier(&interval);
 	...
 	while (true) {
 		...
-		range->notifier_seq = mmu_interval_read_begin(range->notifier);
+		ret = smmu_inval_interval_wait(&interval, range->start, last);
+		if (ret)
+			goto out;
+		cookie = smmu_inval_interval_read_begin(&interval);
 		...
-		if (ret) {
-			if (ret == -EBUSY)
-				continue;
+		if (ret)
 			goto out;
-		}
 		...
-		if (mmu_interval_read_retry(range->notifier,
-					    range->notifier_seq)) {
+		if (smmu_inval_interval_read_retry(&interval, cookie,
+						   range->start, last)) {
 			...
 		}
 		...
 	}
 	...
-	mmu_interval_notifier_remove(range->notifier);
+	smmu_inval_interval_remove(&interval);
 	...
 }

// Migration by the driver itself

@depends on patch@
symbol addr, page;
@@

 dmirror_devmem_fault_alloc_and_copy(...)
 {
 	<+...
-	xa_erase(&dmirror->pt, addr >> PAGE_SHIFT);
+	dmirror_unmap_page(dmirror, addr);
 	...+>
 }

// Exclusive access, a page at a time since 7.x

@depends on patch@
@@

 static int dmirror_atomic_map(unsigned long addr, struct page *page,
-		struct dmirror *dmirror)
+		struct dmirror *dmirror, struct smmu_inval_cookie cookie)
 {
 	...
 	mutex_lock(&dmirror->mutex);
+	if (smmu_inval_interval_read_retry(&dmirror->interval, cookie, addr,
+					   addr | ~PAGE_MASK)) {
+		mutex_unlock(&dmirror->mutex);
+		return -EAGAIN;
+	}
 	...
 }

@exclusive_page depends on patch@
symbol cmd, folio;
@@

+static int dmirror_exclusive_page(struct dmirror *dmirror, unsigned long addr)
+{
+	struct smmu_inval_cookie cookie;
+	struct folio *folio;
+	struct page *page;
+	int ret;
+
+	while (true) {
+		ret = smmu_inval_interval_wait(&dmirror->interval, addr,
+					       addr + PAGE_SIZE - 1);
+		if (ret)
+			return ret;
+		cookie = smmu_inval_interval_read_begin(&dmirror->interval);
+
+		mmap_read_lock(dmirror->mm);
+		page = make_device_exclusive(dmirror->mm, addr,
+					     dmirror->mdevice, &folio);
+		if (IS_ERR(page)) {
+			mmap_read_unlock(dmirror->mm);
+			return PTR_ERR(page);
+		}
+		ret = dmirror_atomic_map(addr, page, dmirror, cookie);
+		folio_unlock(folio);
+		folio_put(folio);
+		mmap_read_unlock(dmirror->mm);
+		if (ret != -EAGAIN)
+			return ret;
+
+		/*
+		 * Making the page exclusive ends an exclusive access that is
+		 * there, and unshares the page: either is an invalidation, and
+		 * would be one each time. So have it done before the cookie.
+		 */
+		ret = dmirror_fault(dmirror, addr, addr + PAGE_SIZE, true);
+		if (ret)
+			return ret;
+	}
+}
+
 static int dmirror_exclusive(struct dmirror *dmirror, struct hmm_dmirror_cmd *cmd)
 {
 	...
-	mmap_read_lock(mm);
 	for (addr = start; !ret && addr < end; addr += PAGE_SIZE) {
-		struct folio *folio;
-		struct page *page;
-		...
+		/* Without mmap_lock, since that may wait. */
+		ret = dmirror_exclusive_page(dmirror, addr);
 	}
-	mmap_read_unlock(mm);
 	...
 }

// and in ranges before

@depends on patch@
symbol pages;
@@

 static int dmirror_atomic_map(unsigned long start, unsigned long end,
-			      struct page **pages, struct dmirror *dmirror)
+			      struct page **pages, struct dmirror *dmirror,
+			      struct smmu_inval_cookie cookie)
 {
 	...
 	mutex_lock(&dmirror->mutex);
+	if (smmu_inval_interval_read_retry(&dmirror->interval, cookie, start,
+					   end - 1)) {
+		mutex_unlock(&dmirror->mutex);
+		return -EAGAIN;
+	}
 	...
 }

@exclusive_range depends on patch@
symbol next, mapped;
@@

+static int dmirror_exclusive_range(struct dmirror *dmirror, unsigned long start,
+				   unsigned long end, struct page **pages)
+{
+	int npages = (end - start) >> PAGE_SHIFT;
+	struct smmu_inval_cookie cookie;
+	int found;
+	int ret;
+
+	while (true) {
+		ret = smmu_inval_interval_wait(&dmirror->interval, start,
+					       end - 1);
+		if (ret)
+			return ret;
+		cookie = smmu_inval_interval_read_begin(&dmirror->interval);
+
+		mmap_read_lock(dmirror->mm);
+		found = make_device_exclusive_range(dmirror->mm, start, end,
+						    pages, dmirror->mdevice);
+		/*
+		 * Do dmirror_atomic_map() iff all pages are marked for
+		 * exclusive access: the others are not initialized.
+		 */
+		ret = 0;
+		if (found == npages)
+			ret = dmirror_atomic_map(start, end, pages, dmirror,
+						 cookie);
+		while (found-- > 0) {
+			if (pages[found]) {
+				unlock_page(pages[found]);
+				put_page(pages[found]);
+			}
+		}
+		mmap_read_unlock(dmirror->mm);
+		if (ret != -EAGAIN)
+			return ret == npages ? 0 : -EBUSY;
+
+		/*
+		 * Making pages exclusive ends an exclusive access that is
+		 * there, and unshares pages: either is an invalidation, and
+		 * would be one each time. So have it done before the cookie.
+		 */
+		ret = dmirror_fault(dmirror, start, end, true);
+		if (ret)
+			return ret;
+	}
+}
+
 static int dmirror_exclusive(struct dmirror *dmirror, struct hmm_dmirror_cmd *cmd)
 {
 	...
-	mmap_read_lock(mm);
 	for (addr = start; addr < end; addr = next) {
-		unsigned long mapped = 0;
-		...
+		next = min(end, addr + (ARRAY_SIZE(pages) << PAGE_SHIFT));
+		/* Without mmap_lock, since that may wait. */
+		ret = dmirror_exclusive_range(dmirror, addr, next, pages);
+		if (ret)
+			break;
 	}
-	mmap_read_unlock(mm);
 	mmput(mm);
+	if (ret)
+		return ret;
 	...
 }

@depends on exclusive_range@
@@

 dmirror_exclusive(...)
 {
 	...
-	int ret;
+	int ret = 0;
 	...
 }

// The rest asks for the process only

@depends on patch@
@@

-dmirror->notifier.mm
+dmirror->mm
