#!/usr/bin/env bash
# `make compose-test`: the stack of compose.yaml on a real Docker engine, from nothing, and nothing left behind.
#
# The engine runs in namespaces of its own (processes, mounts, network), so that it can touch nothing of this machine and
# everything in it ends with this script. No image can be pulled: the base image is made by debootstrap under the name
# that the Dockerfile uses, and Debian's PostgreSQL, Redis, HAProxy and Prometheus stand in for the official images.
# Jaeger and the collector have stand-ins of our own; Grafana, Elasticsearch and Kibana are not run.
#
# Exit status: 0 where everything held, 1 where something did not, 3 where it cannot be run here.
#
# Usage: tests/deploy/compose_test.sh PYTHON
#   PYTHON                    an interpreter with the test requirements
#   COMPOSE_TEST_ONLY="..."   only these steps of on_engine.py, in this order, such as "images starts replicas replicas"
#   COMPOSE_TEST_KEEP=DIR     keep what was downloaded there for the next run; without it everything is removed
set -euo pipefail
python=${1:?usage: $0 PYTHON}
root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/tests/deploy
export PYTHONUTF8=1

not_here() { echo "compose-test: NOT RUN: $*"; exit 3; }
say() { echo "compose-test: $*"; }

driver() { # DIRECTORY: overlay2 where this machine mounts one, which copies nothing; else vfs, which copies everything
    mkdir "$1/lower" "$1/upper" "$1/work" "$1/merged"
    local choice=vfs layers="lowerdir=$1/lower,upperdir=$1/upper,workdir=$1/work"
    if mount -t overlay overlay -o "$layers" "$1/merged" 2>/dev/null; then umount "$1/merged"; choice=overlay2; fi
    rm -rf "$1/lower" "$1/upper" "$1/work" "$1/merged"
    echo "$choice"
}

inside() { # WORK: within the namespaces
    local work=$1
    mount -t proc proc /proc
    ip link set lo up
    export DOCKER_HOST=unix://$work/docker.sock
    mkdir "$work/data"
    # In memory where there is plenty: what is there goes with the namespaces, and thousands of files need no deleting.
    if [ "$(awk '/^MemAvailable/ { print int($2 / 1048576) }' /proc/meminfo)" -ge 12 ]; then
        mount -t tmpfs -o size=9g,mode=711 tmpfs "$work/data"
    fi
    dockerd --storage-driver "$(driver "$work/data")" --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/docker.pid" \
        --host "$DOCKER_HOST" --cgroup-parent /cqox-compose-test >"$work/dockerd.log" 2>&1 &
    local daemon=$!
    for _ in $(seq 60); do
        if docker info >/dev/null 2>&1; then break; fi
        kill -0 "$daemon" 2>/dev/null || { tail -5 "$work/dockerd.log"; exit 3; }
        sleep 1
    done
    docker info >/dev/null 2>&1 || { tail -5 "$work/dockerd.log"; exit 3; }
    say "Docker $(docker info --format '{{.ServerVersion}} with {{.Driver}}') runs, compose $(docker compose version --short)"
    tar -C "$work/base" -c . | docker import - python:3.13-slim >/dev/null
    local status=0
    "$python" -m tests.deploy.on_engine "$work" || status=$?
    docker ps --all --quiet | xargs --no-run-if-empty docker rm --force >/dev/null 2>&1 || true
    kill "$daemon"
    wait "$daemon" || true
    exit "$status"
}

cd "$root"
if [ "${2:-}" = inside ]; then inside "$3"; fi

[ "$(uname -s)" = Linux ] || not_here "an engine of its own needs Linux"
[ "$(id -u)" = 0 ] || not_here "an engine of its own needs root"
unshare --net --mount --pid --fork true 2>/dev/null || not_here "this machine allows no namespaces"

declare -A package=([dockerd]=docker.io [containerd]=containerd [docker-compose]=docker-compose [debootstrap]=debootstrap
    [iptables]=iptables [ip]=iproute2 [curl]=curl)
