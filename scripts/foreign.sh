# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Programs of a newer Debian on this one: with the libraries they ask for, run
# by their own dynamic loader. Nothing is installed, and nothing else on the
# machine sees those libraries. Sourced after common.sh, never run.

# needed FILE...: the sonames that these ELF files ask for.
needed() {
	readelf -d "$@" 2>/dev/null |
		sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p' | sort -u
}

# missing ROOT FILE...: what FILE... and their libraries ask for, and ROOT has not.
missing() {
	local root=$1 soname path pending
	local -A seen=()
	shift

	pending=$(needed "$@")
	while [ -n "$pending" ]; do
		soname=${pending%%$'\n'*}
		pending=${pending#"$soname"}
		pending=${pending#$'\n'}
		[ -z "$soname" ] || [ -n "${seen[$soname]:-}" ] && continue
		seen[$soname]=1
		path=$(find "$root" -name "$soname" | head -n 1)
		if [ -z "$path" ]; then
			printf '%s\n' "$soname"
		else
			pending+=${pending:+$'\n'}$(needed "$path")
		fi
	done
}

# libraries_of DEB: the libraries among its dependencies, by package name.
libraries_of() {
	dpkg-deb -f "$1" Pre-Depends Depends | sed 's/^[A-Za-z-]*://' |
		tr ',' '\n' | sed 's/^ *//; s/[ :|(].*//' | grep -E '^(lib|zlib)' || true
}

# add_libraries ROOT DEB SUITES FILE...: unpack into ROOT the libraries that
# FILE... need, looked for along the dependencies of DEB, in SUITES.
add_libraries() {
	local root=$1 suites=$3 queue package deb
	local -A seen=()
	queue=$(libraries_of "$2")
	shift 3

	while [ -n "$(missing "$root" "$@")" ]; do
		[ -n "$queue" ] ||
			die "no package provides $(missing "$root" "$@" | tr '\n' ' ')for $1"
		package=${queue%%$'\n'*}
		queue=${queue#"$package"}
		queue=${queue#$'\n'}
		[ -z "${seen[$package]:-}" ] || continue
		seen[$package]=1
		# shellcheck disable=SC2086 # one word a suite
		deb=$("$SRC/scripts/debian-deb" --any "$package" $suites)
		dpkg-deb -x "$deb" "$root"
		queue+=${queue:+$'\n'}$(libraries_of "$deb")
	done
}

# wrap ROOT PROGRAM WRAPPER: WRAPPER runs PROGRAM with the loader and the
# libraries of ROOT. PROGRAM may be WRAPPER itself, which is then moved aside.
wrap() {
	local root=$1 program=$2 wrapper=$3 loader libs

	# ld.so and libc.so.6 only work as a pair: both come from ROOT or neither.
	loader=$(find "$root" -name 'ld-linux*.so.*' | sort | head -n 1)
	libs=$(find "$root" -path '*/lib*/*' -name 'lib*.so.*' -printf '%h\n' | sort -u | paste -sd :)
	[ -n "$loader" ] || die "no dynamic loader in $root"
	if [ "$program" = "$wrapper" ]; then
		program=$wrapper.wrapped
		mv "$wrapper" "$program"
	fi
	mkdir -p "$(dirname "$wrapper")"
	# A link there would be followed, to whatever it points to.
	rm -f "$wrapper"
	cat >"$wrapper" <<-END
	#!/bin/sh
	# Made by smmu_inval: a program of a newer Debian, with its own libraries.
	exec '$loader' --library-path '$libs' --argv0 "\$0" '$program' "\$@"
	END
	chmod +x "$wrapper"
}
