"""The ways out: mail, chat and webhooks through apprise, text messages through a spool folder, each one idempotent."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pipelines.engine.errors import SourceDown

KINDS = ("apprise", "sms_spool", "webhook")
# What stands for the address of a person in a channel's url.
ADDRESS = "{address}"
TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Parcel:
    """One message to one address; `id` stays the same however often it is tried."""

    id: str
    address: str
    subject: str
    body: str
    short: str
    facts: Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class Channel:
    """A channel as declared in town.toml: an apprise or webhook url (kept in a file of its own), or a spool folder."""

    name: str
    kind: str
    url: str = ""
    folder: Path | None = None

    @property
    def needs_address(self) -> bool:
        """Whether a message by it goes to an address of its own."""
        return self.kind == "sms_spool" or ADDRESS in self.url


class Sender(NamedTuple):
    """`send` hands one parcel over and returns when the other side has taken it; `close` ends its connections.

    `send` raises SourceDown in words when it was not taken; the same parcel is tried again then.
    """

    send: Callable[[Parcel], None]
    close: Callable[[], None] = lambda: None


def sender(channel: Channel) -> Sender:
    """How this channel sends."""
    if channel.kind == "sms_spool":
        return _spool(channel)
    return _webhook(channel) if channel.kind == "webhook" else _apprise(channel)


def _spool(channel: Channel) -> Sender:
    """A file per message in the folder that smstools3, gammu-smsd or a modem's own program watches.

    It appears whole, under a name that a second try would give again; this needs no network.
    """
    assert channel.folder is not None
    folder = channel.folder

    def send(parcel: Parcel) -> None:
        target = folder / f"{parcel.id}.sms"
        part = folder / f".{parcel.id}.part"
        text = f"To: {parcel.address.lstrip('+')}\nAlphabet: UTF-8\n\n{parcel.short}\n"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with part.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
        except OSError as error:
            raise SourceDown(
                f"the folder {folder} of the channel {channel.name} cannot be written ({error.strerror}). Check that "
                "it is there and that this user may write into it."
            ) from error

    return Sender(send)


def _webhook(channel: Channel) -> Sender:
    """A POST of JSON whose Idempotency-Key is the parcel's id; any 2xx is taken as received."""
    import httpx

    client = httpx.Client(timeout=TIMEOUT_S, follow_redirects=False)

    def send(parcel: Parcel) -> None:
        url = channel.url.replace(ADDRESS, parcel.address)
        told = {"id": parcel.id, "subject": parcel.subject, "body": parcel.body, **parcel.facts}
        try:
            answer = client.post(url, json=told, headers={"Idempotency-Key": parcel.id})
        except httpx.HTTPError as error:
            raise SourceDown(
                f"the channel {channel.name} does not answer ({type(error).__name__}). Check the network and the "
                "address in town.toml; it is tried again."
            ) from error
        if not answer.is_success:
            raise SourceDown(
                f"the channel {channel.name} answered {answer.status_code}, not that it has taken the message. It is "
                "tried again; if this stays, ask whoever runs it."
            )

    return Sender(send, client.close)


def _apprise(channel: Channel) -> Sender:
    """Whatever apprise knows: mail, chat, push; see its list of services."""
    # Taken in when it is first needed: it reads a hundred services, and most towns start without one.
    import apprise

    def send(parcel: Parcel) -> None:
        desk = apprise.Apprise(asset=apprise.AppriseAsset(app_id="Townboard", async_mode=False))
        if not desk.add(channel.url.replace(ADDRESS, parcel.address)):
            raise SourceDown(
                f"the address of the channel {channel.name} is none that apprise knows. Correct it in town.toml "
                "[delivery.channels] and start again."
            )
        if not desk.notify(title=parcel.subject, body=parcel.body):
            raise SourceDown(
                f"the channel {channel.name} did not take the message. Check the network, the address and the password "
                "in town.toml; it is tried again."
            )

    return Sender(send)
