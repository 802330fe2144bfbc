// SPDX-License-Identifier: GPL-2.0-only
/// Find drivers that migrate pages and do not know their own migrations in the callback.
// Confidence: Moderate
// Options: --no-includes --include-headers
// Keywords: mmu_notifier, mmu_interval_notifier
// Reason: migrate_vma_setup() tells the notifiers, too, with the pgmap_owner that it
//   was given in range->owner. A driver that does not compare it invalidates
//   what it is about to map, and sends its own fault back.
// Instead: Compare range->owner with the owner of one's device memory for
//   MMU_NOTIFY_MIGRATE, or declare it in smmu_inval_config.owner.

virtual patch
virtual context
virtual org
virtual report

@compares@
struct mmu_notifier_range *range;
@@
range->owner

@found@
position p;
@@
migrate_vma_setup@p(...)

@callback@
identifier ops, f;
@@
(
struct mmu_interval_notifier_ops ops = { .invalidate = f, };
|
struct mmu_interval_notifier_ops ops = { .invalidate_start = f, };
|
struct mmu_notifier_ops ops = { .invalidate_range_start = f, };
)

@script:python depends on !callback || compares@
p << found.p;
@@
cocci.include_match(False)

@depends on context@
position found.p;
@@
* migrate_vma_setup@p(...)

@script:python depends on org@
p << found.p;
@@
for at in p:
    coccilib.org.print_todo(at, "migrates, and the callback does not compare range->owner: it invalidates what is being mapped")

@script:python depends on report@
p << found.p;
@@
for at in p:
    coccilib.report.print_report(at, "migrates, and the callback does not compare range->owner: it invalidates what is being mapped")
