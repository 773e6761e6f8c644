#!/usr/bin/env bash
# Install the object store of the tests, the server of moto, into an environment of its own within the one that is named.
# Usage: tests/servers/object_store.sh VENV
set -euo pipefail
venv=$(cd "${1:?usage: $0 VENV}" && pwd)
lock="$(dirname "$0")/object_store/requirements.lock"
target="$venv/object-store"

if [ -x "$target/bin/moto_server" ] && cmp -s "$lock" "$target/requirements.lock"; then exit 0; fi
echo "Installing an object store (tests/servers/object_store/requirements.lock) ..."
"$venv/bin/python" -m venv "$target"
timeout 300 "$target/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$lock"
cp "$lock" "$target/requirements.lock"
