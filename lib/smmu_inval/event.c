// SPDX-License-Identifier: GPL-2.0
/*
 * Events: what each of them demands of a translation.
 *
 * A driver may do more than this says, never less: so its policy is a set of
 * events to zap for, and what it cannot do (write-protect, decide) becomes a
 * zap.
 */
#include <linux/build_bug.h>
#include <linux/mmu_notifier.h>
#include <trace/events/smmu_inval.h>

#include "internal.h"

static const struct {
	const char *name;
	enum smmu_inval_action action;
} events[SMMU_INVAL_NR_EVENTS] = {
	[SMMU_INVAL_UNMAP] = { "UNMAP", SMMU_INVAL_ZAP },
	[SMMU_INVAL_CLEAR] = { "CLEAR", SMMU_INVAL_ZAP },
	/* None of its senders promises anything before the end. */
	[SMMU_INVAL_PROTECTION_VMA] = { "PROTECTION_VMA", SMMU_INVAL_DECIDE },
	/* fork() copies between start and end: no write may come later. */
	[SMMU_INVAL_PROTECTION_PAGE] = { "PROTECTION_PAGE",
					 SMMU_INVAL_WRPROTECT },
	[SMMU_INVAL_SOFT_DIRTY] = { "SOFT_DIRTY", SMMU_INVAL_WRPROTECT },
	[SMMU_INVAL_RELEASE] = { "RELEASE", SMMU_INVAL_ZAP },
	[SMMU_INVAL_MIGRATE] = { "MIGRATE", SMMU_INVAL_ZAP },
	[SMMU_INVAL_EXCLUSIVE] = { "EXCLUSIVE", SMMU_INVAL_ZAP },
	[SMMU_INVAL_DRIVER] = { "DRIVER", SMMU_INVAL_ZAP },
	[SMMU_INVAL_TLB] = { "TLB", SMMU_INVAL_ZAP },
};

/**
 * smmu_inval_event_name() - the name of an event, for people
 * @event: the event
 *
 * Context: any.
 * Return: a constant string, also for what is not an event.
 */
const char *smmu_inval_event_name(enum smmu_inval_event event)
{
	return event < SMMU_INVAL_NR_EVENTS ? events[event].name : "unknown";
}
EXPORT_SYMBOL_GPL(smmu_inval_event_name);

/**
 * smmu_inval_classify() - what an event demands of this instance
 * @si: the instance
 * @event: the event; what is unknown zaps
 * @owner: owner of a MIGRATE or EXCLUSIVE event, as in struct
 *	mmu_notifier_range; NULL matches nobody
 *
 * Context: any.
 * Return: the least that has to be done.
 */
enum smmu_inval_action smmu_inval_classify(const struct smmu_inval *si,
					   enum smmu_inval_event event,
					   const void *owner)
{
	enum smmu_inval_action action;

	if (event >= SMMU_INVAL_NR_EVENTS || (si->cfg.zap_events & BIT(event)))
		return SMMU_INVAL_ZAP;
	if ((event == SMMU_INVAL_MIGRATE || event == SMMU_INVAL_EXCLUSIVE) &&
	    owner && owner == si->cfg.owner)
		return SMMU_INVAL_KEEP;

	action = events[event].action;
	if (smmu_inval_is_coarse(si) ||
	    (action == SMMU_INVAL_WRPROTECT && !si->ops->wrprotect) ||
	    (action == SMMU_INVAL_DECIDE && !si->ops->decide))
		action = SMMU_INVAL_ZAP;
	return action;
}
EXPORT_SYMBOL_GPL(smmu_inval_classify);

enum smmu_inval_event
smmu_inval_range_event(const struct mmu_notifier_range *range)
{
	BUILD_BUG_ON((int)SMMU_INVAL_UNMAP != MMU_NOTIFY_UNMAP);
	BUILD_BUG_ON((int)SMMU_INVAL_CLEAR != MMU_NOTIFY_CLEAR);
	BUILD_BUG_ON((int)SMMU_INVAL_PROTECTION_VMA !=
		     MMU_NOTIFY_PROTECTION_VMA);
	BUILD_BUG_ON((int)SMMU_INVAL_PROTECTION_PAGE !=
		     MMU_NOTIFY_PROTECTION_PAGE);
	BUILD_BUG_ON((int)SMMU_INVAL_SOFT_DIRTY != MMU_NOTIFY_SOFT_DIRTY);
	BUILD_BUG_ON((int)SMMU_INVAL_RELEASE != MMU_NOTIFY_RELEASE);
	BUILD_BUG_ON((int)SMMU_INVAL_MIGRATE != MMU_NOTIFY_MIGRATE);
	BUILD_BUG_ON((int)SMMU_INVAL_EXCLUSIVE != MMU_NOTIFY_EXCLUSIVE);

	/* An event that a later kernel adds is not known to spare anything. */
	if ((unsigned int)range->event > MMU_NOTIFY_EXCLUSIVE)
		return SMMU_INVAL_CLEAR;
	return (enum smmu_inval_event)range->event;
}

/*
 * The whole pages that [start, end) touches: clear_refs sends [0, ~0), which
 * is not aligned. What is empty or inverted is taken for everything, and
 * reported: false.
 */
bool smmu_inval_range_hva(struct smmu_inval *si, unsigned long start,
			  unsigned long end, struct smmu_inval_span *span)
{
	if (start >= end) {
		smmu_inval_count(si, odd_ranges, 1);
		trace_smmu_inval_odd(si, __ffs(span->events), start, end);
		span->start = 0;
		span->last = ULONG_MAX;
		return false;
	}
	span->start = start & PAGE_MASK;
	span->last = (end - 1) | ~PAGE_MASK;
	return true;
}

/*
 * The driver's own request for exclusive access must not make the fault that
 * it is part of retry for ever: it is not recorded at all. The driver's own
 * migration is, since other faults may have read the pages that it moves.
 */
bool smmu_inval_ignores(enum smmu_inval_event event,
			enum smmu_inval_action action)
{
	return event == SMMU_INVAL_EXCLUSIVE && action == SMMU_INVAL_KEEP;
}

/* Are the driver's addresses those of the process? */
bool smmu_inval_has_hvas(const struct smmu_inval *si)
{
	return !si->ops->add_ranges && si->cfg.page_shift == PAGE_SHIFT;
}

/* Do at once what the event demands. The lock is held. */
void smmu_inval_apply(struct smmu_inval *si, struct smmu_inval_batch *batch,
		      const struct smmu_inval_span *span,
		      enum smmu_inval_action action)
{
	if (action == SMMU_INVAL_ZAP)
		si->ops->zap(si, batch, span);
	else if (action == SMMU_INVAL_WRPROTECT)
		si->ops->wrprotect(si, batch, span);
}
