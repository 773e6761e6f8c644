#!/usr/bin/env bash
# Install the OpenID provider of the tests into the environment that is named, by the Node.js that is in it.
# Usage: tests/servers/identity_provider.sh VENV
set -euo pipefail
venv=$(cd "${1:?usage: $0 VENV}" && pwd)
source="$(dirname "$0")/oidc_provider"
target="$venv/identity-provider"

if [ -d "$target/node_modules" ] && cmp -s "$source/package-lock.json" "$target/package-lock.json"; then exit 0; fi
echo "Installing oidc-provider from npm ..."
mkdir -p "$target"
cp "$source/package.json" "$source/package-lock.json" "$target/"
node=$("$venv/bin/python" -c 'from tests.servers.identity_provider import node; print(node())')
npm=$("$venv/bin/python" -c 'from tests.servers.identity_provider import npm; print(npm())')
# Scripts of packages are not run; none of these needs one.
PATH="$(dirname "$node"):$PATH" timeout 300 "$node" "$npm" ci --prefix "$target" --ignore-scripts --no-audit --no-fund --silent
