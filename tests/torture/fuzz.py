"""Every decoder with payloads that are nearly right: no crash, no hang, no unbounded memory, every byte accounted for."""

import faulthandler
import gzip
import io
import itertools
import logging
import os
import random
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from esio_spb_builder.core import sparkplug_b_pb2 as tahu

from pipelines import available
from pipelines.engine import local
from pipelines.engine.decode import formats
from pipelines.engine.line import Line
from pipelines.engine.opening import MESSAGE, RawMessage, open_all
from pipelines.engine.settings import Feed
from tests.conftest import ROOT, SHARED
from tests.engine import small_town

SAMPLES = ROOT / "data" / "samples"
NOW = datetime(2026, 3, 10, 6, 30, tzinfo=UTC)
# A payload of some kilobytes that takes longer than this hangs; one that needs more than this is unbounded.
PATIENCE_S, MEMORY_MB = 10.0, 600
LARGEST = 256 << 10
LOGGER = logging.getLogger("townboard")
TOKENS = (
    b"", b"0", b"-1", b"1e309", b"NaN", b"inf", b"null", b"true", b"9" * 25, b"2026-02-30T25:61:00Z", b"0001-01-01",
    b"9999-12-31T23:59:59+14:00", b"\x00", b"\xff\xfe", b'"', b"'", b"\n", b"\r\n", b",", b";", b"\t", b"{", b"}", b"[",
    b"]", b"[" * 3000, b"\xe2\x80\xae", b"=1+1", b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"&b;", b"\x80" * 9, b"A" * 70_000,
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A payload as it should be, the feed it belongs to, and what its topic says."""

    feed: Feed
    body: bytes
    fields: Mapping[str, str] = field(default_factory=dict)


class Fuzz:
    """A town with every domain on; `try_seed` is one payload, made of a seed."""

    def __init__(self, folder: Path) -> None:
        names = ", ".join(f'"{name}"' for name in sorted(available()))
        text = f'[town]\nname = "Testville"\ntimezone = "{small_town.ZONE}"\ndomains = [{names}]\n'
        self.line: Line = small_town.open_line(small_town.make(folder, text), NOW)
        self.cases = list(cases(self.line))
        self._by_format = [
            [case for case in self.cases if case.feed.format == form]
            for form in sorted({case.feed.format for case in self.cases})
        ]
        self.outcomes: Counter[str] = Counter()
        self._handler = Broken()
        self.broken = self._handler.found
        LOGGER.addHandler(self._handler)
        LOGGER.propagate = False

    def close(self) -> None:
        """Let go of the town, and of its log."""
        self.line.close()
        LOGGER.removeHandler(self._handler)
        LOGGER.propagate = True

    def try_seed(self, seed: int) -> list[str]:
        """What is wrong with how the payloads of this seed are taken; nothing, as it must be."""
        chance = random.Random(seed)
        # Every format as often as any other, however many samples it has.
        case = chance.choice(chance.choice(self._by_format))
        # Several of one feed at once are decoded together.
        bodies = [mutated(chance, case.body, chance.choice(self.cases).body) for _ in range(chance.choice([1, 1, 3]))]
        where = f"seed {seed}, {case.feed.name} ({case.feed.format}, {sum(map(len, bodies))} bytes)"
        began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        words = self._taken(case, bodies)
        took, grew = time.monotonic() - began, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
        if took > PATIENCE_S:
            words.append(f"took {took:.0f} s")
        if grew > MEMORY_MB:
            words.append(f"took {grew} MB more")
        return [f"{where}: {text}" for text in words]

    def _taken(self, case: Case, bodies: Sequence[bytes]) -> list[str]:
        """Decode and check as the line does it."""
        feed = case.feed
        self.broken.clear()
        opened = open_all(self.line, [RawMessage(feed, body, NOW, fields=case.fields) for body in bodies])
        words = [f"it broke the decoder: {text}" for text in self.broken]
        for one in opened:
            for place, decoded in zip(one.places, one.decoded, strict=True):
                mine = pl.col(MESSAGE) == place
                good = sum(frame.filter(mine).height for frame in one.good.values())
                words += self._accounted(feed, bodies[place], decoded, good, one.refused.filter(mine), one.words)
        return words

    def _accounted(
        self, feed: Feed, body: bytes, decoded: int, good: int, refused: pl.DataFrame, refusal: str | None
    ) -> list[str]:
        """Every row of a payload is good or in quarantine; what cannot be read at all is there byte for byte."""
        originals = refused["original"].to_list()
        if refusal is not None:
            self.outcomes["refused as a whole"] += 1
            words = [] if originals == [body] else ["the quarantine has other bytes than were sent"]
            return words if refusal.strip() else [*words, "refused without a word"]
        self.outcomes["read"] += 1
        self.outcomes["rows set aside"] += len(originals)
        words = [] if good + len(originals) == decoded else [f"{decoded} rows, {good} good, {len(originals)} set aside"]
        if feed.format == "csv" and not body.startswith(MARKS):
            foreign = [raw for raw in originals if raw not in body]
            words += [f"quarantine has {raw[:80]!r}, which was not sent" for raw in foreign[:2]]
        return words


class Broken(logging.Handler):
    """Takes note of every exception that the line had to catch: a decoder may refuse, never break."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the exception's words."""
        error = record.exc_info[1] if record.exc_info else record.getMessage()
        self.found.append(f"{type(error).__name__}: {str(error)[:300]}")


# Packed or in an encoding that is not the quarantine's: rows are kept as they were read, not as they were packed.
MARKS = (b"\x1f\x8b", b"\xff\xfe", b"\xfe\xff")


def cases(line: Line) -> Iterator[Case]:
    """The sample of every source, pushes in two forms, messages of devices, and what is recorded beside this repository."""
    feeds = line.settings.feeds
    for domain in line.settings.domains:
        for source in domain.sources:
            body = (SAMPLES / source.sample).read_bytes()
            yield Case(feeds[source.name], body)
            if source.format == "csv":
                yield Case(feeds[source.name], gzip.compress(body))
                yield from _otherwise(feeds[source.name], body)
    rows = [("P1.p", NOW, 4.0), ("T1.level", NOW, 2.5), ("X", NOW, 1.0)]
    said = "\n".join(f'{{"sensor": "{s}", "observed_at": "{at.isoformat()}", "value": {v}}}' for s, at, v in rows)
    for form, body in (("csv", small_town.csv_of(rows)), ("ndjson", said.encode())):
        yield Case(local.pushed(feeds["push"], form, "readings"), body)
    yield from _of_devices(feeds["push"])
    yield from _recorded(feeds["push"])


def _of_devices(push: Feed) -> Iterator[Case]:
    """What gateways and edge nodes say; a Sparkplug birth comes before the data that only its aliases name."""
    for name, form in (("chirpstack_uplink", "chirpstack"), ("things_stack_uplink", "things_stack")):
        yield Case(replace(push, format=form, table="readings"), (SAMPLES / "devices" / f"{name}.json").read_bytes())
    for body, kind in spoken(NOW - timedelta(minutes=5)):
        place = {"group": "water", "type": kind, "node": "plant1", "device": "pump3" if kind[0] == "D" else ""}
        yield Case(replace(push, format="sparkplug", table="readings"), body, place)


def spoken(at: datetime) -> Iterator[tuple[bytes, str]]:
    """A Sparkplug node and its device that come online, measure, and go: each message with its kind."""

    def message(seq: int, *metrics: tahu.Payload.Metric) -> bytes:
        return tahu.Payload(timestamp=int(at.timestamp() * 1000), seq=seq, metrics=metrics).SerializeToString()

    def metric(alias: int, datatype: int, name: str = "", **value: Any) -> tahu.Payload.Metric:
        return tahu.Payload.Metric(name=name, alias=alias, datatype=datatype, **value)

    bd_seq = tahu.Payload.Metric(name="bdSeq", datatype=tahu.Int64, long_value=4)
    born = (
        metric(7, tahu.Float, "tank/level", float_value=2.5),
        metric(8, tahu.Int16, "temperature", int_value=2**32 - 5),
        metric(9, tahu.String, "mode", string_value="auto"),
        metric(10, tahu.Boolean, "running", boolean_value=True),
    )
    said = (
        metric(7, tahu.Float, float_value=2.25),
        metric(8, tahu.Int16, int_value=19),
        metric(9, tahu.String, is_null=True),
    )
    for prefix in "ND":
        yield message(0, bd_seq, *born), f"{prefix}BIRTH"
        yield message(1, *said), f"{prefix}DATA"
        yield message(2, bd_seq), f"{prefix}DEATH"


def _otherwise(feed: Feed, body: bytes) -> Iterator[Case]:
    """The same table as a workbook and as Parquet."""
    frame = pl.read_csv(body, infer_schema=False, truncate_ragged_lines=True)
    book, parquet = io.BytesIO(), io.BytesIO()
    frame.write_excel(book)
    frame.write_parquet(parquet)
    yield Case(replace(feed, format="xlsx"), book.getvalue())
    yield Case(replace(feed, format="parquet"), parquet.getvalue())


def _recorded(push: Feed) -> Iterator[Case]:
    """Recorded payloads of vendors and agencies, where they are here."""
    for folder, mark, form in RECORDED:
        for path in sorted((SHARED / "data" / folder).glob(mark)):
            if path.stat().st_size <= LARGEST and form in formats():
                yield Case(replace(push, format=form, table="readings"), path.read_bytes())


RECORDED = (
    ("iot/lorawan_vendor_examples", "*ChirpStack*.json", "chirpstack"),
    ("iot/jena_chirpstack_v4", "*.json", "chirpstack"),
    ("iot/lorawan_vendor_examples", "*ThingsStack*.json", "things_stack"),
    ("transit/*", "*.pb", "gtfs_realtime"),
    ("grievances", "chicago_open311*.json", "open311_json"),
)


def mutated(chance: random.Random, body: bytes, other: bytes) -> bytes:
    """The payload with a few things wrong: flipped, cut, doubled, spliced with another, odd words put in."""
    found = bytearray(body)
    for _ in range(chance.choice([0, 1, 1, 2, 4, 12])):
        at = chance.randrange(len(found) + 1)
        span = slice(at, at + chance.choice([1, 2, 8, 60, 600]))
        kind = chance.randrange(6)
        if kind == 0 and found[at : at + 1]:
            found[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del found[span]
        elif kind == 2:
            found[at:at] = found[span] * chance.choice([1, 2, 50])
        elif kind == 3:
            found[at:at] = chance.choice(TOKENS)
        elif kind == 4:
            found[span] = chance.choice(TOKENS)
        else:
            start = chance.randrange(len(other) + 1)
            found[span] = other[start : start + 600]
    return bytes(found[:LARGEST])


@contextmanager
def quiet() -> Iterator[int]:
    """Without what Polars prints about broken Parquet files before it raises; gives where to speak all the same."""
    loud, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield loud
    finally:
        os.dup2(loud, 2)
        os.close(nothing)
        os.close(loud)


def run(seed: int | None, seconds: float) -> bool:
    """Payloads for so many seconds, or the one of a seed; whether all were taken as they must be."""
    with tempfile.TemporaryDirectory(prefix="townboard-fuzz-") as place, quiet() as loud:
        fuzz, end, failed = Fuzz(Path(place) / "town"), time.monotonic() + seconds, 0
        first = int(time.time()) * 1000
        seeds = [seed] if seed is not None else itertools.count(first)
        for number in seeds:
            # A decoder that hangs inside a library cannot be interrupted: say where it is, and end.
            faulthandler.dump_traceback_later(PATIENCE_S * 6, exit=True, file=loud)
            for words in fuzz.try_seed(number):
                failed += 1
                print(f"FAILED {words}\n  replay: .venv/bin/python -m tests.torture fuzz --seed {number}", flush=True)
            if time.monotonic() > end or failed > 20:
                break
        faulthandler.cancel_dump_traceback_later()
        fuzz.close()
    done = number - first + 1 if seed is None else 1
    kinds = len({case.feed.format for case in fuzz.cases})
    told = ", ".join(f"{what} {count}" for what, count in sorted(fuzz.outcomes.items()))
    print(f"{done} mutated payloads of {len(fuzz.cases)} samples in {kinds} formats: {told}; {failed} faults")
    return not failed
