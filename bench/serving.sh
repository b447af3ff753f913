#!/usr/bin/env bash
# A student served by //serving in fp32 and int8, and by Flask and PyTorch
# (bench/flask_server.py), in one run on this machine: one table.
#   bench/serving.sh MODEL_FOLDER SENTENCES_FILE [SECONDS]
# SENTENCES_FILE has one sentence a line. Needs `deploy/install.sh
# --with=bench`. The load comes from this machine too and takes its part of it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if (($# < 2)); then
  sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
model=$(realpath "$1")
sentences=$(realpath "$2")
readonly model sentences seconds=${3:-10}
readonly connections=${CONNECTIONS:-64} threads=${THREADS:-2}
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
  "$python" bench/flask_server.py "$model" "$port" >"$scratch/server.log" 2>&1 &
  server=$!
  wait_for_port "$port"
}

# Sets rate, p50 and p99 (ms) from wrk.
saturate() {
  wrk -t1 -c"$1" -d2s -s bench/sentences.lua \
    "http://127.0.0.1:$port" -- "$sentences" >/dev/null
  wrk -t1 -c"$1" -d"${seconds}s" --latency -s bench/sentences.lua \
    "http://127.0.0.1:$port" -- "$sentences" >"$scratch/wrk"
  if grep -qE 'Non-2xx|Socket errors' "$scratch/wrk"; then
    cat "$scratch/wrk" >&2
  fi
  rate=$(awk '/^Requests\/sec/ { print $2 }' "$scratch/wrk")
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

# Prints p99 in ms at half of `rate`, open loop.
half_p99() {
  bazel-bin/serving/load_test --address="127.0.0.1:$port" \
    --rate="$(awk -v r="$rate" 'BEGIN { print r / 2 }')" \
    --duration="${seconds}s" --connections="$connections" \
    --dataset="lines:$scratch/load.txt" --skip_bad_rows >"$scratch/half" ||
    cat "$scratch/half" >&2
  sed -nE 's/.*p99 ([0-9.]+),.*/\1/p' "$scratch/half"
}

bazel build //serving //serving:load_test >/dev/null 2>&1
# The format `lines` is label<TAB>text.
sed 's/^/0\t/' "$sentences" >"$scratch/load.txt"

printf '| %-16s | %11s | %8s | %8s | %8s | %14s |\n' server requests/s \
  'p50 ms' 'p99 ms' ratio 'p99 ms at half'
echo '|---|---:|---:|---:|---:|---:|'
start_flask
# More connections only make its threads fight for the interpreter.
saturate 8
base=$rate
printf '| %-16s | %11s | %8s | %8s | %8s | %14s |\n' 'Flask, PyTorch' \
  "$rate" "$p50" "$p99" 1 -
stop_server
for precision in fp32 int8; do
  start_ours "$precision"
  saturate "$connections"
  half=$(half_p99)
  ratio=$(awk -v a="$rate" -v b="$base" 'BEGIN { printf "%.1f", a / b }')
  printf '| %-16s | %11s | %8s | %8s | %8s | %14s |\n' "KoDistil $precision" \
    "$rate" "$p50" "$p99" "$ratio" "$half"
  stop_server
done
