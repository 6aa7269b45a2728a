"""What a browser lets the board's pages do, and the one script that stands in them."""

import base64
import hashlib

from components.asgi import Headers

THEME_SCRIPT = (
    "(function(){var t;try{t=localStorage.getItem('townboard-theme')}catch(e){}"
    "if(t!=='light'&&t!=='dark')t=matchMedia('(prefers-color-scheme: dark)').matches?'dark':'light';"
    "document.documentElement.dataset.bsTheme=t})()"
)


def policy(hashes: tuple[str, ...] = ()) -> Headers:
    """The headers that keep a page to itself; `hashes` name further scripts that stand in it."""
    own = base64.b64encode(hashlib.sha256(THEME_SCRIPT.encode()).digest()).decode()
    scripts = " ".join([*hashes, f"'sha256-{own}'"])
    words = (
        f"default-src 'self'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; worker-src 'self' blob:; connect-src 'self'; object-src 'none'; "
        "base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
    )
    return [
        (b"content-security-policy", words.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"same-origin"),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ]
