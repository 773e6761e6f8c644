#!/usr/bin/env bash
# See that there is `faketime` for the test that sets a clock back: on PATH, or by apt where that may be used.
# Usage: tests/servers/faketime.sh
set -uo pipefail
there() { command -v faketime >/dev/null; }

if there; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing faketime by apt ..."
    apt() { timeout 120 apt-get -qq -o Acquire::http::Timeout=15 -o Acquire::https::Timeout=15 -o Acquire::Retries=0 "$@"; }
    { apt install -y faketime || { apt update && apt install -y faketime; }; } >/dev/null 2>&1
    if there; then exit 0; fi
fi
cat >&2 <<TOLD
*** There is no faketime, and none can be had here. The test that sets the clock of both services back does NOT run.
*** To run it, install faketime.
TOLD
