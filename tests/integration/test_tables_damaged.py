"""A bounded run of tests/campaign/damaged_tables.py: 600 damaged files, none read wrongly, no crash, hang or flood."""

import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "campaign"))

import damaged_tables  # noqa: E402


def main():
    with tempfile.TemporaryDirectory(prefix="mmresume-damaged-") as folder:
        outcomes, wrong, peak = damaged_tables.campaign(os.environ["MM_BUILD"], 600, 20, folder)
    for line in wrong:
        print("WRONG", line)
    for key, number in sorted(outcomes.items()):
        print(f"{number:7} {key}")
    read = sum(number for key, number in outcomes.items() if key.endswith(": read"))
    assert read > 60 and sum(outcomes.values()) - read > 200, "hardly anything was tested"
    print(f"{sum(outcomes.values()) - len(wrong)} passed, {peak >> 20} MiB at most")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
