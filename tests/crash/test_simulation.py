"""The simulator of the core: 20,000 seeds of crashes, lost and late answers, each checked. (The campaign runs
more: mmresume-sim --seeds A..B.)"""

import os
import subprocess

import harness

SEEDS = 20000


def main():
    program = os.path.join(harness.BUILD, "tests", "mmresume-sim")
    done = subprocess.run([program, "--seeds", f"1..{SEEDS}"], capture_output=True, text=True, timeout=800, check=False)
    print(done.stdout.strip())
    if done.returncode != 0 or f"{SEEDS} seeds" not in done.stdout or " 0 wrong" not in done.stdout:
        raise SystemExit(f"exit {done.returncode}: {done.stderr}")
    print("1 passed")


if __name__ == "__main__":
    main()
