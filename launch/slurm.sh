#!/usr/bin/env bash
# Train on GPU nodes of a SLURM cluster: `sbatch launch/slurm.sh` from the folder
# that the command should run in; `bash launch/slurm.sh --dry-run` prints what
# would run. One process drives one GPU; --ntasks-per-node=1 makes it one a node,
# which drives all of its GPUs. Two minutes before the time is over, or when the
# job is preempted, the run saves and exits with 75, and the job is queued again,
# as it is after a crash. Bad input (2) and an unhealthy run (3) end it.
#SBATCH --job-name=sslax
#SBATCH --nodes=2
#SBATCH --gpus-per-node=8
#SBATCH --ntasks-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
set -uo pipefail

# The one command to edit. The workdir and the data are seen by all nodes.
COMMAND=(
  python -m sslax.main --config=byol:imagenet
  --config.data.dir="$HOME/tensorflow_datasets"
  --workdir="$HOME/runs/byol"
)

: "${MAX_RESTARTS:=100}"

# Each process sees all GPUs of its node and takes its own. Once one process has
# ended, the others have a minute.
STEP=(
  srun --cpus-per-task="${SLURM_CPUS_PER_TASK:-8}" --gpu-bind=none
  --kill-on-bad-exit=0 --wait=60 "${COMMAND[@]}"
)

if [[ ${1:-} == --dry-run ]]; then
  printf 'sbatch %q\n' "$0"
  printf '%q ' "${STEP[@]}"
  echo
  exit
elif [[ -z ${SLURM_JOB_ID:-} ]]; then
  echo "error: this is a batch script: sbatch $0" >&2
  exit 2
fi

"${STEP[@]}" &
step=$!
trap 'kill -TERM $step' TERM # srun passes it on to all processes
wait $step
code=$?
while kill -0 $step 2>/dev/null; do # the signal ended only the waiting
  wait $step
  code=$?
done

if [[ $code == 75 || $code -gt 128 ]] &&
  ((${SLURM_RESTART_COUNT:-0} < MAX_RESTARTS)); then
  echo "exit code $code: the job is queued again"
  scontrol requeue "$SLURM_JOB_ID" && exit 0
fi
exit "$code"
