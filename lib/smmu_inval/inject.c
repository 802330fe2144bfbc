// SPDX-License-Identifier: GPL-2.0
/*
 * Fault injection: what can fail on demand, through the kernel's framework, in
 * debugfs below smmu_inval/. Each has to be survived without losing coverage.
 */
#include "internal.h"

/* No memory, where the library may fail for want of it. */
DECLARE_FAULT_ATTR(smmu_inval_fail_alloc);
/* No node for a range or a token: the hull takes it. */
DECLARE_FAULT_ATTR(smmu_inval_fail_node);
/* A non-blockable callback that finds the lock taken. */
DECLARE_FAULT_ATTR(smmu_inval_fail_nonblock);
/* No room in a batch: the two nearest spans join. */
DECLARE_FAULT_ATTR(smmu_inval_fail_batch);

void smmu_inval_inject_init(struct dentry *dir)
{
	fault_create_debugfs_attr("fail_alloc", dir, &smmu_inval_fail_alloc);
	fault_create_debugfs_attr("fail_node", dir, &smmu_inval_fail_node);
	fault_create_debugfs_attr("fail_nonblock", dir,
				  &smmu_inval_fail_nonblock);
	fault_create_debugfs_attr("fail_batch", dir, &smmu_inval_fail_batch);
}
