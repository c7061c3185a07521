#!/bin/bash
# What must hold of the lab's command line itself, seen from the host: exit statuses come out, output
# lands in build/, and nothing is left after an interrupt.
# shellcheck disable=SC2317  # the functions below are called through verdict
set -u
cd "$(dirname "$0")/.." || exit 1
. hack/tap.sh

status_comes_out() {
	hack/lab run sh -c 'exit 42'
	[ $? -eq 42 ]
}

files_come_out() {
	local token=build/lab/token.$$
	hack/lab run sh -c "echo from inside > /byway/$token" && [ "$(cat "$token")" = "from inside" ]
	local status=$?
	rm -f "$token"
	return "$status"
}

# Descendants of a process, itself included.
family() {
	local children child
	echo "$1"
	read -ra children <<<"$(cat /proc/"$1"/task/*/children 2>/dev/null)"
	for child in "${children[@]}"; do family "$child"; done
}

# interrupted SIGNAL: a run gets SIGNAL while its command sleeps; all its processes, its temporary
# directory and its mounts must be gone soon after.
interrupted() {
	local dir lab pids started=build/lab/started.$$
	dir=$(mktemp -d)
	rm -f "$started"
	# A shell's background job ignores SIGINT, and a shell cannot undo that: env can.
	TMPDIR=$dir env --default-signal=INT setsid hack/lab run sh -c "echo > /byway/$started; sleep 300" &
	lab=$!
	for _ in $(seq 600); do
		[ -e "$started" ] && break
		sleep 0.1
	done
	[ -e "$started" ] || return 1
	rm -f "$started"
	pids=$(family "$lab")
	kill -s "$1" -- "-$lab"
	if wait "$lab"; then return 1; fi
	for _ in $(seq 50); do
		alive=$(for pid in $pids; do [ -d "/proc/$pid" ] && echo "$pid"; done)
		[ -z "$alive" ] && break
		sleep 0.1
	done
	[ -z "$alive" ] && rmdir "$dir"
}

verdict "lab: the exit status comes out" status_comes_out
verdict "lab: files come out" files_come_out
verdict "lab: nothing is left after an interrupt" interrupted INT
verdict "lab: nothing is left after a termination" interrupted TERM
exit "$failed"
