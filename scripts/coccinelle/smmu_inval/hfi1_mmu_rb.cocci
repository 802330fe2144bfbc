// SPDX-License-Identifier: GPL-2.0-only
///
/// hfi1's cache of pinned pages on smmu_inval: an instance for each handler, under its
/// lock, with the start and end binding. What an invalidation covers stays pending until
/// its end, so that pages that were pinned before do not get into the cache after it:
/// without that, the cache goes on sending from pages that are not the process's any
/// more, as an invalidation between the pinning and the insertion found nothing.
///
// Confidence: Moderate
// Options: --no-includes --include-headers
// Keywords: smmu_inval, mmu_notifier, hfi1
// Flavours: x86-7.3-drivers
// Converts: drivers/infiniband/hw/hfi1/mmu_rb.c 7.3
// Changes: drivers/infiniband/hw/hfi1/mmu_rb.h drivers/infiniband/hw/hfi1/mmu_rb.c
// Changes: drivers/infiniband/hw/hfi1/pin_system.c
// Without-comment: struct mmu_notifier is 56 bytes
// Leaves-no: struct mmu_notifier|mmu_notifier_range|mmu_notifier_(un)?register|->mn\>
//

virtual patch

@depends on patch@
typedef u64;
@@

 #include "hfi.h"
+#include <linux/smmu_inval.h>

@depends on patch@
@@

-#include <linux/mmu_notifier.h>
+#include <linux/smmu_inval.h>

@depends on patch@
@@

 struct mmu_rb_handler {
-	struct mmu_notifier mn;
+	struct smmu_inval si;
+	struct smmu_inval_mn smn;
+	struct mm_struct *mm;
 	...
 };

@depends on patch@
symbol handler, mnode;
@@

 int hfi1_mmu_rb_insert(struct mmu_rb_handler *handler,
-		       struct mmu_rb_node *mnode);
+		       struct mmu_rb_node *mnode, u64 cookie);

// The callback

@depends on patch@
@@

-static int mmu_notifier_range_start(struct mmu_notifier *, const struct mmu_notifier_range *);
+static void mmu_rb_zap(struct smmu_inval *si, struct smmu_inval_batch *batch,
+		       const struct smmu_inval_span *span);

@depends on patch@
symbol mn_opts;
@@

-static const struct mmu_notifier_ops mn_opts = { ... };
+/* No device has a translation of these: descriptors hold DMA addresses of pins. */
+static void mmu_rb_flush(struct smmu_inval *si,
+			 const struct smmu_inval_flush *flush)
+{
+}
+
+static const struct smmu_inval_ops mmu_rb_inval_ops = {
+	.zap = mmu_rb_zap,
+	.flush = mmu_rb_flush,
+};

@zap depends on patch@
symbol mn, range, node, root;
@@

 static
-int mmu_notifier_range_start
+void mmu_rb_zap
 (
-	struct mmu_notifier *mn, const struct mmu_notifier_range *range
+	struct smmu_inval *si, struct smmu_inval_batch *batch,
+	const struct smmu_inval_span *span
 ) {
 	...
 }

@depends on zap@
@@

 mmu_rb_zap(...)
 {
 	...
-	container_of(mn, struct mmu_rb_handler, mn)
+	container_of(si, struct mmu_rb_handler, si)
 	...
 }

@depends on zap@
identifier flags;
@@

 mmu_rb_zap(...)
 {
 	...
-	unsigned long flags;
 	...
-	spin_lock_irqsave(&handler->lock, flags);
 	...
-	spin_unlock_irqrestore(&handler->lock, flags);
-
-	return 0;
 }

@depends on zap@
@@

 mmu_rb_zap(...)
 {
 	<...
-	range->start
+	span->start
 	...>
 }

@depends on zap@
@@

 mmu_rb_zap(...)
 {
 	<...
-	range->end - 1
+	span->last
 	...>
 }

@depends on zap@
@@

 	trace_hfi1_mmu_mem_invalidate(node);
+	smmu_inval_changed(batch, mmu_node_start(node), mmu_node_last(node),
+			   __ffs(span->events));

// The handler

@depends on patch@
symbol h, free_ptr, current, ret;
@@

 hfi1_mmu_rb_register(...)
 {
+	struct smmu_inval_config config = {
+		SMMU_INVAL_CONFIG_DEFAULTS,
+		.name = "hfi1_mmu_rb",
+	};
 	...
-	INIT_HLIST_NODE(&h->mn.hlist);
 	spin_lock_init(&h->lock);
-	h->mn.ops = &mn_opts;
 	...
-	ret = mmu_notifier_register(&h->mn, current->mm);
-	if (ret) {
-		kfree(free_ptr);
-		return ret;
-	}
+	h->mm = current->mm;
+	config.lock = SMMU_INVAL_LOCK(&h->lock);
+	/* Completions take it, too. */
+	config.lock.kind = SMMU_INVAL_SPINLOCK_IRQ;
+	ret = smmu_inval_init(&h->si, &mmu_rb_inval_ops, &config);
+	if (ret)
+		goto free;
+	ret = smmu_inval_mn_init(&h->smn, &h->si, &smmu_inval_mn_ops);
+	if (!ret)
+		ret = smmu_inval_mn_register(&h->smn, h->mm);
+	if (ret)
+		goto destroy;
 	*handler = h;
 	return 0;
+
+destroy:
+	smmu_inval_destroy(&h->si);
+free:
+	kfree(free_ptr);
+	return ret;
 }

@depends on patch@
@@

 hfi1_mmu_rb_unregister(...)
 {
 	...
-	mmu_notifier_unregister(&handler->mn, handler->mn.mm);
+	smmu_inval_mn_unregister(&handler->smn);
 	...
+	smmu_inval_destroy(&handler->si);
 	kfree(handler->free_ptr);
 }

@depends on patch@
expression E;
@@

-	E->mn.mm
+	E->mm

@depends on patch@
symbol unlock;
@@

 int hfi1_mmu_rb_insert(struct mmu_rb_handler *handler,
-		       struct mmu_rb_node *mnode)
+		       struct mmu_rb_node *mnode, u64 cookie)
 {
 	...
 	spin_lock_irqsave(&handler->lock, ...);
+	if (smmu_inval_read_retry(&handler->si, cookie, mmu_node_start(mnode),
+				  mmu_node_last(mnode))) {
+		ret = smmu_inval_is_dead(&handler->si) ? -EFAULT : -EAGAIN;
+		goto unlock;
+	}
 	...
 }

// Who pins

@depends on patch@
symbol req, pq, start, len;
@@

 add_system_pinning(...)
 {
 	...
 	int ret;
+	u64 cookie;
 	...
+	cookie = smmu_inval_read_begin(&pq->handler->si);
 	ret = pin_system_pages(req, start, len, node, PFN_DOWN(len));
 	...
 }

@depends on patch@
@@

 hfi1_mmu_rb_insert(pq->handler, &node->rb
+		   , cookie
  )

// Somebody else was faster, or what was pinned is not there any more.
@depends on patch@
identifier f =~ "^get_system_cache_entry$|^sdma_";
@@

 f(...)
 {
 	<...
-	ret == -EEXIST
+	ret == -EEXIST || ret == -EAGAIN
 	...>
 }
