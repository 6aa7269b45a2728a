"""[brokers.NAME] of town.toml -> Broker: where an MQTT broker is and how the town logs in."""

import errno
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipelines.engine.settings.document import Document, duration

BROKER_KEYS = {
    "url", "user", "password", "password_file", "password_env", "ca_file", "cert_file", "key_file", "version",
    "client_id", "keep",
}  # fmt: skip
PORTS = {"mqtt": 1883, "mqtts": 8883}
VERSIONS = ("5", "3.1.1")
SECRETS = ("password", "password_file", "password_env")
KEPT = timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class Broker:
    """One MQTT broker. `keep` is how long it holds back for us what it could not deliver (MQTT 5).

    `ca_file` vouches for the broker, `cert_file` with `key_file` for us.
    """

    name: str
    host: str
    port: int
    tls: bool
    client_id: str
    user: str = ""
    password_from: tuple[str, str] = ("", "")
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    version: str = "5"
    keep: timedelta = KEPT

    @property
    def shown(self) -> str:
        """The broker as people know it."""
        return f"{self.host}:{self.port}"

    def password(self) -> str:
        """The password as it stands now.

        Raises OSError when its file cannot be read or the environment does not hold it.
        """
        way, what = self.password_from
        if way == "password_file":
            return Path(what).read_text("utf-8").strip()
        if way == "password_env" and what not in os.environ:
            raise OSError(errno.ENOENT, f"the environment has no variable {what}; set it before the start")
        return os.environ[what] if way == "password_env" else what


def read_brokers(document: Document, raw: Mapping[str, Any], folder: Path, town: str) -> dict[str, Broker]:
    """The brokers of a town, with every mistake noted."""
    return {name: _broker(document, name, entry, folder, town) for name, entry in raw.items()}


def _broker(document: Document, name: str, raw: Mapping[str, Any], folder: Path, town: str) -> Broker:
    section = f"brokers.{name}"
    for key in set(raw) - BROKER_KEYS:
        document.unknown(section, key, BROKER_KEYS)
    scheme, host, port = _address(document, section, str(raw.get("url", "")))
    version = str(raw.get("version", VERSIONS[0]))
    if version not in VERSIONS:
        document.wrong(section, "version", f'`version = {raw["version"]!r}`: write 5, or "3.1.1" for an older broker.')
    cert_file, key_file = _certificate(document, section, raw, folder)
    return Broker(
        name=name, host=host, port=port, tls=scheme == "mqtts", version=version,
        client_id=raw.get("client_id", f"townboard-{_slug(town)}-{_slug(name)}"), user=raw.get("user", ""),
        password_from=_secret(document, section, raw, folder), ca_file=_file(document, section, raw, "ca_file", folder),
        cert_file=cert_file, key_file=key_file, keep=_keep(document, section, raw),
    )  # fmt: skip


def _address(document: Document, section: str, url: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(url)
        if parts.scheme in PORTS and parts.hostname and not parts.username:
            return parts.scheme, parts.hostname, parts.port or PORTS[parts.scheme]
    except ValueError:
        parts = None
    document.wrong(
        section,
        "url",
        'a broker needs an address, for example `url = "mqtts://broker.example.org:8883"` (mqtt:// without TLS); '
        "user and password stand in settings of their own.",
    )
    return "mqtt", "localhost", PORTS["mqtt"]


def _secret(document: Document, section: str, raw: Mapping[str, Any], folder: Path) -> tuple[str, str]:
    given = [key for key in SECRETS if key in raw]
    if len(given) > 1:
        document.wrong(section, given[1], f"write only one of {', '.join(SECRETS)}.")
    if given and "user" not in raw:
        document.wrong(section, given[0], f"`{given[0]}` needs a `user` beside it.")
    if not given:
        return "", ""
    value = _file(document, section, raw, given[0], folder) if given[0] == "password_file" else str(raw[given[0]])
    return given[0], value


def _certificate(document: Document, section: str, raw: Mapping[str, Any], folder: Path) -> tuple[str, str]:
    """The files of our own certificate and its key, where the broker wants to see one."""
    pair = ("cert_file", "key_file")
    given = [key for key in pair if key in raw]
    if len(given) == 1:
        missing = next(key for key in pair if key not in given)
        document.wrong(section, given[0], f"`{given[0]}` needs a `{missing}` beside it: a certificate and its key.")
    if given and not str(raw.get("url", "")).startswith("mqtts:"):
        document.wrong(section, given[0], f"`{given[0]}` is shown over TLS only: write the url with mqtts://.")
    cert_file, key_file = (_file(document, section, raw, key, folder) for key in pair)
    return cert_file, key_file


def _file(document: Document, section: str, raw: Mapping[str, Any], key: str, folder: Path) -> str:
    if key not in raw:
        return ""
    path = folder / raw[key]
    if not path.is_file():
        document.wrong(
            section, key, f"the file {path} is not there. Its place is below the town's folder, or a whole path."
        )
    return str(path)


def _keep(document: Document, section: str, raw: Mapping[str, Any]) -> timedelta:
    try:
        return duration(raw["keep"]) if "keep" in raw else KEPT
    except ValueError as error:
        document.wrong(section, "keep", f"`keep`: {error}.")
        return KEPT


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "town"
