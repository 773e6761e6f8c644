#!/usr/bin/env bash
# See that there are `prometheus`, `prometheus-alertmanager` and `amtool` for the tests that stage alerts: on PATH, or taken
# out of Debian's packages into the environment that is named. Nothing is installed and no service is started.
# Usage: tests/servers/prometheus.sh VENV
set -uo pipefail
venv=$(cd "${1:?usage: $0 VENV}" && pwd) || exit 1
there() { command -v "$1" >/dev/null || test -x "$venv/bin/$1"; }

missing=()
there prometheus || missing+=(prometheus)
there prometheus-alertmanager && there amtool || missing+=(prometheus-alertmanager)
if [ ${#missing[@]} = 0 ]; then exit 0; fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# A machine without a network must not wait for it.
apt() { timeout 300 apt-get -qq -o Acquire::http::Timeout=15 -o Acquire::https::Timeout=15 -o Acquire::Retries=0 "$@"; }
take() {
    apt -o APT::Sandbox::User=root download "$1" && dpkg-deb --fsys-tarfile "$1"_*.deb | tar -x ./usr &&
        install -m 755 usr/bin/* "$venv/bin/" && share "$1" && rm -r usr
}
# Debian's Alertmanager reads its own templates from /usr/share: the tests show it this folder there.
share() {
    [ "$1" = prometheus-alertmanager ] || return 0
    install -d "$venv/share/alertmanager/prometheus" && cp -r usr/share/prometheus/alertmanager "$venv/share/alertmanager/prometheus/"
}
if command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null; then
    cd "$work" || exit 1
    for package in "${missing[@]}"; do
        echo "Taking $package out of its package ..."
        { take "$package" || { [ "$(id -u)" = 0 ] && apt update && take "$package"; }; } >>log 2>&1
    done
    if there prometheus && there prometheus-alertmanager && there amtool; then exit 0; fi
    reason="apt says: $(tail -1 log)"
fi
cat >&2 <<MISSING
*** There is no ${missing[*]}, and none can be had here: ${reason:-there is no apt-get}
*** The tests that stage alerts will fail. Put prometheus, prometheus-alertmanager and amtool on PATH, and run again.
MISSING
exit 1
