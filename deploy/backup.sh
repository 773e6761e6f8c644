#!/usr/bin/env bash
# Save what the stack keeps: `deploy/backup.sh FOLDER`, while it runs.
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: deploy/backup.sh FOLDER

Saves into FOLDER, which must not exist, while the stack of `docker compose up` runs:

  results.dump      the database, as pg_dump --format=custom writes it
  datasets.tar.gz   the files of data sets, of every tenant
  SHA256SUMS        their digests, which deploy/restore.sh compares

The database comes first, and a data set is registered only after its files are there: every data set that it names is
in the files, unless somebody deletes one meanwhile. Redis is a cache and the password of the database belongs to its
volume: neither is saved.
TEXT
}

[ $# = 1 ] || { usage >&2; exit 2; }
case $1 in -h | --help) usage; exit 0 ;; esac
cd "$(dirname "$0")/.."
# Personal data: folder and files are for nobody else.
umask 077
mkdir "$1"
folder=$(cd "$1" && pwd)
docker compose exec -T postgres pg_dump --username=cqox --dbname=cqox --format=custom >"$folder/results.dump"
# Tenants other than the first have folders of their own, whose names are plain words.
docker compose exec -T engine sh -c 'cd /var/lib/cqox && exec tar -czf - datasets $(ls -d tenants/*/datasets 2>/dev/null)' \
    >"$folder/datasets.tar.gz"
digests() { if command -v sha256sum >/dev/null; then sha256sum "$@"; else shasum -a 256 "$@"; fi; }
(cd "$folder" && digests results.dump datasets.tar.gz >SHA256SUMS)
ls -l "$folder"
