/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The protocol, for Spin: see scripts/model, which runs each scenario, and each
 * mutation of mutations.txt, which has to be found.
 *
 * A page of the process has a version, which is what the primary page table maps
 * (prim). A change makes a new version; of UNMAP and its like the old one is freed
 * at once, of PROTECTION_VMA it is only forbidden once the operation is over. The
 * secondary page table (sec) and the device's TLB (tlb) hold versions, 0 is none.
 * The device walks and uses its TLB at any time. Of the library are here:
 *
 *	pending.c	take(), give(): own nodes, then a hull with users
 *	history.c	complete(), completed_since(): a ring and its sequence
 *	retry.c		Fault: read_begin, read_retry
 *	wait.c		Fault: prepare and wait; wake()
 *	batch.c		changed(), flush(): before the unlock, also at a yield
 *	flight.c	issue(), drain: what is on its way is waited for by all
 *	mn.c, event.c	Zap, Protect, Nested: start and end, and what is put off
 *	instance.c	Unbind: shutdown, unregister, destroy
 *
 * Not here: what sets no order (statistics, traces), write-protection (a weaker
 * zap), address translation, keyed tokens, the records of the interval binding
 * (a record is a pending range and a completion in one), the order of memory
 * (../litmus), and more than one library instance. A lock held shared is modelled
 * as held exclusively.
 */

#ifndef PAGES
#define PAGES	2
#endif
#ifndef NODES
#define NODES	2	/* ranges that find a node of their own */
#endif
#ifndef HISTORY
#define HISTORY	2
#endif
#define INVALS	3	/* invalidations that may be pending */
#define FAULTS	2

/* Core mm */
byte prim[PAGES];
byte freed[PAGES];		/* versions up to this one are */
bool registered = true;
byte running;			/* callbacks that core mm is in */

/* The driver and its device */
bool locked;
byte sec[PAGES];
byte tlb[PAGES];
bool gone;			/* the instance is */
byte faults_in;

/* pending.c */
bool own[INVALS], hulled[INVALS];
byte first[INVALS], end_of[INVALS];
byte nodes = NODES;
byte hull_first = PAGES, hull_last, hull_users;
bool dead;

/* history.c */
byte seq;
byte done_first[HISTORY], done_last[HISTORY];

/* wait.c */
bool waits[FAULTS];
byte wait_first[FAULTS], wait_last[FAULTS];

/* flight.c: tickets count the flushes issued; of each page the newest */
byte issued, landed;
byte flight[PAGES];		/* newest ticket that covers the page: recorded */
byte queue_page[8];		/* what the device was told: a bit for each page */

#define overlap(a, b, c, d)	((a) <= (d) && (c) <= (b))

inline lock()
{
	atomic { !locked -> locked = true; assert(!gone) }
}

/* I2: nothing that changed here is left in the TLB, or it is on its way and recorded. */
inline unlock()
{
	d_step {
		assert(!unflushed);
		locked = false
	}
}

/* pending.c */
inline take(new, low, high)
{
	d_step {
		first[new] = low;
		end_of[new] = high;
		if
		:: nodes > 0 -> nodes--; own[new] = true
		:: else ->
			hulled[new] = true;
			hull_users++;
#ifndef MUT_HULL_NOT_GROWN
			if :: low < hull_first -> hull_first = low :: else fi;
			if :: high > hull_last -> hull_last = high :: else fi
#else
			if :: hull_users == 1 -> hull_first = low; hull_last = high :: else fi
#endif
		fi
	}
}

/* history.c; the sequence comes last: it is read without the lock. */
inline complete(over_low, over_high)
{
#ifndef MUT_NO_HISTORY
	done_first[seq % HISTORY] = over_low;
	done_last[seq % HISTORY] = over_high;
#endif
#ifndef MUT_NO_SEQUENCE
	seq++
#else
	skip
#endif
}

inline give(old)
{
	d_step {
#ifdef MUT_END_OF_ANOTHER
		/* Its node goes, and the other's range with it. */
		if
		:: old == 0 && own[0] && own[1] -> own[1] = false; nodes++
		:: else
		fi;
#endif
		if
		:: own[old] ->
			own[old] = false;
			nodes++;
#ifndef MUT_END_WITHOUT_HISTORY
			complete(first[old], end_of[old])
#endif
		:: hulled[old] ->
			hulled[old] = false;
			hull_users--;
#ifdef MUT_HULL_RESET_EARLY
			complete(hull_first, hull_last);
			hull_first = PAGES;
			hull_last = 0
#else
			if
			:: hull_users == 0 ->
#ifndef MUT_HULL_WITHOUT_HISTORY
				complete(hull_first, hull_last);
#endif
				hull_first = PAGES;
				hull_last = 0
			:: else
			fi
#endif
#ifdef MUT_END_OF_ANOTHER
		:: else
#else
		:: else -> assert(false)
#endif
		fi
	}
}

