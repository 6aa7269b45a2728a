"""`make torture`: everything that may go wrong, for at most 15 minutes. `--seed` replays one failed seed alone."""

import argparse
import os
import sys
import time
from collections.abc import Callable

from tests.torture import clerk, fuzz, seeds
from tests.torture.processes import tortured

# Everything within 15 minutes: the weeks get what the processes, whose end takes its time, have left.
MOST_S = 880.0
PROCESSES_S, WEEKS_S, FUZZ_S, CLERK_S = 420.0, 360.0, 60.0, 15.0
KILLS, WEEKS = 200, 500
BEGAN = time.monotonic()


def main() -> int:
    """Run the parts that are asked for; 1 when anything was lost, doubled, refused wrongly or needed a hand."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("part", nargs="?", choices=["all", *PARTS], default="all")
    parser.add_argument("--seed", type=int, default=None, help="replay this seed alone")
    options = parser.parse_args()
    failed = [name for name, part in PARTS.items() if options.part in ("all", name) and not _timed(part, options.seed)]
    print(f"torture: {'FAILED: ' + ', '.join(failed) if failed else 'nothing lost, nothing doubled'}")
    return int(bool(failed))


def _timed(part: Callable[[int | None], bool], seed: int | None) -> bool:
    began = time.monotonic()
    held = part(seed)
    print(f"  in {time.monotonic() - began:.0f} s\n", flush=True)
    return held


def processes(seed: int | None) -> bool:
    """The real processes under mixed load, killed and cut off."""
    seed = seed if seed is not None else int(time.time()) % 100_000
    with tortured(seed, rough=True) as torture:
        words = torture.run(PROCESSES_S, KILLS)
        print(torture.told())
    if words:
        print(f"FAILED seed {seed}", *words, sep="\n  ")
        print(f"  replay: .venv/bin/python -m tests.torture processes --seed {seed}")
    return not words


def weeks(seed: int | None) -> bool:
    """Town-weeks on an injected clock through the real line, held against the undisturbed one."""
    chosen = range(WEEKS) if seed is None else [seed]
    left = max(60.0, min(WEEKS_S, MOST_S - FUZZ_S - CLERK_S - (time.monotonic() - BEGAN)))
    tally = seeds.run(chosen, left, min(len(chosen), os.cpu_count() or 1))
    print(tally)
    if tally.weeks < len(chosen):
        print(f"only {tally.weeks} of {len(chosen)} weeks were reached in {left:.0f} s")
    return not tally.failed and tally.weeks > 0


def payloads(seed: int | None) -> bool:
    """Every decoder with payloads that are nearly right."""
    return fuzz.run(seed, FUZZ_S)


def files(seed: int | None) -> bool:
    """Settings, registers and map, nearly right."""
    return clerk.run(seed, CLERK_S)


PARTS = {"processes": processes, "weeks": weeks, "fuzz": payloads, "clerk": files}

if __name__ == "__main__":
    sys.exit(main())
