"""`python -m benchmarks.ingest`: readings from bytes on the wire to durable and queryable, here and in four databases.

The same readings in the same batches go to Townboard (`app.py serve`, CSV over HTTP), InfluxDB, VictoriaMetrics,
PostgreSQL and SQLite, one after the other on this machine, each from an empty folder in every round. Each states what
its acknowledgement is worth. What is not installed is named as absent (Debian: influxdb, victoria-metrics, postgresql).
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

from benchmarks.ingest_peers import PEERS, Batch, Peer
from benchmarks.ingest_readings import batches
from benchmarks.machine import quantile

BATCH = 10_000
PACED_BATCH = 1_000
PACE = 10_000
SENDERS = 2
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


def _round(peer_class: type[Peer], flood: list[Batch], paced: list[Batch]) -> Round:
    with tempfile.TemporaryDirectory(prefix="townboard-ingest-", dir=os.environ.get("BENCH_FOLDER")) as folder:
        peer = peer_class(Path(folder))
        peer.start()
        try:
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
