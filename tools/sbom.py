"""townboard.cdx.json: what runs in a town, package by package, as CycloneDX; without what only tests need."""

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = Path(sys.executable).with_name("cyclonedx-py")
TARGET = ROOT / "townboard.cdx.json"


def installed() -> dict[str, Any]:
    """Everything in this environment.

    Raises subprocess.CalledProcessError.
    """
    command = [str(PROGRAM), "environment", "--pyproject", "pyproject.toml", "--output-reproducible", sys.executable]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    made: dict[str, Any] = json.loads(told.stdout)
    return made


def named(text: str) -> set[str]:
    """The packages that a requirements file names, as registries write them."""
    lines = (line.partition("==")[0].partition("[")[0].strip() for line in text.splitlines())
    return {_plain(line) for line in lines if line and not line.startswith(("#", "-"))}


def needed(wanted: Iterable[str]) -> set[str]:
    """These packages and all that they need to run, without what is needed for an extra of theirs."""
    found, waiting = set[str](), list(wanted)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        asked = map(Requirement, metadata.requires(name) or ())
        waiting += [_plain(one.name) for one in asked if one.marker is None or one.marker.evaluate({"extra": ""})]
    return found


def reached(bill: Mapping[str, Any], kept_names: Iterable[str], direct: Iterable[str]) -> dict[str, Any]:
    """The bill with these packages and nothing else; what we name ourselves hangs on us."""
    names, direct = set(kept_names), set(direct)
    parts = [one for one in bill["components"] if _plain(one["name"]) in names]
    kept = {one["bom-ref"] for one in parts}
    graph = [
        {**one, "dependsOn": [ref for ref in one.get("dependsOn", []) if ref in kept]}
        for one in bill["dependencies"]
        if one["ref"] in kept
    ]
    root = bill["metadata"]["component"]["bom-ref"]
    own = {"ref": root, "dependsOn": [one["bom-ref"] for one in parts if _plain(one["name"]) in direct]}
    return {**bill, "components": parts, "dependencies": [own, *graph]}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> int:
    """Write the bill."""
    direct = named((ROOT / "requirements.txt").read_text("utf-8"))
    bill = reached(installed(), needed(direct), direct)
    TARGET.write_text(json.dumps(bill, indent=2, ensure_ascii=False) + "\n", "utf-8")
    print(f"{TARGET.name}: {len(bill['components'])} packages.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
