"""What kind of value each setting of town.toml takes; a value of another kind is named in words and left out."""

import math
from collections.abc import Callable, Mapping
from typing import Any

Wrong = Callable[[str, str | None, str], None]


def _above_zero(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


TEXT = (lambda value: isinstance(value, str), 'text in quotes, for example `{key} = "..."`')
TEXTS = (_texts, 'a list of texts, for example `{key} = ["...", "..."]`')
TEXT_OR_TEXTS = (
    lambda value: isinstance(value, str) or _texts(value),
    'text in quotes, for example `{key} = "..."`, or a list of such texts',
)
ABOVE_ZERO = (_above_zero, "a number above 0, without quotes")
FLAG = (lambda value: isinstance(value, bool), "true or false, without quotes")
SECTION = (
    lambda value: isinstance(value, Mapping),
    "a section of its own: write [{section}] and the settings below it",
)
TEXT_SECTION = (
    lambda value: isinstance(value, Mapping) and all(isinstance(one, str) for one in value.values()),
    'a section of texts, for example `{key} = {{ Authorization = "..." }}`',
)
Kind = tuple[Callable[[Any], bool], str]

TOWN: Mapping[str, Kind] = {
    "name": TEXT,
    "timezone": TEXT,
    "languages": TEXTS,
    "domains": TEXTS,
    "demo": FLAG,
    "open_wall": FLAG,
    "pack": TEXT,
}
FEED: Mapping[str, Kind] = {
    **dict.fromkeys(("use", "from", "url", "format", "table", "zone", "title", "files", "broker"), TEXT),
    **dict.fromkeys(("timeout_s", "max_mb", "speed"), ABOVE_ZERO),
    "mapping": SECTION,
    "headers": TEXT_SECTION,
    "topic": TEXT_OR_TEXTS,
    "enabled": FLAG,
}
BROKER: Mapping[str, Kind] = {
    **dict.fromkeys(("url", "user", "password", "password_file", "password_env", "client_id", "keep"), TEXT),
    **dict.fromkeys(("ca_file", "cert_file", "key_file"), TEXT),
}
OUTGOING: Mapping[str, Kind] = {
    **dict.fromkeys(("table", "kind", "period", "format", "ward", "to", "tell"), TEXT),
    "languages": TEXTS,
    "wards": FLAG,
}
ALARM: Mapping[str, Kind] = {"enabled": FLAG}


def well_formed(raw: Mapping[str, Any], wrong: Wrong) -> dict[str, Any]:
    """The settings without the values that are of the wrong kind; each is told to `wrong` with what is allowed."""
    whole = _kept(raw, "", dict.fromkeys(raw, SECTION), wrong)
    for name, section in whole.items():
        if name == "town":
            whole[name] = _kept(section, name, TOWN, wrong)
        elif name == "feeds":
            whole[name] = _each(section, name, FEED, wrong)
        elif name == "brokers":
            whole[name] = _each(section, name, BROKER, wrong)
        elif name in ("exports", "reports"):
            whole[name] = _each(section, name, OUTGOING, wrong)
        else:
            whole[name] = _kept(section, name, {"kpis": SECTION, "alarms": SECTION}, wrong)
            for part, kinds in (("kpis", {}), ("alarms", ALARM)):
                if part in whole[name]:
                    whole[name][part] = _each(whole[name][part], f"{name}.{part}", kinds, wrong)
    return whole


def _each(section: Mapping[str, Any], name: str, kinds: Mapping[str, Kind], wrong: Wrong) -> dict[str, Any]:
    """A section of sections, each checked alike."""
    parts = _kept(section, name, dict.fromkeys(section, SECTION), wrong)
    return {key: _kept(part, f"{name}.{key}", kinds, wrong) for key, part in parts.items()}


def _kept(section: Mapping[str, Any], name: str, kinds: Mapping[str, Kind], wrong: Wrong) -> dict[str, Any]:
    kept = {}
    for key, value in section.items():
        holds, words = kinds.get(key, (None, ""))
        if holds is None or holds(value):
            kept[key] = value
        else:
            full = f"{name}.{key}" if name else key
            wrong(name, key, f"`{key} = {_written(value)}`: this must be {words.format(key=key, section=full)}.")
    return kept


def _written(value: Any) -> str:
    """The value as it stands in the file, shortened."""
    text = f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
