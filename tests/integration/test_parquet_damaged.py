"""A bounded run of tests/campaign/damaged_parquet.py: 500 damaged files, none read wrongly, no crash, hang or flood."""

import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "campaign"))

import damaged_parquet  # noqa: E402


def main():
    build = os.environ["MM_BUILD"]
    with tempfile.TemporaryDirectory(prefix="mmresume-damaged-") as folder:
        outcomes, wrong, peak = damaged_parquet.campaign(build, 500, 20, folder, "san" not in os.path.basename(build))
    for line in wrong:
        print("WRONG", line)
    for key, number in sorted(outcomes.items()):
        print(f"{number:7} {key}")
    print(f"{peak >> 20} MiB at most")
    assert outcomes["cut: refused"] > 50 and outcomes["same rows as pyarrow"] > 20, "hardly anything was tested"
    print(f"{sum(n for key, n in outcomes.items() if ':' in key) - len(wrong)} passed")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