#define own_pending(id, from, to) \
	(own[id] && overlap(first[id], end_of[id], from, to))
#ifdef MUT_OFF_BY_ONE
#define hull_pending(from, to) \
	(hull_users && hull_first < (to) && (from) < hull_last)
#else
#define hull_pending(from, to) \
	(hull_users && overlap(hull_first, hull_last, from, to))
#endif
#ifdef MUT_HULL_NOT_ASKED
#define pending(from, to) \
	(own_pending(0, from, to) || own_pending(1, from, to) || own_pending(2, from, to))
#else
#define pending(from, to) \
	(own_pending(0, from, to) || own_pending(1, from, to) || own_pending(2, from, to) || \
	 hull_pending(from, to))
#endif

/* What is true, whatever the library keeps of it */
#define truly(id, page) \
	((own[id] || hulled[id]) && first[id] <= (page) && (page) <= end_of[id])
#define truly_pending(page)	(truly(0, page) || truly(1, page) || truly(2, page))

/* wait.c */
inline wake()
{
	d_step {
		for (w : 0 .. FAULTS - 1) {
			if
#ifdef MUT_WAKE_NOT_IF_DEAD
			:: waits[w] && !pending(wait_first[w], wait_last[w]) && !dead ->
#else
			:: waits[w] && (dead || !pending(wait_first[w], wait_last[w])) ->
#endif
				waits[w] = false
			:: else
			fi
		}
		w = 0
	}
}

/* batch.c and flight.c; a batch is a set of pages here, a bit each. */
inline flush()
{
	if
	:: unflushed && mode_two_phase ->
		d_step {
			queue_page[issued % 8] = unflushed;
			issued++;
			ticket = issued;
#ifndef MUT_FLIGHT_NOT_RECORDED
			for (q : 0 .. PAGES - 1) {
				if :: unflushed & (1 << q) -> flight[q] = issued :: else fi
			}
			q = 0;
#endif
			unflushed = 0
		}
	:: unflushed && !mode_two_phase ->
		d_step {
			for (q : 0 .. PAGES - 1) {
				if :: unflushed & (1 << q) -> tlb[q] = 0 :: else fi
			}
			q = 0;
			unflushed = 0
		}
	:: else
	fi
}

inline zap_page(victim)
{
	d_step {
		if
		:: sec[victim] ->
			sec[victim] = 0;
#ifdef MUT_LAST_PAGE_NOT_REPORTED
			if :: victim != to -> unflushed = unflushed | (1 << victim) :: else fi
#else
			unflushed = unflushed | (1 << victim)
#endif
		:: else
		fi
	}
}

/* What overlaps and has not landed: waited for by everybody. */
inline find_flights(air_low, air_high)
{
#ifndef MUT_OTHERS_FLIGHTS
	d_step {
		for (q : 0 .. PAGES - 1) {
			if
			:: q >= air_low && q <= air_high && flight[q] > ticket -> ticket = flight[q]
			:: else
			fi
		}
		q = 0
	}
#else
	skip
#endif
}

inline drain()
{
#ifndef MUT_NO_DRAIN
	landed >= ticket
#else
	skip
#endif
}

/* I1: what the event forbids can neither be used nor be cached any more. */
inline assert_zapped(gone_low, gone_high)
{
	d_step {
		for (q : 0 .. PAGES - 1) {
			assert(!(q >= gone_low && q <= gone_high && registered) || (sec[q] == 0 && tlb[q] == 0))
		}
		q = 0
	}
}

inline start_zap(which, zap_low, zap_high)
{
	lock();
#ifndef MUT_NOT_PENDING
	take(which, zap_low, zap_high);
#endif
	page = zap_low;
	do
	:: page <= zap_high ->
#ifdef MUT_SKIP_LAST
		if :: page != zap_high || zap_low == zap_high -> zap_page(page) :: else fi;
#else
		zap_page(page);
#endif
		page++;
#ifdef YIELD
		if
		:: page <= zap_high ->
#ifndef MUT_YIELD_UNFLUSHED
			flush();
			unlock();
#else
			d_step { locked = false };
#endif
			lock()
		:: else
		fi
#endif
	:: else -> break
	od;
	page = 0;
	find_flights(zap_low, zap_high);
#ifdef MUT_FLUSH_AFTER_UNLOCK
	d_step { locked = false };
	flush()
#else
#ifdef MUT_NO_FLUSH
	unflushed = 0;
#endif
#ifndef MUT_FLUSH_LEFT_OUT
	flush();
#endif
	unlock();
#endif
	drain();
	ticket = 0
}

