#!/usr/bin/env bash
# See that there is a Java for Spark, 17 or newer: the one on PATH, or by apt where that may be used.
# Usage: tests/servers/java.sh
set -euo pipefail
there() {
    local version
    version=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -1)
    [ "${version:-0}" -ge 17 ]
}

if there; then exit 0; fi
echo "Spark needs Java 17 or newer and there is none on PATH."
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing openjdk-17-jre-headless by apt ..."
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq openjdk-17-jre-headless >/dev/null
    if there; then exit 0; fi
fi
echo "Install a Java runtime, 17 or newer, and put it on PATH." >&2
exit 1
