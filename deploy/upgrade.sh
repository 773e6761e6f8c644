#!/usr/bin/env bash
# Replaces the gateways and engines of compose.yaml one after another: `deploy/upgrade.sh --help`.
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: deploy/upgrade.sh [--back]

Replaces what runs of engine, engine-replica, gateway and gateway-replica by the images of CQOX_VERSION (in .env), one
service after another: each is drained, and the next one follows once the new one is healthy. With the profiles
`replicas` and `edge` there is no outage at the address of `edge`.

  --back   gateways first: to an older version (docs/deploying.md#upgrade-and-rollback)

Exit status: 0 where all were replaced, 1 where one was not healthy in time (the others are left as they are), 2 where
nothing was done.
TEXT
}

order=(engine engine-replica gateway gateway-replica)
case ${1:-} in
    -h | --help) usage; exit 0 ;;
    --back) order=(gateway gateway-replica engine engine-replica); shift ;;
esac
[ $# = 0 ] || { usage >&2; exit 2; }
cd "$(dirname "$0")/.."
# A gateway asks every five seconds who is behind the name of the engines; HAProxy asks every second for gateways.
seen_seconds=8

compose() { docker compose --profile replicas --profile edge "$@"; }
running=$(compose ps --services --status running)
[ -n "$running" ] || { echo "upgrade.sh: nothing runs; start it by docker compose up --detach --wait" >&2; exit 2; }
for image in $(compose config --images | grep '^cqox-' | sort -u); do
    docker image inspect "$image" >/dev/null 2>&1 ||
        { echo "upgrade.sh: there is no image $image; build it first (docs/deploying.md#upgrade-and-rollback)" >&2; exit 2; }
done
first=yes
for service in "${order[@]}"; do
    grep -qx "$service" <<<"$running" || continue
    [ "$first" = yes ] || sleep "$seen_seconds"
    first=no
    echo "upgrade.sh: $service ..."
    count=$(compose ps --quiet "$service" | wc -l)
    # Without --no-deps Compose may stop everything that depends on what it replaces.
    compose up --detach --wait --no-deps --no-build --scale "$service=$count" "$service" || exit 1
done
