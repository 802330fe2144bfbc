// SPDX-License-Identifier: GPL-2.0-only
///
/// The fault side of an interval notifier that is on smmu_inval (interval.cocci): a cookie
/// for the sequence, and a check of what is installed for a check of the sequence. HMM's
/// early look at the notifier is the library's, which never says that anything changed; the
/// check under the lock decides alone.
///
/// What to check is what is installed, which only the author knows: it is taken from
/// struct hmm_range where there is one. Who looks up pages otherwise gets a call without
/// its range, which does not compile until there is one. Before a fault starts again
/// it may wait with smmu_inval_interval_wait() for what sent it back.
///
// Confidence: Low
// Options: --no-includes
// Keywords: smmu_inval, mmu_interval_read_begin, mmu_interval_read_retry, hmm_range
//

virtual patch

// Where the sequence is in a struct hmm_range: a local cookie takes its place.

@hmm depends on patch@
identifier fn, r;
expression E;
@@

 fn(...)
 {
+	struct smmu_inval_cookie cookie;
 	...
(
-	r->notifier_seq = mmu_interval_read_begin(&E->notifier);
+	cookie = smmu_inval_interval_read_begin(&E->interval);
|
-	r.notifier_seq = mmu_interval_read_begin(&E->notifier);
+	cookie = smmu_inval_interval_read_begin(&E->interval);
)
 	... when any
 }

@depends on hmm@
identifier hmm.fn, hmm.r;
expression E;
@@

 fn(...)
 {
 	<...
(
-	mmu_interval_read_retry(&E->notifier, r->notifier_seq)
+	smmu_inval_interval_read_retry(&E->interval, cookie, r->start,
+				       r->end - 1)
|
-	mmu_interval_read_retry(&E->notifier, r.notifier_seq)
+	smmu_inval_interval_read_retry(&E->interval, cookie, r.start,
+				       r.end - 1)
|
-	mmu_interval_read_retry(r->notifier, r->notifier_seq)
+	smmu_inval_interval_read_retry(&E->interval, cookie, r->start,
+				       r->end - 1)
)
 	...>
 }

@depends on patch@
expression E;
identifier r;
@@

(
-	r->notifier = &E->notifier;
+	r->notifier = smmu_inval_interval_notifier(&E->interval);
|
-	r.notifier = &E->notifier;
+	r.notifier = smmu_inval_interval_notifier(&E->interval);
)

@depends on patch@
expression E;
identifier r;
@@

 struct hmm_range r = {
-	.notifier = &E->notifier,
+	.notifier = smmu_inval_interval_notifier(&E->interval),
 };

// Where it is a number of its own.

@own depends on patch@
identifier seq;
expression E;
@@

-	unsigned long seq;
+	struct smmu_inval_cookie seq;
 	...
-	seq = mmu_interval_read_begin(&E->notifier);
+	seq = smmu_inval_interval_read_begin(&E->interval);

@depends on patch@
identifier seq;
expression E;
@@

-	unsigned long seq = mmu_interval_read_begin(&E->notifier);
+	struct smmu_inval_cookie seq = smmu_inval_interval_read_begin(&E->interval);

@depends on patch@
expression E, seq;
@@

-	mmu_interval_read_retry(&E->notifier, seq)
+	smmu_inval_interval_read_retry(&E->interval, seq)
