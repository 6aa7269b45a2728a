"""`python -m benchmarks.ingest`: readings from bytes on the wire to durable and queryable, here and in four databases.

The same readings in the same batches go to Townboard (`app.py serve`, CSV over HTTP), InfluxDB, VictoriaMetrics,
PostgreSQL and SQLite, one after the other on this machine, each from an empty folder in every round and a few seconds
after its start. Each states what its acknowledgement is worth. What is not installed is named as absent (Debian:
influxdb, victoria-metrics, postgresql).
"""

import argparse
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ingest_peers import PEERS, Batch, Peer, Townboard
from benchmarks.ingest_readings import batches
from benchmarks.machine import quantile

BATCH = 10_000
PACED_BATCH = 1_000
PACE = 10_000
TENTHS = 10
# What runs is measured, not its start: ours still computes its first board then.
REST_S = 4.0
OURS = "Townboard"


@dataclass(frozen=True)
class Round:
    """What one system did in one round."""

    readings_s: float
    p50_ms: float
    p99_ms: float
    paced_p50_ms: float
    paced_p99_ms: float
    bytes_each: float
    peak_mb: float


def main() -> None:
    """Every system that is there, round after round; a table of medians with their spread, and ratios to ours."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest")
    parser.add_argument("--readings", type=int, default=500_000, help="readings of a round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--paced-s", type=float, default=5.0, help=f"seconds at {PACE:,} readings/s (default: 5)")
    parser.add_argument("--only", nargs="*", help="only these systems")
    parser.add_argument(
        "--flat-s", type=float, default=30.0,
        help=f"then seconds at {PACE:,} readings/s while the memory of {OURS} is watched; 600 is the aim, 0 is none",
    )  # fmt: skip
    given = parser.parse_args()
    flood = list(batches(given.readings, BATCH))
    paced = list(batches(int(given.paced_s * PACE), PACED_BATCH, after=flood[-1].ends))
    found: dict[str, list[Round]] = {}
    for peer_class in PEERS:
        if given.only and peer_class.name not in given.only:
            continue
        if missing := peer_class.missing():
            print(f"{peer_class.name}: absent ({missing})")
            continue
        for number in range(given.rounds):
            found.setdefault(peer_class.name, []).append(_round(peer_class, flood, paced))
            print(f"{peer_class.name}, round {number + 1}: {found[peer_class.name][-1]}", flush=True)
    report(found, {peer.name: peer.durability for peer in PEERS}, given)
    if given.flat_s and OURS in found:
        flat(given.flat_s)


def flat(seconds: float) -> None:
    """Print what Townboard's processes hold after each tenth of a steady run, and how long its answers took."""
    with tempfile.TemporaryDirectory(prefix="townboard-ingest-", dir=os.environ.get("BENCH_FOLDER")) as folder:
        board = Townboard(Path(folder))
        board.start()
        try:
            waits, held, after = list[float](), list[dict[str, float]](), 0
            for _ in range(TENTHS):
                part = list(batches(int(seconds / TENTHS * PACE), PACED_BATCH, after))
                waits += _paced(board, part)
                after = part[-1].ends
                held.append(board.held_mb())
        finally:
            board.stop()
    print(f"\n{OURS}, {PACE:,} readings/s for {seconds:g} s: MB held after each tenth")
    for name in held[0]:
        sizes = [one[name] for one in held]
        grown = (sizes[-1] - sizes[0]) * 1e6 / (PACE * seconds * (1 - 1 / TENTHS))
        print(f"  {name:<6}{' '.join(f'{size:6.0f}' for size in sizes)}   {grown:+.0f} bytes a reading since the first")
    slow = sorted(waits)
    print(f"  ack p50 {quantile(slow, 0.5) * 1e3:.1f} ms, p99 {quantile(slow, 0.99) * 1e3:.1f} ms")


