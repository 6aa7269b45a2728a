"""Text messages that need no internet: a spool folder that a modem's program reads, or a gateway in the house."""

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

import httpx

from pipelines.engine.delivery.channels import PROGRAMS, TIMEOUT_S, Channel, Parcel, Sender
from pipelines.engine.delivery.webhook import asked
from pipelines.engine.errors import SourceDown

AT_ONCE, HANDS = 64, 8
PLACES = ("address", "text", "id")
NOT_OF_A_NUMBER = re.compile(r"[^0-9+]")


def spool(channel: Channel) -> Sender:
    """A file per message in the folder that the modem's program watches.

    It appears whole, under a name that a second try would give again.
    """
    assert channel.folder is not None
    folder, written = channel.folder, FILES[channel.program]

    def send(parcel: Parcel) -> None:
        name, content = written(parcel)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _put(folder, name, content)
        except OSError as error:
            raise SourceDown(
                f"the folder {folder} of the channel {channel.name} cannot be written ({error.strerror}). Check that "
                "it is there and that this user may write into it."
            ) from error

    return Sender(send, at_once=AT_ONCE, hands=HANDS)


def _put(folder: Path, name: str, content: bytes) -> None:
    part = folder / f".{name}.part"
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / name)


def _of_smstools(parcel: Parcel) -> tuple[str, bytes]:
    """Name and content of a file for smstools3: a header, an empty line, the text."""
    number = parcel.address.lstrip("+")
    return f"{parcel.id}.sms", f"To: {number}\nAlphabet: UTF-8\n\n{parcel.short}\n".encode()


def _of_gammu(parcel: Parcel) -> tuple[str, bytes]:
    """Name and content of a file for gammu-smsd, service files: all but the text stands in the name.

    It takes the text for that of the locale unless it begins as UTF-16.
    Source: gammu-smsd-files(7).
    """
    number = NOT_OF_A_NUMBER.sub("", parcel.address)
    name = f"OUTA{parcel.made_at:%Y%m%d_%H%M%S}_00_{number}_{parcel.id}.txt"
    return name, b"\xfe\xff" + parcel.short.encode("utf-16-be")


FILES: Mapping[str, Callable[[Parcel], tuple[str, bytes]]] = dict(zip(PROGRAMS, (_of_smstools, _of_gammu), strict=True))


def gateway(channel: Channel) -> Sender:
    """A call for each message to a gateway with an API of its own: a mobile router, a phone, Kannel, a provider.

    Few of them know a message that they had before, so each is noted by itself; one that does is given {id}.
    """
    client = httpx.Client(timeout=TIMEOUT_S, follow_redirects=False)
    kind = "application/json" if _is_json(channel.body) else "application/x-www-form-urlencoded"
    known = re.compile(channel.accepts)

    def call(parcel: Parcel) -> httpx.Response:
        told = {"address": parcel.address, "text": parcel.short, "id": parcel.id}
        url = _filled(channel.url, told, _in_a_query)
        if not channel.body:
            return client.get(url)
        body = _filled(channel.body, told, _in_json if _is_json(channel.body) else _in_a_query)
        return client.post(url, content=body.encode(), headers={"Content-Type": kind})

    def send(parcel: Parcel) -> None:
        answer = asked(channel.name, lambda: call(parcel))
        if not known.search(answer.text):
            raise SourceDown(
                f"the gateway of the channel {channel.name} answered {answer.text[:80]!r}, not `{channel.accepts}`. "
                "Look at its credit, its SIM card and its network; the message is tried again."
            )

    return Sender(send, client.close)


def _is_json(body: str) -> bool:
    return body.lstrip().startswith(("{", "["))


def _filled(text: str, told: Mapping[str, str], written: Callable[[str], str]) -> str:
    """The text with what is told in its places, once: a message that holds such a place itself stays as it is."""
    return re.sub("{(" + "|".join(PLACES) + ")}", lambda found: written(told[found[1]]), text)


def _in_a_query(value: str) -> str:
    return quote(value, safe="")


def _in_json(value: str) -> str:
    return json.dumps(value)[1:-1]
