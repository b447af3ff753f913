#!/usr/bin/env bash
# Fuzzes the readers of untrusted files with libFuzzer, under the address and
# undefined-behaviour sanitizers, and exits 1 when one breaks a promise.
#   tools/fuzz.sh [--seconds=60] [--output=DIR] [TARGET...]
# Targets: safetensors torch_zip torch_stream dataset logit_record; all without
# an argument. They start from tests/fuzz_corpus, and from the models in
# KODISTIL_GOLDEN where that is set. DIR (default: a temporary folder) keeps the
# programs, the corpus found and every input that broke a promise.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=60
output=
targets=()
for argument in "$@"; do
  case $argument in
    --seconds=*) seconds=${argument#*=} ;;
    --output=*) output=${argument#*=} ;;
    --help | -h)
      sed -n '2,8s/^# //p' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    -*)
      echo "error: unknown option $argument; see --help" >&2
      exit 2
      ;;
    *) targets+=("$argument") ;;
  esac
done
if ! [[ $seconds =~ ^[1-9][0-9]*$ ]]; then
  echo "error: --seconds=$seconds, expected a whole number from 1" >&2
  exit 2
fi
if ((${#targets[@]} == 0)); then
  mapfile -t targets < <(cd tests/fuzz_corpus && ls)
fi
for target in "${targets[@]}"; do
  if [[ ! -d tests/fuzz_corpus/$target ]]; then
    echo "error: no target $target; there are" tests/fuzz_corpus/* >&2
    exit 2
  fi
done
if ! command -v clang++ >/dev/null; then
  echo "error: clang++ was not found; sudo deploy/install.sh installs it" >&2
  exit 2
fi
output=${output:-$(mktemp -d)}
mkdir -p "$output"
output=$(cd "$output" && pwd)

# Every source file that the targets are built from, Bazel's list, is compiled
# with the sanitizers; system libraries are as they are.
readonly SANITIZERS=-fsanitize=address,undefined
build() {
  local sources flags libraries
  protoc --cpp_out="$output" -Iproto proto/kodistil/v1/*.proto
  mapfile -t sources < <(
    bazel query --noshow_progress --noimplicit_deps \
      'kind("source file", deps(//tests:fuzz_targets))' 2>/dev/null |
      sed -n 's|^//\(.*\):\(.*\.cc\)$|\1/\2|p' | grep -v '^@'
    cd "$output" && find kodistil -name 'logit_store.pb.cc')
  read -ra flags < <(pkg-config --cflags \
    absl_status absl_strings protobuf libglog libcrypto)
  compile() {
    local source=$1
    [[ -f $source ]] || source=$OUTPUT/$source
    clang++ -std=c++17 -O1 -g -fno-omit-frame-pointer \
      -fno-sanitize-recover=all -fsanitize=fuzzer-no-link "$SANITIZERS" \
      -I. -I"$OUTPUT" "${@:2}" -c "$source" -o "$OUTPUT/$(tr / _ <<<"$1").o"
  }
  export -f compile
  export OUTPUT=$output SANITIZERS
  echo "compiling ${#sources[@]} files"
  printf '%s\n' "${sources[@]}" |
    xargs -P "$(nproc)" -I{} bash -c 'compile "$@"' _ {} "${flags[@]}"
  read -ra libraries < <(pkg-config --libs absl_status absl_statusor \
    absl_strings absl_cord absl_str_format absl_time absl_synchronization \
    protobuf libglog libcrypto)
  local target
  for target in "${targets[@]}"; do
    clang++ -std=c++17 -O1 -g -fno-sanitize-recover=all -fsanitize=fuzzer \
      "$SANITIZERS" -I. "${flags[@]}" \
      -DKODISTIL_FUZZ_TARGET="\"$target\"" tests/fuzz_entry.cc \
      "$output"/*.o "${libraries[@]}" -o "$output/fuzz_$target"
  done
}

# The golden files that a target reads, the smallest first.
golden() {
  local -A names=([safetensors]=model.safetensors
    [torch_zip]=pytorch_model.bin [torch_stream]=pytorch_model_legacy.bin)
  if [[ -n ${KODISTIL_GOLDEN:-} && -n ${names[$1]:-} ]]; then
    find "$KODISTIL_GOLDEN" -name "${names[$1]}" -printf '%s %p\n' |
      sort -n | cut -d ' ' -f 2-
  fi
}

# Fills a corpus from the golden files: the smallest as it is, of archives all
# pickles too. (The large ones are mostly numbers, which only take time.)
seed() {
  local target=$1 corpus=$2 file number=0
  shift 2
  mkdir -p "$corpus"
  if (($# > 0)); then cp "$1" "$corpus/golden"; fi
  for file in "$@"; do
    [[ $target == torch_zip ]] || break
    number=$((number + 1))
    python3 - "$file" >"$corpus/golden_pickle_$number" <<'END'
import sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
name, = (n for n in archive.namelist() if n.endswith("/data.pkl"))
sys.stdout.buffer.write(archive.read(name))
END
  done
  chmod -R u+w "$corpus"
}

# Runs every golden file once, then the fuzzer; its corpus grows in
# $output/corpus_TARGET.
fuzz() {
  local target=$1 corpus=$output/corpus_$1 golden_files
  local program=$output/fuzz_$1 log=$output/$1.log
  mapfile -t golden_files < <(golden "$target")
  seed "$target" "$corpus" "${golden_files[@]}"
  echo "fuzzing $target for $seconds s from $(find "$corpus" \
    "tests/fuzz_corpus/$target" -type f | wc -l) files, after" \
    "${#golden_files[@]} golden ones"
  local options=(-timeout=20 -rss_limit_mb=2048
    -artifact_prefix="$output/$target-")
  # Without a file it would begin to fuzz.
  if { ((${#golden_files[@]} > 0)) &&
    ! "$program" "${options[@]}" "${golden_files[@]}" >"$log" 2>&1; } ||
    ! "$program" "${options[@]}" -max_total_time="$seconds" \
      -dict=tests/fuzz_dictionary.txt -print_final_stats=1 "$corpus" \
      "tests/fuzz_corpus/$target" >"$log" 2>&1; then
    tail -n 60 "$log"
    echo "FAILED  $target: $(find "$output" -name "$target-*" | head -n 1)"
    return 1
  fi
  echo "ok      $target: $(sed -n \
    's/^stat::number_of_executed_units: *//p' "$log") inputs," \
    "$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 | tr -d 'cov: ') edges"
}

build
failed=0
for target in "${targets[@]}"; do
  fuzz "$target" || failed=$((failed + 1))
done
if ((failed > 0)); then
  echo "$failed of ${#targets[@]} targets failed; see $output"
  exit 1
fi
echo "${#targets[@]} targets, no findings"
