// SPDX-License-Identifier: GPL-2.0
/*
 * The software IOMMU, and its engines as platform devices. Once it is there it stays,
 * like hardware: each device behind an IOMMU holds a reference on its driver's module.
 */
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/property.h>
#include <linux/slab.h>

#include "iommu_sva.h"

#define ENGINE_NAME	"smmu_inval_dma"

static struct sva_hw *sva_hw;

/* Its users come through the device file. */
static int engine_probe(struct platform_device *pdev)
{
	return device_iommu_mapped(&pdev->dev) ? 0 : -ENODEV;
}

static struct platform_driver engine_driver = {
	.probe = engine_probe,
	.driver = {
		.name = ENGINE_NAME,
		/* There is no way to take an engine away from its users. */
		.suppress_bind_attrs = true,
	},
};

static int engine_add(struct sva_engine *engine)
{
	/* Where the core looks for what the hardware can do. */
	static const struct property_entry properties[] = {
		PROPERTY_ENTRY_U32("pasid-num-bits", SVA_PASID_BITS),
		{}
	};
	struct platform_device *pdev = platform_device_alloc(ENGINE_NAME,
							     engine->nr);
	int ret = -ENOMEM;

	if (!pdev)
		return ret;
	engine->dev = &pdev->dev;
	ret = device_create_managed_software_node(&pdev->dev, properties, NULL);
	if (!ret)
		ret = platform_device_add(pdev);
	if (ret) {
		engine->dev = NULL;
		platform_device_put(pdev);
		return ret;
	}
	/*
	 * By now the core has put it into a group, unless the machine has an
	 * IOMMU without a node, too, and the core asked that one.
	 */
	ret = device_iommu_mapped(engine->dev) ? sva_prq_add(engine) : -ENODEV;
	if (ret) {
		platform_device_unregister(pdev);
		engine->dev = NULL;
	}
	return ret;
}

static void engines_remove(void)
{
	struct sva_engine *engine;

	for (engine = sva_hw->engines; engine < sva_hw->engines + SVA_NR_ENGINES; engine++)
		if (engine->dev) {
			sva_prq_remove(engine);
			platform_device_unregister(to_platform_device(engine->dev));
		}
}

static int __init sva_init(void)
{
	unsigned int i;
	int ret;

	sva_hw = sva_hw_new();
	if (!sva_hw)
		return -ENOMEM;
	ret = sva_prq_init(sva_hw);
	if (ret)
		goto free;
	ret = sva_dma_init();
	if (ret)
		goto exit_prq;
	ret = sva_core_init(sva_hw);
	if (ret)
		goto exit_dma;
	ret = platform_driver_register(&engine_driver);
	if (ret)
		goto exit_core;
	for (i = 0; !ret && i < SVA_NR_ENGINES; i++)
		ret = engine_add(&sva_hw->engines[i]);
	if (!ret)
		ret = sva_file_init(sva_hw);
	if (!ret)
		return 0;

	engines_remove();
	platform_driver_unregister(&engine_driver);
exit_core:
	sva_core_exit();
exit_dma:
	sva_dma_exit();
exit_prq:
	sva_prq_exit();
free:
	kvfree(sva_hw);
	return ret;
}
module_init(sva_init);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Software IOMMU with shared virtual addressing, an example for smmu_inval");