/* Core mm: a new page is mapped, and the old one is free. */
inline change(map_low, map_high)
{
	page = map_low;
	do
	:: page <= map_high ->
		atomic {
			freed[page] = prim[page];
			prim[page]++
		};
		page++
	:: else -> break
	od;
	page = 0
}

inline end_plain(which)
{
	lock();
#ifdef MUT_WAKE_BEFORE_END
	wake();
	give(which);
#else
#ifdef MUT_NOT_PENDING
	d_step { complete(0, PAGES - 1) };
#else
	give(which);
#endif
#ifndef MUT_NO_WAKE
	wake();
#endif
#endif
	unlock()
}

/* Unregistered notifiers are not called; unregistering waits for those that are. */
inline enter()
{
	atomic { called = registered; if :: called -> running++ :: else fi }
}

inline leave()
{
	if :: called -> running-- :: else fi;
	called = false
}

/* UNMAP, CLEAR and their like */
proctype Zap(byte id; byte from; byte to; bool mode_two_phase)
{
	byte unflushed, ticket, page, q, w;
	bool called, started;

	enter();
	if
	:: called -> started = true; start_zap(id, from, to); assert_zapped(from, to)
	:: else
	fi;
	leave();
	change(from, to);
	enter();
	if
	:: called && started -> end_plain(id)
	:: else
	fi;
	leave()
}

/* One thread: an invalidation, and inside of it one of the same range. */
proctype Nested(byte id; byte from; byte to)
{
	byte unflushed, ticket, page, q, w;
	bool called = true, mode_two_phase = false;

	start_zap(id, from, to);
	assert_zapped(from, to);
	start_zap(id + 1, to, to);
	assert_zapped(to, to);
	change(to, to);
#ifdef MUT_END_OF_OUTER
	end_plain(id);
#else
	end_plain(id + 1);
#endif
	assert_zapped(from, to);
	change(from, to);
#ifdef MUT_END_OF_OUTER
	end_plain(id + 1)
#else
	end_plain(id)
#endif
}

/* PROTECTION_VMA: nothing at start; at end what the primary page tables say. */
proctype Protect(byte id; byte from; byte to; bool mode_two_phase)
{
	byte unflushed, ticket, page, q, w, seen[PAGES];

	lock();
#ifndef MUT_DEFER_NOT_PENDING
	take(id, from, to);
#endif
	unlock();
	/* Some of the pages lose a permission, as far as anybody knows. */
	page = from;
	do
	:: page <= to ->
		if :: prim[page]++ :: skip fi;
		page++
	:: else -> break
	od;
	page = from;
#ifdef MUT_RETIRE_BEFORE_LOOK
	lock(); give(id); wake(); unlock();
#endif
	/* Before the lock: what changes later sends an event of its own. */
	do
	:: page <= to -> seen[page] = prim[page]; page++
	:: else -> break
	od;
	lock();
	page = from;
#ifdef MUT_RETIRE_BEFORE_FLUSH
	give(id); wake();
	locked = false;
	lock();
#endif
	do
	:: page <= to ->
#ifdef MUT_KEEP_ALL
		skip;
#else
		if
		:: sec[page] != seen[page] -> zap_page(page)
		:: else
		fi;
#endif
		page++
	:: else -> break
	od;
	page = 0;
	flush();
	unlock();
#if !defined(MUT_RETIRE_IN_FLIGHT) && !defined(MUT_PROTECT_NO_DRAIN)
	drain();
#endif
	ticket = 0;
	lock();
	/* Flights of what is not pending, the driver's own say, of which there are none here. */
	find_flights(from, to);
#if !defined(MUT_RETIRE_BEFORE_LOOK) && !defined(MUT_RETIRE_BEFORE_FLUSH)
#ifdef MUT_DEFER_NOT_PENDING
	d_step { complete(from, to) };
#else
	give(id);
#endif
	wake();
#endif
	/* I11, as the operation returns */
	d_step {
		for (q : 0 .. PAGES - 1) {
			assert(!(q >= from && q <= to) || truly_pending(q) ||
			       (sec[q] == 0 || sec[q] == prim[q]) &&
			       (tlb[q] == 0 || tlb[q] == prim[q] || flight[q] > landed))
		}
		q = 0
	};
	unlock();
#ifndef MUT_PROTECT_NO_DRAIN
	drain();
#endif
	/* And nothing is on its way any more. */
	d_step {
		for (q : 0 .. PAGES - 1) {
			assert(!(q >= from && q <= to) || truly_pending(q) ||
			       tlb[q] == 0 || tlb[q] == prim[q])
		}
		q = 0
	}
}

#ifdef MUT_CHECK_FIRST_PAGE_ONLY
#define CHECKED(to)	from
#else
#define CHECKED(to)	to
#endif

