"""The ways out: mail and chat through apprise, webhooks, text messages by spool folder or by the API of a gateway."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from pipelines.engine.errors import SourceDown

# What may read the folder of a spool.
PROGRAMS = ("smstools", "gammu")
KINDS = ("apprise", "sms_gateway", "sms_spool", "webhook")
# What stands for the address of a person in a channel's url.
ADDRESS = "{address}"
TIMEOUT_S = 10.0
# Threads that hand over what many alarms at once have to say.
MOST_HANDS = 8


@dataclass(frozen=True)
class Parcel:
    """One message to one address; `id` stays the same however often it is tried."""

    id: str
    made_at: datetime
    address: str
    subject: str
    body: str
    short: str
    facts: Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class Channel:
    """A channel as declared in town.toml: an apprise or http url (kept in a file of its own), or a spool folder.

    `program` reads the spool folder. A gateway is asked by GET, or by POST where there is a `body`; an answer that
    does not show `accepts` (a regular expression) says that it has not taken the message.
    """

    name: str
    kind: str
    url: str = ""
    folder: Path | None = None
    program: str = PROGRAMS[0]
    body: str = ""
    accepts: str = ""

    @property
    def needs_address(self) -> bool:
        """Whether a message by it goes to an address of its own."""
        return self.kind.startswith("sms_") or ADDRESS in self.url


class Sender(NamedTuple):
    """`send` hands one parcel over and returns when the other side has taken it; `close` ends its connections.

    `send` raises SourceDown in words when it was not taken; the same parcel is tried again then. `at_once`: how many
    are handed over before it is noted, by so many `hands`. One that does not know a parcel that it had before takes
    one at a time, so that a kill tells nobody twice of more than that one.
    """

    send: Callable[[Parcel], None]
    close: Callable[[], None] = lambda: None
    at_once: int = 1
    hands: int = 1


def sender(channel: Channel) -> Sender:
    """How this channel sends."""
    if channel.kind == "apprise":
        return _apprise(channel)
    # What a channel needs is taken in when it is first needed: most towns start without.
    from pipelines.engine.delivery import sms, webhook

    made = {"sms_spool": sms.spool, "sms_gateway": sms.gateway, "webhook": webhook.webhook}
    return made[channel.kind](channel)


def _files(parcel: Parcel) -> list[str] | None:
    """The files that go with a parcel and are still there."""
    named = parcel.facts.get("files")
    return [str(file) for file in named if Path(str(file)).is_file()] or None if isinstance(named, list) else None


def _apprise(channel: Channel) -> Sender:
    """Whatever apprise knows: mail, chat, push; see its list of services."""
    # It reads a hundred services.
    import apprise

    def send(parcel: Parcel) -> None:
        desk = apprise.Apprise(asset=apprise.AppriseAsset(app_id="Townboard", async_mode=False))
        if not desk.add(channel.url.replace(ADDRESS, parcel.address)):
            raise SourceDown(
                f"the address of the channel {channel.name} is none that apprise knows. Correct it in town.toml "
                "[delivery.channels] and start again."
            )
        if not desk.notify(title=parcel.subject, body=parcel.body, attach=_files(parcel)):
            raise SourceDown(
                f"the channel {channel.name} did not take the message. Check the network, the address and the password "
                "in town.toml; it is tried again."
            )

    return Sender(send)
