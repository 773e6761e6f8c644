#!/bin/sh
# Install into /opt/cqox: a lock file with its hashes, or with --project the wheel of what is in the working directory.
# From /wheels alone where somebody put wheels there. The tools that build are in the lock file, and go at the end.
set -eu
pip() { /build/bin/pip --python /opt/cqox/bin/python "$@"; }
if [ "$1" != --project ]; then
    offline=""
    if ls /wheels/*.whl >/dev/null 2>&1; then offline="--no-index --find-links=/wheels"; fi
    # shellcheck disable=SC2086 # two words
    pip install --require-hashes --no-deps --only-binary :all: $offline -r "$1"
    exit 0
fi
pip wheel --no-index --no-deps --no-build-isolation --wheel-dir /build/dist .
pip install --no-index --no-deps /build/dist/cqox-*.whl
pip uninstall --yes hatchling editables pathspec tomlkit trove-classifiers pluggy
pip check
