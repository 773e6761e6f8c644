#!/usr/bin/env bash
# See that there is a Chromium for the tests of the page: on PATH, by apt where that may be used, or Playwright's own.
# Usage: tests/servers/chromium.sh VENV
set -uo pipefail
there() { "$1/bin/python" -c 'import sys; from tests.servers.browser import browser_path; sys.exit(browser_path() is None)'; }

if there "$1"; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing chromium by apt ..."
    apt() { timeout 300 apt-get -qq -o Acquire::http::Timeout=15 -o Acquire::https::Timeout=15 -o Acquire::Retries=0 "$@"; }
    { apt install -y --no-install-recommends chromium || { apt update && apt install -y --no-install-recommends chromium; }; } >/dev/null 2>&1
    if there "$1"; then exit 0; fi
fi
echo "Installing the Chromium of Playwright ..."
timeout 600 "$1/bin/python" -m playwright install chromium-headless-shell >/dev/null 2>&1
if there "$1"; then exit 0; fi
cat >&2 <<TOLD
*** There is no Chromium, and none can be had here: the tests of the page will fail.
*** Install chromium (or name one in CHROMIUM), and run again.
TOLD
