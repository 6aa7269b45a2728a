"""`python -m tests.layouts.make`: has every earlier version write the same days, and packs the stores for the tests.

Needs the whole git history; run it when a layout comes to be, with the last commit before it.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# Layout -> a commit that writes it.
WRITERS = {1: "7a58983", 2: "4dbbd79", 3: "8745176", 4: "8a36eac", 5: "9a74efd", 6: "0e93209"}
# What a start makes by itself, and room that is only kept back.
LEFT_OUT = ("run", "ballast", "lock", "compaction.lock")


def main() -> None:
    """Write tests/layouts/<layout>.tar.xz."""
    for number, commit in WRITERS.items():
        with tempfile.TemporaryDirectory(prefix="townboard-layout-") as place:
            tree, town = Path(place) / "tree", Path(place) / "town"
            tree.mkdir()
            packed = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
            subprocess.run(["tar", "-x"], input=packed, cwd=tree, check=True)
            environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
            script = [sys.executable, str(HERE / "scene.py"), str(town)]
            subprocess.run(script, cwd=tree, env=environment, check=True)
            pack(town, HERE / f"{number}.tar.xz")


def pack(town: Path, target: Path) -> None:
    """The town's files, without names of people and machines."""

    def plain(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
        info.uid, info.gid, info.uname, info.gname, info.mtime = 0, 0, "", "", 0
        return None if Path(info.name).name in LEFT_OUT else info

    with tarfile.open(target, "w:xz") as tar:
        tar.add(town, arcname=".", filter=plain)


if __name__ == "__main__":
    main()
