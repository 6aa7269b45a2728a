"""`python -m pipelines.demo.opening`: makes the demo town ready for a start, gives its keys as JSON, and ends.

Of its own, so that the process that then watches the others holds nothing of what this takes.
"""

import argparse
import contextlib
import sys
from datetime import datetime, timedelta
from pathlib import Path

import orjson

from pipelines.demo import broker
from pipelines.demo.feeds import FEEDS
from pipelines.demo.prepare import prepare
from pipelines.engine import tokens
from pipelines.engine.people import accounts

DAYS = 30
SIMULATOR, GOOD_FOR = "simulator", timedelta(days=365)
OPERATOR = "operator"


def token(store: Path, now: datetime) -> str:
    """A token for the simulator, as any sender has one; those of its earlier lives end."""
    path = tokens.path_of(store)
    for old in tokens.listed(path):
        if old.name.startswith(SIMULATOR):
            tokens.revoke(path, old.name, now)
    pushed = [name for name, feed in FEEDS.items() if feed["from"] == "http_push"]
    name = f"{SIMULATOR} {now:%Y-%m-%d %H:%M:%S.%f}"
    return tokens.add(path, name, ["ingest"], now, feeds=pushed, expires_at=now + GOOD_FOR)


def sign_in_code(store: Path, now: datetime) -> str:
    """A one-time code that signs in as the demo's operator without a password; anew at each start."""
    path = tokens.path_of(store)
    if OPERATOR in accounts.listed(path):
        return accounts.renew(path, OPERATOR, now, by="demo", enters=True)
    return accounts.add(path, OPERATOR, "operator", now, by="demo", enters=True)


def _move_simulator(path: Path, base_url: str) -> None:
    """A demo town that is started again finds its simulator at another port."""
    lines = path.read_text("utf-8").splitlines()
    moved = []
    for line in lines:
        if line.startswith('url = "http://127.0.0.1:'):
            rest = line.removeprefix('url = "http://127.0.0.1:').partition("/")[2]
            moved.append(f'url = "{base_url}/{rest}')
        else:
            moved.append(line)
    path.write_text("\n".join(moved) + "\n", "utf-8")


def main() -> None:
    """Read the command line, prepare the town when it is new, and print its keys."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.demo.opening")
    parser.add_argument("--town", type=Path, required=True)
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--now", type=datetime.fromisoformat, required=True)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--broker", type=int, help="port of the town's MQTT broker, if it has one")
    given = parser.parse_args()
    file = given.town / "town.toml"
    # What is said goes beside the keys.
    with contextlib.redirect_stdout(sys.stderr):
        if file.exists():
            _move_simulator(file, given.base_url)
        else:
            prepare(given.town, given.base_url, given.now, DAYS, given.seed)
    broker.deliver(file, given.broker)
    store = given.town / "store"
    keys = {"code": sign_in_code(store, given.now), "token": token(store, given.now)}
    print(orjson.dumps(keys).decode(), flush=True)


if __name__ == "__main__":
    main()
