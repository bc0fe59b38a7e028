"""`python -m bench.soak --minutes N`: full load on one server, by itself: the section `endurance`."""

import argparse
import sys

from bench.__main__ import main

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="(%(default)s)")
    arguments, others = parser.parse_known_args()
    length = ["--rounds", "1", "--seconds", str(arguments.minutes * 60)]
    sys.exit(main(["--only", "endurance", *length, *others]))
