#!/usr/bin/env bash
# Runs ctest in a build folder and ends with one line: how many passed, failed and were skipped.
# usage: tests/run.sh BUILD-FOLDER [ctest options]
# NO_SKIP=1 makes a skipped test a failure, VERBOSE=1 gives each test its line in a log.
set -euo pipefail

folder=$1
shift
report=$(realpath "$folder")/test-report.xml
rm -f "$report"
started=$SECONDS
status=0
# A line for each test only where a person or a log asked for it: --progress is one line on a terminal.
progress=()
[ -t 1 ] && progress=(--progress)
listing=$(mktemp)
trap 'rm -f "$listing"' EXIT
if [ -t 1 ] || [ -n "${VERBOSE:-}" ]; then
    ctest --test-dir "$folder" "${progress[@]}" --output-on-failure --no-tests=error --output-junit "$report" "$@" || status=$?
else
    # In a log thousands of "Passed" lines hide the one that matters.
    ctest --test-dir "$folder" --output-on-failure --no-tests=error --output-junit "$report" "$@" >"$listing" 2>&1 || status=$?
    grep -vE '^ *Start +[0-9]+:|^ *[0-9]+/[0-9]+ Test +#.* Passed +[0-9.]+ sec$' "$listing" || true
fi

if [ ! -f "$report" ]; then
    echo "sallyport: ctest ended before it wrote a report" >&2
    exit $((status ? status : 1))
fi
# What the end-to-end programs say of what is missing here: ctest itself tells no reasons.
log=$folder/Testing/Temporary/LastTest.log
[ ! -f "$log" ] || grep -ahE '^(SKIPPED|not tested|not run)[:,] ' "$log" | sort -u || true
head_of_report=$(tr '\n' ' ' <"$report" | grep -o '<testsuite [^>]*>' | head -n1)
number() { sed -n "s/.*[[:space:]]$1=\"\([0-9]*\)\".*/\1/p" <<<"$head_of_report"; }
all=$(number tests)
failed=$(number failures)
skipped=$(($(number skipped) + $(number disabled)))
echo "$((all - failed - skipped)) passed, $failed failed, $skipped skipped in $((SECONDS - started)) s ($folder)"
if [ "$skipped" -gt 0 ] && [ -n "${NO_SKIP:-}" ]; then
    echo "sallyport: nothing was to be skipped here" >&2
    exit 1
fi
exit "$status"
