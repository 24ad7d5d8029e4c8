#!/bin/sh
# Installs what is missing, builds with warnings as errors, plain and with sanitizers, and runs every test:
# units (plain, ASan+UBSan, TSan), integration and crash tests on real servers, a bounded run of each fuzz
# target. The last line says how many passed, failed and were skipped; exit 1 unless none failed.
#
#   scripts/test.sh [--quick]    --quick: units only, no sanitizers, no fuzzing
#   MM_FUZZ_SECONDS              seconds for each fuzz target (8)
set -u
cd "$(dirname "$0")/.." || exit 1
root=$(pwd)
quick=
[ "${1:-}" = --quick ] && quick=1
scripts/install.sh test || { echo "0 passed, 1 failed, 0 skipped"; exit 1; }
python=$root/.venv/bin/python
jobs=$(nproc)
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

# A step that fails as a whole (a build) counts as one failed test.
step() {
    name=$1
    shift
    echo "== $name" >&2
    log=$results/log-$(echo "$name" | tr ' ' '-')
    if ! "$@" >"$log" 2>&1; then
        tail -n 60 "$log" >&2
        echo "$name" >>"$results/failed"
        return 1
    fi
}

# build PRESET [TARGET]
build() {
    cmake --preset "$1" -DMM_TEST_PYTHON="$python" && cmake --build "build/$1" -j "$jobs" --target "${2:-all}"
}

# tests PRESET NAME JOBS ctest-selection…
tests() {
    preset=$1 name=$2 parallel=$3
    shift 3
    echo "== $name" >&2
    ctest --test-dir "build/$preset" "$@" -j "$parallel" --no-tests=ignore --output-on-failure \
        --test-output-size-passed 1048576 --test-output-size-failed 1048576 \
        --output-junit "$results/$name.xml" >"$results/log" 2>&1
    grep -vE '^ *(Start|[0-9]+/[0-9]+ .* Passed)' "$results/log" | grep -v '^$' >&2
}

fuzz() {
    target=$1 name=$(basename "$1")
    corpus=$results/corpus-$name
    mkdir "$corpus"
    [ -d "tests/fuzz/corpus/$name" ] && set -- "$corpus" "tests/fuzz/corpus/$name" || set -- "$corpus"
    (cd "$results" && "$root/$target" "$1" ${2:+"$root/$2"} -max_total_time="${MM_FUZZ_SECONDS:-8}" \
        -timeout=5 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=0) && echo "$name" >>"$results/passed"
}

if step "build dev" build dev; then
    tests dev unit "$jobs" -L unit
    if [ -z "$quick" ]; then
        # each with servers of its own, which it mostly waits for
        tests dev integration "$((jobs + 1))" -L integration
        tests dev crash "$((jobs + 1))" -L crash
    fi
fi
if [ -z "$quick" ]; then
    if step "build asan-ubsan" build asan-ubsan; then
        tests asan-ubsan asan-ubsan "$jobs" -L unit
        tests asan-ubsan asan-programs 1 -R 'integration\.test_(faiss_types|duplicates|jobs_files|jobs_lite)$'
    fi
    if step "build tsan" build tsan; then
        tests tsan tsan "$jobs" -L unit -E "test_store_(faults|powerloss)" # those two are long and have one thread
        tests tsan tsan-pipeline 1 -R 'integration\.test_(duplicates|jobs_lite)$'
    fi
    if step "build fuzz" build fuzz fuzzers; then
        running=0
        for target in build/fuzz/tests/fuzz_*; do
            [ -x "$target" ] && [ -f "$target" ] || continue
            step "fuzz $(basename "$target")" fuzz "$target" &
            running=$((running + 1))
            [ $((running % jobs)) -ne 0 ] || wait
        done
        wait
    fi
fi
"$python" tests/totals.py "$results"
