#!/usr/bin/env bash
# Runs clang-tidy 19 with the checks of .clang-tidy over our sources.
# usage: .ci/tidy.sh BUILD-FOLDER AT-A-TIME [PATH-PART]
set -euo pipefail

folder=$1
at_a_time=$2
only=${3:-}

mapfile -t sources < <(sed -nE "s|^ *\"file\": \"$PWD/(.*\.cpp)\".*|\1|p" "$folder/compile_commands.json" |
    grep -vE '^(tests|bench|fuzz|build)/' | grep -F -- "$only" | sort -u)
if [ ${#sources[@]} -eq 0 ]; then
    echo "sallyport: no source ${only:+with $only in its path }to look at" >&2
    exit 1
fi

look_at() {
    local out status=0 started=$SECONDS
    out=$(clang-tidy-19 --quiet -p "$folder" "$1" 2>/dev/null) || status=$?
    if [ "$status" -ne 0 ]; then
        printf 'FAILED  %s\n%s\n' "$1" "${out:-clang-tidy ended with exit code $status and without a word}"
    else
        printf 'passed  %s (%s s)\n' "$1" $((SECONDS - started))
    fi
    return "$status"
}
export -f look_at
export folder

results=$(mktemp)
trap 'rm -f "$results"' EXIT
printf '%s\0' "${sources[@]}" | xargs -0 -P "$at_a_time" -I{} bash -c 'look_at {}' >"$results" || true
grep -v '^passed  ' "$results" || true
[ -z "${VERBOSE:-}" ] || grep '^passed  ' "$results" || true
passed=$(grep -c '^passed  ' "$results" || true)
echo "$passed passed, $((${#sources[@]} - passed)) failed (files looked at by clang-tidy)"
[ "$passed" -eq ${#sources[@]} ]
