// SPDX-License-Identifier: GPL-2.0
/*
 * The driver of the IOMMU: what the IOMMU core asks of it, and how the address spaces
 * that it binds to engines follow the CPU's TLB flushes by the library's secondary-TLB
 * binding.
 *
 * A domain is an address space with all the engines that use it. Its lock is the
 * driver's lock; it protects which engines those are, and is held while a flush runs.
 *
 * When the process exits, the core does not know yet: ->release comes from exit_mmap(),
 * and after it the page tables go without a further call. So it clears the PASID
 * entries, and the library flushes before it returns. What the engines do from then on
 * ends with "no such PASID". Unbinding comes later, when the file is closed.
 */
#include <linux/module.h>
#include <linux/slab.h>

#include "iommu_sva.h"
#include "iommu_sva_compat.h"

struct sva_domain {
	struct iommu_domain domain;
	struct smmu_inval si;
	struct smmu_inval_mn smn;
	raw_spinlock_t lock;
	unsigned long engines;
	u32 pasid;
	bool released;
	sva_plan_fn *plan;
};

static struct iommu_device sva_iommu;
static struct sva_hw *sva_hw;
static struct smmu_inval_mn_class sva_class;

/* NULL if it is none. */
static struct sva_engine *sva_dev_engine(const struct device *dev)
{
	unsigned int i;

	for (i = 0; i < SVA_NR_ENGINES; i++)
		if (sva_hw->engines[i].dev == dev)
			return &sva_hw->engines[i];
	return NULL;
}

static struct sva_domain *to_sva_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct sva_domain, domain);
}

static struct sva_domain *si_to_domain(struct smmu_inval *si)
{
	return container_of(si, struct sva_domain, si);
}

/* What the library calls. */

static void domain_flush(struct smmu_inval *si, const struct smmu_inval_flush *flush)
{
	struct sva_domain *domain = si_to_domain(si);

	sva_flush(sva_hw, domain->engines, domain->pasid, flush, domain->plan);
}

static void domain_release(struct smmu_inval *si)
{
	struct sva_domain *domain = si_to_domain(si);
	unsigned long flags;
	unsigned int i;

	raw_spin_lock_irqsave(&domain->lock, flags);
	domain->released = true;
	for_each_set_bit(i, &domain->engines, SVA_NR_ENGINES)
		sva_pasid_set(&sva_hw->engines[i], domain->pasid, NULL);
	raw_spin_unlock_irqrestore(&domain->lock, flags);
}

static void domain_destroy(struct smmu_inval *si)
{
	smmu_inval_destroy(si);
	kfree(si_to_domain(si));
}

static const struct smmu_inval_ops domain_inval_ops = {
	.flush = domain_flush,
	.release = domain_release,
	.free = domain_destroy,
};

/* What the core calls. */

static int domain_set_dev_pasid(struct iommu_domain *iommu_domain,
				struct device *dev, ioasid_t pasid,
				struct iommu_domain *old)
{
	struct sva_domain *domain = to_sva_domain(iommu_domain);
	struct sva_engine *engine = sva_dev_engine(dev);
	unsigned long flags;
	int ret = 0;

	if (old || pasid >= SVA_NR_PASIDS)
		return -EOPNOTSUPP;
	raw_spin_lock_irqsave(&domain->lock, flags);
	if (domain->released) {
		ret = -ESRCH;
	} else {
		/* Flushes name it before anything can be cached under it. */
		domain->pasid = pasid;
		__set_bit(engine->nr, &domain->engines);
		sva_pasid_set(engine, pasid, iommu_domain->mm->pgd);
	}
	raw_spin_unlock_irqrestore(&domain->lock, flags);
	return ret;
}

/* The core has seen to it that the engine does not use it any more. */
static void domain_remove_dev_pasid(struct iommu_domain *iommu_domain,
				    struct device *dev, ioasid_t pasid)
{
	const struct smmu_inval_flush all = { .all = true };
	struct sva_domain *domain = to_sva_domain(iommu_domain);
	struct sva_engine *engine = sva_dev_engine(dev);
	unsigned long flags;

	raw_spin_lock_irqsave(&domain->lock, flags);
	sva_pasid_set(engine, pasid, NULL);
	sva_flush(sva_hw, BIT(engine->nr), pasid, &all, domain->plan);
	__clear_bit(engine->nr, &domain->engines);
	raw_spin_unlock_irqrestore(&domain->lock, flags);

	/* Nothing of it is left when the PASID is somebody else's. */
	sva_prq_flush();
	iopf_queue_flush_dev(dev);
}

static void domain_free(struct iommu_domain *iommu_domain)
{
	smmu_inval_mn_put(&to_sva_domain(iommu_domain)->smn);
}

static const struct iommu_domain_ops sva_domain_ops = {
	.set_dev_pasid = domain_set_dev_pasid,
	.free = domain_free,
};

