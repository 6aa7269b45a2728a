"""Webhooks: a POST of JSON under a key that stays the same; any 2xx is taken as received."""

from collections.abc import Callable

import httpx

from pipelines.engine.delivery.channels import ADDRESS, TIMEOUT_S, Channel, Parcel, Sender
from pipelines.engine.errors import SourceDown

AT_ONCE, HANDS = 64, 4


def webhook(channel: Channel) -> Sender:
    """How a webhook sends: its Idempotency-Key is the parcel's id."""
    client = httpx.Client(timeout=TIMEOUT_S, follow_redirects=False)

    def send(parcel: Parcel) -> None:
        url = channel.url.replace(ADDRESS, parcel.address)
        told = {"id": parcel.id, "subject": parcel.subject, "body": parcel.body, **parcel.facts}
        asked(channel.name, lambda: client.post(url, json=told, headers={"Idempotency-Key": parcel.id}))

    return Sender(send, client.close, AT_ONCE, HANDS)


def asked(name: str, call: Callable[[], httpx.Response]) -> httpx.Response:
    """The answer of the other side that it has taken the message.

    Raises SourceDown in words.
    """
    try:
        answer = call()
    except httpx.HTTPError as error:
        raise SourceDown(
            f"the channel {name} does not answer ({type(error).__name__}). Check the network and the address in "
            "town.toml; it is tried again."
        ) from error
    if not answer.is_success:
        raise SourceDown(
            f"the channel {name} answered {answer.status_code}, not that it has taken the message. It is tried again; "
            "if this stays, ask whoever runs it."
        )
    return answer
