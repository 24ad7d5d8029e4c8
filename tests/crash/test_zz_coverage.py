"""Every failpoint of the sources is one at which a process died, or failed, in one of the crash tests.

Runs after them (they write what they struck to $MM_BUILD/failpoints/), prints the list, and fails with
those that were not struck."""

import json
import os
import re

import harness

FOLDERS = ("engine", "sources", "sinks", "checkpoint")
POINT = re.compile(r'MM_FAILPOINT(_FAILS)?\("([^"]+)"\)')


def of_sources():
    """{name: files}."""
    found = {}
    for folder in FOLDERS:
        for base, _, files in os.walk(os.path.join(harness.ROOT, folder)):
            for name in files:
                if name.endswith(".c"):
                    with open(os.path.join(base, name), encoding="utf-8") as file:
                        for _, point in POINT.findall(file.read()):
                            found.setdefault(point, set()).add(name)
    return found


def struck_in_tests():
    """{name: tests}."""
    folder, struck = os.path.join(harness.BUILD, "failpoints"), {}
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        with open(os.path.join(folder, name), encoding="ascii") as file:
            for point in json.load(file)["struck"]:
                struck.setdefault(point, []).append(name.removesuffix(".json").removeprefix("test_"))
    return struck


def main():
    points, struck = of_sources(), struck_in_tests()
    missing = sorted(set(points) - set(struck))
    for name in sorted(points):
        print(f"{name:32} {', '.join(struck.get(name, ['NEVER']))}")
    print(f"{len(points)} failpoints, {len(points) - len(missing)} struck")
    if not points or missing:
        raise SystemExit(f"never struck: {', '.join(missing)}")
    print("1 passed")


if __name__ == "__main__":
    main()
