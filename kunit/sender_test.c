// SPDX-License-Identifier: GPL-2.0
/*
 * What core mm sends: the ground that the tests of the bindings stand on. A
 * kernel that sends something else fails here first, and says what.
 */
#include <kunit/test.h>

#include "mm_helpers.h"

KUNIT_ARRAY_PARAM(mm_sender, mm_senders, mm_sender_desc);

/* Section 4: each sender sends its event, and an end for each start. */
static void sender_events(struct kunit *test)
{
	const struct mm_sender *sender = test->param_value;
	struct mm_ctx *ctx = mm_sender_prepare(test, sender);
	struct mm_probe *probe = mm_probe_new(test, ctx->mm);
	unsigned int sent = 0, event;

	KUNIT_ASSERT_EQ(test, sender->op(ctx), 0);
	for (event = 0; event < SMMU_INVAL_NR_EVENTS; event++) {
		sent |= probe->starts[event] ? BIT(event) : 0;
		KUNIT_EXPECT_EQ_MSG(test, probe->starts[event],
				    probe->ends[event], "%s",
				    smmu_inval_event_name(event));
		if (sender->sends & BIT(event))
			KUNIT_EXPECT_NE_MSG(test, probe->starts[event], 0, "%s",
					    smmu_inval_event_name(event));
	}
	kunit_info(test, "%u events, kinds 0x%x\n", probe->nr, sent);
}

static struct kunit_case sender_cases[] = {
	KUNIT_CASE_PARAM(sender_events, mm_sender_gen_params),
	{}
};

static struct kunit_suite sender_suite = {
	.name = "smmu_inval_sender",
	.test_cases = sender_cases,
};

kunit_test_suite(sender_suite);
