#!/bin/sh
# The first minutes with mmresume: installs what is missing, builds, and moves a real FAISS index into an
# embedded Milvus Lite: killed half-way with SIGKILL, resumed, verified in full, searched.
# Works in a temporary folder and leaves nothing behind but the build.
set -eu
cd "$(dirname "$0")/.."
scripts/install.sh
[ -f build/release/build.ninja ] || cmake --preset release >/dev/null
cmake --build build/release --target mmresume -j "$(nproc)" >/dev/null
exec .venv/bin/python scripts/quickstart.py build/release/mmresume
