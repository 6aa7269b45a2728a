"""What a power cut may leave of files that were being written: only behind the last acknowledged byte."""

import os
import random
from pathlib import Path

from pipelines.engine.journal import frames, segments


def tear(journal: Path, chance: random.Random) -> str:
    """Put behind the last frame what an unfinished write leaves there; gives the name of what was done."""
    last = segments(journal)[-1]
    raw = last.read_bytes()
    starts = [offset for offset, seq, _ in frames(raw) if seq is not None]
    kind = chance.choice(["torn", "zeroed", "garbled"])
    frame = raw[starts[-1] :] if starts else chance.randbytes(64)
    part = bytearray(frame[: chance.randint(1, max(1, len(frame) - 1))])
    if kind == "zeroed":
        part += bytes(chance.randint(1, 5000))
    elif kind == "garbled":
        for _ in range(chance.randint(1, 20)):
            part[chance.randrange(len(part))] = chance.randrange(256)
        part += chance.randbytes(chance.randint(1, 300))
    with last.open("ab") as file:
        file.write(part)
    return kind


def unfinish(segment: Path, good: int, chance: random.Random) -> str:
    """Undo a part of what was written behind `good` and never acknowledged: cut off, zeroed or garbled."""
    written = segment.stat().st_size - good
    kept = chance.randrange(written)
    kind = chance.choice(["torn", "zeroed", "garbled"])
    if kind == "torn":
        os.truncate(segment, good + kept)
        return kind
    with segment.open("r+b") as file:
        file.seek(good + kept)
        file.write(bytes(written - kept) if kind == "zeroed" else _other(segment, good + kept, chance))
    return kind


def _other(segment: Path, at: int, chance: random.Random) -> bytes:
    """As many bytes as stand behind `at`, the first of them certainly another one."""
    raw = segment.read_bytes()[at:]
    return bytes([raw[0] ^ chance.randint(1, 255)]) + chance.randbytes(len(raw) - 1)


def leftovers(store: Path, chance: random.Random) -> None:
    """What an interrupted compaction leaves beside the files that count: half files and half manifests."""
    part = store / "cold" / "readings"
    part.mkdir(parents=True, exist_ok=True)
    (part / f"2026-03-02.{chance.randint(90_000, 99_999)}.new").write_bytes(chance.randbytes(200))
    (part / f"2026-03-03.{chance.randint(90_000, 99_999)}.parquet").write_bytes(b"PAR1" + chance.randbytes(200))
    (store / "manifest.json.new").write_text('{"rev": 7, "applied_seq": 99')


def garble(file: Path, chance: random.Random) -> None:
    """Some kilobytes of a file are not what was written; once in a while all of it."""
    size = file.stat().st_size
    at = chance.choice([0, chance.randrange(size)])
    with file.open("r+b") as rotten:
        rotten.seek(at)
        rotten.write(chance.randbytes(min(size - at, chance.choice([512, 8192]))))


def spoil_manifest(store: Path, chance: random.Random) -> str:
    """The manifest is gone, or only its first half is there; gives the name of what was done."""
    path = store / "manifest.json"
    if not path.exists():
        return "not there yet"
    if chance.random() < 0.5:
        path.unlink()
        return "lost"
    os.truncate(path, chance.randrange(path.stat().st_size))
    return "half-written"
