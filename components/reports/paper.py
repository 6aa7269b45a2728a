"""A report set in type: Typst makes the PDF, without a browser, with the fonts of the glass."""

import json
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import typst
from fontTools.ttLib import TTFont

from components.tongue import Tongue
from pipelines.engine.asking import Misasked

TEMPLATES = Path(__file__).resolve().parent
VENDOR = Path(__file__).resolve().parents[2] / "assets" / "vendor"
# Of the scripts that Typst's own font has no letters for, by language: the font that the glass shows them in.
FONTS: Mapping[str, str] = {
    **dict.fromkeys(("hi", "mr", "ne", "sa"), "Noto Sans Devanagari"),
    **dict.fromkeys(("ur", "ar", "fa", "ps", "sd", "ks"), "Noto Naskh Arabic"),
}
LATIN = "Libertinus Serif"


def pdf(template: str, said: Mapping[str, Any], tongue: Tongue, made_at: datetime) -> bytes:
    """The PDF of what is said, in the language's script and direction; the same words give the same bytes.

    Everything said goes in as data: nothing in it is read as markup.
    Raises Misasked when nobody has fetched the font of the language.
    """
    with tempfile.TemporaryDirectory(prefix="townboard-fonts-") as folder:
        wanted = FONTS.get(tongue.code)
        if wanted and wanted not in _unpacked(Path(folder)):
            raise Misasked(f"There is no font for {tongue.name} here. Fetch it once: make glass")
        look = {"lang": tongue.code, "dir": tongue.direction, "fonts": [LATIN, *([wanted] if wanted else [])]}
        made: bytes = typst.compile(
            str(TEMPLATES / f"{template}.typ"), root=str(TEMPLATES), font_paths=[folder], ignore_system_fonts=True,
            sys_inputs={"said": json.dumps({**said, **look}, ensure_ascii=False)}, timestamp=int(made_at.timestamp()),
        )  # fmt: skip
    return made


def _unpacked(folder: Path) -> set[str]:
    """The families of the fonts of the glass, as files that Typst reads: it knows no WOFF2."""
    families = set()
    for number, packed in enumerate(sorted(VENDOR.glob("*.woff2"))):
        font = TTFont(packed)
        font.flavor = None
        font.save(folder / f"{number}.ttf")
        families.add(str(font["name"].getBestFamilyName()))
    return families
