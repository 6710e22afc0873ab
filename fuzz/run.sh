#!/usr/bin/env bash
# Runs every libFuzzer program of a build folder for a while, some side by side.
# usage: fuzz/run.sh BUILD-FOLDER SECONDS AT-A-TIME [NAME]
#
# Seeds are read from fuzz/seeds/<name>; what is found beside them is kept in BUILD-FOLDER/corpus/<name>, so that the
# next run goes on from there. An input that fails is left in BUILD-FOLDER/findings: put it among the seeds with its fix.
# FUZZ_SEED=number begins with the same random numbers each time.
set -euo pipefail

folder=$1
seconds=$2
at_a_time=$3
only=${4:-}
only=${only%_fuzz}

run_one() {
    local program=$1 name dictionary=() log status=0
    name=$(basename "$program" _fuzz)
    log="$folder/findings/$name.log"
    mkdir -p "$folder/corpus/$name" "fuzz/seeds/$name"
    [ -f "fuzz/$name.dict" ] && dictionary=("-dict=fuzz/$name.dict")
    "$program" "$folder/corpus/$name" "fuzz/seeds/$name" "${dictionary[@]}" -max_total_time="$seconds" -seed="${FUZZ_SEED:-0}" -timeout=20 \
        -rss_limit_mb=3000 -max_len=70000 -artifact_prefix="$folder/findings/$name-" -print_final_stats=1 \
        >"$log" 2>&1 || status=$?
    if [ "$status" -ne 0 ]; then
        echo "FAILED  $name (all of it in $log)"
        grep -E 'SUMMARY|Test unit written|runtime error' "$log" | head -n 5 || true
        tail -n 40 "$log"
        return 1
    fi
    printf 'passed  %-32s %10s runs  %6s covered\n' "$name" \
        "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
        "$(grep -oE 'cov: [0-9]+' "$log" | tail -n1 | cut -d' ' -f2)"
}
export -f run_one
export folder seconds

mkdir -p "$folder/findings"
mapfile -t programs < <(find "$folder/fuzz" -maxdepth 1 -name "${only:-*}_fuzz" -type f -perm -u+x | sort)
if [ ${#programs[@]} -eq 0 ]; then
    echo "sallyport: no fuzz harness ${only:+named $only }in $folder/fuzz" >&2
    exit 1
fi
results=$(mktemp)
trap 'rm -f "$results"' EXIT
printf '%s\0' "${programs[@]}" | xargs -0 -P "$at_a_time" -I{} bash -c 'run_one {}' | tee "$results" || true
passed=$(grep -c '^passed  ' "$results" || true)
echo "$passed passed, $((${#programs[@]} - passed)) failed ($seconds s for each fuzz harness)"
[ "$passed" -eq ${#programs[@]} ]