def _round(peer_class: type[Peer], flood: list[Batch], paced: list[Batch]) -> Round:
    with tempfile.TemporaryDirectory(prefix="townboard-ingest-", dir=os.environ.get("BENCH_FOLDER")) as folder:
        peer = peer_class(Path(folder))
        peer.start()
        try:
            time.sleep(REST_S)
            began = time.perf_counter()
            answers = _sent(peer, flood)
            lasted = time.perf_counter() - began
            slow = sorted(_paced(peer, paced))
            sent = sum(batch.readings for batch in (*flood, *paced))
            peer.settle()
            stored = peer.stored()
            assert stored == sent, f"{peer.name} holds {stored:,} of {sent:,} readings"
            peak = peer.peak_mb()
        finally:
            peer.stop()
        waits = [quantile(ordered, share) * 1e3 for ordered in (sorted(answers), slow) for share in (0.5, 0.99)]
        rate = sum(batch.readings for batch in flood) / lasted
        return Round(rate, *waits, peer.bytes_at_rest() / sent, peak)


def _sent(peer: Peer, flood: list[Batch]) -> list[float]:
    """Seconds until each batch was acknowledged; the next one leaves when one is answered."""
    waiting, lock, answers = iter(flood), threading.Lock(), list[float]()

    def work() -> None:
        while True:
            with lock:
                batch = next(waiting, None)
            if batch is None:
                return
            began = time.perf_counter()
            peer.send(batch)
            answers.append(time.perf_counter() - began)

    with ThreadPoolExecutor(peer.senders) as pool:
        for job in [pool.submit(work) for _ in range(peer.senders)]:
            job.result()
    return answers


def _paced(peer: Peer, paced: list[Batch]) -> Iterator[float]:
    """Seconds until each batch was acknowledged, counted from when it was due, one every tenth of a second."""
    begin, step = time.perf_counter(), PACED_BATCH / PACE
    for number, batch in enumerate(paced):
        due = begin + number * step
        time.sleep(max(0.0, due - time.perf_counter()))
        peer.send(batch)
        yield time.perf_counter() - due


def report(found: dict[str, list[Round]], durability: dict[str, str], given: argparse.Namespace) -> None:
    """Medians with their spread (least to most), then every system against ours."""
    print(
        f"\n{given.readings:,} readings of 1,000 sensors in batches of {BATCH:,}, {given.rounds} rounds, "
        f"{os.cpu_count()} cores; then {PACE:,} readings/s for {given.paced_s:g} s. Medians (least to most)."
    )
    shown = {
        "readings/s": ("readings_s", ",.0f"), "ack p50 ms": ("p50_ms", ".1f"), "ack p99 ms": ("p99_ms", ".1f"),
        "at 10,000/s: p50": ("paced_p50_ms", ".1f"), "p99": ("paced_p99_ms", ".1f"),
        "bytes each": ("bytes_each", ".2f"), "peak MB": ("peak_mb", ".0f"),
    }  # fmt: skip
    for name, rounds in found.items():
        print(f"\n{name}: acknowledged means {durability[name]}")
        for label, (field, form) in shown.items():
            values = sorted(getattr(one, field) for one in rounds)
            spread = f"{values[0]:{form}} to {values[-1]:{form}}"
            print(f"  {label:<18}{statistics.median(values):>12{form}}   ({spread})")
    if OURS not in found:
        return
    print("\nTownboard against the others (above 1 is more readings/s; below 1 is fewer bytes, less waiting):")
    for name, rounds in found.items():
        if name != OURS:
            ratios = [
                _median(found[OURS], field) / _median(rounds, field)
                for field in ("readings_s", "bytes_each", "paced_p99_ms")
            ]
            print(f"  {name:<18}readings/s {ratios[0]:.2f}   bytes {ratios[1]:.2f}   p99 at 10,000/s {ratios[2]:.2f}")


def _median(rounds: list[Round], field: str) -> float:
    return statistics.median(getattr(one, field) for one in rounds)


if __name__ == "__main__":
    main()