missing=()
for tool in "${!package[@]}"; do command -v "$tool" >/dev/null || missing+=("${package[$tool]}"); done
[ -e /usr/libexec/docker/cli-plugins/docker-buildx ] || missing+=(docker-buildx)
if [ ${#missing[@]} -gt 0 ]; then
    command -v apt-get >/dev/null || not_here "there is no ${missing[*]}, and no apt-get to install it"
    say "installing ${missing[*]} by apt ..."
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null 2>&1 ||
        not_here "apt has no ${missing[*]}"
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/cqox-compose-XXXXXX")
kept=${COMPOSE_TEST_KEEP:-$work/kept}
ended() {
    rm -rf --one-file-system "$work"
    find /sys/fs/cgroup -depth -type d -path '*/cqox-compose-test*' -exec rmdir {} \; 2>/dev/null || true
}
trap ended EXIT
trap 'exit 130' INT TERM
mkdir -p "$kept"

if [ ! -e "$kept/base.tar" ]; then
    say "making the base image by debootstrap ..."
    debootstrap --variant=minbase --include=python3.13,python3.13-venv,ca-certificates trixie "$work/base" \
        >"$work/debootstrap.log" 2>&1 || { tail -3 "$work/debootstrap.log"; not_here "debootstrap cannot make a base image"; }
    for name in python python3 python3.13; do ln -sf /usr/bin/python3.13 "$work/base/usr/local/bin/$name"; done
    rm -rf "$work"/base/var/cache/apt/archives/*.deb "$work"/base/var/lib/apt/lists/*
    tar -C "$work/base" -cf "$kept/base.tar" .
else
    mkdir "$work/base"
    tar -C "$work/base" -xf "$kept/base.tar"
fi

if [ ! -e "$kept/prometheus.tar" ] || [ ! -e "$kept/haproxy.tar" ]; then
    say "installing Debian's PostgreSQL, Redis, HAProxy and Prometheus aside ..."
    cp -a "$work/base" "$work/stores"
    printf '#!/bin/sh\nexit 101\n' >"$work/stores/usr/sbin/policy-rc.d"
    chmod +x "$work/stores/usr/sbin/policy-rc.d"
    install -d "$work/stores/etc/postgresql-common"
    echo 'create_main_cluster = false' >"$work/stores/etc/postgresql-common/createcluster.conf"
    cp /etc/resolv.conf "$work/stores/etc/resolv.conf"
    chroot "$work/stores" apt-get update -qq
    DEBIAN_FRONTEND=noninteractive chroot "$work/stores" apt-get install -y -qq --no-install-recommends \
        -o Dpkg::Options::=--force-confold postgresql-17 redis-server prometheus haproxy >"$work/stores.log" 2>&1 ||
        { tail -3 "$work/stores.log"; not_here "apt cannot install what stands in for the official images"; }
    "$here/standins/pack.sh" "$work/stores" "$kept/postgres.tar" usr/lib/postgresql usr/share/postgresql usr/share/zoneinfo
    "$here/standins/pack.sh" "$work/stores" "$kept/redis.tar" usr/bin/redis-server usr/bin/redis-cli usr/bin/redis-check-rdb
    "$here/standins/pack.sh" "$work/stores" "$kept/haproxy.tar" usr/sbin/haproxy
    "$here/standins/pack.sh" "$work/stores" "$kept/prometheus.tar" usr/bin/prometheus usr/bin/promtool
    rm -rf --one-file-system "$work/stores"
fi

say "filling a directory of wheels ..."
"$python" -m pip download --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: \
    --find-links "$kept/wheels" --dest "$kept/wheels" -r requirements.lock
ln -s "$kept" "$work/from" 2>/dev/null || true

say "starting an engine in namespaces of its own ..."
unshare --net --mount --pid --fork --kill-child -- "$BASH" "$0" "$python" inside "$work" && status=0 || status=$?
[ "$status" != 3 ] || not_here "no engine starts here"
exit "$status"
