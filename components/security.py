"""What a browser lets the board's pages do, and the two short scripts that stand in them."""

import base64
import hashlib
from functools import lru_cache

from components.asgi import Headers, Scope

THEME_SCRIPT = (
    "(function(){var t;try{t=localStorage.getItem('townboard-theme')}catch(e){}"
    "if(t!=='light'&&t!=='dark')t=matchMedia('(prefers-color-scheme: dark)').matches?'dark':'light';"
    "document.documentElement.dataset.bsTheme=t})()"
)
# A filter that is chosen before the page's scripts have come asks the server at once.
EARLY_SCRIPT = (
    "document.addEventListener('change',function(e){var f=e.target.form;"
    "if(f&&f.matches('#first .filters'))f.requestSubmit()})"
)
# What pages show and hide where no script runs.
WITHOUT_SCRIPT = ".needs-script{display:none!important}.only-without-script{display:inline-block!important}"
# Charts make themselves an empty sheet, and write their rules into it by the browser's own way for that.
EMPTY = ""
# What the scripts of Dash 4.4.1 write into the head of each page (decision 33); a browser test says when another
# version writes something else.
OF_DASH = (
    "ITR5T9OwskhdqdsliUJRmgp9ltOFAHgXe1F7eRvGnmQ=", "0IJGrxhCP5NUIafylLkj5118xkZH1kp5FmNio7NOckI=",
    "Z8VokGxeiKThZOEmkdUgfW+jxbvItBwAXC8M1c4wqAM=", "VUA+tqvhK3niMn7AdszqidMFPRh9FLqxB2iINUrsiTw=",
    "Aq43X0SlmB69maWGob4rp/UuSHhwePalkRRExtsxOJ8=", "SkhFDxgIcEjMhRh19uSHWrkdnAlZ9rlskgr9yLsipa8=",
    "uDiOZWps1U7E8/0BTaQrclYMhVhRVE4dT0vb5X6nXOw=", "+QoPrsxO0auPnxSulD3bAr9CoDGgzv7YRfYE0vfxeQI=",
    "MJs2ke1SA6Cy3tTCZu2QH0rj0r//iNqU0idy9bM4leg=", "X2TqJwnIiE/ceDVeAdr7v7BOWBU6CEzE6qxlNzBzvBk=",
    "Do5Z9ZqsPvCQTUBQS9BnDm/2+on7omuzuLYk5sbA+2s=",
)  # fmt: skip


# No page of a browser needs anything of what is no page: a table, an answer in words, a picture.
NOTHING = b"default-src 'none'; frame-ancestors 'none'; sandbox"
PLAIN: Headers = [
    (b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"), (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
]  # fmt: skip
# Two years, as those who keep lists of such sites ask for; only where the board was reached by https.
STRICT = (b"strict-transport-security", b"max-age=63072000")


@lru_cache(maxsize=64)
def _named(text: str) -> str:
    """A script or a style as a policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def closed() -> Headers:
    """The headers of an answer that is no page."""
    return [(b"content-security-policy", NOTHING), *PLAIN]


def completed(scope: Scope, headers: Headers) -> Headers:
    """The headers of an answer with those of safety that it does not bring itself."""
    there = {name.lower() for name, _ in headers}
    strict = [STRICT] if scope.get("scheme") == "https" else []
    return [*headers, *(one for one in (*closed(), *strict) if one[0] not in there)]


def policy(hashes: tuple[str, ...] = (), styles: tuple[str, ...] = ()) -> Headers:
    """The headers that keep a page to itself; `hashes` name the scripts of Dash that stand in it, where it is one of
    Dash's, `styles` are the texts of its style elements.
    """
    scripts = " ".join([*hashes, *map(_named, (THEME_SCRIPT, EARLY_SCRIPT))])
    foreign = [f"'sha256-{one}'" for one in (OF_DASH if hashes else ())]
    sheets = " ".join([*map(_named, dict.fromkeys((WITHOUT_SCRIPT, EMPTY, *styles))), *foreign])
    words = (
        f"default-src 'self'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; "
        f"style-src-elem 'self' {sheets}; style-src-attr 'unsafe-inline'; "
        "img-src 'self' data: blob:; worker-src 'self' blob:; connect-src 'self'; object-src 'none'; "
        "base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
    )
    return [
        (b"content-security-policy", words.encode()),
        *PLAIN,
    ]
