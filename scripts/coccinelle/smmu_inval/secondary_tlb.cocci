// SPDX-License-Identifier: GPL-2.0-only
///
/// A secondary TLB on smmu_inval: an object with a mmu_notifier of its own, whose one
/// callback makes the device forget a range of user addresses. The callback becomes a
/// function for a range, called for each span of a flush; the object gets an instance
/// and a binding. A lock of the object that the callback took with interrupts off, around
/// all it did, is the library's from now on, which combines the flushes of several CPUs;
/// with any other lock, or none, the flush locks for itself as the callback did.
///
/// Left alone: a callback that looks at the mm, further callbacks, and notifiers
/// taken with mmu_notifier_get(), which need a struct smmu_inval_mn_class.
///
// Confidence: Low
// Comments: The error of the registration is new where it was not looked at before.
// Options: --no-includes
// Keywords: smmu_inval, mmu_notifier, arch_invalidate_secondary_tlbs, invalidate_range
//

virtual patch

@ops depends on patch@
identifier o, inval;
identifier op = {arch_invalidate_secondary_tlbs, invalidate_range};
@@

 struct mmu_notifier_ops o = { ..., .op = inval, ... };

@other depends on ops@
identifier ops.o, f;
identifier op != {arch_invalidate_secondary_tlbs, invalidate_range, release};
@@

 struct mmu_notifier_ops o = { ..., .op = f, ... };

@release depends on ops && !other@
identifier ops.o, rel;
@@

 struct mmu_notifier_ops o = { ..., .release = rel, ... };

// The object: who registers it.

@object depends on ops && !other@
identifier ops.o, T, m;
struct T *E;
@@

 E->m.ops = &o;

@uses_mm depends on object@
identifier ops.inval, mn, mm, start, end;
@@

 inval(struct mmu_notifier *mn, struct mm_struct *mm, unsigned long start,
       unsigned long end)
 {
 	<+...
 	mm
 	...+>
 }

@release_uses_mm depends on release@
identifier release.rel, mn, mm;
@@

 rel(struct mmu_notifier *mn, struct mm_struct *mm)
 {
 	<+...
 	mm
 	...+>
 }

// From here on all is known to fit.

@range depends on object && !uses_mm && !release_uses_mm@
identifier ops.inval, object.T, object.m, mn, mm, start, end, obj;
@@

 inval(
-	struct mmu_notifier *mn, struct mm_struct *mm,
+	struct T *obj,
	unsigned long start, unsigned long end)
 {
-	struct T *obj = container_of(mn, struct T, m);
 	...
 }

@depends on range && release@
identifier release.rel, object.T, object.m, mn, mm;
@@

 rel(
-	struct mmu_notifier *mn, struct mm_struct *mm
+	struct smmu_inval *si
 ) {
 	<...
-	container_of(mn, struct T, m)
+	container_of(si, struct T, si)
 	...>
 }

@depends on range@
identifier object.T, object.m;
@@

 struct T {
 	...
-	struct mmu_notifier m;
+	struct smmu_inval si;
+	struct smmu_inval_mn smn;
 	...
 };

@instance depends on range@
identifier ops.o, ops.inval, object.T;
fresh identifier flush_fn = T ## "_flush";
fresh identifier bind = T ## "_bind";
fresh identifier unbind = T ## "_unbind";
fresh identifier sops = T ## "_ops";
@@

-const struct mmu_notifier_ops o = { ... };
+void flush_fn(struct smmu_inval *si, const struct smmu_inval_flush *flush)
+{
+	struct T *obj = container_of(si, struct T, si);
+	unsigned int i;
+
+	if (flush->all)
+		inval(obj, 0, ULONG_MAX);
+	for (i = 0; i < flush->nr; i++)
+		inval(obj, flush->spans[i].start, flush->spans[i].last + 1);
+}
+
+static const struct smmu_inval_ops sops = {
+	.flush = flush_fn,
+};
+
+static int bind(struct T *obj, struct mm_struct *mm)
+{
+	const struct smmu_inval_config cfg = {
+		SMMU_INVAL_TLB_CONFIG_DEFAULTS,
+		.name = KBUILD_MODNAME,
+		.lock.kind = SMMU_INVAL_LOCKLESS,
+	};
+	int ret;
+
+	ret = smmu_inval_init(&obj->si, &sops, &cfg);
+	if (!ret)
+		ret = smmu_inval_mn_init(&obj->smn, &obj->si,
+					 &smmu_inval_tlb_ops);
+	if (!ret)
+		ret = smmu_inval_mn_register(&obj->smn, mm);
+	if (ret)
+		smmu_inval_destroy(&obj->si);
+	return ret;
+}
+
+static void unbind(struct T *obj)
+{
+	smmu_inval_mn_unregister(&obj->smn);
+	smmu_inval_destroy(&obj->si);
+}

@depends on range@
identifier ops.o, object.T, object.m;
struct T *E;
@@

-E->m.ops = &o;

@depends on instance@
identifier object.T, object.m, instance.bind;
struct T *E;
expression mm;
@@

-mmu_notifier_register(&E->m, mm)
+bind(E, mm)

@depends on instance@
identifier object.T, object.m, instance.unbind;
struct T *E;
expression mm;
@@

(
-if (E->m.ops)
-	mmu_notifier_unregister(&E->m, mm);
+unbind(E);
|
-mmu_notifier_unregister(&E->m, mm);
+unbind(E);
)

@depends on instance && release@
identifier instance.sops, instance.flush_fn, release.rel;
@@

 struct smmu_inval_ops sops = {
 	.flush = flush_fn,
+	.release = rel,
 };

// A lock of its own that is good for any context: the library's from now on.

@lock depends on instance@
identifier ops.inval, object.T, obj, l, flags;
identifier take = {spin_lock_irqsave, raw_spin_lock_irqsave};
identifier drop = {spin_unlock_irqrestore, raw_spin_unlock_irqrestore};
@@

 inval(struct T *obj, ...)
 {
-	unsigned long flags;
-
-	take(&obj->l, flags);
 	... when != return ...;
-	drop(&obj->l, flags);
 }

@depends on lock@
identifier instance.bind, lock.l, object.T, obj;
symbol cfg;
@@

 bind(struct T *obj, ...)
 {
 	const struct smmu_inval_config cfg = {
 		...,
-		.lock.kind = SMMU_INVAL_LOCKLESS,
+		.lock = SMMU_INVAL_LOCK(&obj->l),
 	};
 	...
 }

@depends on range@
@@

 #include <linux/mmu_notifier.h>
+#include <linux/smmu_inval.h>
