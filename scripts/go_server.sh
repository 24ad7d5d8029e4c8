#!/bin/sh
# Builds a server that the tests run from its Go module, once for this user, and prints the program's path.
# Minutes of one core: run it niced. Fails where there is no Go, or the modules cannot be fetched.
#
#   scripts/go_server.sh versitygw|minio|fake-gcs-server
set -eu
name=${1:-}
case $name in
versitygw) version=v1.8.0 module=github.com/versity/versitygw/cmd/versitygw ;;
minio) version=v0.0.0-20260212201848-7aac2a2c5b7c module=github.com/minio/minio ;;
fake-gcs-server) version=v1.56.1 module=github.com/fsouza/fake-gcs-server ;;
*)
    echo "usage: scripts/go_server.sh versitygw|minio|fake-gcs-server" >&2
    exit 2
    ;;
esac
folder=${XDG_CACHE_HOME:-$HOME/.cache}/mmresume-test/bin
program=$folder/$name-$version
mkdir -p "$folder"
if [ ! -x "$program" ]; then
    command -v go >/dev/null || { echo "$name is not built: there is no Go" >&2; exit 1; }
    exec 9>"$program.lock"
    flock 9 # two may ask at once
    if [ ! -x "$program" ]; then
        echo "building $name $version" >&2
        part=$(mktemp -d "$folder/part.XXXXXX")
        trap 'rm -rf "$part"' EXIT
        (cd "$part" && GOBIN=$part CGO_ENABLED=0 GOFLAGS=-mod=mod nice -n 15 go install -p 1 "$module@$version" >&2)
        mv "$part/$name" "$program"
    fi
fi
echo "$program"
