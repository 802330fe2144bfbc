// SPDX-License-Identifier: GPL-2.0-only
///
/// An interval notifier of the common shape on smmu_inval: an object with a notifier of its
/// own, whose callback turns away who may not wait, takes the object's lock, sets the
/// sequence, unmaps what is in the range, and drops the lock. What it did under the lock
/// becomes zap, for a span that is clamped already; the object gets an instance and an
/// interval. Where the callback only tried the lock for who may not wait, so does the
/// library; where it sent them away, zap_sleeps does.
///
/// What is left to do does not compile: the function NAME_flush(), which makes the device
/// forget what zap removed. If zap flushes today, that moves there. And zap says that the
/// whole span changed, which is true of drivers that do not look; who knows better says
/// less. The faults are interval_fault.cocci's.
///
/// Left alone: callbacks with more than one place where they take or drop the lock, with
/// a lock that is not the object's, or with other returns than that for who may not wait.
///
// Confidence: Low
// Options: --no-includes
// Keywords: smmu_inval, mmu_interval_notifier, mmu_interval_set_seq
//

virtual patch

@ops depends on patch@
identifier o, cb;
@@

 struct mmu_interval_notifier_ops o = {
 	.invalidate = cb,
 };

// What makes the callback one of the common shape: two returns, and what leads to them.

@initialize:python@
@@
returns = {}

@leaves depends on ops@
position p;
@@

 return@p ...;

@script:python depends on patch@
p << leaves.p;
@@
returns.setdefault(p[0].current_element, set()).add((p[0].file, p[0].line))

@script:python two depends on patch@
cb << ops.cb;
f;
@@
if len(returns.get(cb, ())) == 2:
    coccinelle.f = cb
else:
    cocci.include_match(False)

@sends_away depends on two@
typedef bool;
symbol false, true;
identifier two.f, mni, range, seq, T, m, obj, l;
identifier take = {mutex_lock, down_write, spin_lock, write_lock};
identifier drop = {mutex_unlock, up_write, spin_unlock, write_unlock};
@@

 f(struct mmu_interval_notifier *mni,
       const struct mmu_notifier_range *range, unsigned long seq)
 {
 	struct T *obj = container_of(mni, struct T, m);
 	... when != take(...)
 	    when != return ...;
 	if (!mmu_notifier_range_blockable(range))
 		return false;
 	... when != return ...;
 	take(&obj->l);
 	mmu_interval_set_seq(mni, seq);
 	... when != return ...;
 	    when != take(...)
 	    when != mni
 	drop(&obj->l);
 	return true;
 }

@tries depends on two@
identifier two.f, mni, range, seq, T, m, obj, l;
identifier take = {mutex_lock, down_write};
identifier try = {mutex_trylock, down_write_trylock};
identifier drop = {mutex_unlock, up_write};
@@

 f(struct mmu_interval_notifier *mni,
       const struct mmu_notifier_range *range, unsigned long seq)
 {
 	struct T *obj = container_of(mni, struct T, m);
 	... when != take(...)
 	    when != return ...;
 	if (mmu_notifier_range_blockable(range))
 		take(&obj->l);
 	else if (!try(&obj->l))
 		return false;
 	mmu_interval_set_seq(mni, seq);
 	... when != return ...;
 	    when != take(...)
 	    when != mni
 	drop(&obj->l);
 	return true;
 }

// From here on all is known to fit. First what is in the way of zap.

@depends on sends_away@
identifier two.f, sends_away.range, sends_away.mni, sends_away.seq;
identifier sends_away.obj, sends_away.l, sends_away.take, sends_away.drop;
@@

 f(...)
 {
 	...
-	if (!mmu_notifier_range_blockable(range))
-		return false;
 	...
-	take(&obj->l);
-	mmu_interval_set_seq(mni, seq);
 	...
-	drop(&obj->l);
-	return true;
+	smmu_inval_changed(batch, span->start, span->last,
+			   __ffs(span->events));
 }

@depends on tries@
identifier two.f, tries.range, tries.mni, tries.seq;
identifier tries.obj, tries.l, tries.take, tries.try, tries.drop;
@@

 f(...)
 {
 	...
-	if (mmu_notifier_range_blockable(range))
-		take(&obj->l);
-	else if (!try(&obj->l))
-		return false;
-	mmu_interval_set_seq(mni, seq);
 	...
-	drop(&obj->l);
-	return true;
+	smmu_inval_changed(batch, span->start, span->last,
+			   __ffs(span->events));
 }

@fits depends on sends_away || tries@
identifier two.f, mni, range, seq, T, m, obj;
@@

