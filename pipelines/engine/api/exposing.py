"""Metric families as lines of Prometheus' text form."""

from collections.abc import Iterable, Mapping
from typing import Any

Labels = Mapping[str, Any]
Sample = tuple[Labels, float | None]


def family(name: str, kind: str, words: str, samples: Iterable[Sample]) -> str:
    """One family with its help and its type; samples without a value are left out."""
    full = f"townboard_{name}"
    lines = [f"# HELP {full} {words}", f"# TYPE {full} {kind}"]
    for labels, value in samples:
        if value is not None:
            text = ",".join(f'{label}="{_escaped(str(text))}"' for label, text in labels.items())
            lines.append(f"{full}{{{text}}} {value:.17g}" if text else f"{full} {value:.17g}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
