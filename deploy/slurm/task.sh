# shellcheck shell=bash
# What a Slurm job of a sweep does: the scripts of this folder source it, and
# those that `coordinator --launch=slurm` writes hold it.

# Puts this job back into the queue: the program's work is saved, and it goes
# on when it is started again. KODISTIL_MAX_REQUEUES (100) is for a program that
# asks for it forever.
requeue() {
  local job=${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}
  if [[ -n ${SLURM_ARRAY_TASK_ID:-} ]]; then job+=_$SLURM_ARRAY_TASK_ID; fi
  local restarts=${SLURM_RESTART_COUNT:-0} most=${KODISTIL_MAX_REQUEUES:-100}
  if ((restarts >= most)); then
    echo "error: job $job was queued again $restarts times, expected fewer" \
      "than KODISTIL_MAX_REQUEUES=$most" >&2
    return
  fi
  echo "job $job goes back into the queue"
  scontrol requeue "$job"
}

# Runs a program as this job, and exits as it does. When it exits with 75 ("try
# again"), or with 0 because its time was over (a server), the job is queued
# again.
#
# USR1 comes to this shell alone when the time limit is near (sbatch
# --signal=B:USR1@N) and is passed on as SIGTERM. SIGTERM itself Slurm sends to
# this shell and to the program, which would end at once at a second one. Who
# sends it (scancel, preemption, a requeue by hand) also decides whether the job
# is to run again.
run_task() {
  # Of `bazel run` on the machine that submitted the job.
  unset BUILD_WORKING_DIRECTORY BUILD_WORKSPACE_DIRECTORY
  local code interrupted told=false over=false
  trap 'told=true; interrupted=true' TERM
  trap 'over=true; interrupted=true; kill -TERM "$task_pid"' USR1
  "$@" &
  task_pid=$!
  while
    interrupted=false
    wait "$task_pid"
    code=$?
    $interrupted
  do :; done
  if ! $told && { ((code == 75)) || { $over && ((code == 0)); }; }; then
    requeue
  fi
  exit "$code"
}

# A folder for caches on this node's own disk.
node_cache_dir() {
  echo "${KODISTIL_CACHE_DIR:-${TMPDIR:-/tmp}/kodistil-$(id -un)}"
}