static struct iommu_domain *sva_domain_alloc(struct device *dev,
					     struct mm_struct *mm)
{
	struct smmu_inval_config cfg = {
		SMMU_INVAL_TLB_CONFIG_DEFAULTS,
		.name = "iommu_sva",
		.flush_pages = SVA_TLB_ENTRIES,
		.late_debugfs = true,
	};
	struct sva_domain *domain = kzalloc(sizeof(*domain), GFP_KERNEL);
	int ret;

	if (!domain)
		return ERR_PTR(-ENOMEM);
	domain->domain.ops = &sva_domain_ops;
	domain->plan = sva_plan;
	raw_spin_lock_init(&domain->lock);
	cfg.lock = SMMU_INVAL_LOCK(&domain->lock);
	ret = smmu_inval_init(&domain->si, &domain_inval_ops, &cfg);
	if (ret)
		goto free;
	ret = smmu_inval_mn_init(&domain->smn, &domain->si, &sva_class.ops);
	if (ret)
		goto destroy;
	ret = smmu_inval_mn_register(&domain->smn, mm);
	if (ret)
		goto destroy;
	return &domain->domain;

destroy:
	smmu_inval_destroy(&domain->si);
free:
	kfree(domain);
	return ERR_PTR(ret);
}

/* What the engine does without a PASID, which is nothing. */
static SVA_ATTACH_DEV(attach_nothing)
{
	return 0;
}

#if SVA_BLOCKED_PASID
static int blocked_set_dev_pasid(struct iommu_domain *domain,
				 struct device *dev, ioasid_t pasid,
				 struct iommu_domain *old)
{
	domain_remove_dev_pasid(old, dev, pasid);
	return 0;
}
#else
static void remove_dev_pasid(struct device *dev, ioasid_t pasid,
			     struct iommu_domain *domain)
{
	domain_remove_dev_pasid(domain, dev, pasid);
}
#endif

static struct iommu_domain identity_domain = {
	.type = IOMMU_DOMAIN_IDENTITY,
	.ops = &(const struct iommu_domain_ops) {
		.attach_dev = attach_nothing,
	},
};

static struct iommu_domain blocked_domain = {
	.type = IOMMU_DOMAIN_BLOCKED,
	.ops = &(const struct iommu_domain_ops) {
		.attach_dev = attach_nothing,
#if SVA_BLOCKED_PASID
		.set_dev_pasid = blocked_set_dev_pasid,
#endif
	},
};

static int def_domain_type(struct device *dev)
{
	return IOMMU_DOMAIN_IDENTITY;
}

/* The core asks about each device of the machine. */
static struct iommu_device *probe_device(struct device *dev)
{
	return sva_dev_engine(dev) ? &sva_iommu : ERR_PTR(-ENODEV);
}

static void page_response(struct device *dev, struct iopf_fault *fault,
			  struct iommu_page_response *response)
{
	sva_answer(sva_dev_engine(dev), response->grpid, response->code);
}

static const struct iommu_ops sva_iommu_ops = {
	.owner = THIS_MODULE,
	.identity_domain = &identity_domain,
	.blocked_domain = &blocked_domain,
	.def_domain_type = def_domain_type,
	.domain_alloc_sva = sva_domain_alloc,
	.probe_device = probe_device,
	.device_group = generic_device_group,
	.page_response = page_response,
#if !SVA_BLOCKED_PASID
	.remove_dev_pasid = remove_dev_pasid,
#endif
};

/* For the statistics, and the coarse switch; the handle is held. */
struct smmu_inval *sva_handle_inval(struct iommu_sva *handle)
{
	return &to_sva_domain(handle->handle.domain)->si;
}

void sva_handle_set_plan(struct iommu_sva *handle, sva_plan_fn *plan)
{
	struct sva_domain *domain = to_sva_domain(handle->handle.domain);
	unsigned long flags;

	raw_spin_lock_irqsave(&domain->lock, flags);
	domain->plan = plan;
	raw_spin_unlock_irqrestore(&domain->lock, flags);
}

int sva_core_init(struct sva_hw *hw)
{
	int ret;

	sva_hw = hw;
	smmu_inval_mn_class_init(&sva_class, &smmu_inval_tlb_ops, NULL);
	sva_iommu.max_pasids = SVA_NR_PASIDS;
	ret = iommu_device_sysfs_add(&sva_iommu, NULL, NULL, "smmu_inval_iommu");
	if (ret)
		return ret;
	/*
	 * Without a node of its own in the firmware: the core takes the IOMMU that
	 * has none for devices that have none.
	 */
	ret = iommu_device_register(&sva_iommu, &sva_iommu_ops, NULL);
	if (ret)
		iommu_device_sysfs_remove(&sva_iommu);
	return ret;
}

void sva_core_exit(void)
{
	iommu_device_unregister(&sva_iommu);
	iommu_device_sysfs_remove(&sva_iommu);
}
