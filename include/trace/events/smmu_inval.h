/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM smmu_inval

#if !defined(_TRACE_SMMU_INVAL_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_SMMU_INVAL_H

#include <linux/smmu_inval.h>
#include <linux/tracepoint.h>

#ifndef _SMMU_INVAL_COVER
#define _SMMU_INVAL_COVER
/* What had no room, and was covered by something larger instead. */
enum smmu_inval_cover {
	SMMU_INVAL_COVER_PENDING,
	SMMU_INVAL_COVER_RECORD,
	SMMU_INVAL_COVER_BATCH,
	SMMU_INVAL_COVER_FLIGHT,
};
#endif

TRACE_DEFINE_ENUM(SMMU_INVAL_COVER_PENDING);
TRACE_DEFINE_ENUM(SMMU_INVAL_COVER_RECORD);
TRACE_DEFINE_ENUM(SMMU_INVAL_COVER_BATCH);
TRACE_DEFINE_ENUM(SMMU_INVAL_COVER_FLIGHT);

#define smmu_inval_show_event(event)					\
	__print_symbolic(event,						\
			 { SMMU_INVAL_UNMAP, "UNMAP" },			\
			 { SMMU_INVAL_CLEAR, "CLEAR" },			\
			 { SMMU_INVAL_PROTECTION_VMA, "PROTECTION_VMA" }, \
			 { SMMU_INVAL_PROTECTION_PAGE, "PROTECTION_PAGE" }, \
			 { SMMU_INVAL_SOFT_DIRTY, "SOFT_DIRTY" },	\
			 { SMMU_INVAL_RELEASE, "RELEASE" },		\
			 { SMMU_INVAL_MIGRATE, "MIGRATE" },		\
			 { SMMU_INVAL_EXCLUSIVE, "EXCLUSIVE" },		\
			 { SMMU_INVAL_DRIVER, "DRIVER" },		\
			 { SMMU_INVAL_TLB, "TLB" },			\
			 { SMMU_INVAL_NR_EVENTS, "unnamed" })

TRACE_DEFINE_ENUM(SMMU_INVAL_UNMAP);
TRACE_DEFINE_ENUM(SMMU_INVAL_CLEAR);
TRACE_DEFINE_ENUM(SMMU_INVAL_PROTECTION_VMA);
TRACE_DEFINE_ENUM(SMMU_INVAL_PROTECTION_PAGE);
TRACE_DEFINE_ENUM(SMMU_INVAL_SOFT_DIRTY);
TRACE_DEFINE_ENUM(SMMU_INVAL_RELEASE);
TRACE_DEFINE_ENUM(SMMU_INVAL_MIGRATE);
TRACE_DEFINE_ENUM(SMMU_INVAL_EXCLUSIVE);
TRACE_DEFINE_ENUM(SMMU_INVAL_DRIVER);
TRACE_DEFINE_ENUM(SMMU_INVAL_TLB);
TRACE_DEFINE_ENUM(SMMU_INVAL_NR_EVENTS);

DECLARE_EVENT_CLASS(smmu_inval_invalidation,
	TP_PROTO(const struct smmu_inval *si, enum smmu_inval_event event),
	TP_ARGS(si, event),
	TP_STRUCT__entry(
		__field(const void *, si)
		__field(int, event)
		__field(u64, seq)
		__field(unsigned int, pending)
	),
	TP_fast_assign(
		__entry->si = si;
		__entry->event = event;
		__entry->seq = si->seq;
		__entry->pending = __smmu_inval_nr_pending(si);
	),
	TP_printk("si=%p event=%s seq=%llu pending=%u", __entry->si,
		  smmu_inval_show_event(__entry->event), __entry->seq,
		  __entry->pending)
);

DEFINE_EVENT(smmu_inval_invalidation, smmu_inval_begin,
	TP_PROTO(const struct smmu_inval *si, enum smmu_inval_event event),
	TP_ARGS(si, event)
);

DEFINE_EVENT(smmu_inval_invalidation, smmu_inval_end,
	TP_PROTO(const struct smmu_inval *si, enum smmu_inval_event event),
	TP_ARGS(si, event)
);

