# shellcheck shell=bash
# Sourced by the runners: one "ok - NAME" or "not ok - NAME" a check, $failed for the exit status.
failed=0

# verdict NAME COMMAND...: runs it, prints its output only where it fails.
verdict() {
	local name=$1 out
	shift
	if out=$("$@" 2>&1 </dev/null); then
		echo "ok - $name"
	else
		printf '%s\nnot ok - %s\n' "$out" "$name"
		failed=1
	fi
}
