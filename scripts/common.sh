# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What every script here needs: strict mode, the cache, and one way to fail.
# Sourced, never run.

set -euo pipefail

# Nothing parses localized output, and sorting must not depend on the user.
export LC_ALL=C

SRC=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${SMMU_INVAL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/smmu_inval}
JOBS=${JOBS:-$(nproc)}
export SRC CACHE JOBS

# A kernel is built the same way whatever make or user calls us.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL KBUILD_OUTPUT ARCH CROSS_COMPILE \
	KCFLAGS KCONFIG_CONFIG KCONFIG_ALLCONFIG O C W V

say() { printf '%s\n' "$*" >&2; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# need_space MIB: one clear line now is better than a full disk in an hour.
need_space() {
	local free

	mkdir -p "$CACHE" 2>/dev/null || die "cannot create the cache $CACHE"
	free=$(df -Pm "$CACHE" | awk 'NR == 2 { print $4 }')
	[ "$free" -ge "$1" ] ||
		die "needs $1 MiB free in $CACHE, and $free MiB are (set SMMU_INVAL_CACHE to use another disk)"
}

# natural WHAT N [LOW]: N is a number in decimal, of LOW (1) or more, or we end.
natural() {
	if ! [[ $2 =~ ^(0|[1-9][0-9]{0,17})$ ]] || [ "$2" -lt "${3:-1}" ]; then
		die "$1 is a number of ${3:-1} or more, and not '$2'"
	fi
}

# locked NAME COMMAND...: two runs that share the cache take turns.
locked() {
	local name=$1
	shift

	mkdir -p "$CACHE/locks"
	(
		flock -n 9 || {
			say "waiting for another run that uses $name"
			flock 9
		}
		"$@"
	) 9>"$CACHE/locks/$name"
}

# quietly LOG COMMAND...: the output goes to LOG, with a line of progress
# every few seconds; on failure the errors in it are shown, or else its end.
quietly() {
	local log=$1 pid start tick=0 rc=0 errors
	shift

	mkdir -p "$(dirname "$log")"
	"$@" >"$log" 2>&1 9>&- &
	pid=$!
	# A build must not go on, unseen and unlocked, after we are stopped.
	trap 'kill "$pid" 2>/dev/null; exit 143' INT TERM
	start=$SECONDS
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.2
		tick=$((tick + 1))
		[ $((tick % 50)) -eq 0 ] &&
			say "    ... $((SECONDS - start)) s, $(wc -l <"$log") lines in $log"
	done
	wait "$pid" || rc=$?
	trap - INT TERM
	[ $rc -eq 0 ] && return 0
	errors=$(grep -E -A 4 ': (fatal )?error: |undefined reference|multiple definition|No rule to' \
		"$log" | head -n 40) || true
	printf '%s\n' "${errors:-$(tail -n 40 "$log")}" >&2
	die "failed ($rc): $*; the whole log is in $log"
}

# tally STAGE PASSED FAILED SKIPPED: what a stage of "make check" counted. The
# stage's own exit status says whether it passed; this only feeds the table.
tally() {
	[ $# -eq 4 ] || die "usage: tally STAGE PASSED FAILED SKIPPED"
	if [ -n "${SMMU_INVAL_TALLY:-}" ]; then
		printf '%s %d %d %d\n' "$@" >>"$SMMU_INVAL_TALLY"
	fi
}

# A flavour is ARCH-VERSION[-VARIANT]: uml-7.3-smp, x86-6.12, ...
flavours() {
	local file

	for file in "$SRC"/kunit/configs/*-[0-9]*.config; do
		basename "$file" .config
	done
}

check_flavour() {
	[ -e "$SRC/kunit/configs/$1.config" ] ||
		die "unknown flavour '$1'; there are: $(flavours | xargs)"
}

flavour_arch() { printf '%s\n' "${1%%-*}"; }
flavour_version() { cut -d - -f 2 <<<"$1"; }
flavour_objdir() { printf '%s\n' "$CACHE/build/$1"; }

# has_config OBJDIR SYMBOL: is it built in?
has_config() { grep -qx "CONFIG_$2=y" "$1/.config"; }

# uml_memory_dir MIB: UML maps its memory from a file: in /dev/shm, unless that has
# not as much (it often is small in a container), and then the kernel would die of SIGBUS.
uml_memory_dir() {
	local free

	free=$(df -Pm /dev/shm 2>/dev/null | awk 'NR == 2 { print $4 }') || true
	if [ "${free:-0}" -lt "$1" ] || [ ! -w /dev/shm ]; then
		mkdir -p "$CACHE/tmp"
		export TMPDIR=$CACHE/tmp
	fi
}
