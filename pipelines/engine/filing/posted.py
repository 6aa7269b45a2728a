"""What a form or an Open311 client posts: fields and files, by content type, within limits, from any bytes."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from pipelines.engine.asking import Misasked

# Three attachments with what stands around them; a fourth part of that for words.
MOST_BYTES, MOST_WORDS, MOST_PARTS, MOST_HEADERS = 16 << 20, 256_000, 200, 8
URLENCODED, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
# Whoever sends nonsense is told so; the log need not hold its letters one by one.
logging.getLogger("python_multipart").setLevel(logging.ERROR)
BROKEN = "What was sent breaks off or is not written as a form. Nothing was filed. Send it again."


@dataclass(frozen=True)
class Posted:
    """Fields by name, each with all its values, and the files that are not empty."""

    fields: Mapping[str, list[str]] = field(default_factory=dict)
    files: tuple[bytes, ...] = ()

    def one(self, name: str) -> str:
        """The last value of a field, without blanks around it; empty when it was not sent."""
        return self.fields.get(name, [""])[-1].strip()


def read(content_type: str, body: bytes) -> Posted:
    """What a body holds.

    Raises Misasked: another content type (415), too large (413), not written as it says (400).
    """
    kind, options = parse_options_header(content_type[:500].encode("latin-1", "replace"))
    name = kind.decode("latin-1").lower()
    if name not in (URLENCODED, MULTIPART):
        raise Misasked(f"Send a form ({URLENCODED} or {MULTIPART}).", 415)
    if len(body) > (MOST_BYTES if name == MULTIPART else MOST_WORDS):
        raise Misasked("That is too large. Send smaller pictures, or none.", 413)
    return _parts(body, options.get(b"boundary", b"")) if name == MULTIPART else _plain(body)


def _plain(body: bytes) -> Posted:
    try:
        return Posted(parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MOST_PARTS))
    except ValueError as error:
        raise Misasked(BROKEN, 400) from error


class _Gathering:
    """The parts of a multipart body while they come by."""

    def __init__(self) -> None:
        self.fields: dict[str, list[str]] = {}
        self.files: list[bytes] = []
        self.words, self.count, self.ended = 0, 0, False
        self._begin()

    def _begin(self) -> None:
        self.count += 1
        if self.count > MOST_PARTS:
            raise Misasked(BROKEN, 400)
        self._headers: dict[bytes, bytes] = {}
        self._name, self._value, self._body = bytearray(), bytearray(), bytearray()

    def _header(self) -> None:
        if len(self._headers) < MOST_HEADERS:
            self._headers[bytes(self._name).lower()] = bytes(self._value)
        self._name, self._value = bytearray(), bytearray()

    def _end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if b"filename" in options:
            # A browser sends an empty file where none was chosen.
            self.files += [bytes(self._body)] if self._body else []
            return
        self.words += len(self._body)
        if self.words > MOST_WORDS:
            raise Misasked("That is too large. Write less.", 413)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        self.fields.setdefault(name, []).append(self._body.decode("utf-8", "replace"))

    def _finish(self) -> None:
        self.ended = True

    def told(self) -> dict[str, Callable[..., None]]:
        """What the parser calls as it goes along."""

        def adding(target: str) -> Callable[[bytes, int, int], None]:
            return lambda data, start, end: getattr(self, target).extend(data[start:end])

        return {
            "on_part_begin": self._begin, "on_part_data": adding("_body"), "on_part_end": self._end,
            "on_header_field": adding("_name"), "on_header_value": adding("_value"), "on_header_end": self._header,
            "on_end": self._finish,
        }  # fmt: skip


def _parts(body: bytes, boundary: bytes) -> Posted:
    gathering = _Gathering()
    try:
        told: Any = gathering.told()
        parser = MultipartParser(boundary, told, max_size=MOST_BYTES)
        parser.write(body)
        parser.finalize()
    except (FormParserError, ValueError, AssertionError) as error:
        if isinstance(error, Misasked):
            raise
        raise Misasked(BROKEN, 400) from error
    if not gathering.ended:
        raise Misasked(BROKEN, 400)
    return Posted(gathering.fields, tuple(gathering.files))
