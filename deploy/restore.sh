#!/usr/bin/env bash
# Put back what deploy/backup.sh saved: `deploy/restore.sh FOLDER`. It stops gateway and engines meanwhile.
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: deploy/restore.sh FOLDER

Puts a backup of deploy/backup.sh in the place of what the stack of `docker compose up` holds now:

  1. compares the digests of the backup
  2. stops the gateway and the engines, each after its drain
  3. restores the database in one transaction: all of it or nothing
  4. unpacks the files of data sets; those that are there and not in the backup stay
  5. starts what was stopped, and asks `cqox db check` whether rows and files belong together

A backup of an older version is brought up to date by the engine; one of a newer version is refused by it.
TEXT
}

[ $# = 1 ] || { usage >&2; exit 2; }
case $1 in -h | --help) usage; exit 0 ;; esac
folder=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
digests() { if command -v sha256sum >/dev/null; then sha256sum "$@"; else shasum -a 256 "$@"; fi; }
(cd "$folder" && digests -c SHA256SUMS)
running=$(docker compose --profile replicas --profile edge ps --services --status running |
    grep -E '^(gateway|engine)(-replica)?$' || true)
# shellcheck disable=SC2086 # one word for each service
[ -z "$running" ] || docker compose --profile replicas --profile edge stop $running
docker compose up --detach --wait --no-build postgres redis
docker compose exec -T postgres pg_restore --username=cqox --dbname=cqox --clean --if-exists --no-owner \
    --exit-on-error --single-transaction <"$folder/results.dump"
docker compose run --rm --no-deps -T engine \
    sh -c 'umask 077 && exec tar --no-same-permissions -C /var/lib/cqox -xzf -' <"$folder/datasets.tar.gz"
docker compose up --detach --wait --no-build gateway engine
for replica in engine-replica gateway-replica; do
    case $running in *$replica*) docker compose --profile replicas --profile edge start "$replica" ;; esac
done
docker compose exec -T engine cqox db check
