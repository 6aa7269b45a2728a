"""`python -m pipelines.demo`: the live simulator as a process of its own."""

import argparse
import os
from datetime import datetime
from pathlib import Path

# One thread is plenty for this arithmetic, and each further one costs memory.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MALLOC_ARENA_MAX", "2")


def main() -> None:
    """Read the command line and simulate."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.demo", description="The simulated town Nadipur, live.")
    parser.add_argument("--town", type=Path, required=True, help="the town's folder, as written by write_town")
    parser.add_argument("--app", default="http://127.0.0.1:8050", help="address of the board, for pushed readings")
    parser.add_argument("--port", type=int, default=8099, help="port of the town's own servers")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--speed", type=float, default=1.0, help="how much faster incidents pass and sensors send")
    parser.add_argument("--broker", type=int, help="port of the town's MQTT broker, if it has one")
    parser.add_argument("--since", type=datetime.fromisoformat, help="when history ended (with time zone)")
    given = parser.parse_args()

    from pipelines.demo.live import run

    since = given.since.timestamp() if given.since else None
    run(given.town, given.app, given.port, seed=given.seed, speed=given.speed, since=since, broker=given.broker)


if __name__ == "__main__":
    main()
