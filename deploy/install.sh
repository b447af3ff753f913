#!/usr/bin/env bash
# Installs what KoDistil builds and runs with on Debian 12, from Debian alone.
# Run as root, as often as you like: what is there stays as it is.
#   install.sh [--for=build] [--with=bench] [--with=kubernetes] [--with=slurm]
# --for=build leaves out what only tests and the presubmit need. --with=bench
# adds what bench/ compares with, --with=kubernetes what //deploy:schema_test
# needs: Node, and Kubernetes' schemas from the npm registry; --with=slurm a
# Slurm for the jobs of deploy/slurm.
set -euo pipefail

packages=(
  # Build.
  bazel-bootstrap bazel-platforms bazel-rules-java bazel-rules-proto
  bazel-skylib default-jdk-headless g++ git pkg-config python3
  # Libraries.
  libabsl-dev libbenchmark-dev libboost-dev libgflags-dev libgmock-dev
  libgoogle-glog-dev
  libgrpc++-dev libgrpc-dev libgtest-dev libhwy-dev libicu-dev liblinear-dev
  libdnnl-dev libmecab-dev libopenblas-pthread-dev libopenblas0-pthread
  libprotobuf-dev librocksdb-dev libsentencepiece-dev libssl-dev libtorch-dev
  nlohmann-json3-dev protobuf-compiler protobuf-compiler-grpc zlib1g-dev
  # What the report of a sweep draws with; it is built into the coordinator.
  node-d3-axis node-d3-scale node-d3-selection node-d3-shape
  ca-certificates
)

readonly TEST_PACKAGES=(
  # Presubmit and tests.
  chromium clang clang-format clang-tidy curl docker-compose fonts-nanum
  iproute2 libclang-rt-dev mecab-utils procps python3-yaml shellcheck yamllint
  # Certificates (deploy/certs.sh).
  openssl
)

readonly BENCH_PACKAGES=(python3-flask python3-torch wrk)
readonly SLURM_PACKAGES=(munge slurm-client slurmctld slurmd)

# "pkg-config module" -> found in one of the packages above.
readonly MODULES=(
  absl_base benchmark gmock grpc grpc++ gtest icu-i18n icu-uc libcrypto
  libglog libhwy nlohmann_json openblas protobuf rocksdb zlib
)

readonly HEADERS=(
  /usr/include/boost/beast/http.hpp
  /usr/include/dnnl.hpp
  /usr/include/gflags/gflags.h
  /usr/include/linear.h
  /usr/include/mecab.h
  /usr/include/sentencepiece_processor.h
  /usr/include/sentencepiece_trainer.h
  /usr/include/torch/csrc/api/include/torch/torch.h
)

programs=(bazel g++ git grpc_cpp_plugin pkg-config protoc python3)
readonly SLURM_PROGRAMS=(
  munged sbatch scancel scontrol sinfo slurmctld slurmd squeue
)
readonly TEST_PROGRAMS=(
  chromium clang++ clang-format clang-tidy curl docker-compose openssl
  shellcheck yamllint
)

# //deploy:schema_test looks for it here.
readonly SCHEMAS=kubernetes-models SCHEMAS_VERSION=4.5.1
readonly SCHEMAS_PREFIX=/usr/local/lib/kodistil

missing_packages() {
  local package
  for package in "${packages[@]}"; do
    # The state says "deinstall ok config-files" after a removal.
    dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null |
      grep -q '^install ok installed$' || echo "$package"
  done
}

# With no package lists apt-cache knows no candidate: a fresh container.
know_candidates() {
  local package
  for package in "$@"; do
    apt-cache show --no-all-versions "$package" >/dev/null 2>&1 || return 1
  done
}

