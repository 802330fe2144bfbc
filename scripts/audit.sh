# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Run an audit of scripts/coccinelle/smmu_inval/audit/. Sourced, never run.

AUDIT=$SRC/scripts/coccinelle/smmu_inval/audit

audit_rules() {
	local file

	for file in "$AUDIT"/*.cocci; do
		basename "$file" .cocci
	done
}

# audit RULE MODE FILE...: what the rule says of the files.
audit() {
	local cocci=$AUDIT/$1.cocci mode=$2 options
	shift 2

	read -ra options < <(sed -n 's|^// Options: *||p' "$cocci")
	[ "$mode" = context ] || options+=(--no-show-diff)
	# Files on the command line are one program to spatch: "this file never checks" would
	# be false if another one does. So each is a group of its own.
	spatch --very-quiet --timeout 120 -D "$mode" "${options[@]}" --cocci-file "$cocci" \
		--no-scanner --file-groups <(printf '%s\n\n' "$@")
}

# audit_header RULE KEY: what the rule's header says, on one line.
audit_header() {
	awk -v key="// $2: " '
		index($0, key) == 1 { text = substr($0, length(key) + 1); on = 1; next }
		on && /^\/\/   / { text = text " " substr($0, 6); next }
		{ on = 0 }
		END { print text }' "$AUDIT/$1.cocci"
}
