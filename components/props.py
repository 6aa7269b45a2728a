"""Attributes whose names are no Python names: data-kpi, aria-label."""

from collections.abc import Mapping
from typing import Any


def props(names: Mapping[str, object]) -> Any:
    """The attributes, to be unpacked into a component; Dash's generated signatures know no wildcard."""
    return dict(names)
