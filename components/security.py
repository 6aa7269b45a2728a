"""What a browser lets the board's pages do, and the two short scripts that stand in them."""

import base64
import hashlib

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


# No page of a browser needs anything of what is no page: a table, an answer in words, a picture.
NOTHING = b"default-src 'none'; frame-ancestors 'none'; sandbox"
PLAIN: Headers = [
    (b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"), (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
]  # fmt: skip
# Two years, as those who keep lists of such sites ask for; only where the board was reached by https.
STRICT = (b"strict-transport-security", b"max-age=63072000")


def closed() -> Headers:
    """The headers of an answer that is no page."""
    return [(b"content-security-policy", NOTHING), *PLAIN]


def completed(scope: Scope, headers: Headers) -> Headers:
    """The headers of an answer with those of safety that it does not bring itself."""
    there = {name.lower() for name, _ in headers}
    strict = [STRICT] if scope.get("scheme") == "https" else []
    return [*headers, *(one for one in (*closed(), *strict) if one[0] not in there)]


def policy(hashes: tuple[str, ...] = ()) -> Headers:
    """The headers that keep a page to itself; `hashes` name further scripts that stand in it."""
    own = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (THEME_SCRIPT, EARLY_SCRIPT))
    scripts = " ".join([*hashes, *(f"'sha256-{one}'" for one in own)])
    words = (
        f"default-src 'self'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; worker-src 'self' blob:; connect-src 'self'; object-src 'none'; "
        "base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
    )
    return [
        (b"content-security-policy", words.encode()),
        *PLAIN,
    ]
