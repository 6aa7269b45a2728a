"""The alarm console: the list an operator lives in, what may be done to it, and both as CSV; works without scripts."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx
import orjson

from components import glass, plain, wording
from components.asgi import App, Receive, Scope, Send, answer, header
from components.console_page import INCIDENT_COLUMNS, SPANS, Outcome, Typed, history, incidents_frame, page
from components.console_view import ConsoleView, alarms
from components.forms import Form, read_own, redirect
from components.tongue import N_, _, n_, said
from components.visitor import current
from pipelines.engine.alarms.desk import FIELDS, INSTANTS, MOST_AT_ONCE
from pipelines.engine.alarms.room import COLUMNS
from pipelines.engine.api import board
from pipelines.engine.asking import Misasked
from pipelines.engine.forms import streamed
from pipelines.engine.people.roles import Forbidden
from pipelines.engine.spans import Extract, of_frame

log = logging.getLogger("townboard")
DONE = {
    "acknowledge": N_("Acknowledged"), "shelve": N_("Shelved"), "unshelve": N_("Taken back from the shelf:"),
    "assign": N_("Assigned"), "comment": N_("Commented on"), "out-of-service": N_("Taken out of service:"),
    "return-to-service": N_("Back in service:"), "reset": N_("Reset"),
}  # fmt: skip
NO_LINE = N_("The line does not run at the moment, so nothing was done. Try again in a few seconds.")
NO_ANSWER = N_("The line gave no answer. Look at the alarm before you try again: it may have been done.")


class Console:
    """The addresses of the alarm console."""

    def __init__(self) -> None:
        self.addresses: Mapping[str, App] = {
            "alarms": plain.by_method(self._ask, self._sent),
            "alarms.csv": plain.read_only(self._csv),
            "alarms/who": plain.read_only(self._who),
        }

    async def _ask(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._show(
            scope, send, ConsoleView.read(scope.get("query_string", b"").decode("latin-1")), _told_by(scope)
        )

    async def _sent(self, scope: Scope, receive: Receive, send: Send) -> None:
        form = Form()
        try:
            form = await read_own(scope, receive)
            outcome = await act(form)
        except (Misasked, Forbidden) as error:
            outcome = Outcome(said(error.words), True, error.status if isinstance(error, Misasked) else 403)
        return await self._answer(scope, send, form, outcome)

    async def _answer(self, scope: Scope, send: Send, form: Form, outcome: Outcome) -> None:
        """To a script the words alone; to a form the page: this one when something was refused, else a fresh one."""
        view = ConsoleView.read(form.one("view"))
        if b"application/json" in header(scope, b"accept"):
            body = orjson.dumps({"words": outcome.words, "refused": outcome.refused})
            return await answer(scope, send, outcome.status, body, [(b"content-type", b"application/json")])
        if outcome.refused:
            return await self._show(scope, send, view, outcome, Typed(form.every("id"), _typed(form)))
        place = glass.href("alarms", **view.query, did=form.one("do"), n=len(set(form.every("id"))))
        return await answer(scope, send, 303, b"", redirect(place))

    async def _show(
        self, scope: Scope, send: Send, view: ConsoleView, outcome: Outcome | None, typed: Typed | None = None
    ) -> None:
        body = await asyncio.to_thread(page, view, outcome, typed or Typed((view.alarm,)))
        await plain.give(scope, send, body, outcome.status if outcome else 200)

    async def _csv(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Exactly the rows that the page at the same query shows."""
        view = ConsoleView.read(scope.get("query_string", b"").decode("latin-1"))
        try:
            body = await asyncio.to_thread(lambda: b"".join(streamed(*_extract(view), "csv")))
        except Forbidden as error:
            status = 403 if error.known else 401
            return await answer(scope, send, status, error.words.encode(), [(b"content-type", b"text/plain")])
        name = {"history": "alarm_history", "incidents": "incidents"}.get(view.show, "alarms")
        headers = [
            (b"content-type", b"text/csv; charset=utf-8"), (b"cache-control", b"no-store"),
            (b"content-disposition", f'attachment; filename="{name}.csv"'.encode()),
            (b"x-content-type-options", b"nosniff"),
        ]  # fmt: skip
        return await answer(scope, send, 200, body, headers)

    async def _who(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Who did what to which alarm, for the list of somebody with a role: the board's stream holds no names."""
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        try:
            told = await asyncio.to_thread(lambda: glass.town().alarms.who(current().actor))
        except Forbidden as error:
            return await answer(scope, send, 403 if error.known else 401, orjson.dumps({"words": error.words}), headers)
        return await answer(scope, send, 200, orjson.dumps(told), headers)


def _extract(view: ConsoleView) -> tuple[Extract, Any]:
    if view.show == "history":
        wanted = of_frame("alarm_history", history(view), COLUMNS)
    elif view.show == "incidents":
        wanted = of_frame("incidents", incidents_frame(view), INCIDENT_COLUMNS)
    else:
        wanted = board.listed_alarms(view.rows(alarms(), current().actor.name))
    return wanted, wanted.frames()


# acting ---------------------------------------------------------------------------------------------------------------


async def act(form: Form) -> Outcome:
    """What became of the action that a form asks for.

    Raises Misasked, Forbidden; nothing was done then.
    """
    action, ids = form.one("do"), list(dict.fromkeys(form.every("id")))
    if action not in FIELDS:
        raise Misasked(_("This action is unknown. Load the page again."))
    if not ids:
        raise Misasked(_("No alarm is chosen. Tick one or more, then choose what to do."))
    if len(ids) > MOST_AT_ONCE:
        raise Misasked(_("At most {most} alarms at once; these are {n}.", most=MOST_AT_ONCE, n=len(ids)))
    wanted = {name: _given(form.one(f"{action}.{name}"), name) for name in FIELDS[action]}
    wanted = {name: value for name, value in wanted.items() if value}
    try:
        status, told, _headers = await glass.town().alarms.act(ids, action, wanted, current().actor)
    except httpx.ConnectError as error:
        raise Misasked(_(NO_LINE), 503) from error
    except (httpx.TransportError, ValueError) as error:
        log.warning("the line gave no usable answer to %s: %r", action, error)
        raise Misasked(_(NO_ANSWER), 503) from error
    if status != httpx.codes.OK:
        raise Misasked(said(str(told.get("detail", NO_ANSWER))), status)
    return _became(action, told)


def _given(text: str, name: str) -> str:
    """A field as the line reads it; a span of minutes becomes the instant at which it is over."""
    if name not in INSTANTS or text not in SPANS:
        return text.strip()
    return (glass.town().now() + timedelta(minutes=int(text))).isoformat()


def _became(action: str, told: Mapping[str, Any]) -> Outcome:
    done, refused = told["done"], told["refused"]
    alarms = wording.count(len(done), "alarm")
    words = [_("{done} {alarms}.", done=_(DONE[action]), alarms=alarms)] if done else []
    if refused:
        names = {row["id"]: row["title"] for row in glass.state()["alarms"]}
        first = refused[0]
        title = said(names.get(first["id"], first["id"]))
        words.append(_("Refused: {title}. {detail}", title=title, detail=said(first["detail"])))
        if len(refused) > 1:
            words.append(n_("So was {n} more.", "So were {n} more.", len(refused) - 1))
    return Outcome(" ".join(words), bool(refused), 409 if refused and not done else 200)


def _typed(form: Form) -> dict[str, str]:
    return {name: values[-1] for name, values in form.fields.items() if "." in name}


def _told_by(scope: Scope) -> Outcome | None:
    """What the address says of an action just done: its name and a number, no words that somebody could put there."""
    asked = dict(part.partition(b"=")[::2] for part in scope.get("query_string", b"").split(b"&"))
    action, number = asked.get(b"did", b"").decode("latin-1"), asked.get(b"n", b"")
    if action not in DONE or not number.isdigit() or len(number) > 4:
        return None
    return Outcome(f"{DONE[action]} {wording.count(int(number), 'alarm')}.")
