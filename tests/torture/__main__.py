"""`make torture`: everything that may go wrong, for at most 15 minutes. `--seed` replays one failed seed alone."""

import argparse
import os
import sys
import time

from tests.torture import seeds

WEEKS, WEEKS_S = 500, 360.0


def main() -> int:
    """Run the parts that are asked for; 1 when anything was lost, doubled, refused wrongly or needed a hand."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("part", nargs="?", choices=["all", *PARTS], default="all")
    parser.add_argument("--seed", type=int, default=None, help="replay this seed alone")
    options = parser.parse_args()
    failed = [name for name, part in PARTS.items() if options.part in ("all", name) and not _timed(part, options.seed)]
    print(f"torture: {'FAILED: ' + ', '.join(failed) if failed else 'nothing lost, nothing doubled'}")
    return int(bool(failed))


def _timed(part, seed: int | None) -> bool:
    began = time.monotonic()
    held = part(seed)
    print(f"  in {time.monotonic() - began:.0f} s", flush=True)
    return held


def weeks(seed: int | None) -> bool:
    """Town-weeks on an injected clock through the real line, held against the undisturbed one."""
    chosen = range(WEEKS) if seed is None else [seed]
    tally = seeds.run(chosen, WEEKS_S, min(len(chosen), os.cpu_count() or 1))
    print(tally)
    return not tally.failed and tally.weeks == len(chosen)


PARTS = {"weeks": weeks}

if __name__ == "__main__":
    sys.exit(main())
