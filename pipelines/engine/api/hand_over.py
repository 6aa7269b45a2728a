"""What this process hands to the line: the line's own answer, or why there is none."""

import json
import logging
from collections.abc import Awaitable, Mapping
from typing import Any

import httpx

from pipelines.engine.api.bodies import RETRY_S, TOO_MUCH
from pipelines.engine.api.problems import NotNow, Refusing

log = logging.getLogger("townboard")
Answered = tuple[int, dict[str, Any], Mapping[str, str]]
NO_LINE = "The line does not run, so nothing was done. Whoever looks after Townboard starts it: python app.py serve"


async def told(asked: Awaitable[Answered], no_answer: str, no_line: str = NO_LINE) -> dict[str, Any]:
    """What the line did.

    Raises NotNow when it does not run, has no room (429) or gave no answer; Refusing with its words when it refused.
    """
    try:
        status, said, headers = await asked
    except httpx.PoolTimeout as error:
        raise NotNow(TOO_MUCH, RETRY_S, 429) from error
    except httpx.ConnectError as error:
        raise NotNow(no_line) from error
    except (httpx.TransportError, json.JSONDecodeError, UnicodeDecodeError) as error:
        log.warning("the line gave no usable answer: %r", error)
        raise NotNow(no_answer) from error
    if status != httpx.codes.OK:
        retry = {"Retry-After": headers["retry-after"]} if "retry-after" in headers else {}
        raise Refusing(status, str(said.get("detail", "The line refused this.")), retry)
    return said
