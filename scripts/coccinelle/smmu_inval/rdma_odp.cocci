// SPDX-License-Identifier: GPL-2.0-only
///
/// RDMA memory regions with on-demand paging on smmu_inval: an instance for each
/// umem, under umem_mutex. A page fault is only retried if what it is about to map
/// was invalidated, where any change below the region sent it round again; for one of
/// mlx5's implicit regions that is 1 GB. What the drivers' callbacks did is their zap.
/// A failure to invalidate the device's page table is no longer silent.
///
// Confidence: Moderate
// Options: --no-includes --include-headers
// Keywords: smmu_inval, rdma, odp, mlx5, rxe
// Flavours: x86-7.3-drivers
// Converts: drivers/infiniband/hw/mlx5/odp.c 7.3
// Converts: drivers/infiniband/sw/rxe/rxe_odp.c 7.3
// Changes: include/rdma/ib_umem_odp.h drivers/infiniband/core/umem_odp.c
// Changes: drivers/infiniband/hw/mlx5/mlx5_ib.h drivers/infiniband/hw/mlx5/odp.c
// Changes: drivers/infiniband/hw/mlx5/mr.c
// Changes: drivers/infiniband/sw/rxe/rxe_loc.h drivers/infiniband/sw/rxe/rxe_odp.c
// Leaves-no: mmu_interval_|mmu_notifier_range|umem_odp->notifier
//

virtual patch

// ib_umem_odp.h

@depends on patch@
@@

 #include <linux/hmm-dma.h>
+#include <linux/smmu_inval.h>

@depends on patch@
symbol notifier, umem, mlx5_mn_ops, rxe_mn_ops;
@@

 struct ib_umem_odp {
 	struct ib_umem umem;
-	struct mmu_interval_notifier notifier;
+	struct smmu_inval si;
+	struct smmu_inval_interval ival;
+	/* The user addresses that @ival follows; 0 if implicit. */
+	unsigned long start;
+	unsigned long last;
 	...
 };

@depends on patch@
symbol umem_odp, interval_tree, start;
@@

-	umem_odp->notifier.interval_tree.start
+	umem_odp->start

@depends on patch@
symbol last;
@@

-	umem_odp->notifier.interval_tree.last
+	umem_odp->last

@depends on patch@
symbol ops;
identifier f =~ "^(ib_umem_odp_get|ib_umem_odp_alloc_child|ib_init_umem_odp)$";
@@

 f(...,
-	const struct mmu_interval_notifier_ops *ops
+	const struct smmu_inval_ops *ops
  ) { ... }

@depends on patch@
identifier f =~ "^(ib_umem_odp_get|ib_umem_odp_alloc_child)$";
type t;
@@

 t f(...,
-	const struct mmu_interval_notifier_ops *ops
+	const struct smmu_inval_ops *ops
  );

// umem_odp.c

@depends on patch@
symbol odp_data;
expression E;
@@

-	odp_data->notifier.ops = E;

@depends on patch@
expression E;
@@

-	umem_odp->notifier.ops = E;

@insert depends on patch@
identifier out_free_map;
symbol ret, end, owning_mm;
@@

 ib_init_umem_odp(...)
 {
 	...
-	ret = mmu_interval_notifier_insert(&umem_odp->notifier,
-		umem_odp->umem.owning_mm, start, end - start, ops);
+	umem_odp->start = start;
+	umem_odp->last = end - 1;
+	ret = ib_umem_odp_follow(umem_odp, ops);
 	if (ret)
 		goto out_free_map;
 	...
 }

@depends on insert@
@@

