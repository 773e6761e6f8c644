#!/usr/bin/env bash
# Some paths of a root file system, with the libraries that their programs need, as one archive.
# Usage: pack.sh ROOT ARCHIVE PATH...
set -euo pipefail
root=$1 archive=$2
shift 2
list=$(mktemp)
trap 'rm -f "$list"' EXIT

# Every link on the way to a library, and the library.
chain='p=$1
while :; do
    d=$(cd "$(dirname "$p")" && pwd -P); p=$d/$(basename "$p"); echo "$p"
    [ -L "$p" ] || break
    t=$(readlink "$p"); case $t in /*) p=$t ;; *) p=$d/$t ;; esac
done'

for path in "$@"; do
    echo "$path"
    find "$root/$path" -type f \( -perm -u+x -o -name '*.so*' \) | while read -r file; do
        chroot "$root" ldd "${file#"$root"}" 2>/dev/null || true
    done | awk '/=> \//{print $3} /^\t\//{print $1}' | sort -u | while read -r library; do
        chroot "$root" sh -c "$chain" _ "$library"
    done | sed 's#^/##'
done | sort -u >"$list"
tar -C "$root" -cf "$archive" -T "$list"
