#!/bin/sh
# Install into /opt/cqox: a lock file with its hashes, or with --projects the wheels of these folders.
# From /wheels alone where somebody put wheels there. The tools that build are in the lock file, and go at the end.
# With --slim it takes out what a service does not need, and starts the service once so that what it uses is compiled.
# Outside of an image CQOX_BUILD and CQOX_TARGET name other environments than /build and /opt/cqox.
set -eu
build=${CQOX_BUILD:-/build}
target=${CQOX_TARGET:-/opt/cqox}
pip() { "$build/bin/pip" --python "$target/bin/python" "$@"; }
# Nothing is compiled here: most of it is never imported.
if [ "$1" = --slim ]; then
    "$build/bin/python" "$(dirname "$0")/slim.py" "$2" "$("$target/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
    "$target/bin/python" "$(dirname "$0")/rehearse.py" "$2"
    # Services keep their files to themselves, and what they compiled as well.
    chmod -R go+rX "$target/lib"
    exit 0
fi
if [ "$1" != --projects ]; then
    offline=""
    if ls /wheels/*.whl >/dev/null 2>&1; then offline="--no-index --find-links=/wheels"; fi
    # shellcheck disable=SC2086 # two words
    pip install --no-compile --require-hashes --no-deps --only-binary :all: $offline -r "$1"
    exit 0
fi
shift
pip wheel --no-index --no-deps --no-build-isolation --wheel-dir "$build/dist" "$@"
pip install --no-compile --no-index --no-deps "$build"/dist/*.whl
pip uninstall --yes hatchling editables pathspec tomlkit trove-classifiers pluggy
pip check
