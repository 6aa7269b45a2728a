"""Bytes of a payload -> text: gzip unpacked under a limit, encodings told apart, other kinds of file recognised."""

import re
import zlib

from pipelines.engine.decode.base import Refused

MAX_MB = 512
ENCODINGS = (
    "auto", "utf-8", "utf-16", "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "latin-1", "iso-8859-2", "iso-8859-15",
)  # fmt: skip
UNDECODABLE = re.compile("[\udc80-\udcff]")
HTML = re.compile(rb"\s*(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL)
OTHER_FILES = {
    b"%PDF": "a PDF document",
    b"\xd0\xcf\x11\xe0": "an old Excel file (.xls)",
    b"PK\x03\x04": "a zip archive or an .xlsx workbook",
    b"PAR1": "a Parquet file",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
}
OWN_MAGIC = {"xlsx": b"PK\x03\x04", "parquet": b"PAR1"}
UTF8_BOM = b"\xef\xbb\xbf"


def unpack(payload: bytes, max_mb: float = MAX_MB) -> bytes:
    """The payload without its gzip wrapping, if it has one.

    Raises Refused when it is damaged or grows beyond the limit.
    """
    limit = int(max_mb * 2**20)
    if payload[:2] == b"\x1f\x8b":
        payload = _gunzip(payload, limit)
    if len(payload) > limit:
        raise Refused(
            "too_large",
            f"The file is larger than {max_mb:g} MB. Send it in parts, or raise max_mb in the feed's mapping.",
        )
    return payload


def _gunzip(payload: bytes, limit: int) -> bytes:
    parts, room, rest = [], limit + 1, payload
    while rest[:2] == b"\x1f\x8b" and room > 0:
        member = zlib.decompressobj(wbits=31)
        try:
            part = member.decompress(rest, room)
        except zlib.error as error:
            raise Refused("damaged", "The gzip file is damaged and cannot be unpacked. Send it again.") from error
        parts.append(part)
        room -= len(part)
        if room > 0 and not member.eof:
            raise Refused("damaged", "The gzip file ends in the middle: the transfer broke off. Send it again.")
        rest = member.unused_data
    return b"".join(parts)


def refuse_other_files(payload: bytes, wanted: str) -> None:
    """Nothing, when the payload may be of the wanted format.

    Raises Refused when it is empty, a web page, or a well-known file of another kind.
    """
    if not payload.strip(b" \t\r\n\x00" + UTF8_BOM):
        raise Refused("empty", "The file is empty. Check whether the sender's export ran, then send it again.")
    if HTML.match(payload.removeprefix(UTF8_BOM)[:4096]):
        raise Refused(
            "not_this_format",
            f"This is a web page, not {wanted}: usually a login or error page. Open the feed's address in a browser.",
        )
    for magic, name in OTHER_FILES.items():
        if payload.startswith(magic) and OWN_MAGIC.get(wanted) != magic:
            raise Refused(
                "not_this_format", f"This is {name}, not {wanted}. Send {wanted}, or change the feed's format."
            )


def to_text(payload: bytes, encoding: str = "auto") -> tuple[str, str]:
    """The text and the codec that turns it back into the same bytes (after a byte order mark).

    Bytes that the codec does not know stay in the text as lone surrogates (see UNDECODABLE), so that only
    the rows that hold them are refused. Raises Refused when nothing of it is text.
    """
    body, codec = _codec(payload, encoding)
    try:
        return body.decode(codec, "strict" if codec.startswith("utf-16") else "surrogateescape"), codec
    except UnicodeDecodeError as error:
        raise Refused(
            "not_this_format",
            "The file is no readable text (UTF-16 that breaks off or is damaged). Send it again, best as UTF-8.",
        ) from error


def _codec(payload: bytes, encoding: str) -> tuple[bytes, str]:
    if payload.startswith(UTF8_BOM):
        return payload[3:], "utf-8"
    if payload[:2] in (b"\xff\xfe", b"\xfe\xff") and encoding in ("auto", "utf-16"):
        return payload[2:], "utf-16-le" if payload[:2] == b"\xff\xfe" else "utf-16-be"
    if encoding == "auto":
        return payload, _guess(payload)
    if encoding == "utf-16":
        return payload, _utf16_order(payload) or "utf-16-le"
    return payload, encoding


def _guess(payload: bytes) -> str:
    """utf-8 unless it does not fit; a few broken characters in a utf-8 file do not turn the rest into cp1252."""
    order = _utf16_order(payload)
    if order:
        return order
    text = payload.decode("utf-8", "surrogateescape")
    broken = len(UNDECODABLE.findall(text))
    if not broken or broken < sum(1 for letter in text if letter > "\x7f") - broken:
        return "utf-8"
    try:
        payload.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252"


def _utf16_order(payload: bytes) -> str | None:
    """UTF-16 without a byte order mark shows in every second byte of western text being zero."""
    head = payload[:2000]
    half = max(len(head) // 2, 1)
    if head[1::2].count(0) > 0.6 * half:
        return "utf-16-le"
    return "utf-16-be" if head[0::2].count(0) > 0.6 * half else None
