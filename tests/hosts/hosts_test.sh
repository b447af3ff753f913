#!/usr/bin/env bash
# A sweep on hosts that are network namespaces, joined by veth pairs to a
# bridge, with mutual TLS between them:
#   .1 store and coordinator   .2 a teacher   .3 two workers
#   .4 a second teacher, which comes later    .5 a worker whose host is lost
# The link of .2 goes down for 5 s while it labels, then .4 joins; that of .3
# for 5 s while its workers train, and that of .5 for good. The results are
# those of a sweep on .1 to .3 whose links stay up, apart from times.
# Controls: with links up the same counts move, the worker with less patience
# than the outage gives up, and a changed digit in the results is found.
# KODISTIL_HOSTS_OUTAGE replaces the 5 s, for trying longer ones by hand.
# Needs root or unprivileged user namespaces, and iproute2: fails without.
set -euo pipefail
shopt -s nullglob

readonly net=10.77.0
readonly store=$net.1:50061 coordinator=$net.1:50071
readonly metrics=9090 # at .1 and the teachers'; workers: 9091 and on
readonly bin=$PWD
readonly outage_seconds=${KODISTIL_HOSTS_OUTAGE:-5}
readonly lease=$((outage_seconds + 10))

# ---- Outside: all that the test makes is inside namespaces of its own, which
# the kernel removes with their first process, however this one ends.

die() {
  echo "FAILED: $*" >&2
  exit 1
}

leave() {
  if [[ -n ${inside:-} ]]; then
    kill -KILL "$inside" 2>/dev/null || true
    wait "$inside" 2>/dev/null || true
  fi
  rmdir "$scratch"
}

outside() {
  local tool
  for tool in ip nsenter openssl python3 setpriv unshare; do
    command -v "$tool" >/dev/null || die "$tool was not found;" \
      "deploy/install.sh installs iproute2, openssl, python3 and util-linux"
  done
  unshare -Urnmpf --mount-proc true || die "no namespaces can be made here;" \
    "the test needs root or unprivileged user namespaces" \
    "(sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces)"
  scratch=$(mktemp -d -p "${TEST_TMPDIR:-${TMPDIR:-/tmp}}")
  trap leave EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  KODISTIL_HOSTS_SCRATCH=$scratch setpriv --pdeathsig=KILL \
    unshare -Urnmpf --mount-proc --kill-child "$BASH" "$0" &
  inside=$!
  local code=0
  wait "$inside" || code=$?
  inside=''
  exit "$code"
}

# ---- Inside.

