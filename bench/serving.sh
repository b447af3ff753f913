#!/usr/bin/env bash
# A student served by //serving in fp32 and int8, and by Flask and PyTorch
# (bench/flask_server.py) as the seed does and without gradients, in one run on
# this machine: one table, with the ratios to both.
#   bench/serving.sh MODEL_FOLDER SENTENCES_FILE [SECONDS]
# SENTENCES_FILE has one sentence a line. Needs `deploy/install.sh
# --with=bench`. The load comes from this machine too and takes its part of it:
# "server us" is what the server alone took of the processors for a request.
# At half of saturation requests are due at a fixed rate (//serving:load_test).
# What a machine gives changes from minute to minute: each of ROUNDS (3) has all
# four, ratios are of their round, and the last rows have the medians.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if (($# < 2)); then
  sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
model=$(realpath "$1")
sentences=$(realpath "$2")
readonly model sentences seconds=${3:-5}
readonly rounds=${ROUNDS:-3}
readonly connections=${CONNECTIONS:-256} threads=${THREADS:-2}
readonly python=${PYTHON:-/usr/bin/python3}
scratch=$(mktemp -d)
server=0

stop_server() {
  if ((server != 0)); then
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  server=0
}
trap 'stop_server; rm -rf "$scratch"' EXIT

wait_for_port() {
  local i
  for ((i = 0; i < 600; ++i)); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then return; fi
    sleep 0.1
  done
  echo "error: nobody listens on port $1:" >&2
  cat "$scratch/server.log" >&2
  exit 1
}

start_ours() {
  bazel-bin/serving/serving --model="$model" --precision="$1" --cache_rows=0 \
    --threads="$threads" --port=0 --http_port=0 \
    --http_port_file="$scratch/port" >"$scratch/server.log" 2>&1 &
  server=$!
  local i
  for ((i = 0; i < 600; ++i)); do
    if [[ -s $scratch/port ]]; then break; fi
    sleep 0.1
  done
  port=$(<"$scratch/port")
  rm "$scratch/port"
  wait_for_port "$port"
}

start_flask() {
  port=18080
  "$python" bench/flask_server.py "$model" "$port" "$@" \
    >"$scratch/server.log" 2>&1 &
  server=$!
  wait_for_port "$port"
}

# Seconds that the server has had of the processors.
server_seconds() {
  awk -v ticks="$(getconf CLK_TCK)" '{ print ($14 + $15) / ticks }' \
    "/proc/$server/stat"
}

# Sets rate, p50 and p99 (ms) from wrk, and the server's microseconds a request.
saturate() {
  local before
  wrk -t1 -c"$1" -d2s -s bench/sentences.lua \
    "http://127.0.0.1:$port" -- "$sentences" >/dev/null
  before=$(server_seconds)
  wrk -t1 -c"$1" -d"${seconds}s" --latency -s bench/sentences.lua \
    "http://127.0.0.1:$port" -- "$sentences" >"$scratch/wrk"
  if grep -qE 'Non-2xx|Socket errors' "$scratch/wrk"; then
    cat "$scratch/wrk" >&2
  fi
  rate=$(awk '/^Requests\/sec/ { print $2 }' "$scratch/wrk")
  cost=$(awk -v before="$before" -v after="$(server_seconds)" \
    '/ requests in / { printf "%.0f", (after - before) / $1 * 1e6 }' \
    "$scratch/wrk")
  p50=$(latency 50)
  p99=$(latency 99)
}

# "1.23ms", "456.00us" or "1.2s" as milliseconds.
latency() {
  awk -v want="$1%" '$1 == want {
    value = $2 + 0
    if ($2 ~ /us$/) value /= 1000
    else if ($2 !~ /ms$/) value *= 1000
    printf "%.2f", value
  }' "$scratch/wrk"
}

# Sets half, the p99 in ms at half of `rate`, open loop, and late, how much of
# it is the generator's own.
load_half() {
  bazel-bin/serving/load_test --address="127.0.0.1:$port" \
    --rate="$(awk -v r="$rate" 'BEGIN { print r / 2 }')" \
    --duration="${seconds}s" --connections="$connections" \
    --dataset="lines:$scratch/load.txt" --skip_bad_rows >"$scratch/half" \
    2>"$scratch/half.log" || cat "$scratch/half" "$scratch/half.log" >&2
  half=$(sed -nE 's/.* p99 ([0-9.]+), most.*/\1/p' "$scratch/half")
  late=$(sed -nE 's/.*begun late by ([0-9.]+) .*/\1/p' "$scratch/half")
}

bazel build //serving //serving:load_test >/dev/null 2>&1
# The format `lines` is label<TAB>text.
sed 's/^/0\t/' "$sentences" >"$scratch/load.txt"

# Of `rate` to $1.
ratio() {
  awk -v a="$rate" -v b="$1" 'BEGIN { printf "%.1f", a / b }'
}

# Cells of the table.
row() {
  printf '| %-5s | %-18s | %10s | %6s | %9s |' "${@:1:5}"
  printf ' %7s | %7s | %9s | %11s | %10s |\n' "${@:6}"
}

# The median of a column of the rows of a server.
median() {
  grep "^$1 " "$scratch/rows" | awk -v column="$2" '{ print $column }' |
    sort -g | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'
}

medians() {
  row all "KoDistil $1" "$(median "$1" 2)" "$(median "$1" 3)" \
    "$(median "$1" 4)" "$(median "$1" 5)" "$(median "$1" 6)" \
    "$(median "$1" 7)" "$(median "$1" 8)" "$(median "$1" 9)"
}

row round server requests/s 'x seed' 'x no_grad' 'p50 ms' 'p99 ms' \
  'server us' 'p99 at half' 'begun late'
echo '|---|---|---:|---:|---:|---:|---:|---:|---:|---:|'
for ((round = 1; round <= rounds; ++round)); do
  # More connections only make its threads fight for the interpreter.
  start_flask
  saturate 8
  seed=$rate
  row "$round" 'Flask, as the seed' "$rate" 1 - "$p50" "$p99" "$cost" - -
  stop_server
  start_flask --no_grad
  saturate 8
  no_grad=$rate
  row "$round" 'Flask, no_grad' "$rate" "$(ratio "$seed")" 1 "$p50" "$p99" \
    "$cost" - -
  stop_server
  for precision in fp32 int8; do
    start_ours "$precision"
    saturate "$connections"
    load_half
    figures=("$rate" "$(ratio "$seed")" "$(ratio "$no_grad")" "$p50" "$p99"
      "$cost" "$half" "$late")
    row "$round" "KoDistil $precision" "${figures[@]}"
    echo "$precision ${figures[*]}" >>"$scratch/rows"
    stop_server
  done
done
medians fp32
medians int8
