#!/usr/bin/env python3
"""Writes the generated parts of docs/ from the program itself, or checks that they are up to date.

docs/reference.md is generated whole; in other files what stands between
`<!-- generated: TOPIC -->` and `<!-- end generated -->` is. TOPIC is one of those that
`mmresume help --markdown TOPIC` knows.

    scripts/docs.py PROGRAM            rewrites
    scripts/docs.py --check PROGRAM    exit 1 and a diff when something would change
"""
import difflib
import pathlib
import re
import subprocess
import sys

DOCS = pathlib.Path(__file__).resolve().parent.parent / "docs"
BLOCK = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end generated -->)", re.S)


def markdown(program, *topic):
    result = subprocess.run([program, "help", "--markdown", *topic], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{program} help --markdown {' '.join(topic)}: exit {result.returncode}: {result.stderr}")
    return result.stdout


def generated(program):
    """Path and wanted text of every file that has generated parts."""
    yield DOCS / "reference.md", markdown(program)
    for path in sorted(DOCS.glob("*.md")):
        text = path.read_text()
        if path.name != "reference.md" and BLOCK.search(text):
            # inside another document the topic has a heading of that document's own
            fill = lambda m: m[1] + "\n" + re.sub(r"^## .*\n\n", "", markdown(program, m[2])) + "\n" + m[3]
            yield path, BLOCK.sub(fill, text)


def main():
    check = sys.argv[1:2] == ["--check"]
    arguments = sys.argv[2:] if check else sys.argv[1:]
    if len(arguments) != 1:
        sys.exit(__doc__)
    stale = 0
    for path, wanted in generated(arguments[0]):
        have = path.read_text() if path.exists() else ""
        if have == wanted:
            continue
        stale += 1
        if check:
            lines = difflib.unified_diff(have.splitlines(True), wanted.splitlines(True), str(path), "generated")
            sys.stdout.writelines(lines)
        else:
            path.write_text(wanted)
            print(path)
    if check and stale:
        sys.exit("docs are not what the program says: cmake --build BUILD --target docs")


if __name__ == "__main__":
    main()