+/*
+ * The callbacks of the drivers wait for the hardware, and mark pages dirty: so
+ * they do not run for who may not wait.
+ */
+static int ib_umem_odp_follow(struct ib_umem_odp *umem_odp,
+			      const struct smmu_inval_ops *ops)
+{
+	const struct smmu_inval_config cfg = {
+		.name = "ib_umem_odp",
+		.lock = SMMU_INVAL_LOCK(&umem_odp->umem_mutex),
+		.start = umem_odp->start,
+		.last = umem_odp->last,
+		.page_shift = PAGE_SHIFT,
+		.nr_history = 1,
+		.flush_spans = SMMU_INVAL_BATCH_SPANS,
+		.zap_sleeps = true,
+		.shared_stats = true,
+	};
+	int ret;
+
+	ret = smmu_inval_init(&umem_odp->si, ops, &cfg);
+	if (ret)
+		return ret;
+	ret = smmu_inval_interval_insert(&umem_odp->ival, &umem_odp->si,
+					 umem_odp->umem.owning_mm,
+					 umem_odp->start, umem_odp->last, 4);
+	if (ret)
+		smmu_inval_destroy(&umem_odp->si);
+	return ret;
+}
+
 ib_init_umem_odp(...)
 {
 	...
 }

@depends on insert@
@@

-	mmu_interval_notifier_remove(&umem_odp->notifier);
+	smmu_inval_interval_remove(&umem_odp->ival);
+	smmu_inval_destroy(&umem_odp->si);

