"""Draws a picture or the pages of a PDF anew, as a child process of its own: what comes out holds pixels and no more.

`python -m pipelines.engine.filing.redraw` reads the bytes from its input and writes JPEG or PDF to its output.
"""

import io
import resource
import sys
import warnings

import pypdfium2
from PIL import Image, ImageOps

# A photo of a phone has 12 to 50 million pixels; on a screen nobody sees more than this.
MOST_PIXELS, LONGEST_SIDE = 60_000_000, 1600
MOST_PAGES, PAGE_SCALE = 10, 1.6
QUALITY = 82
MOST_MEMORY, MOST_SECONDS = 1 << 30, 20
PICTURES = ("JPEG", "PNG", "WEBP")


def picture(body: bytes) -> Image.Image:
    """The picture upright, on white where it is see-through, no larger than a screen; without what was written in it.

    Raises ValueError when it has too many pixels, OSError and others when it is none.
    """
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    with Image.open(io.BytesIO(body), formats=PICTURES) as opened:
        if opened.width * opened.height > MOST_PIXELS:
            raise ValueError("too many pixels")
        opened.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))
        upright = ImageOps.exif_transpose(opened).convert("RGBA")
    return _plain(upright)


def _plain(drawn: Image.Image) -> Image.Image:
    drawn.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    ground = Image.new("RGB", drawn.size, "white")
    ground.paste(drawn, mask=drawn.getchannel("A") if drawn.mode == "RGBA" else None)
    return ground


def pages(body: bytes) -> list[Image.Image]:
    """The first pages of a PDF as pictures.

    Raises pypdfium2.PdfiumError when it is none.
    """
    document = pypdfium2.PdfDocument(body)
    found = []
    for number in range(min(len(document), MOST_PAGES)):
        page = document[number]
        scale = min(PAGE_SCALE, LONGEST_SIDE / max(*page.get_size(), 1.0))
        found.append(_plain(page.render(scale=scale).to_pil().convert("RGB")))
    return found


def redrawn(body: bytes) -> bytes:
    """JPEG for a picture, PDF for a PDF."""
    out = io.BytesIO()
    if body.startswith(b"%PDF-"):
        first, *others = pages(body)
        first.save(out, "PDF", save_all=True, append_images=others, quality=QUALITY, title="", producer="", creator="")
    else:
        picture(body).save(out, "JPEG", quality=QUALITY, optimize=True)
    return out.getvalue()


def main() -> int:
    """Redraw within bounds of memory and time; 1 when it cannot be read."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    try:
        sys.stdout.buffer.write(redrawn(sys.stdin.buffer.read()))
    except Exception as error:
        sys.stderr.write(f"{type(error).__name__}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
