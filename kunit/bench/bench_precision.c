// SPDX-License-Identifier: GPL-2.0
/*
 * How often a fault is sent back or held up for nothing. The recorded stream is
 * replayed, over and over, while faults begin and end between its events; each
 * is judged by the library, by KVM's scheme and by that of a plain interval
 * notifier over everything, and by what is true: whether a range that overlaps
 * its page was pending, or completed since it began.
 *
 * Where the stream lacks an end, the end comes where the stream begins anew.
 */
#include <linux/moduleparam.h>
#include <linux/prandom.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "bench.h"

#define NR_FAULTS	32
#define NR_OPEN		4096
/* More than complete during any fault */
#define NR_DONE		1024

struct fault {
	bool busy;
	bool waits;
	u64 start;
	u64 last;
	unsigned int age;
	u64 done;
	u64 cookie;
	unsigned long kvm_seq;
	unsigned long notifier_seq;
};

struct invalidation {
	bool open;
	unsigned int id;
	struct smmu_inval_token *token;
	unsigned int nr;
	struct smmu_inval_span spans[16];
};

struct precision {
	struct smmu_inval si;
	struct rnd_state rnd;
	unsigned int window;
	struct fault faults[NR_FAULTS];
	struct invalidation open[NR_OPEN];
	unsigned int nr_open;

	/* What is true */
	struct smmu_inval_span done[NR_DONE];
	u64 nr_done;

	/* KVM's scheme */
	unsigned long kvm_seq;
	unsigned long kvm_open;
	u64 kvm_start;
	u64 kvm_last;

	/* The interval notifier's: of the mm, and of the notifier */
	unsigned long active;
	bool hit;
	unsigned long notifier_seq;

	u64 checks, begun, due;
	u64 false_lib, false_kvm, false_notifier;
	u64 missed_lib, missed_kvm, missed_notifier;
	u64 waits_due, waits_false_lib, waits_false_notifier;
};

static void no_flush(struct smmu_inval *si, const struct smmu_inval_flush *flush)
{
}

static const struct smmu_inval_ops ops = { .flush = no_flush };

static bool overlaps(const struct fault *fault, const struct smmu_inval_span *span)
{
	return fault->start <= span->last && span->start <= fault->last;
}

static bool truly_pending(const struct precision *p, const struct fault *fault)
{
	unsigned int i, j;

	for (i = 0; i < p->nr_open; i++)
		for (j = 0; j < p->open[i].nr; j++)
			if (overlaps(fault, &p->open[i].spans[j]))
				return true;
	return false;
}

static bool truly_done(const struct precision *p, const struct fault *fault)
{
	u64 i;

	for (i = fault->done; i < p->nr_done; i++)
		if (overlaps(fault, &p->done[i % NR_DONE]))
			return true;
	return false;
}

/* The stream's events, for all that keep account. */

static void begin(struct precision *p, unsigned int id)
{
	struct invalidation *inv;

	if (p->nr_open == NR_OPEN)
		return;
	inv = &p->open[p->nr_open++];
	inv->id = id;
	inv->nr = 0;
	write_lock(&bench_lock);
	inv->token = smmu_inval_begin(&p->si, SMMU_INVAL_CLEAR);
	write_unlock(&bench_lock);
	if (!p->kvm_open++) {
		p->kvm_start = U64_MAX;
		p->kvm_last = 0;
	}
	p->active++;
}

static struct invalidation *find(struct precision *p, unsigned int id)
{
	unsigned int i;

	for (i = 0; i < p->nr_open; i++)
		if (p->open[i].id == id)
			return &p->open[i];
	return NULL;
}

static void add(struct precision *p, const struct bench_event *event)
{
	struct invalidation *inv = find(p, event->id);
	struct smmu_inval_span *span;

	if (!inv || inv->nr == ARRAY_SIZE(inv->spans))
		return;
	span = &inv->spans[inv->nr++];
	span->start = event->start;
	span->last = event->last;
	write_lock(&bench_lock);
	smmu_inval_add(&p->si, inv->token, event->start, event->last);
	write_unlock(&bench_lock);
	p->kvm_start = min(p->kvm_start, event->start);
	p->kvm_last = max(p->kvm_last, event->last);
	/* The callback sets the sequence: faults in flight retry from here. */
	if (!p->hit)
		p->notifier_seq++;
	p->hit = true;
}

static void end(struct precision *p, unsigned int id)
{
	struct invalidation *inv = find(p, id);
	unsigned int i;

	if (!inv)
		return;
	write_lock(&bench_lock);
	smmu_inval_end(&p->si, inv->token);
	write_unlock(&bench_lock);
	for (i = 0; i < inv->nr; i++)
		p->done[p->nr_done++ % NR_DONE] = inv->spans[i];
	p->kvm_seq++;
	p->kvm_open--;
	if (!--p->active && p->hit) {
		p->hit = false;
		p->notifier_seq++;
	}
	*inv = p->open[--p->nr_open];
}

/* Faults */

/* A page in, or near, something that was invalidated. */
static void choose_page(struct precision *p, struct fault *fault)
{
	const struct bench_event *event;
	u64 pages, page;

	do {
		event = &bench_stream[prandom_u32_state(&p->rnd) %
				      bench_stream_len];
	} while (event->what != BENCH_ADD);
	pages = ((event->last - event->start) >> PAGE_SHIFT) + 1;
	page = (event->start >> PAGE_SHIFT) +
	       ((u64)prandom_u32_state(&p->rnd) << 16 ^
		prandom_u32_state(&p->rnd)) % (pages + 16);
	page -= min(page, 8ULL);
	fault->start = page << PAGE_SHIFT;
	fault->last = fault->start | ~PAGE_MASK;
}

