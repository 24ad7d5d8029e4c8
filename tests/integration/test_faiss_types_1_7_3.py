"""The same as test_faiss_types.py with files that FAISS 1.7.3 wrote: that library lives in a venv of its own."""

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.environ.get("MM_ROOT") or os.path.dirname(os.path.dirname(HERE))
PYTHON = os.environ.get("MM_FAISS_1_7_3") or os.path.join(ROOT, ".venv", "faiss-1.7.3", "bin", "python")


def main():
    if not os.path.exists(PYTHON):
        print(f"no {PYTHON}: FAISS 1.7.3 is to be had for Python 3.11 only")
        print("0 passed, 1 skipped")
        return
    version = subprocess.run([PYTHON, "-c", "import faiss; print(faiss.__version__)"], check=True, capture_output=True,
                             text=True).stdout.strip()
    assert version == "1.7.3", version
    sys.exit(subprocess.run([PYTHON, os.path.join(HERE, "test_faiss_types.py")]).returncode)


if __name__ == "__main__":
    main()
