"""[access] of town.toml: who needs a second factor, how much one address may ask, and the town's own sign-in."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipelines.engine.people.plan import Access, OpenId
from pipelines.engine.people.roles import ROLES
from pipelines.engine.settings.document import Document, choice

ACCESS_KEYS = {"second_factor_from", "requests_per_minute", "connections_per_address", "openid"}
OPENID_KEYS = {
    "issuer", "client_id", "client_secret_file", "title", "address", "scopes", "name_claim", "role_claim", "roles",
}  # fmt: skip
SECTION, OPENID = "access", "access.openid"
FEWEST_A_MINUTE = 60
# A browser opens six at once, and its page holds one.
FEWEST_HELD = 16


def read_access(document: Document, raw: Any, folder: Path) -> Access:
    """What the section says; every mistake is noted."""
    if not isinstance(raw, dict):
        document.wrong("", SECTION, "`access` must be a section: write [access] and its keys below.")
        return Access()
    for key in set(raw) - ACCESS_KEYS:
        document.unknown(SECTION, key, ACCESS_KEYS)
    least = choice(document, SECTION, raw, "second_factor_from", ROLES, None) if "second_factor_from" in raw else None
    return Access(
        second_factor_from=least,
        requests_per_minute=_most(document, raw, "requests_per_minute", FEWEST_A_MINUTE),
        connections_per_address=_most(document, raw, "connections_per_address", FEWEST_HELD),
        openid=_openid(document, raw, folder),
    )


def _most(document: Document, raw: Mapping[str, Any], key: str, fewest: int) -> int:
    """How much one address may have, a number that lets a person work."""
    usual = int(getattr(Access, key))
    most = raw.get(key, usual)
    if isinstance(most, int) and not isinstance(most, bool) and most >= fewest:
        return most
    document.wrong(SECTION, key, f"`{key} = {most!r}` must be a whole number from {fewest} on.")
    return usual


def _openid(document: Document, above: Mapping[str, Any], folder: Path) -> OpenId | None:
    if "openid" not in above:
        return None
    raw = above["openid"]
    if not isinstance(raw, dict):
        document.wrong(SECTION, "openid", "`openid` must be a section: write [access.openid] and its keys below.")
        return None
    for key in set(raw) - OPENID_KEYS:
        document.unknown(OPENID, key, OPENID_KEYS)
    issuer, address = _address(document, raw, "issuer"), _address(document, raw, "address")
    given = {key: str(raw[key]) for key in ("title", "name_claim", "role_claim") if isinstance(raw.get(key), str)}
    for key in ({"title", "name_claim", "role_claim"} & set(raw)) - set(given):
        document.wrong(OPENID, key, f"`{key} = {raw[key]!r}` must be a text.")
    client = raw.get("client_id")
    if not isinstance(client, str) or not client:
        document.wrong(
            OPENID, "client_id", 'say how this board is called there, for example `client_id = "townboard"`.'
        )
        client = "townboard"
    return OpenId(
        issuer=issuer.rstrip("/"),
        client_id=client,
        client_secret=_secret(document, raw, folder),
        title=given.get("title", urlsplit(issuer).hostname or ""),
        back=f"{address.rstrip('/')}/signin/openid/back",
        scopes=_scopes(document, raw),
        name_claim=given.get("name_claim", OpenId.name_claim),
        role_claim=given.get("role_claim", OpenId.role_claim),
        roles=_roles(document, raw),
    )


def _address(document: Document, raw: Mapping[str, Any], key: str) -> str:
    """An https address; http only of this machine, where nobody stands between."""
    text = raw.get(key)
    parts = urlsplit(text) if isinstance(text, str) else urlsplit("")
    safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost"))
    if not safe or not parts.hostname or parts.query or parts.fragment:
        what = "where the sign-in is" if key == "issuer" else "where people open this board"
        words = f'`{key}` must be the https address {what}, for example `{key} = "https://login.example.org"`.'
        document.wrong(OPENID, key, words)
        return "https://login.invalid"
    return str(text)


def _scopes(document: Document, raw: Mapping[str, Any]) -> tuple[str, ...]:
    scopes = raw.get("scopes", list(OpenId.scopes))
    if not isinstance(scopes, list) or not all(isinstance(one, str) for one in scopes) or "openid" not in scopes:
        words = '`scopes` must be a list of texts with "openid" in it, for example ["openid", "profile", "groups"].'
        document.wrong(OPENID, "scopes", words)
        return OpenId.scopes
    return tuple(scopes)


def _secret(document: Document, raw: Mapping[str, Any], folder: Path) -> str:
    """The secret that stands alone in a file; empty for a board that has none there and proves itself by PKCE alone."""
    if "client_secret_file" not in raw:
        return ""
    name = raw["client_secret_file"]
    path = folder / name if isinstance(name, str) else folder
    if not path.is_file():
        document.wrong(
            OPENID, "client_secret_file", f"there is no file `{name}` beside town.toml that holds the secret."
        )
        return ""
    return path.read_text("utf-8").strip()


def _roles(document: Document, raw: Mapping[str, Any]) -> dict[str, str]:
    told = raw.get("roles")
    if not isinstance(told, dict) or not told:
        words = 'say who may do what: a section [access.openid.roles] with lines such as `"water office" = "operator"`.'
        document.wrong(OPENID, "roles", words)
        return {}
    for group, role in told.items():
        if role not in ROLES:
            words = f"`{group} = {role!r}`: choose one of {', '.join(ROLES)}."
            document.wrong(f"{OPENID}.roles", group, words)
    return {group: role for group, role in told.items() if role in ROLES}
