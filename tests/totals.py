"""Adds up a test run: ctest's JUnit files, and the lists `passed` and `failed` of other steps, in one folder.

A program of cmocka or unittest counts as its single tests, any other as what its last "N passed" line says,
else as one.
Prints the names of what failed and, last, "N passed, N failed, N skipped"; exits 1 unless none failed."""

import pathlib
import re
import sys
import xml.etree.ElementTree


def cases(output):
    """How many passed, how many were skipped, as the program's own output says."""
    cmocka = re.findall(r"^\[  PASSED  \] (\d+) test", output, re.M)
    skipped = re.findall(r"^\[  SKIPPED \] (\d+) test", output, re.M)
    if cmocka:
        return sum(map(int, cmocka)), sum(map(int, skipped))
    ran = re.findall(r"^Ran (\d+) tests? in ", output, re.M)
    if ran:
        left = sum(map(int, re.findall(r"^OK \(.*skipped=(\d+)", output, re.M)))
        return sum(map(int, ran)) - left, left
    own = re.findall(r"^(\d+) passed(?:, 0 failed)?(?:, (\d+) skipped)?$", output, re.M)
    return (int(own[-1][0]), int(own[-1][1] or 0)) if own else (1, 0)


def main(folder):
    passed = skipped = 0
    failed = []
    for path in sorted(pathlib.Path(folder).glob("*.xml")):
        for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
            status = case.get("status")
            good, left = cases(case.findtext("system-out") or "")
            if status == "run":
                passed, skipped = passed + good, skipped + left
            elif status in ("notrun", "disabled") and case.find("skipped") is not None and case.find("failure") is None:
                skipped += 1
            else:
                failed.append(f"{path.stem}: {case.get('name')}")
    for name, into in (("passed", None), ("failed", failed)):
        path = pathlib.Path(folder, name)
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        if into is None:
            passed += len(lines)
        else:
            into.extend(lines)
    for name in failed:
        print(f"FAILED {name}")
    print(f"{passed} passed, {len(failed)} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
