"""What DVC itself costs, with nothing to do: `make bench-overhead`, in a clean clone whose stages are all up to date.

Interleaved: each round runs every command once, so that a busy machine slows all of them alike.
"""

import shutil
import subprocess
import sys
from statistics import median
from time import perf_counter

ROUNDS = 9
NAME = "overhead-of-nothing"  # removed again each time
COMMANDS = ("python -c pass", "dvc --version", "dvc status", "dvc repro", f"dvc exp run --name {NAME}")
BESIDE = "dvc --version"


def main() -> None:
    seconds: dict[str, list[float]] = {command: [] for command in COMMANDS}
    for round_ in range(ROUNDS + 1):
        for command in COMMANDS:
            words = command.split()
            words[0] = shutil.which(words[0]) or words[0]
            start = perf_counter()
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            took = perf_counter() - start
            if done.returncode != 0 or "Running stage" in done.stdout:
                sys.exit(f"{command}: must succeed and have nothing to do; run `dvc repro` first\n{done.stderr}")
            if NAME in command:
                subprocess.run([shutil.which("dvc") or "dvc", "exp", "remove", NAME], capture_output=True, check=True)
            if round_ > 0:  # the first fills the file system's cache
                seconds[command].append(took)
    print(f"| command | median of {ROUNDS} | fastest to slowest | times `{BESIDE}` |\n| --- | --- | --- | --- |")
    for command, of in seconds.items():
        ratio = median(of) / median(seconds[BESIDE])
        print(f"| `{command}` | {median(of):.2f} s | {min(of):.2f} to {max(of):.2f} s | {ratio:.1f} |")


if __name__ == "__main__":
    main()
