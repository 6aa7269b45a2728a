"""`python -m tools.container_steps`: carries out the steps of the container file without a container engine.

COPY and RUN are done below a temporary folder (pip into an environment of its own, packages of Debian only looked up),
then the entry point serves a small town until the health check passes.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "docs" / "running" / "Containerfile"
READY_S = 60.0


def steps() -> list[tuple[str, str]]:
    """Instruction and rest, lines put together."""
    text = re.sub(r"\\\n\s*", " ", FILE.read_text("utf-8"))
    lines = (line.strip() for line in text.splitlines())
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines if line and not line.startswith("#")]


class Box:
    """What the image would hold: the program's folder, an environment, a town."""

    def __init__(self, place: Path) -> None:
        self.program, self.town = place / "opt" / "townboard", place / "town"
        self.program.mkdir(parents=True)
        subprocess.run([sys.executable, "-m", "venv", place / "env"], check=True)
        self.environment = {**os.environ, "PATH": f"{place / 'env' / 'bin'}:{os.environ['PATH']}"}

    def copy(self, rest: str) -> None:
        """COPY: sources of the project to a place in the program's folder."""
        *sources, target = shlex.split(rest)
        for source in sources:
            one = ROOT / source
            if one.is_dir():
                shutil.copytree(one, self.program / target, dirs_exist_ok=True)
            else:
                shutil.copy(one, self.program / target)

    def run(self, rest: str) -> None:
        """RUN: as it stands; what Debian's packages need root and a system of its own for is looked up instead."""
        if rest.startswith("apt-get"):
            packages = re.findall(r"install -y --no-install-recommends ([^&]+)", rest)[0].split()
            subprocess.run(
                ["apt-get", "install", "--simulate", "-qq", *packages], check=True, stdout=subprocess.DEVNULL
            )
            return
        subprocess.run(rest, shell=True, check=True, cwd=self.program, env=self.environment)

    def serve(self, entry: list[str], command: list[str], health: list[str]) -> None:
        """The entry point with its command, until the health check passes."""
        words = [*entry[entry.index("--") + 1 :], *command]
        words = [str(self.town) if word == "/town" else word for word in words]
        service = subprocess.Popen(words, cwd=self.program, env=self.environment)
        until = time.monotonic() + READY_S
        try:
            while subprocess.run(health, env=self.environment, check=False, stderr=subprocess.DEVNULL).returncode:
                if time.monotonic() > until or service.poll() is not None:
                    raise SystemExit("the health check never passed")
                time.sleep(0.5)
        finally:
            service.terminate()
            service.wait(15)


def main() -> None:
    """Every step, in order."""
    with tempfile.TemporaryDirectory(prefix="townboard-container-") as place:
        box, said = Box(Path(place)), dict(steps())
        for instruction, rest in steps():
            print(f"{instruction} {rest[:100]}", flush=True)
            if instruction in ("COPY", "RUN"):
                {"COPY": box.copy, "RUN": box.run}[instruction](rest)
        box.town.mkdir()
        text = (ROOT / "data" / "town.example.toml").read_text("utf-8")
        (box.town / "town.toml").write_text(text, "utf-8")
        health = json.loads(said["HEALTHCHECK"].partition("CMD ")[2])
        box.serve(json.loads(said["ENTRYPOINT"]), json.loads(said["CMD"]), health)
        print("All steps were carried out, and the board answered.")


if __name__ == "__main__":
    main()