fail() {
  local log
  for log in "$work"/*.log; do
    echo "---- $log" >&2
    tail -n 15 "$log" >&2
    if [[ -n ${TEST_UNDECLARED_OUTPUTS_DIR:-} ]]; then
      cp "$log" "$TEST_UNDECLARED_OUTPUTS_DIR"
    fi
  done
  die "$@"
}

now() { date +%s.%N; }

since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.2f", b - a }'; }

# await SECONDS WHAT COMMAND...: until the command succeeds.
await() {
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    ((SECONDS < end)) || fail "waited in vain until $what"
    sleep 0.05
  done
}

make_host() {
  touch "$scratch/host$1"
  unshare --net="$scratch/host$1" true
  ip link add "link$1" type veth peer name eth0 netns "$scratch/host$1"
  ip link set "link$1" master bridge0 up
  on "$1" ip link set lo up
  on "$1" ip addr add "$net.$1/24" dev eth0
  on "$1" ip link set eth0 up
}

on() { nsenter --net="$scratch/host$1" "${@:2}"; }

# start HOST NAME PROGRAM CERTIFICATE FLAGS...: in the background, with a log.
start() {
  exec nsenter --net="$scratch/host$1" "$bin/$3" \
    --tls_cert="$scratch/certs/$4.crt" --tls_key="$scratch/certs/$4.key" \
    --tls_ca="$scratch/certs/ca.crt" "${@:5}" 2>"$work/$2.log"
}

# metric HOST PORT TEXT: the sum of the samples that begin with the text.
metric() {
  # shellcheck disable=SC2016
  on "$1" "$BASH" -c 'exec 3<>"/dev/tcp/127.0.0.1/$0" || exit
    printf "GET /metrics HTTP/1.1\r\nHost: localhost\r\n" >&3
    printf "Connection: close\r\n\r\n" >&3
    cat <&3' "$2" 2>/dev/null |
    awk -v text="$3" \
      'index($0, text) == 1 { sum += $NF } END { printf "%d\n", sum }'
}

# Rows of the teacher on host $1 that the coordinator has counted.
labelled() {
  metric 1 $metrics "kodistil_sweep_labelled_rows_total{teacher=\"$net.$1:"
}

# Messages of workers that have come to the coordinator.
heard() {
  local labels='grpc_type="unary",grpc_service="kodistil.v1.CoordinatorService"'
  metric 1 $metrics "grpc_server_msg_received_total{$labels"
}

# trained HOST PORT: rows that the worker there has trained on.
trained() { metric "$1" "$2" kodistil_trainer_rows_total; }

# above NUMBER COMMAND...: the command prints more than that.
above() { (($("${@:2}") > $1)); }

# Fails unless what the command counts moves while the links are up: without
# that, standing still during an outage would show nothing.
must_move() {
  local before
  before=$("$@")
  await 30 "'$*' is above $before" above "$before" "$@"
}

# outage HOST COMMAND...: the host's link is down for a time, in which what the
# command counts stands still, and goes on afterwards.
outage() {
  local host=$1 before after up
  shift
  ip link set "link$host" down
  sleep 1 # What arrived before has been counted by then.
  before=$("$@")
  sleep $((outage_seconds - 1))
  after=$("$@")
  ip link set "link$host" up
  up=$(now)
  ((before > 0)) || fail "'$*' is 0: nothing was under way"
  ((before == after)) ||
    fail "'$*' went from $before to $after while the link was down"
  await 30 "'$*' goes on after the outage" above "$after" "$@"
  echo "host $host: '$*' stood at $after for the outage and went on" \
    "$(since "$up") s after it"
}

start_teacher() {
  start "$1" "teacher$1" teacher_service/teacher_service teacher \
    --model="$scratch/model" --max_batch_rows=8 --threads=1 \
    --host=0.0.0.0 --advertise="$net.$1" --logit_store=$store \
    --coordinator=$coordinator &
  pids+=($!)
}

# start_worker HOST NAME PORT FLAGS...
start_worker() {
  start "$1" "worker_$2" student_trainer/student_trainer worker \
    --coordinator=$coordinator --name="$2" --cache_dir="$work/cache_$2" \
    --metrics_port="$3" "${@:4}" &
  pids+=($!)
}

start_store() {
  start 1 store logit_store/logit_store store --db_path="$work/db" \
    --host=0.0.0.0 --port=${store#*:} &
  pids+=($!)
}

start_coordinator() {
  start 1 coordinator coordinator/coordinator coordinator --sweep \
    --work_dir="$work/work" --dataset=sample --sample_rows=120000 \
    --teachers=registered --listen=0.0.0.0:${coordinator#*:} \
    --advertise="$net.1" --workers=0 --logit_store=$store \
    --metrics_port=$metrics --lease=${lease}s --heartbeat=200ms \
    --student=tiny,mini --temperature=1,2 --loss_rate=0.1,0.5 --no_twins \
    --train_epoch=2 --output=csv >"$work/table" &
  sweep=$!
}

coordinator_waits_for_teacher() {
  start_store
  start_coordinator
  await 60 'the coordinator asks for a teacher' grep -qs \
    '^teacher: waiting for one; start' "$work/coordinator.log"
  start_teacher 2
}

teacher_waits_for_coordinator() {
  start_store
  start_teacher 2
  await 60 'the teacher misses the coordinator' grep -qs \
    'the coordinator .* does not answer yet' "$work/teacher2.log"
  start_coordinator
}

# start_sweep NAME HOW: until rows are being labelled.
start_sweep() {
  work=$scratch/$1
  pids=()
  mkdir "$work"
  "$2"
  await 60 'the teacher has labelled rows' above 0 labelled 2
}

start_workers() {
  await 60 'all rows are labelled' grep -q '^sweep: 0 of 8 cells are done' \
    "$work/coordinator.log"
  start_worker 3 one 9091
  start_worker 3 two 9092
}

end_sweep() {
  wait "$sweep" || fail "the coordinator ended with $?"
  kill "${pids[@]}" 2>/dev/null || true
  wait "${pids[@]}" 2>/dev/null || true
  grep -E '^(labels: .* in|teacher [0-9]|sweep: .* ended)' \
    "$work/coordinator.log"
}

second_teacher_joins() {
  local begin seconds
  begin=$(now)
  start_teacher 4
  await 30 'the second teacher has labelled a row' above 0 labelled 4
  seconds=$(since "$begin")
  echo "host 4: its first row was labelled $seconds s after its teacher's start"
  awk -v s="$seconds" 'BEGIN { exit !(s < 5) }' ||
    fail "the second teacher's first row came after $seconds s, wanted under 5"
}

workers_lose_links() {
  local before one two
  start_worker 5 lost 9093 --coordinator_timeout=2s
  lost=${pids[-1]}
  for worker in '3 9091' '3 9092' '5 9093'; do
    # shellcheck disable=SC2086
    await 60 'every worker trains' above 0 trained $worker
  done
  must_move heard
  ip link set link5 down
  one=$(trained 3 9091)
  two=$(trained 3 9092)
  outage 3 heard
  echo "host 3: meanwhile trained on $(($(trained 3 9091) - one)) and" \
    "$(($(trained 3 9092) - two)) rows"
  above "$one" trained 3 9091 || fail "worker one did nothing in the outage"
  above "$two" trained 3 9092 || fail "worker two did nothing in the outage"
}

# The control: an outage longer than the patience is not survived.
lost_worker_gave_up() {
  local code=0
  wait "$lost" || code=$?
  ((code != 0)) || fail "the worker on host 5 ended with 0 without a link"
  grep -q 'cannot reach the coordinator for 2s' "$work/worker_lost.log" ||
    fail "the worker on host 5 ended with $code for another reason"
  echo "host 5: its worker ended with $code: it had no link for more than 2 s"
}

# results NAME: what a sweep found, without times and counts of attempts; then
# the ids of the trials that had more than one attempt.
results() {
  python3 - "$scratch/$1/work" <<'END'
import csv, json, sys

def timeless(value):
    if isinstance(value, list):
        return [timeless(part) for part in value]
    if not isinstance(value, dict):
        return value
    return {key: timeless(part) for key, part in value.items()
            if "seconds" not in key and "per_second" not in key
            and key != "attempts"}

folder = sys.argv[1]
with open(folder + "/results.csv", newline="") as file:
    for row in csv.DictReader(file):
        del row["train time"]
        print(" | ".join(row.values()))
with open(folder + "/results.json") as file:
    print(json.dumps(timeless(json.load(file)), indent=1))
END
}

retried() {
  python3 -c 'import json, sys
for trial in json.load(open(sys.argv[1]))["trials"]:
    if trial["attempts"] > 1: print(trial["trial_id"], trial["attempts"])' \
    "$work/work/results.json"
}

# One cell was trained twice, that of the host that is lost.
only_lost_cell_was_retried() {
  local trial attempts
  read -r trial attempts <<<"$(retried)"
  [[ $(retried | wc -l) == 1 && $attempts == 2 ]] ||
    fail "expected one cell with two attempts, found '$(retried)'"
  on 1 "$bin/coordinator/coordinator" --explain="$trial" \
    --work_dir="$work/work" >"$work/explain"
  grep -q "worker lost.* sent no heartbeat for ${lease}s" "$work/explain" ||
    fail "the cell was retried for another reason: $(cat "$work/explain")"
  echo "host 5: its cell went to another worker, the only one with 2 attempts"
}

# planted FILE EXPRESSION: whether sed's change to the file is found.
planted() {
  rm -rf "$scratch/planted"
  mkdir -p "$scratch/planted/work"
  cp "$scratch"/rough/work/results.* "$scratch/planted/work"
  sed -i -E "$2" "$scratch/planted/work/$1"
  cmp -s "$scratch"/{rough,planted}/work/"$1" && fail "nothing changed in $1"
  if diff <(results calm) <(results planted) >/dev/null; then
    fail "a changed digit in $1 was not found"
  fi
}

inside() {
  scratch=$KODISTIL_HOSTS_SCRATCH
  work=$scratch
  local number
  mount -t tmpfs none "$scratch"
  ip link add bridge0 type bridge || die "the kernel makes no bridge"
  ip link set bridge0 up
  for number in 1 2 3 4 5; do make_host $number; done
  "$bin/deploy/certs.sh" "$scratch/certs" $net.{1,2,3,4,5} >/dev/null
  "$bin/teacher_service/train_ngram" --dataset=sample --sample_rows=24000 \
    --output="$scratch/model" >"$scratch/train_ngram.log" 2>&1 ||
    fail "train_ngram ended with $?"

  echo "== undisturbed"
  start_sweep calm coordinator_waits_for_teacher
  start_workers
  end_sweep

  echo "== disturbed"
  start_sweep rough teacher_waits_for_coordinator
  must_move labelled 2
  outage 2 labelled 2
  second_teacher_joins
  start_workers
  workers_lose_links
  lost_worker_gave_up
  end_sweep
  only_lost_cell_was_retried

  diff <(results calm) <(results rough) || fail "the results differ"
  planted results.csv '3s/\.([0-9])([0-9]) %/.\2\1 %/'
  planted results.json '0,/"train_loss": 0\.[0-9]/s//&1/'
  echo "== the results are equal, in $SECONDS s"
  results rough | grep -v '^[[{} ]'
}

if [[ -n ${KODISTIL_HOSTS_SCRATCH:-} ]]; then inside; else outside; fi