static void fault_begin(struct precision *p, struct fault *fault)
{
	bool due;

	fault->busy = true;
	choose_page(p, fault);
	fault->age = 1 + prandom_u32_state(&p->rnd) % p->window;
	fault->done = p->nr_done;
	fault->cookie = smmu_inval_read_begin(&p->si);
	fault->kvm_seq = p->kvm_seq;
	fault->notifier_seq = p->notifier_seq;
	fault->waits = p->hit;

	due = truly_pending(p, fault);
	p->begun++;
	p->waits_due += due;
	read_lock(&bench_lock);
	p->waits_false_lib += !due && smmu_inval_is_pending(&p->si, fault->start,
							    fault->last);
	read_unlock(&bench_lock);
	p->waits_false_notifier += !due && fault->waits;
}

static void fault_end(struct precision *p, struct fault *fault)
{
	bool due = truly_pending(p, fault) || truly_done(p, fault);
	bool lib, kvm, notifier;

	read_lock(&bench_lock);
	lib = smmu_inval_read_retry(&p->si, fault->cookie, fault->start,
				    fault->last);
	read_unlock(&bench_lock);
	kvm = (p->kvm_open && fault->start <= p->kvm_last &&
	       p->kvm_start <= fault->last) || p->kvm_seq != fault->kvm_seq;
	/* One that waited began when the notifier was quiet, and is not judged. */
	notifier = fault->waits ? due : p->notifier_seq != fault->notifier_seq;

	p->checks++;
	p->due += due;
	p->false_lib += lib && !due;
	p->false_kvm += kvm && !due;
	p->false_notifier += notifier && !due;
	p->missed_lib += due && !lib;
	p->missed_kvm += due && !kvm;
	p->missed_notifier += due && !notifier;
	fault->busy = false;
}

static void faults_go_on(struct precision *p)
{
	unsigned int i;

	for (i = 0; i < NR_FAULTS; i++) {
		struct fault *fault = &p->faults[i];

		if (!fault->busy)
			fault_begin(p, fault);
		else if (!--fault->age)
			fault_end(p, fault);
	}
}

static bool has_ranges(void)
{
	unsigned int i;

	for (i = 0; i < bench_stream_len; i++)
		if (bench_stream[i].what == BENCH_ADD)
			return true;
	return false;
}

static void replay(struct precision *p)
{
	unsigned int i;

	for (i = 0; i < bench_stream_len; i++) {
		const struct bench_event *event = &bench_stream[i];

		switch (event->what) {
		case BENCH_BEGIN:
			begin(p, event->id);
			break;
		case BENCH_ADD:
			add(p, event);
			break;
		case BENCH_END:
			end(p, event->id);
			break;
		default:
			/* Nothing that a fault could see */
			continue;
		}
		faults_go_on(p);
		if (!(i % 1024))
			cond_resched();
	}
	while (p->nr_open)
		end(p, p->open[0].id);
}

static unsigned long nr_checks = 1000000;
module_param_named(checks, nr_checks, ulong, 0644);
MODULE_PARM_DESC(checks, "how many faults are judged, for each line");

static int show(struct seq_file *m, unsigned int history, unsigned int window)
{
	struct smmu_inval_config cfg = {
		SMMU_INVAL_CONFIG_DEFAULTS,
		.name = "bench",
		.lock = SMMU_INVAL_LOCK(&bench_lock),
	};
	struct precision *p;
	int ret;

	p = kvzalloc(sizeof(*p), GFP_KERNEL);
	if (!p)
		return -ENOMEM;
	cfg.nr_history = history;
	ret = smmu_inval_init(&p->si, &ops, &cfg);
	if (ret)
		goto out;
	prandom_seed_state(&p->rnd, 1);
	p->window = window;
	while (p->checks < nr_checks && !fatal_signal_pending(current))
		replay(p);
	smmu_inval_destroy(&p->si);
	seq_printf(m, "precision history=%u window=%u checks=%llu due=%llu false_lib=%llu false_kvm=%llu false_notifier=%llu",
		   history, window, p->checks, p->due, p->false_lib,
		   p->false_kvm, p->false_notifier);
	seq_printf(m, " missed_lib=%llu missed_kvm=%llu missed_notifier=%llu begun=%llu waits_due=%llu waits_false_lib=%llu waits_false_notifier=%llu\n",
		   p->missed_lib, p->missed_kvm, p->missed_notifier, p->begun,
		   p->waits_due, p->waits_false_lib, p->waits_false_notifier);
out:
	kvfree(p);
	return ret;
}

int bench_precision_show(struct seq_file *m, void *unused)
{
	static const unsigned int windows[] = { 8, 64, 256 };
	static const unsigned int histories[] = { 1, 4, 16, 32, 64, 256 };
	unsigned int i, j;
	int ret = 0;

	if (!has_ranges())
		return 0;
	for (i = 0; i < ARRAY_SIZE(windows) && !ret; i++)
		for (j = 0; j < ARRAY_SIZE(histories) && !ret; j++)
			ret = show(m, histories[j], windows[i]);
	return ret;
}
