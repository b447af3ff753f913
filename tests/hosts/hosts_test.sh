#!/usr/bin/env bash
# A sweep on three hosts, network namespaces joined by veth pairs to a bridge:
# store and coordinator (.1), teachers (.2 and .4), workers (.3). The teachers'
# link goes down for 5 s while they label, the workers' while they train; the
# table is that of a run whose links stay up.
#   hosts_test.sh FOLDER_OF_BINARIES FOLDER_OF_TEACHER
# Needs ip of iproute2 and root or user namespaces; fails without them.
set -euo pipefail
if [[ ${KODISTIL_HOSTS_INSIDE:-} == "" ]]; then
  command -v ip >/dev/null || {
    echo "error: ip was not found; deploy/install.sh installs iproute2" >&2
    exit 1
  }
  unshare -Urnm true || {
    echo "error: no namespaces can be made here; the test needs root or" \
      "unprivileged user namespaces" >&2
    exit 1
  }
  KODISTIL_HOSTS_INSIDE=yes exec unshare -Urnm --kill-child -pf --mount-proc \
    "$BASH" "$0" "$@"
fi

readonly bin=$1 net=10.77.0
scratch=$(mktemp -d)
declare -A host

fail() {
  echo "FAILED: $*" >&2
  tail -n 25 "$scratch"/*/coordinator.log >&2
  exit 1
}

make_host() {
  unshare -n sleep infinity &
  host[$1]=$!
  # The namespace is there once it differs from ours.
  until [[ $(readlink "/proc/${host[$1]}/ns/net") != \
    $(readlink /proc/self/ns/net) ]]; do :; done
  ip link add "link$1" type veth peer name eth0 netns "${host[$1]}"
  ip link set "link$1" master bridge0 up
  on "$1" ip link set lo up
  on "$1" ip addr add "$net.$1/24" dev eth0
  on "$1" ip link set eth0 up
}

# For `on ... &`: $! is then the program itself.
on_exec() { exec nsenter -t "${host[$1]}" -n "${@:2}"; }

on() { nsenter -t "${host[$1]}" -n "${@:2}"; }

# Waits up to $1 seconds until the file $2 has a line that matches $3.
await() {
  local end=$((SECONDS + $1))
  until grep -qE "$3" "$2" 2>/dev/null; do
    ((SECONDS < end)) || fail "$2 has no line '$3' after $1 s"
    sleep 0.05
  done
}

outage() {
  ip link set "link$1" down
  echo "link of host $1 down at $(date +%T)"
  sleep 5
  ip link set "link$1" up
}

start_teacher() {
  on_exec "$1" "$bin/teacher_service/teacher_service" --model="$scratch/model" \
    --max_batch_rows=8 --insecure --host=0.0.0.0 --port=50051 \
    --advertise="$net.$1" --logit_store="$net.1:50061" \
    --coordinator="$net.1:50071" >"$work/teacher$1.log" 2>&1 &
  pids+=($!)
}

# run NAME undisturbed|disturbed
run() {
  work=$scratch/$1
  pids=()
  mkdir "$work"
  on_exec 1 "$bin/logit_store/logit_store" --db_path="$work/db" \
    --host=0.0.0.0 --port=50061 --insecure >"$work/store.log" 2>&1 &
  pids+=($!)
  on_exec 1 "$bin/coordinator/coordinator" --sweep --work_dir="$work/work" \
    --dataset=sample --sample_rows=400000 --teachers=registered --insecure \
    --listen=0.0.0.0:50071 --advertise="$net.1" --workers=0 \
    --logit_store="$net.1:50061" --student=tiny,mini "--temperature=1,2" \
    --train_epoch=2 --output=json >"$work/table" 2>"$work/coordinator.log" &
  local coordinator=$!
  start_teacher 2
  await 60 "$work/coordinator.log" '^labels: [1-9]'
  if [[ $2 == disturbed ]]; then
    outage 2
    local begin=$SECONDS
    start_teacher 4
    await 20 "$work/coordinator.log" "teacher $net.4:.*has come"
    echo "second teacher came after $((SECONDS - begin)) s"
  fi
  for name in one two; do
    on_exec 3 "$bin/student_trainer/student_trainer" \
      --coordinator="$net.1:50071" --name="$name" \
      --cache_dir="$work/cache$name" \
      >"$work/worker$name.log" 2>&1 &
    pids+=($!)
  done
  await 120 "$work/coordinator.log" '^cells .* epoch [0-9]+/'
  if [[ $2 == disturbed ]]; then outage 3; fi
  wait "$coordinator" || fail "the coordinator ended with $?"
  kill "${pids[@]}" 2>/dev/null || true
  wait "${pids[@]}" 2>/dev/null || true
  grep -E '^(teacher|labels: .*in|sweep:|done)|has (come|left)|lost' \
    "$work/coordinator.log" || true
}

ip link add bridge0 type bridge
ip link set bridge0 up
for number in 1 2 3 4; do make_host "$number"; done
cp -r "$2" "$scratch/model"
run calm undisturbed
run rough disturbed
# The columns from "train time" on are those that time decides.
for name in calm rough; do
  cut -d, -f1-12 "$scratch/$name/work/results.csv" >"$scratch/$name.csv"
done
diff "$scratch/calm.csv" "$scratch/rough.csv" || fail "the tables differ"
echo "the tables are equal:"
cat "$scratch/rough.csv"
