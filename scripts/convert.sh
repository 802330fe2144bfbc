# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Convert files of a kernel tree by a semantic patch, and see to it that nothing is
# half converted. Sourced, never run: by scripts/build-converted, scripts/build-kvm.
#
# Half a conversion that compiles is the worst of results. So a semantic patch has to
# change each file that it is given, and says in its header what must be gone
# afterwards: each line
#
#	// Leaves-no: REGEX
#
# is an extended regular expression that no statement of the result may match,
# comments aside. A converted file has to pass W=1 and sparse without a word.

# header COCCI KEY: what COCCI's header says, a line each.
header() { sed -n "s|^// $2: *||p" "$1"; }

# A statement a line, without comments. The compiler takes what is preprocessed for
# having no continued lines.
statements() {
	sed -e ':more' -e '/\\$/{N; s/\\\n//; b more' -e '}' "$1" |
		"${CC:-gcc}" -w -fpreprocessed -dD -E -P -x c - | tr '\n\t' '  ' |
		sed 's/[;{}]/&\n/g'
}

# spatch aligns with blanks, and leaves some where it removes.
tidy() { unexpand --first-only -t 8 "$1" | sed 's/[[:blank:]]*$//' | cat -s; }

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
