"""Which build of Townboard this is: version and a mark of the installed files, so that old pages notice a new one."""

import hashlib
from pathlib import Path

VERSION = "0.1.0"


def _mark() -> str:
    root = Path(__file__).resolve().parents[2]
    digest = hashlib.blake2b(digest_size=5)
    for folder in ("components", "pages", "assets"):
        for path in sorted((root / folder).glob("*.*")):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


BUILD = f"{VERSION}+{_mark()}"
