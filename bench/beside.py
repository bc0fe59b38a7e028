"""`python -m bench.beside REVISION`: what a draw costs now, side by side with an earlier commit.

Both run in one process each, in turn; the ratio is taken round by round. The earlier commit must have the
services that `bench/draws.py` calls.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def checked_out(revision: str, place: Path) -> Iterator[Path]:
    """Check a revision out at `place`, for as long as the context lasts."""
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(place), revision], check=True)
    try:
        yield place
    finally:
        subprocess.run([*git, "remove", "--force", str(place)], check=True)


@contextmanager
def drawing(tree: Path, data_dir: Path) -> Iterator["subprocess.Popen[str]"]:
    """Run `bench/draws.py`, as it is now, on the code of `tree`."""
    data_dir.mkdir(mode=0o700)
    command = [sys.executable, "-P", str(ROOT / "bench" / "draws.py"), str(data_dir)]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, text=True, cwd=tree, env={"PYTHONPATH": str(tree)}
    ) as process:
        yield process
        process.communicate()


def ask(process: "subprocess.Popen[str]") -> float:
    """Have it measure once; return the CPU time of a draw, in µs."""
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018  # they are pipes
    process.stdin.write("once more\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.beside", description=__doc__)
    parser.add_argument("revision", help="the earlier commit")
    parser.add_argument("--rounds", type=int, default=15, help="(%(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        with (
            checked_out(arguments.revision, place / "tree") as tree,
            drawing(tree, place / "before") as before,
            drawing(ROOT, place / "now") as now,
        ):
            rounds = [(ask(before), ask(now)) for _ in range(arguments.rounds)]
    ratios = [after / earlier for earlier, after in rounds]
    print(f"before, µs CPU a draw: {statistics.median(earlier for earlier, _ in rounds):.2f}")
    print(f"now, µs CPU a draw:    {statistics.median(after for _, after in rounds):.2f}")
    print(f"ratio: {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
