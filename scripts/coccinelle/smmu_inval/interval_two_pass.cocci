// SPDX-License-Identifier: GPL-2.0-only
///
/// An interval notifier with two passes on smmu_inval: what invalidate_start did under
/// the lock is zap, and what invalidate_finish did is flush_wait. The object no longer
/// holds a struct mmu_interval_notifier_finish, nor says whether it is in use: the
/// library has one, and knows what to do for a second callback meanwhile. A callback
/// that may not wait is sent away by the library (zap_sleeps).
///
/// A ticket is a number that flush_issue counts up: nobody but the author knows where in
/// start the unmapping ends and the flush begins, so that both stay in zap, which comes
/// first. What starts the flush may be moved to flush_issue, and named spans there.
///
/// Left alone: a finish that takes the lock, or defers once more, as xe_userptr does.
///
// Confidence: Low
// Comments: flush_wait is called by several at once: each has to see the end of all
// Comments: flushes up to its ticket. The faults are interval_fault.cocci's.
// Options: --no-includes
// Keywords: smmu_inval, mmu_interval_notifier, invalidate_start, invalidate_finish
//

virtual patch

@ops depends on patch@
identifier o, pass1, pass2;
@@

 struct mmu_interval_notifier_ops o = {
 	.invalidate_start = pass1,
 	.invalidate_finish = pass2,
 };

@object depends on ops@
identifier ops.pass1, T, m, mni, range, cur_seq, pf, obj;
@@

 pass1(struct mmu_interval_notifier *mni, const struct mmu_notifier_range *range,
       unsigned long cur_seq, struct mmu_interval_notifier_finish **pf)
 {
 	...
 	struct T *obj = container_of(mni, struct T, m);
 	...
 }

// The second pass runs without the lock, and does not ask for a third.

@third depends on object@
identifier ops.pass2;
identifier take = {mutex_lock, down_write, down_read, spin_lock, write_lock};
@@

 pass2(...)
 {
 	<+...
 	take(...);
 	...+>
 }

@wait depends on object && !third@
identifier ops.pass2, object.T, f, fin, obj;
@@

 pass2(struct mmu_interval_notifier_finish *fin)
 {
 	...
 	struct T *obj = container_of(fin, struct T, f);
 	...
 }

// Pass one: check, lock, sequence, work, the second pass asked for, unlock.

@zap depends on wait@
typedef bool, u64;
symbol true, false;
identifier ops.pass1, object.T, object.m, wait.f, l;
identifier mni, range, cur_seq, pf, obj;
identifier take = {mutex_lock, down_write};
identifier drop = {mutex_unlock, up_write};
fresh identifier zap_fn = T ## "_zap";
@@

-bool pass1(struct mmu_interval_notifier *mni, const struct mmu_notifier_range *range,
-	   unsigned long cur_seq, struct mmu_interval_notifier_finish **pf)
+void zap_fn(struct smmu_inval *si, struct smmu_inval_batch *batch,
+	    const struct smmu_inval_span *span)
 {
-	struct T *obj = container_of(mni, struct T, m);
+	struct T *obj = container_of(si, struct T, si);
 	...
-	if (!mmu_notifier_range_blockable(range))
-		return false;
 	...
-	take(&obj->l);
 	...
-	mmu_interval_set_seq(mni, cur_seq);
 	... when any
-	*pf = &obj->f;
 	...
-	drop(&obj->l);
-	return true;
+	smmu_inval_changed(batch, span->start, span->last,
+			   __ffs(span->events));
 }

@depends on zap@
identifier zap.zap_fn, zap.range;
@@

 zap_fn(...)
 {
 	<...
(
-	range->start
+	span->start
|
-	range->end
+	span->last + 1
|
-	range->event
+	__ffs(span->events)
)
 	...>
 }

@depends on zap@
identifier object.T, object.m, wait.f;
@@

 struct T {
 	...
-	struct mmu_interval_notifier m;
+	struct smmu_inval si;
+	struct smmu_inval_interval ival;
 	...
-	struct mmu_interval_notifier_finish f;
+	u64 flushes;
 	...
 };

@flush depends on zap@
identifier ops.pass2, object.T, wait.f, fin, obj;
fresh identifier wait_fn = T ## "_flush_wait";
@@

-pass2(struct mmu_interval_notifier_finish *fin)
+wait_fn(struct smmu_inval *si, u64 ticket)
 {
-	struct T *obj = container_of(fin, struct T, f);
+	struct T *obj = container_of(si, struct T, si);
 	...
 }

@instance depends on flush@
identifier ops.o, object.T, zap.l, zap.zap_fn, flush.wait_fn;
fresh identifier issue_fn = T ## "_flush_issue";
fresh identifier flush_fn = T ## "_flush";
fresh identifier sops = T ## "_ops";
fresh identifier follow = T ## "_follow";
@@

-const struct mmu_interval_notifier_ops o = { ... };
+u64 issue_fn(struct smmu_inval *si, const struct smmu_inval_flush *flush)
+{
+	return ++container_of(si, struct T, si)->flushes;
+}
+
+/* Of the driver's own invalidations, with the lock held. */
+static void flush_fn(struct smmu_inval *si,
+		     const struct smmu_inval_flush *flush)
+{
+	wait_fn(si, issue_fn(si, flush));
+}
+
+static const struct smmu_inval_ops sops = {
+	.zap = zap_fn,
+	.flush = flush_fn,
+	.flush_issue = issue_fn,
+	.flush_wait = wait_fn,
+};
+
+static int follow(struct T *obj, struct mm_struct *mm, unsigned long start,
+		  unsigned long length)
+{
+	const struct smmu_inval_config cfg = {
+		.name = KBUILD_MODNAME,
+		.lock = SMMU_INVAL_LOCK(&obj->l),
+		.last = ULONG_MAX,
+		.page_shift = PAGE_SHIFT,
+		.nr_history = 1,
+		.flush_spans = SMMU_INVAL_BATCH_SPANS,
+		.zap_sleeps = true,
+		.shared_stats = true,
+	};
+	int ret;
+
+	ret = smmu_inval_init(&obj->si, &sops, &cfg);
+	if (!ret)
+		ret = smmu_inval_interval_insert(&obj->ival, &obj->si, mm,
+						 start, start + length - 1, 4);
+	if (ret)
+		smmu_inval_destroy(&obj->si);
+	return ret;
+}

@depends on instance@
identifier instance.follow, ops.o, object.T, object.m;
struct T *E;
expression mm, start, length;
@@

-mmu_interval_notifier_insert(&E->m, mm, start, length, &o)
+follow(E, mm, start, length)

@depends on instance@
identifier object.T, object.m;
struct T *E;
@@

-mmu_interval_notifier_remove(&E->m);
+smmu_inval_interval_remove(&E->ival);
+smmu_inval_destroy(&E->si);

@depends on instance@
@@

 #include <linux/mmu_notifier.h>
+#include <linux/smmu_inval.h>
