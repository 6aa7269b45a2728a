"""Known weaknesses of the packages that are installed, asked for by pip-audit; skipped in words without a network."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.executable).with_name("pip-audit")
PATIENCE_S = 180


def asked(program: Path = PROGRAM) -> Mapping[str, Any] | str:
    """What it found, or why nobody could be asked."""
    command = [str(program), "--local", "--skip-editable", "--progress-spinner", "off", "--format", "json"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        return f"no answer within {PATIENCE_S} s"
    except OSError as error:
        return f"{program.name} cannot be run ({error.strerror})"
    try:
        found = json.loads(told.stdout)
        return found if isinstance(found, dict) and "dependencies" in found else "its answer is none"
    except ValueError:
        return (told.stderr.strip().splitlines() or ["it said nothing"])[-1][:200]


def weaknesses(found: Mapping[str, Any]) -> list[str]:
    """One line a weakness: package, name of the weakness, and the version that mends it."""
    return [
        f"{one['name']} {one['version']}: {fault['id']}"
        + (f", mended in {fault['fix_versions'][0]}" if fault["fix_versions"] else ", not mended yet")
        for one in found["dependencies"]
        for fault in one.get("vulns", ())
    ]


def main(program: Path = PROGRAM) -> int:
    """Print what was found; 1 when there is a weakness."""
    found = asked(program)
    if isinstance(found, str):
        print(
            f"Weaknesses of packages: skipped, nobody could be asked ({found}). Run it once where there is a network."
        )
        return 0
    lines = weaknesses(found)
    for line in lines:
        print(line)
    print(f"Weaknesses of packages: {len(lines)} known in {len(found['dependencies'])} packages.")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
