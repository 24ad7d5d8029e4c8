"""Includes go one way: a layer includes only itself and the layers to its left."""
import os
import re
import sys

ROOT = os.environ.get("MM_ROOT") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# layer -> layers it may include
ALLOWED = {
    "engine/base": set(),
    "engine/model": {"engine/base"},
    "engine/config": {"engine/base", "engine/model"},
    "engine/net": {"engine/base", "engine/model"},
    "engine/storage": {"engine/base", "engine/model", "engine/config", "engine/net"},
    "engine/formats": {"engine/base", "engine/model", "engine/config", "engine/net", "engine/storage"},
    "engine/milvus": {"engine/base", "engine/model", "engine/config", "engine/net", "engine/formats"},
    "sources": {"engine/base", "engine/model", "engine/config", "engine/net", "engine/storage", "engine/formats",
                "engine/milvus"},
    "sinks": {"engine/base", "engine/model", "engine/config", "engine/net", "engine/storage", "engine/formats",
              "engine/milvus"},
    "checkpoint": {"engine/base", "engine/model"},
    "engine/run": {"engine/base", "engine/model", "engine/config", "engine/net", "engine/storage", "engine/formats",
                   "engine/milvus", "sources", "sinks", "checkpoint"},
}
ALLOWED["engine/cli"] = set(ALLOWED["engine/run"]) | {"engine/run"}
ALLOWED["engine/serve"] = ALLOWED["engine/cli"]


def layer_of(path):
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] == "engine" else parts[0]


def resolve(including, name):
    """The file that an include means, relative to the root; None for system and generated headers."""
    for base in (os.path.dirname(including), "engine", ""):
        candidate = os.path.normpath(os.path.join(base, name))
        if os.path.exists(os.path.join(ROOT, candidate)):
            return candidate
    return None


def violations():
    found, files = [], 0
    for top in ("engine", "sources", "sinks", "checkpoint"):
        for folder, _, names in os.walk(os.path.join(ROOT, top)):
            for name in names:
                if not name.endswith((".c", ".h")):
                    continue
                path = os.path.relpath(os.path.join(folder, name), ROOT)
                files += 1
                with open(os.path.join(ROOT, path), encoding="utf-8") as text:
                    includes = re.findall(r'^\s*#include "([^"]+)"', text.read(), re.M)
                for include in includes:
                    target = resolve(path, include)
                    if target is None:
                        continue
                    mine, theirs = layer_of(path), layer_of(target)
                    if mine != theirs and theirs not in ALLOWED[mine]:
                        found.append(f"{path} includes {include} ({theirs})")
    return found, files


def main():
    found, files = violations()
    for line in found:
        print(line)
    assert files > 20, "the tree was not found"
    assert not found, f"{len(found)} includes go the wrong way"
    print(f"{files} files, every include goes the right way")


if __name__ == "__main__":
    sys.exit(main())