install_packages() {
  local missing
  mapfile -t missing < <(missing_packages)
  if ((${#missing[@]} == 0)); then
    echo "all ${#packages[@]} packages are installed already"
    return
  fi
  echo "installing ${#missing[@]} of ${#packages[@]} packages: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  local options=(-o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300)
  if ! know_candidates "${missing[@]}"; then
    echo "updating the package lists"
    apt-get "${options[@]}" update -qq </dev/null
  fi
  local install=(apt-get "${options[@]}" install -y -qq
    --no-install-recommends "${missing[@]}")
  if ! "${install[@]}" </dev/null; then
    # Old lists name files that the mirror has replaced since.
    echo "trying again with new package lists"
    apt-get "${options[@]}" update -qq </dev/null
    "${install[@]}" </dev/null
  fi
}

schemas_version() {
  sed -n 's/^ *"version": "\(.*\)",$/\1/p' \
    "$SCHEMAS_PREFIX/node_modules/$SCHEMAS/package.json" 2>/dev/null
}

install_schemas() {
  [[ $(schemas_version) != "$SCHEMAS_VERSION" ]] || return 0
  echo "installing $SCHEMAS $SCHEMAS_VERSION into $SCHEMAS_PREFIX"
  mkdir -p "$SCHEMAS_PREFIX"
  npm install --prefix "$SCHEMAS_PREFIX" --ignore-scripts --no-audit \
    --no-fund --no-package-lock --loglevel=error \
    "$SCHEMAS@$SCHEMAS_VERSION" </dev/null
}

# The library that programs linked to BLAS load. LibTorch is many times slower
# with the reference BLAS.
blas_library() {
  local directory
  directory=$(dpkg-architecture -q DEB_HOST_MULTIARCH 2>/dev/null ||
    gcc -print-multiarch)
  readlink -f "/usr/lib/$directory/libblas.so.3"
}

select_openblas() {
  local link choice openblas
  while read -r link choice; do
    [[ $choice != *openblas* ]] || continue
    openblas=$(update-alternatives --list "$link" |
      sed -n '/openblas-pthread/p')
    [[ -n $openblas ]] || continue
    echo "selecting $openblas instead of $choice"
    update-alternatives --set "$link" "$openblas"
  done < <(update-alternatives --get-selections |
    awk '$1 ~ /^lib(blas|lapack)\.so\.3/ { print $1, $3 }')
}

failures=0

found() { printf 'found %-28s %s\n' "$1" "$2"; }

not_found() {
  echo "error: $1 was not found ($2)" >&2
  failures=$((failures + 1))
}

version_of() {
  case $1 in
    bazel)
      # Its version is asked of the package: the program would start a server.
      dpkg-query -W -f '${Version}' bazel-bootstrap 2>/dev/null || echo "?" ;;
    grpc_cpp_plugin)
      dpkg-query -W -f '${Version}' protobuf-compiler-grpc 2>/dev/null ||
        echo "?" ;;
    sbatch | scancel | scontrol | sinfo | slurmctld | squeue)
      # These read slurm.conf before they say their version.
      dpkg-query -W -f '${Version}' slurm-client 2>/dev/null || echo "?" ;;
    shellcheck) shellcheck --version | awk '$1 == "version:" { print $2 }' ;;
    *) "$1" --version 2>/dev/null |
      awk 'match($0, /[0-9]+(\.[0-9]+)+/) && !seen++ {
             print substr($0, RSTART, RLENGTH) }' ;;
  esac
}

check_all() {
  local name path
  for name in "${programs[@]}"; do
    if command -v "$name" >/dev/null; then
      found "$name" "$(version_of "$name")"
    else
      not_found "the program $name" "looked in PATH=$PATH"
    fi
  done
  for name in "${MODULES[@]}"; do
    if pkg-config --exists "$name" 2>/dev/null; then
      found "$name" "$(pkg-config --modversion "$name")"
    else
      not_found "the library $name" "asked pkg-config --exists $name"
    fi
  done
  for path in "${HEADERS[@]}"; do
    if [[ -f $path ]]; then
      found "$(basename "$path")" \
        "$(dpkg-query -S "$path" 2>/dev/null | cut -d: -f1)"
    else
      not_found "the header $path" "no such file"
    fi
  done
  if $with_kubernetes; then
    if [[ $(schemas_version) == "$SCHEMAS_VERSION" ]]; then
      found "$SCHEMAS" "$SCHEMAS_VERSION"
    else
      not_found "$SCHEMAS $SCHEMAS_VERSION" "looked in $SCHEMAS_PREFIX"
    fi
  fi
  path=$(blas_library || true)
  if [[ $path == *openblas* ]]; then
    found OpenBLAS "$(dpkg-query -W -f '${Version}' libopenblas0-pthread)"
  else
    not_found OpenBLAS "libblas.so.3 is ${path:-missing}"
  fi
}

for_build=false
with_kubernetes=false

choose() {
  local argument
  for argument in "$@"; do
    case $argument in
      --for=build) for_build=true ;;
      --with=bench) packages+=("${BENCH_PACKAGES[@]}") ;;
      --with=kubernetes) with_kubernetes=true ;;
      --with=slurm)
        packages+=("${SLURM_PACKAGES[@]}")
        programs+=("${SLURM_PROGRAMS[@]}")
        ;;
      *)
        echo "error: $argument: expected --for=build, --with=bench," \
          "--with=kubernetes or --with=slurm" >&2
        exit 2
        ;;
    esac
  done
  if ! $for_build; then
    packages+=("${TEST_PACKAGES[@]}")
    programs+=("${TEST_PROGRAMS[@]}")
  fi
  if $with_kubernetes; then
    programs+=(node npm)
    # Node from elsewhere brings npm along and does not go with Debian's.
    command -v npm >/dev/null || packages+=(nodejs npm)
  fi
}

main() {
  choose "$@"
  if ((EUID != 0)); then
    echo "error: installing packages needs root: sudo $0" >&2
    exit 1
  fi
  if ! command -v apt-get >/dev/null; then
    echo "error: apt-get was not found; this script is for Debian 12" >&2
    exit 1
  fi
  install_packages
  if $with_kubernetes; then install_schemas; fi
  select_openblas
  check_all
  if ((failures > 0)); then
    echo "error: $failures of the things needed are missing" >&2
    exit 1
  fi
  echo "everything is installed; next: bazel run //coordinator -- --sweep"
}

main "$@"
