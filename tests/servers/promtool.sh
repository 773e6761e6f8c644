#!/usr/bin/env bash
# See that there is `promtool` for the tests of the alert rules: on PATH, or taken out of Debian's package
# into the environment that is named. Nothing is installed and no service is started.
# Usage: tests/servers/promtool.sh VENV
set -uo pipefail
venv=$(cd "${1:?usage: $0 VENV}" && pwd) || exit 1
there() { command -v promtool >/dev/null || test -x "$venv/bin/promtool"; }

if there; then exit 0; fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# A machine without a network must not wait for it.
apt() { timeout 120 apt-get -qq -o Acquire::http::Timeout=15 -o Acquire::https::Timeout=15 -o Acquire::Retries=0 "$@"; }
take() {
    apt -o APT::Sandbox::User=root download "$1" && dpkg-deb --fsys-tarfile "$1"_*.deb | tar -x ./usr/bin/promtool &&
        install -m 755 usr/bin/promtool "$venv/bin/promtool"
}
if command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null; then
    echo "Taking promtool out of its package ..."
    cd "$work" || exit 1
    # Debian has it in a package of its own since 13, and in that of Prometheus before.
    { take promtool || { [ "$(id -u)" = 0 ] && apt update && take promtool; } || take prometheus; } >log 2>&1
    if there; then exit 0; fi
    reason="apt says: $(tail -1 log)"
fi
cat >&2 <<TOLD
*** There is no promtool, and none can be had here: ${reason:-there is no apt-get}
*** The unit tests of deploy/prometheus/rules.yml do NOT run. The rules are still read, and held to the table of series.
*** To run them, put promtool on PATH, or name it: PROMTOOL=/path/to/promtool.
TOLD
