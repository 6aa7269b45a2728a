"""What the line answered to something that a form asked of it, in words when it did not."""

import json
import logging
from collections.abc import Awaitable, Mapping
from typing import Any

import httpx

from components.tongue import N_, said
from pipelines.engine.asking import Misasked

log = logging.getLogger("townboard")
NO_LINE = N_("The line does not run at the moment, so nothing was done. Try again in a few seconds.")
NO_ANSWER = N_("The line gave no answer. Look whether it was done before you try again.")


async def answered(asked: Awaitable[tuple[int, dict[str, Any], Mapping[str, str]]]) -> dict[str, Any]:
    """The answer of the line.

    Raises Misasked: it does not run, gave no usable answer, or refused; its own words then.
    """
    try:
        status, told, _ = await asked
    except httpx.ConnectError as error:
        raise Misasked(_(NO_LINE), 503) from error
    except (httpx.TransportError, json.JSONDecodeError) as error:
        log.warning("the line gave no usable answer: %r", error)
        raise Misasked(_(NO_ANSWER), 503) from error
    if status != httpx.codes.OK:
        raise Misasked(said(str(told.get("detail", NO_ANSWER))), status)
    return told
