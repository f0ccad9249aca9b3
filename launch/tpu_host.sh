#!/usr/bin/env bash
# What launch/tpu_vm.sh runs on each host of a slice:
#   tpu_host.sh install RUNS | start COMMAND... | logs | code | stop
# The command outlives the connection that started it: its output goes to
# ~/sslax.log, its process group to ~/sslax.pid, its exit code to ~/sslax.exit.
set -euo pipefail
cd "$HOME"

install() {
  python3 -m pip install --quiet --user uv # brings a newer Python than 3.10
  python3 -m uv venv --quiet --clear --python=3.12 sslax-venv
  python3 -m uv pip install --quiet --python=sslax-venv './sslax[tpu]'
  sudo mkdir -p /mnt/runs
  mountpoint --quiet /mnt/runs || mount_runs "$1"
}

# Nothing is remembered about files: all hosts must see the same checkpoints.
mount_runs() {
  if [[ $1 == gs://* ]]; then
    command -v gcsfuse >/dev/null || add_gcsfuse
    sudo chown "$(id -u)" /mnt/runs
    gcsfuse --metadata-cache-ttl-secs=0 "${1#gs://}" /mnt/runs
  else
    sudo apt-get -qq update
    sudo apt-get -qq install -y nfs-common
    sudo mount -t nfs -o actimeo=0 "$1" /mnt/runs
  fi
}

add_gcsfuse() {
  local key=/usr/share/keyrings/cloud.google.asc
  local apt=https://packages.cloud.google.com/apt
  curl -fsS "$apt/doc/apt-key.gpg" | sudo tee "$key" >/dev/null
  echo "deb [signed-by=$key] $apt gcsfuse-$(lsb_release -cs) main" |
    sudo tee /etc/apt/sources.list.d/gcsfuse.list >/dev/null
  sudo apt-get -qq update
  sudo apt-get -qq install -y gcsfuse
}

start() {
  kill -KILL -- "-$(cat sslax.pid 2>/dev/null)" 2>/dev/null || true # it hung
  rm -f sslax.exit
  # The shell waits for the command also when both get SIGTERM.
  # shellcheck disable=SC2016
  PATH=$HOME/sslax-venv/bin:$PATH setsid bash -c \
    'trap : TERM; "$@"; echo $? > sslax.exit' _ "$@" \
    </dev/null >sslax.log 2>&1 &
  echo $! >sslax.pid
}

running() { kill -0 -- "-$(cat sslax.pid 2>/dev/null)" 2>/dev/null; }

logs() {
  tail -n +1 -F sslax.log &
  while running; do sleep 1; done
  kill $!
}

# The exit code, `running`, or `lost` where the host was started anew.
code() {
  if running; then
    echo running
  else
    cat sslax.exit 2>/dev/null || echo lost
  fi
}

stop() { kill -TERM -- "-$(cat sslax.pid)"; }

"$@"