DECLARE_EVENT_CLASS(smmu_inval_event_range,
	TP_PROTO(const struct smmu_inval *si, enum smmu_inval_event event,
		 u64 start, u64 last),
	TP_ARGS(si, event, start, last),
	TP_STRUCT__entry(
		__field(const void *, si)
		__field(int, event)
		__field(u64, start)
		__field(u64, last)
	),
	TP_fast_assign(
		__entry->si = si;
		__entry->event = event;
		__entry->start = start;
		__entry->last = last;
	),
	TP_printk("si=%p event=%s range=[%#llx, %#llx]", __entry->si,
		  smmu_inval_show_event(__entry->event), __entry->start,
		  __entry->last)
);

DEFINE_EVENT(smmu_inval_event_range, smmu_inval_add,
	TP_PROTO(const struct smmu_inval *si, enum smmu_inval_event event,
		 u64 start, u64 last),
	TP_ARGS(si, event, start, last)
);

DEFINE_EVENT(smmu_inval_event_range, smmu_inval_change,
	TP_PROTO(const struct smmu_inval *si, enum smmu_inval_event event,
		 u64 start, u64 last),
	TP_ARGS(si, event, start, last)
);

/* An empty or inverted range, as it came: last is behind the last address. */
DEFINE_EVENT(smmu_inval_event_range, smmu_inval_odd,
	TP_PROTO(const struct smmu_inval *si, enum smmu_inval_event event,
		 u64 start, u64 last),
	TP_ARGS(si, event, start, last)
);

TRACE_EVENT(smmu_inval_flush,
	TP_PROTO(const struct smmu_inval *si,
		 const struct smmu_inval_flush *flush),
	TP_ARGS(si, flush),
	TP_STRUCT__entry(
		__field(const void *, si)
		__field(bool, all)
		__field(unsigned int, nr)
		__field(u64, start)
		__field(u64, last)
	),
	TP_fast_assign(
		__entry->si = si;
		__entry->all = flush->all;
		__entry->nr = flush->nr;
		__entry->start = flush->nr ? flush->spans[0].start : 0;
		__entry->last = flush->nr ?
				flush->spans[flush->nr - 1].last : U64_MAX;
	),
	TP_printk("si=%p %s spans=%u hull=[%#llx, %#llx]", __entry->si,
		  __entry->all ? "all" : "ranges", __entry->nr, __entry->start,
		  __entry->last)
);

TRACE_EVENT(smmu_inval_retry,
	TP_PROTO(const struct smmu_inval *si, u64 start, u64 last,
		 int pending, int done),
	TP_ARGS(si, start, last, pending, done),
	TP_STRUCT__entry(
		__field(const void *, si)
		__field(u64, start)
		__field(u64, last)
		__field(int, pending)
		__field(int, done)
	),
	TP_fast_assign(
		__entry->si = si;
		__entry->start = start;
		__entry->last = last;
		__entry->pending = pending;
		__entry->done = done;
	),
	/* 0: no, 1: a coarser cover says so, 2: a range of its own says so */
	TP_printk("si=%p range=[%#llx, %#llx] pending=%d done=%d", __entry->si,
		  __entry->start, __entry->last, __entry->pending,
		  __entry->done)
);

TRACE_EVENT(smmu_inval_overflow,
	TP_PROTO(const struct smmu_inval *si, enum smmu_inval_cover what,
		 u64 start, u64 last),
	TP_ARGS(si, what, start, last),
	TP_STRUCT__entry(
		__field(const void *, si)
		__field(int, what)
		__field(u64, start)
		__field(u64, last)
	),
	TP_fast_assign(
		__entry->si = si;
		__entry->what = what;
		__entry->start = start;
		__entry->last = last;
	),
	TP_printk("si=%p %s range=[%#llx, %#llx]", __entry->si,
		  __print_symbolic(__entry->what,
				   { SMMU_INVAL_COVER_PENDING, "pending" },
				   { SMMU_INVAL_COVER_RECORD, "record" },
				   { SMMU_INVAL_COVER_BATCH, "batch" },
				   { SMMU_INVAL_COVER_FLIGHT, "flight" }),
		  __entry->start, __entry->last)
);

#endif /* _TRACE_SMMU_INVAL_H */

#include <trace/define_trace.h>
