#!/usr/bin/env bash
# Train on Cloud TPU VMs, one host or a pod:
#   launch/tpu_vm.sh [--dry-run] create | install | run | logs | stop | delete
# create queues for the slice until it is there; install copies the last commit
# of this checkout to all hosts and mounts RUNS as /mnt/runs; run trains to the
# end: after exit code 75 or a crash it starts again, after a preemption it also
# creates and installs again. Hosts go on without this machine; run again joins
# them. RUNS must be seen by all hosts: HOST:/SHARE is NFS (Filestore), gs://NAME
# a bucket with a hierarchical namespace, mounted by gcsfuse.
set -euo pipefail

# The one command to edit; it runs on every host.
COMMAND=(
  python -m sslax.main --config=byol:imagenet
  --config.data.dir=/mnt/runs/tensorflow_datasets
  --workdir=/mnt/runs/byol
)

: "${NAME:=sslax}"                  # of the slice
: "${TYPE:=v5litepod-256}"          # of the accelerator
: "${VERSION:=v2-alpha-tpuv5-lite}" # of the runtime; v4: tpu-ubuntu2204-base
: "${ZONE:=us-west4-a}"
: "${PROJECT:=}"                    # default: gcloud's own
: "${SPOT:=1}"                      # 1: cheaper, may be preempted
: "${RUNS:=10.0.0.2:/runs}"
: "${MAX_STARTS:=100}"
: "${PAUSE:=30}"                    # seconds between two looks

HERE=$(cd "$(dirname "$0")" && pwd)
HOST='bash sslax/launch/tpu_host.sh'
WHERE=(--zone="$ZONE" ${PROJECT:+--project="$PROJECT"})
DRY_RUN=
exec 3>&1 # what a dry run prints, also inside of $(...)

# Runs a command, or prints it as one that can be pasted.
call() {
  if [[ $DRY_RUN ]]; then
    local word words=()
    for word in "$@"; do
      [[ $word =~ ^[-+./:=@,_a-zA-Z0-9]+$ ]] || word="'${word//\'/\'\\\'\'}'"
      words+=("$word")
    done
    echo "${words[*]}" >&3
  else
    "$@"
  fi
}

queued() { call gcloud compute tpus queued-resources "$@" "${WHERE[@]}"; }

vm() { call gcloud compute tpus tpu-vm "$@" "${WHERE[@]}"; }

# on all|0 LINE: runs a line on hosts.
on() { vm ssh "$NAME" --worker="$1" --command="$2"; }

# ACTIVE, other words of Google's, or nothing where there is no such slice.
state() {
  queued describe "$NAME" --format='value(state.state)' 2>/dev/null || true
  [[ ! $DRY_RUN ]] || echo ACTIVE
}

# The exit code on the first host, `running`, or nothing if it does not answer.
code() {
  on 0 "$HOST code" 2>/dev/null || true
  [[ ! $DRY_RUN ]] || echo 0
}

create() {
  local now spot=
  [[ $SPOT != 1 ]] || spot=--spot
  queued create "$NAME" --node-id="$NAME" --accelerator-type="$TYPE" \
    --runtime-version="$VERSION" ${spot:+"$spot"}
  while now=$(state) && [[ $now != ACTIVE ]]; do
    echo "$NAME is ${now:-unknown}"
    [[ $now != FAILED && $now != SUSPENDED ]] || return 1
    sleep "$PAUSE"
  done
}

install_all() {
  local archive=${TMPDIR:-/tmp}/sslax.tar.gz
  call git -C "$HERE/.." archive --format=tar.gz --output="$archive" HEAD &&
    vm scp "$archive" "$NAME:sslax.tar.gz" --worker=all &&
    on all 'rm -rf sslax && mkdir sslax && tar -xzf sslax.tar.gz -C sslax' &&
    on all "$HOST install $(printf %q "$RUNS")"
}

delete() { queued delete "$NAME" --force --quiet; }

logs() { on 0 "$HOST logs"; }

# The slice was preempted, or nobody created it yet.
renew() {
  [[ -z $(state) ]] || delete
  create && install_all
}

# Starts the command unless it runs already, and follows it.
follow() {
  local line
  line="$HOST start $(printf '%q ' "${COMMAND[@]}")"
  if [[ $(code) == running ]] || on all "${line% }"; then
    logs || true
  fi
}

run() {
  local start now
  for ((start = 1; start <= MAX_STARTS; start++)); do
    now=
    if [[ $(state) == ACTIVE ]] || renew; then
      follow
      now=$(code)
    fi
    case $now in
      0) return 0 ;;
      1 | 2 | 3) return "$now" ;; # failed, bad input, health
    esac
    echo "$NAME: ${now:-no answer}; again ($start of $MAX_STARTS)"
    sleep "$PAUSE"
  done
  return 75
}

main() {
  if [[ ${1:-} == --dry-run ]]; then
    DRY_RUN=1
    shift
  fi
  local what=${1:-}
  shift || true
  [[ $# == 0 ]] || COMMAND=("$@") # run COMMAND...
  if [[ "${COMMAND[*]}" == *--workdir=gs://* ]]; then
    echo 'error: --workdir must be a folder; below /mnt/runs it is on RUNS' >&2
    exit 2
  fi
  case $what in
    create | run | logs | delete) "$what" ;;
    install) install_all ;;
    stop) on all "$HOST stop" ;; # saves, and ends with exit code 75
    *)
      sed -n '2,10s/^# \{0,1\}//p' "$0" >&2
      exit 2
      ;;
  esac
}

main "$@"