@fault depends on insert@
symbol range, notifier_seq, timeout, owning_process, out_put_mm, retry;
symbol HMM_RANGE_DEFAULT_TIMEOUT;
@@

 ib_umem_odp_map_dma_and_lock(...)
 {
+	struct smmu_inval_cookie cookie;
 	struct task_struct *owning_process = NULL;
 	...
-	unsigned long timeout;
+	/* HMM does not see invalidations, so the limit is here. */
+	unsigned long deadline = 0;
 	...
-	range.notifier = &umem_odp->notifier;
+	range.notifier = smmu_inval_interval_notifier(&umem_odp->ival);
 	...
-	timeout = msecs_to_jiffies(HMM_RANGE_DEFAULT_TIMEOUT);
 	...
-	ret = hmm_range_fault_unlocked_timeout(&range, timeout);
+	ret = smmu_inval_interval_wait(&umem_odp->ival, range.start,
+				       range.end - 1);
+	if (ret)
+		goto out_put_mm;
+	cookie = smmu_inval_interval_read_begin(&umem_odp->ival);
+	ret = hmm_range_fault_unlocked_timeout(&range, 0);
 	...
-	if (mmu_interval_read_retry(&umem_odp->notifier, range.notifier_seq)) {
+	if (smmu_inval_interval_read_retry(&umem_odp->ival, cookie, range.start,
+					   range.end - 1)) {
 		mutex_unlock(&umem_odp->umem_mutex);
+		if (!deadline)
+			deadline = jiffies + msecs_to_jiffies(HMM_RANGE_DEFAULT_TIMEOUT);
+		if (time_after(jiffies, deadline)) {
+			ret = -EBUSY;
+			goto out_put_mm;
+		}
 		goto retry;
 	}
 	...
 }

// The drivers: what the callback did under the lock is zap.

@depends on patch@
@@

-extern const struct mmu_interval_notifier_ops mlx5_mn_ops;
+extern const struct smmu_inval_ops mlx5_odp_ops;

@depends on patch@
@@

-extern const struct mmu_interval_notifier_ops rxe_mn_ops;
+extern const struct smmu_inval_ops rxe_odp_ops;

@depends on patch@
symbol mlx5_odp_ops;
@@

-&mlx5_mn_ops
+&mlx5_odp_ops

@depends on patch@
symbol rxe_odp_ops;
@@

-&rxe_mn_ops
+&rxe_odp_ops

@depends on patch@
typedef bool;
@@

-static bool rxe_ib_invalidate_range(...)
-{
-	...
-}

@depends on patch@
@@

-const struct mmu_interval_notifier_ops rxe_mn_ops = { ... };
+static void rxe_odp_zap(struct smmu_inval *si, struct smmu_inval_batch *batch,
+			const struct smmu_inval_span *span)
+{
+	struct ib_umem_odp *umem_odp = container_of(si, struct ib_umem_odp, si);
+
+	/* update umem_odp->map.pfn_list */
+	ib_umem_odp_unmap_dma_pages(umem_odp, span->start, span->last + 1);
+	smmu_inval_changed(batch, span->start, span->last,
+			   __ffs(span->events));
+}
+
+/* Each access looks at pfn_list, under umem_mutex: nothing is cached. */
+static void rxe_odp_flush(struct smmu_inval *si,
+			  const struct smmu_inval_flush *flush)
+{
+}
+
+const struct smmu_inval_ops rxe_odp_ops = {
+	.zap = rxe_odp_zap,
+	.flush = rxe_odp_flush,
+};

@zap depends on patch@
typedef u64;
symbol mni, cur_seq;
@@

 static
-bool mlx5_ib_invalidate_range
+void mlx5_odp_zap
 (
-	struct mmu_interval_notifier *mni, const struct mmu_notifier_range *range,
-	unsigned long cur_seq
+	struct smmu_inval *si, struct smmu_inval_batch *batch,
+	const struct smmu_inval_span *span
 ) {
 	...
 }

@depends on zap@
identifier out;
@@

 mlx5_odp_zap(...)
 {
 	<...
-	goto out;
+	return;
 	...>
 }

@depends on zap@
@@

-	container_of(mni, struct ib_umem_odp, notifier)
+	container_of(si, struct ib_umem_odp, si)

@depends on zap@
symbol addr, false, true;
@@

-	u64 addr;
-
-	if (!mmu_notifier_range_blockable(range))
-		return false;
-
-	mutex_lock(&umem_odp->umem_mutex);
-	mmu_interval_set_seq(mni, cur_seq);
+	u64 addr;
+

@depends on zap@
identifier out;
@@

-out:
-	mutex_unlock(&umem_odp->umem_mutex);
-	return true;

@depends on zap@
@@

-	start = max_t(...);
-	end = min_t(...);
+	start = span->start;
+	end = span->last + 1;

@depends on zap@
symbol mr, blk_start_idx;
expression n;
@@

 mlx5_odp_zap(...)
 {
 	<...
-	mlx5r_umr_update_xlt(mr, blk_start_idx, n, 0,
-		MLX5_IB_UPD_XLT_ZAP | MLX5_IB_UPD_XLT_ATOMIC, 0);
+	mlx5_odp_zap_block(batch, span, mr, blk_start_idx, n);
 	...>
 }

@depends on zap@
@@

+static void mlx5_odp_zap_block(struct smmu_inval_batch *batch,
+			       const struct smmu_inval_span *span,
+			       struct mlx5_ib_mr *mr, u64 idx, u64 nr)
+{
+	struct ib_umem_odp *odp = to_ib_umem_odp(mr->umem);
+	u64 start = ib_umem_start(odp) + (idx << odp->page_shift);
+	int err;
+
+	/* Waits for the device, which goes on using the pages if it fails. */
+	err = mlx5r_umr_update_xlt(mr, idx, nr, 0,
+				   MLX5_IB_UPD_XLT_ZAP |
+					   MLX5_IB_UPD_XLT_ATOMIC,
+				   0);
+	WARN_ON_ONCE(err);
+	smmu_inval_changed(batch, start, start + (nr << odp->page_shift) - 1,
+			   __ffs(span->events));
+}
+
 mlx5_odp_zap(...)
 {
 	...
 }

@depends on zap@
@@

-const struct mmu_interval_notifier_ops mlx5_mn_ops = { ... };
+/* To write the device's page table takes effect at once: see mlx5_odp_zap_block(). */
+static void mlx5_odp_flush(struct smmu_inval *si,
+			   const struct smmu_inval_flush *flush)
+{
+}
+
+const struct smmu_inval_ops mlx5_odp_ops = {
+	.zap = mlx5_odp_zap,
+	.flush = mlx5_odp_flush,
+};
