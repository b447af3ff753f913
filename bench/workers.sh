#!/usr/bin/env bash
# The same sweep with one worker and with two, in one run on this machine: how
# many times as fast two are, and what the coordinator's process itself took.
#   bench/workers.sh [FLAGS OF //coordinator]
# Without flags: 8 cells on NSMC from $KODISTIL_DATA/nsmc, one epoch each. The
# time is that of the training: from "N to train" to the last cell's end, since
# the teacher's own training and the labelling before it need no worker. Each
# worker computes on one thread, so two of them are two processors against one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

flags=("$@")
if ((${#flags[@]} == 0)); then
  : "${KODISTIL_DATA:?names no folder: bench/workers.sh expects nsmc in it}"
  flags=(--dataset=nsmc "--data_dir=$KODISTIL_DATA/nsmc"
    "--tokenizer_dir=$KODISTIL_DATA/seed/tokenizer" "--student=base,small"
    "--temperature=1,2" "--loss_rate=0.1,0.5" --no_twins --train_epoch=1)
fi
scratch=$(mktemp -d)
coordinator=0

stop_coordinator() {
  if ((coordinator != 0)); then
    kill "$coordinator" 2>/dev/null || true
    wait "$coordinator" 2>/dev/null || true
  fi
}
trap 'stop_coordinator; rm -rf "$scratch"' EXIT

now() { date +%s.%N; }

# Seconds of the processors that the coordinator has had, its children's not
# included. Its name, the second field, has no space in it.
own_seconds() {
  awk -v ticks="$(getconf CLK_TCK)" '{ print ($14 + $15) / ticks }' \
    "/proc/$coordinator/stat"
}

# Reads the log of the sweep and stops at the line that matches $1.
read_until() {
  local line
  while IFS= read -r line <&3; do
    if [[ $line =~ $1 ]]; then return; fi
  done
  echo "error: the coordinator ended before it wrote '$1':" >&2
  tail -n 20 "$scratch/log" >&2
  exit 1
}

# Sets wall and own for a sweep with $1 workers, begun in an empty folder.
measure() {
  local begin before
  mkfifo "$scratch/pipe.$1"
  # --stay keeps the process there to be read once the last cell has ended.
  bazel-bin/coordinator/coordinator --sweep --stay --workers="$1" \
    --work_dir="$scratch/work.$1" "${flags[@]}" \
    >"$scratch/table.$1" 2>"$scratch/pipe.$1" &
  coordinator=$!
  exec 3< <(tee "$scratch/log" <"$scratch/pipe.$1")
  read_until '^sweep: 0 of [0-9]+ cells are done, [0-9]+ to train'
  begin=$(now)
  before=$(own_seconds)
  read_until '^sweep: [0-9]+ of [0-9]+ cells ended'
  wall=$(awk -v a="$begin" -v b="$(now)" 'BEGIN { print b - a }')
  own=$(awk -v a="$before" -v b="$(own_seconds)" 'BEGIN { print b - a }')
  stop_coordinator
  coordinator=0
  exec 3<&-
}

bazel build //coordinator >/dev/null 2>&1
printf '%-7s  %10s  %16s  %5s\n' workers training "coordinator's CPU" share
for workers in 1 2; do
  measure "$workers"
  walls[workers]=$wall
  awk -v workers="$workers" -v wall="$wall" -v own="$own" 'BEGIN {
    printf "%-7d  %8.1f s  %15.2f s  %4.2f %%\n", workers, wall, own,
      100 * own / wall }'
done
awk -v one="${walls[1]}" -v two="${walls[2]}" 'BEGIN {
  printf "two workers are %.2f times as fast as one\n", one / two }'
