#!/usr/bin/env bash
# See that there is a HAProxy for the tests of the one address of several gateways: on PATH, or by apt.
set -euo pipefail
if command -v haproxy >/dev/null; then exit 0; fi
echo "The tests need HAProxy and there is none on PATH."
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing haproxy by apt ..."
    (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends haproxy) >/dev/null 2>&1 || true
fi
command -v haproxy >/dev/null || { echo "Install haproxy, 2.8 or newer." >&2; exit 1; }
