#!/bin/sh
# Installs a server that the tests run from its npm package, once for this user, and prints the program's path.
# Fails where there is no Node.js, or the package cannot be fetched.
#
#   scripts/npm_server.sh azurite
set -eu
name=${1:-}
case $name in
azurite) version=3.35.0 program=azurite-blob ;;
*)
    echo "usage: scripts/npm_server.sh azurite" >&2
    exit 2
    ;;
esac
cache=${XDG_CACHE_HOME:-$HOME/.cache}/mmresume-test
folder=$cache/$name-$version
mkdir -p "$cache"
if [ ! -d "$folder" ]; then
    command -v npm >/dev/null || { echo "$name is not installed: there is no npm" >&2; exit 1; }
    exec 9>"$folder.lock"
    flock 9 # two may ask at once
    if [ ! -d "$folder" ]; then
        echo "installing $name $version" >&2
        part=$(mktemp -d "$cache/part.XXXXXX")
        trap 'rm -rf "$part"' EXIT
        npm install --prefix "$part" --no-audit --no-fund --loglevel=error "$name@$version" >&2
        mv "$part" "$folder"
        trap - EXIT
    fi
fi
echo "$folder/node_modules/.bin/$program"
