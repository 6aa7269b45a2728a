"""Forms that a browser posts: read within limits, and only from pages of this board."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from components.asgi import Headers, Receive, Scope, header
from components.tongue import N_, _
from components.visitor import current
from pipelines.engine.asking import Misasked

# A thousand alarms chosen at once are a hundred kilobytes of names.
MOST_BYTES, MOST_FIELDS, PATIENCE_S = 256_000, 3_000, 10.0
FOREIGN = N_("This was sent by a page of another site and was not done. Open the board itself and try again.")
KIND = b"application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Form:
    """The fields of a form."""

    fields: Mapping[str, list[str]] = field(default_factory=dict)

    def one(self, name: str) -> str:
        """A field's value, empty when it was not sent."""
        return self.fields.get(name, [""])[-1]

    def every(self, name: str) -> list[str]:
        """All values of a field that may be sent several times."""
        return self.fields.get(name, [])


def foreign(scope: Scope) -> bool:
    """Whether a browser says that a page of somebody else made this request (browsers say so with every POST)."""
    site = header(scope, b"sec-fetch-site")
    if site:
        return site not in (b"same-origin", b"none")
    origin = header(scope, b"origin") or header(scope, b"referer")
    return bool(origin) and urlsplit(origin).netloc != header(scope, b"host")


async def read(scope: Scope, receive: Receive) -> Form:
    """The form that was posted.

    Raises Misasked: it comes from elsewhere, is none, too large, or too slow.
    """
    if foreign(scope):
        raise Misasked(FOREIGN, 403)
    if header(scope, b"content-type").split(b";")[0].strip() != KIND:
        raise Misasked(_("A form is expected here."), 415)
    try:
        async with asyncio.timeout(PATIENCE_S):
            body = await _body(receive)
    except TimeoutError as error:
        raise Misasked(_("The form did not arrive in time. Try again."), 408) from error
    try:
        return Form(parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError as error:
        raise Misasked(_("This form cannot be read."), 400) from error


async def read_own(scope: Scope, receive: Receive) -> Form:
    """The form that was posted by somebody who is signed in, made for this very session.

    Raises Misasked also when it was not.
    """
    form = await read(scope, receive)
    check_own(scope, form.one("form_token"))
    return form


def check_own(scope: Scope, sent: str) -> None:
    """Nothing, when somebody is signed in and the form was made for this very session; `sent`: the form's token.

    Raises Misasked.
    """
    if current().session is None:
        raise Misasked(_("You are signed out meanwhile. Sign in and try again; nothing was done."), 401)
    _check_token(scope, sent)


def _check_token(scope: Scope, sent: str) -> None:
    if not current().sent(sent or header(scope, b"x-form-token").decode("latin-1")):
        raise Misasked(
            _("This page is from an earlier sign-in. Load it again and try once more; nothing was done."), 403
        )


async def read_on_the_way(scope: Scope, receive: Receive) -> Form:
    """The form of somebody who is signed in, or whose password was right and whose second factor has yet to come.

    Raises Misasked also when it was not made for this very session.
    """
    form = await read(scope, receive)
    if current().session is None and current().half is None:
        raise Misasked(_("The time for the second step is over. Sign in once more."), 401)
    _check_token(scope, form.one("form_token"))
    return form


async def _body(receive: Receive) -> bytes:
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Misasked(_("The form did not arrive whole."), 400)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MOST_BYTES:
            raise Misasked(_("This form is too large. Choose fewer entries at once."), 413)
        more = message.get("more_body", False)
    return b"".join(parts)


def redirect(place: str, *more: tuple[bytes, bytes]) -> Headers:
    """The headers of a 303 to another page, with more of them."""
    return [(b"location", place.encode()), (b"cache-control", b"no-store"), *more]


def within(place: str, prefix: str) -> str:
    """A place to go to after signing in: only one of this board, else its first page."""
    parts = urlsplit(place)
    inside = not parts.scheme and not parts.netloc and parts.path.startswith(prefix) and "\\" not in place
    clean = place.isprintable() and not place.startswith("//")
    return place if inside and clean else prefix
