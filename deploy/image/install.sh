#!/bin/sh
# Install into /opt/cqox: a lock file with its hashes, or with --projects the wheels of these folders.
# From /wheels alone where somebody put wheels there. The tools that build are in the lock file, and go at the end.
# Outside of an image CQOX_BUILD and CQOX_TARGET name other environments than /build and /opt/cqox.
set -eu
build=${CQOX_BUILD:-/build}
target=${CQOX_TARGET:-/opt/cqox}
pip() { "$build/bin/pip" --python "$target/bin/python" "$@"; }
if [ "$1" != --projects ]; then
    offline=""
    if ls /wheels/*.whl >/dev/null 2>&1; then offline="--no-index --find-links=/wheels"; fi
    # shellcheck disable=SC2086 # two words
    pip install --require-hashes --no-deps --only-binary :all: $offline -r "$1"
    exit 0
fi
shift
pip wheel --no-index --no-deps --no-build-isolation --wheel-dir "$build/dist" "$@"
pip install --no-index --no-deps "$build"/dist/*.whl
pip uninstall --yes hatchling editables pathspec tomlkit trove-classifiers pluggy
pip check
