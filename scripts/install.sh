#!/bin/sh
# Installs what is missing on Debian 12, and nothing else: packages by apt (sudo when not root), Python
# packages in .venv of this folder. Quiet and quick when everything is there.
#
#   scripts/install.sh          for building and the quickstart
#   scripts/install.sh test     for the tests as well
set -eu
cd "$(dirname "$0")/.."
kind=${1:-build}

packages="cmake ninja-build gcc libc6-dev pkg-config libsqlite3-dev libyaml-dev libcurl4-openssl-dev libssl-dev
          libcjson-dev libzstd-dev libprotobuf-c-dev protobuf-c-compiler libxxhash-dev zlib1g-dev libsnappy-dev liblz4-dev
          libhdf5-dev libmariadb-dev"
requirements=scripts/requirements.txt
case $kind in
build) ;;
test)
    packages="$packages libcmocka-dev libsimdjson-dev openssl clang libclang-rt-14-dev mariadb-server-core mariadb-client-core
              maven openjdk-17-jre-headless"
    requirements=scripts/requirements-test.txt
    ;;
*)
    echo "usage: scripts/install.sh [build|test]" >&2
    exit 2
    ;;
esac

# A python3 that is not Debian's brings its own venv; Debian's wants a package.
python=$(command -v python3) || python=
if [ -z "$python" ] || ! "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    packages="$packages python3 python3-venv"
    python=/usr/bin/python3
fi

missing=
for package in $packages; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || state=
    [ "$state" = installed ] || missing="$missing $package"
done
if [ -n "$missing" ]; then
    as_root=
    [ "$(id -u)" -eq 0 ] || as_root=sudo
    echo "installing:$missing" >&2
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 update
    # shellcheck disable=SC2086  # a list of words
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 \
        -o Dpkg::Use-Pty=0 install --no-install-recommends -y $missing >&2
fi

# The stamp names what the venv holds: the pinned lists and the interpreter.
stamp=".venv/.installed-$kind"
wanted=$({ cat scripts/requirements*.txt; "$python" -V; } | sha256sum | cut -d ' ' -f 1)
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    echo "installing Python packages into .venv" >&2
    [ -x .venv/bin/python ] && .venv/bin/python -c 'import pip' 2>/dev/null || "$python" -m venv --clear .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input -r "$requirements" >&2
    # pymilvusdm's readers are a second opinion; what it wants besides them is too old to stand beside the rest.
    if [ "$kind" = test ]; then
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps \
            -r scripts/requirements-pymilvusdm.txt >&2
    fi
    # FAISS 1.7.3, whose files are read too, is to be had for Python 3.11 only; without it its test is skipped.
    if [ "$kind" = test ] && "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then
        "$python" -m venv --clear .venv/faiss-1.7.3
        .venv/faiss-1.7.3/bin/python -m pip install --quiet --disable-pip-version-check --no-input \
            -r scripts/requirements-faiss-1.7.3.txt >&2
    fi
    echo "$wanted" >"$stamp"
fi

# Servers for the tests of object stores and search engines, made once for this user; without them those tests say that
# they are skipped. Three registries, asked at the same time.
go_servers() {
    scripts/go_server.sh versitygw >/dev/null || echo "versitygw is not there: the tests of S3 will be skipped" >&2
    scripts/go_server.sh fake-gcs-server >/dev/null || echo "the tests of Google Cloud Storage will be skipped" >&2
}
npm_servers() {
    scripts/npm_server.sh azurite >/dev/null || echo "the tests of Azure Blob Storage will be skipped" >&2
}
maven_servers() {
    for server in elasticsearch-8 elasticsearch-7 opensearch; do
        scripts/maven_server.sh "$server" >/dev/null || echo "the tests with $server will be skipped" >&2
    done
}
if [ "$kind" = test ]; then
    go_servers &
    npm_servers &
    maven_servers &
    wait
fi