-bool f(struct mmu_interval_notifier *mni,
-	   const struct mmu_notifier_range *range, unsigned long seq)
+void f(struct smmu_inval *si, struct smmu_inval_batch *batch,
+	   const struct smmu_inval_span *span)
 {
-	struct T *obj = container_of(mni, struct T, m);
+	struct T *obj = container_of(si, struct T, inval);
 	...
 }

// The span is clamped, and its last address is its own.

@depends on fits@
identifier two.f, fits.range;
expression E;
@@

 f(...)
 {
 	<...
(
-	max(range->start, E)
+	span->start
|
-	max(E, range->start)
+	span->start
|
-	max_t(..., range->start, E)
+	span->start
|
-	max_t(..., E, range->start)
+	span->start
|
-	min(range->end, E)
+	span->last + 1
|
-	min(E, range->end)
+	span->last + 1
|
-	min_t(..., range->end, E)
+	span->last + 1
|
-	min_t(..., E, range->end)
+	span->last + 1
|
-	range->end - 1
+	span->last
|
-	range->start
+	span->start
|
-	range->end
+	span->last + 1
)
 	...>
 }

@depends on fits@
identifier two.f, fits.range;
symbol MMU_NOTIFY_UNMAP, MMU_NOTIFY_RELEASE;
@@

 f(...)
 {
 	<...
(
-	range->event == MMU_NOTIFY_UNMAP
+	span->events & BIT(SMMU_INVAL_UNMAP)
|
-	range->event == MMU_NOTIFY_RELEASE
+	span->events & BIT(SMMU_INVAL_RELEASE)
)
 	...>
 }

// The object, and who inserts it.

@depends on fits@
identifier fits.T, fits.m;
@@

 struct T {
 	...
-	struct mmu_interval_notifier m;
+	struct smmu_inval inval;
+	struct smmu_inval_interval interval;
 	...
 };

@instance depends on fits@
identifier ops.o, two.f, fits.T;
fresh identifier flush_fn = T ## "_flush";
fresh identifier insert_fn = T ## "_insert";
fresh identifier remove_fn = T ## "_remove";
fresh identifier sops = T ## "_inval_ops";
typedef u64;
@@

-struct mmu_interval_notifier_ops o = { ... };
+struct smmu_inval_ops sops = {
+	.zap = f,
+	.flush = flush_fn,
+};
+
+static int insert_fn(struct T *obj, struct mm_struct *mm, u64 start, u64 last)
+{
+	const struct smmu_inval_config cfg = {
+		SMMU_INVAL_OBJECT_CONFIG_DEFAULTS,
+		.name = KBUILD_MODNAME,
+		.lock.kind = SMMU_INVAL_NO_LOCK,
+	};
+	int ret;
+
+	ret = smmu_inval_init(&obj->inval, &sops, &cfg);
+	if (ret)
+		return ret;
+	ret = smmu_inval_interval_insert(&obj->interval, &obj->inval, mm,
+					 start, last, 16);
+	if (ret)
+		smmu_inval_destroy(&obj->inval);
+	return ret;
+}
+
+static void remove_fn(struct T *obj)
+{
+	smmu_inval_interval_remove(&obj->interval);
+	smmu_inval_destroy(&obj->inval);
+}

@depends on instance && sends_away@
identifier instance.insert_fn, fits.T, sends_away.l, obj;
symbol cfg;
@@

 insert_fn(struct T *obj, ...)
 {
 	const struct smmu_inval_config cfg = {
 		...,
-		.lock.kind = SMMU_INVAL_NO_LOCK,
+		.lock = SMMU_INVAL_LOCK(&obj->l),
+		.zap_sleeps = true,
 	};
 	...
 }

@depends on instance && tries@
identifier instance.insert_fn, fits.T, tries.l, obj;
symbol cfg;
@@

 insert_fn(struct T *obj, ...)
 {
 	const struct smmu_inval_config cfg = {
 		...,
-		.lock.kind = SMMU_INVAL_NO_LOCK,
+		.lock = SMMU_INVAL_LOCK(&obj->l),
 	};
 	...
 }

@depends on instance@
identifier ops.o, fits.m, instance.insert_fn;
expression E, mm, start, end, length;
@@

(
-mmu_interval_notifier_insert(&E->m, mm, start, end - start, &o)
+insert_fn(E, mm, start, end - 1)
|
-mmu_interval_notifier_insert(&E->m, mm, start, length, &o)
+insert_fn(E, mm, start, start + length - 1)
)

@depends on instance@
identifier fits.m, instance.remove_fn;
expression E;
@@

-mmu_interval_notifier_remove(&E->m);
+remove_fn(E);

@depends on fits@
@@

-#include <linux/mmu_notifier.h>
+#include <linux/smmu_inval.h>
