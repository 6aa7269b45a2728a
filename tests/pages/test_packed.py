"""Scripts and styles are compressed once in the life of a town, and whatever a power cut leaves of that is not trusted."""

import gzip
import os
from pathlib import Path

import brotli
import pytest

from components import packed

FOREIGN = brotli.compress(b"another file")
SCRIPT = b"function paint(card) { return card.value; }\n" * 40


@pytest.fixture
def squeezed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What was compressed by brotli; every start begins with an empty memory."""
    seen: list[bytes] = []
    compress = brotli.compress
    monkeypatch.setattr(
        packed.brotli, "compress", lambda raw, quality: seen.append(raw) or compress(raw, quality=quality)
    )
    return seen


def start(shelf: Path, raw: bytes = SCRIPT, kind: bytes = b"text/javascript") -> packed.File:
    packed.pack.cache_clear()
    return packed.pack(raw, kind, shelf)


def test_file_is_compressed_once_for_all_starts(tmp_path: Path, squeezed: list[bytes]) -> None:
    first, second = start(tmp_path / "packed"), start(tmp_path / "packed")
    assert squeezed == [SCRIPT]
    assert first == second
    assert (brotli.decompress(second.br), gzip.decompress(second.gz)) == (SCRIPT, SCRIPT)


@pytest.mark.parametrize(
    "spoil", [lambda raw: b"", lambda raw: raw[:-5], lambda raw: bytes(len(raw)), lambda raw: FOREIGN]
)
def test_what_a_power_cut_left_is_made_again(tmp_path: Path, squeezed: list[bytes], spoil) -> None:
    whole = start(tmp_path / "packed")
    for path in (tmp_path / "packed").iterdir():
        path.write_bytes(spoil(path.read_bytes()))
    assert start(tmp_path / "packed") == whole
    squeezed.clear()
    assert start(tmp_path / "packed") == whole
    assert squeezed == []


def test_file_is_packed_where_nothing_can_be_kept(tmp_path: Path) -> None:
    nowhere = tmp_path / "no" / "such" / "folder"
    assert brotli.decompress(start(nowhere).br) == SCRIPT
    assert not nowhere.exists()


def test_pictures_and_tiny_files_are_left_as_they_are(tmp_path: Path) -> None:
    assert start(tmp_path / "packed", SCRIPT, b"image/png").br is None
    assert start(tmp_path / "packed", b"a{}", b"text/css").gz is None
    assert not (tmp_path / "packed").exists()


def test_sweep_takes_only_what_no_start_of_a_month_has_used(tmp_path: Path) -> None:
    shelf = tmp_path / "packed"
    start(shelf, SCRIPT + b"old version")
    for path in shelf.iterdir():
        os.utime(path, (1_000_000, 1_000_000))
    old = set(shelf.iterdir())
    start(shelf)
    packed.sweep(shelf)
    left = set(shelf.iterdir())
    assert len(left) == 2
    assert not old & left
