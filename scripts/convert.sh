# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Convert files of a kernel tree by a semantic patch, and see to it that nothing is
# half converted. Sourced, never run.
#
# Half a conversion that compiles is the worst of results. So a semantic patch has to
# change each file that it is given, and says in its header what must be gone
# afterwards: each line
#
#	// Leaves-no: REGEX
#
# is an extended regular expression that no statement of the result may match,
# comments aside. A converted file has to pass W=1 and sparse without a word.
#
# A semantic patch does not see comments. One that is no longer true is removed before,
# if the header has a line
#
#	// Without-comment: REGEX
#
# that the comment matches.

# header COCCI KEY: what COCCI's header says, a line each.
header() { sed -n "s|^// $2: *||p" "$1"; }

# A statement a line, without comments. The compiler takes what is preprocessed for
# having no continued lines.
statements() {
	sed -e ':more' -e '/\\$/{N; s/\\\n//; b more' -e '}' "$1" |
		"${CC:-gcc}" -w -fpreprocessed -dD -E -P -x c - | tr '\n\t' '  ' |
		sed 's/[;{}]/&\n/g'
}

# spatch aligns with blanks, and leaves some where it removes. It has a style of its own
# for loops, puts no blank line between what it adds at the top level, and now and then
# no new line before the body of a function.
tidy() {
	unexpand --first-only -t 8 "$1" |
		sed -E -e 's/[[:blank:]]*$//' \
			-e 's/\<for\(([^;]*);([^ ;][^;]*);([^ ;].*)/for (\1; \2; \3/' \
			-e 's/\<([a-z_]*for_each[a-z_]*) \(/\1(/' \
			-e 's/^(\t+[a-z]+)\(\*/\1 (*/' |
		awk '/^[a-z].*\(/ { head = 1 }
			head && sub(/\)\{$/, ")\n{") { head = 0 }
			/[;{}]$/ { head = 0 }
			end && /^(static|const|struct|int|void|bool) / { print "" }
			{ print; end = /^};?$/ }' |
		cat -s
}

# without_comment FILE REGEX: remove comments that match, of lines of their own.
without_comment() {
	awk -v regex="$2" '
		!inside && /^[ \t]*\/\*/ { inside = 1; comment = "" }
		inside {
			comment = comment $0 "\n"
			if (/\*\/[ \t]*$/) {
				inside = 0
				if (comment !~ regex)
					printf "%s", comment
			} else if (/\*\//) {
				inside = 0
				printf "%s", comment
			}
			next
		}
		{ print }' "$1" >"$1.new"
	mv "$1.new" "$1"
}

# convert DIR COCCI FILE...: each FILE is a copy of the kernel's, in DIR. What changed
# is shown by DIR/NAME.diff, for COCCI called NAME.cocci.
convert() {
	local dir=$1 cocci=$2 what options file regex bad=0
	shift 2

	command -v spatch >/dev/null || die "needs the package coccinelle"
	what=$(basename "$cocci" .cocci)
	read -ra options < <(header "$cocci" Options | xargs)
	for file; do
		cp "$dir/$file" "$dir/$file.orig"
		while read -r regex; do
			without_comment "$dir/$file" "$regex"
		done < <(header "$cocci" Without-comment)
	done
	(cd "$dir" && spatch --very-quiet --in-place -D patch "${options[@]}" \
		--cocci-file "$cocci" "$@") >"$dir/spatch.log" 2>&1 ||
		{ tail -n 20 "$dir/spatch.log" >&2; die "$what: spatch failed"; }
	for file; do
		if cmp -s "$dir/$file" "$dir/$file.orig"; then
			say "$what does not change $file"
			bad=1
		fi
		while read -r regex; do
			statements "$dir/$file" >"$dir/statements"
			if grep -E -- "$regex" "$dir/statements" >&2; then
				say "$file: $what left this of $regex"
				bad=1
			fi
		done < <(header "$cocci" Leaves-no)
		tidy "$dir/$file" >"$dir/tidy"
		mv "$dir/tidy" "$dir/$file"
		diff -u --label "a/$file" --label "b/$file" <(tidy "$dir/$file.orig") \
			"$dir/$file" || true
	done >"$dir/$what.diff"
	[ $bad -eq 0 ] || die "$what does not apply to $dir"
}

# compile_below DIR SUBDIR: compile what Kbuild in DIR/SUBDIR says, which is a copy of
# kernel files, with W=1 and sparse. What they say is in DIR/warnings, and DIR/MAKE is
# the command. Here and below $tree, $obj, $karch, $cross, $sparse and $built, a file that
# was built in $obj, are the caller's.
# shellcheck disable=SC2154
compile_below() {
	local dir=$1 args

	args=(-C "$tree" O="$obj" ARCH="$karch" CROSS_COMPILE="$cross" M="$dir/$2" -j"$JOBS")
	echo "make ${args[*]} modules" >"$dir/MAKE"
	say "  building ${dir#"$CACHE/build/"}"
	quietly "$dir/build.log" make "${args[@]}" W=1 C=1 CHECK="$sparse" modules
	# It does not count if the kernel goes on without sparse.
	! grep -E 'not up to date|is not available' "$dir/build.log" >&2 ||
		die "sparse did not look at $dir (see $dir/build.log)"
	warnings_of "$dir" "$dir"
}

# warnings_of DIR TREE: what DIR/build.log says of TREE, but for where, in DIR/warnings.
# Of headers it is said in each file.
warnings_of() {
	grep -E ' (warning|error): ' "$1/build.log" |
		sed -E "s|$2/||; s|^(\.\./)+||; s/:[0-9]+(:[0-9]+)?:/:/" |
		awk '!/^[^ ]*\.h: / || !seen[$0]++' | sort >"$1/warnings" || true
}

# no_new_warnings OWN DIR: nothing was said in DIR that was not said of the kernel's own
# files, in OWN.
no_new_warnings() {
	! comm -13 "$1/warnings" "$2/warnings" | grep . >&2 ||
		die "what was converted does not compile without warnings (see $2/build.log)"
}

# seen_by_sparse DIR FILE
seen_by_sparse() {
	grep -qE "^ *CHECK .*\<$(basename "$2")\$" "$1/build.log" ||
		die "sparse did not look at $2"
}

# fingerprint DIR FILE...: all that DIR was made of, and what was made, should somebody
# have built something else there meanwhile.
# shellcheck disable=SC2154
fingerprint() {
	local dir=$1
	shift

	{
		sha256sum "$tree/.smmu_inval_deb" "$obj/.config" "$obj/$built" \
			"$tree"/include/linux/smmu_inval*.h "$SRC/scripts/$(basename "$0")" "$@" |
			cut -d ' ' -f 1
		"${CC:-gcc}" --version
		cat "$(dirname "$sparse")/../sparse/.stamp"
		[ ! -d "$dir" ] || find "$dir" -name '*.o' -printf '%p %T@ %s\n' | sort
	} | sha256sum
}

# unless_built DIR COMMAND FILE...: run COMMAND, if DIR is not what it would make of
# the FILEs.
unless_built() {
	local dir=$1 command=$2
	shift 2

	[ "$(cat "$dir/stamp" 2>/dev/null)" != "$(fingerprint "$dir" "$@")" ] || return 0
	"$command"
	fingerprint "$dir" "$@" >"$dir/stamp"
}
