"""Attachments are known by their content, kept within limits, and hold nothing but what is seen in them."""

import io
import struct
import zlib

import pypdfium2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipelines.engine.asking import Misasked
from pipelines.engine.filing import pictures, posted, redraw
from pipelines.engine.filing.faults import Faulty
from tests.engine.filing.filing_town import photo

SECRET = b"taken at the blue gate"


def pdf(more: str = "") -> bytes:
    """A PDF of one page with a title and a script."""
    out = io.BytesIO()
    Image.new("RGB", (200, 100), "blue").save(out, "PDF", title="Asha Verma", author="Asha Verma")
    body = out.getvalue()
    script = b"/OpenAction << /S /JavaScript /JS (app.alert\\(1\\)) >>"
    return body.replace(b"/Type /Catalog", b"/Type /Catalog " + script) if more else body


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_picture_keeps_its_pixels_and_loses_all_else(form: str) -> None:
    before = photo(form, (300, 200))
    assert SECRET in before
    after = redraw.redrawn(before)
    assert after.startswith(b"\xff\xd8\xff") and SECRET not in after and b"Exif" not in after
    with Image.open(io.BytesIO(after)) as drawn:
        assert drawn.size == (300, 200) and not dict(drawn.getexif()) and "icc_profile" not in drawn.info
        red, green, blue = drawn.convert("RGB").getpixel((150, 100))  # type: ignore[misc]
        assert red > 240 and green < 20 and blue < 20


def test_a_picture_is_turned_as_its_camera_was_held() -> None:
    made, out, exif = Image.new("RGB", (40, 20)), io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    made.save(out, "JPEG", exif=exif)
    with Image.open(io.BytesIO(redraw.redrawn(out.getvalue()))) as drawn:
        assert drawn.size == (20, 40)


def test_a_large_picture_becomes_as_large_as_a_screen() -> None:
    with Image.open(io.BytesIO(redraw.redrawn(photo("JPEG", (4000, 1000))))) as drawn:
        assert drawn.size == (1600, 400)


def test_a_pdf_becomes_pictures_of_its_pages() -> None:
    before = pdf("script")
    assert b"JavaScript" in before and b"A\x00s\x00h\x00a" in before
    after = redraw.redrawn(before)
    assert after.startswith(b"%PDF-") and b"JavaScript" not in after and b"A\x00s\x00h\x00a" not in after
    document = pypdfium2.PdfDocument(after)
    assert len(document) == 1
    red, green, blue = document[0].render().to_pil().convert("RGB").getpixel((20, 20))
    assert blue > 240 and red < 20 and green < 20


def bomb() -> bytes:
    """A PNG of a few hundred bytes that says it has 900 million pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


def test_what_a_child_process_cannot_draw_is_refused_and_breaks_nothing() -> None:
    for body in (bomb(), b"\xff\xd8\xff" + b"broken" * 50, b"%PDF-1.7\nbroken", b"RIFF\0\0\0\0WEBPbroken"):
        with pytest.raises(Faulty) as refused:
            pictures.redrawn([body])
        assert (refused.value.field, refused.value.fault) == ("picture", "unreadable")


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ([b"GIF89a" + b"x" * 50], "kind"), ([b"<svg xmlns='http://www.w3.org/2000/svg'/>"], "kind"), ([b"MZ\x90"], "kind"),
        ([b"RIFF\0\0\0\0WAVE"], "kind"), ([b"\xff\xd8\xff" + b"x" * pictures.MOST_BYTES], "too_large"), ([b"\xff\xd8\xff"] * 4, "too_many"),
    ],
)  # fmt: skip
def test_other_files_are_refused_by_their_content_before_anybody_opens_them(files: list[bytes], fault: str) -> None:
    with pytest.raises(Faulty) as refused:
        pictures.redrawn(files)
    assert refused.value.fault == fault


# what is posted


def multipart(parts: list[tuple[str, bytes]]) -> bytes:
    return b"".join(b"--x\r\n" + head.encode() + b"\r\n\r\n" + body + b"\r\n" for head, body in parts) + b"--x--\r\n"


def test_fields_and_files_are_told_apart() -> None:
    body = multipart([
        ('Content-Disposition: form-data; name="place"', "नीला दरवाज़ा".encode()),
        ('Content-Disposition: form-data; name="picture"; filename="a.jpg"\r\nContent-Type: image/jpeg', b"\r\n--y\xff\x00\r\n"),
        ('Content-Disposition: form-data; name="picture"; filename=""', b""),
        ('Content-Disposition: form-data; name="ward"', b"W1"), ('Content-Disposition: form-data; name="ward"', b"W2"),
    ])  # fmt: skip
    sent = posted.read("multipart/form-data; boundary=x", body)
    assert (sent.one("place"), sent.one("ward"), sent.one("nothing")) == ("नीला दरवाज़ा", "W2", "")
    assert sent.files == (b"\r\n--y\xff\x00\r\n",)
    assert posted.read("application/x-www-form-urlencoded; charset=utf-8", b"place=a+b&ward=W1").one("place") == "a b"


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("multipart/form-data; boundary=x", multipart([("Content-Disposition: form-data; name=a", b"1")])[:-9], 400),
        ("multipart/form-data; boundary=x", multipart([("Content-Disposition: form-data; name=a", b"1")] * 250), 400),
        ("multipart/form-data; boundary=x", multipart([("Content-Disposition: form-data; name=a", b"1" * 300_000)]), 413),
        ("multipart/form-data", b"", 400), ("application/json", b"{}", 415), ("", b"", 415),
        ("application/x-www-form-urlencoded", b"a=1&" * 300, 400), ("application/x-www-form-urlencoded", b"\xff", 400),
        ("application/x-www-form-urlencoded", b"a=" + b"1" * 300_000, 413),
    ],
)  # fmt: skip
def test_what_is_no_form_or_too_much_is_refused(kind: str, body: bytes, status: int) -> None:
    with pytest.raises(Misasked) as refused:
        posted.read(kind, body)
    assert refused.value.status == status


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=200),
    st.lists(st.tuples(st.text(max_size=30), st.binary(max_size=30)), max_size=4),
    st.text(max_size=60),
)
def test_any_bytes_are_a_form_or_refused_in_words(raw: bytes, parts: list[tuple[str, bytes]], kind: str) -> None:
    for content_type, body in (
        ("multipart/form-data; boundary=x", raw), ("multipart/form-data; boundary=x", multipart(parts)), (kind, raw),
        (f"multipart/form-data; boundary={kind}", raw), ("application/x-www-form-urlencoded", raw),
    ):  # fmt: skip
        try:
            assert isinstance(posted.read(content_type, body), posted.Posted)
        except Misasked as refused:
            assert refused.status in (400, 413, 415) and refused.words