/* It installs all of [from, to]: a page and its neighbours. */
proctype Fault(byte me; byte from; byte to)
{
	byte cookie, found[PAGES], page, i;
	bool retry, wait, unflushed, mode_two_phase;

	faults_in++;
again:
	if
	:: dead -> goto out
	:: else
	fi;
#ifdef MUT_READ_BEGIN_LATE
	page = from;
	do
	:: page <= to -> found[page] = prim[page]; page++
	:: else -> break
	od;
	cookie = seq;
#else
	cookie = seq;
	page = from;
	do
	:: page <= to -> found[page] = prim[page]; page++
	:: else -> break
	od;
#endif
	page = 0;
#ifdef MUT_CHECK_BEFORE_LOCK
	d_step { retry = dead || pending(from, to) || seq != cookie };
	lock();
#else
	lock();
	d_step {
		retry = dead;
#ifndef MUT_PENDING_NOT_CHECKED
		retry = retry || pending(from, CHECKED(to));
#endif
#ifndef MUT_HISTORY_NOT_CHECKED
		if
		:: seq - cookie > HISTORY ->
#ifndef MUT_HISTORY_OVERFLOW
			retry = true
#else
			skip
#endif
		:: else ->
			for (i : 0 .. HISTORY - 1) {
				if
				:: i < seq - cookie &&
				   overlap(done_first[(cookie + i) % HISTORY],
					   done_last[(cookie + i) % HISTORY], from, CHECKED(to)) ->
					retry = true
				:: else
				fi
			}
		fi;
		i = 0
#else
		skip
#endif
	};
#endif
	if
	:: retry ->
#ifdef MUT_PREPARE_AFTER_UNLOCK
		d_step { wait = !dead && pending(from, to); locked = false };
		atomic {
#else
		atomic {
			wait = !dead && pending(from, to);
#endif
			if
			:: wait ->
				waits[me] = true;
				wait_first[me] = from;
				wait_last[me] = to
			:: else
			fi
		};
#ifndef MUT_PREPARE_AFTER_UNLOCK
		unlock();
#endif
		if
		:: wait -> !waits[me]
		:: else
		fi;
		goto again
	:: else
	fi;
	page = from;
	do
	:: page <= to ->
		/* I3 and I4 */
		assert(!dead && !truly_pending(page) && found[page] == prim[page]);
		/* Retired is only what was flushed: the device has no other one. */
		assert(tlb[page] == 0 || tlb[page] == found[page]);
		sec[page] = found[page];
		page++
	:: else -> break
	od;
	page = 0;
	unlock();
out:
	faults_in--
}

/* The device never looks behind its TLB, and never waits. */
proctype Device()
{
	byte page;

end:	do
	:: d_step { sec[0] && !tlb[0] -> tlb[0] = sec[0] }
	:: d_step { sec[1] && !tlb[1] -> tlb[1] = sec[1] }
	:: d_step { tlb[0] -> assert(tlb[0] > freed[0]); tlb[0] = 0 }
	:: d_step { tlb[1] -> assert(tlb[1] > freed[1]); tlb[1] = 0 }
	:: d_step { tlb[0] && tlb[0] <= freed[0] -> assert(false) }
	:: d_step { tlb[1] && tlb[1] <= freed[1] -> assert(false) }
	od
}

/* It executes what it was told, in order. */
proctype Flusher()
{
	byte q;

end:	do
	:: d_step {
		landed < issued ->
		for (q : 0 .. PAGES - 1) {
			if :: queue_page[landed % 8] & (1 << q) -> tlb[q] = 0 :: else fi
		}
		q = 0;
		landed++
	   }
	od
}

/* The driver lets go, while callbacks and faults run. Unregistering releases first. */
proctype Unbind(bool mode_two_phase)
{
	byte unflushed, ticket, page, q, w, from = 0, to = PAGES - 1;

	lock();
#ifndef MUT_RELEASE_NOT_DEAD
	dead = true;
#endif
#ifndef MUT_RELEASE_KEEPS
	do
	:: page <= to -> zap_page(page); page++
	:: else -> break
	od;
	page = 0;
	flush();
#endif
#ifndef MUT_DEAD_WITHOUT_WAKE
	wake();
#endif
	unlock();
#ifndef MUT_RELEASE_NO_DRAIN
	drain();
#endif
	registered = false;
#ifndef MUT_UNREGISTER_DOES_NOT_WAIT
	running == 0;
#endif
#ifndef MUT_FAULTS_NOT_WAITED_FOR
	faults_in == 0;
#endif
	/* What is still pending is forgotten: its end never comes. */
	gone = true
}

init {
	atomic {
		prim[0] = 1;
		prim[1] = 1;
#if PAGES > 2
		prim[2] = 1;
#endif
		SCENARIO
	}
}
