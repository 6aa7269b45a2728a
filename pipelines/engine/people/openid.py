"""OpenID Connect: people come in by a sign-in that the town has already (code flow with PKCE, state and nonce)."""

import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
from authlib.common.errors import AuthlibBaseError
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import get_well_known_url
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from pipelines.engine.asking import Misasked
from pipelines.engine.people.accounts import NAME
from pipelines.engine.people.plan import OpenId
from pipelines.engine.people.porter import Porter
from pipelines.engine.people.roles import ROLES

log = logging.getLogger("townboard")
# What a sign-in may sign with: a secret shared with us would be one that we could sign with too.
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]
PATIENCE_S, LEEWAY_S, REMEMBERED_S, MOST_BYTES = 10.0, 60, 3_600.0, 1 << 20
DOWN = "The town's own sign-in does not answer at the moment. Sign in with a password, or try again in a few minutes."
STRANGE = "This answer of the town's own sign-in does not fit what was asked. Begin once more on the page Sign in."
NOBODY = (
    "The town's own sign-in knows you, but none of your groups has a role on this board. Ask whoever looks after it."
)


@dataclass(frozen=True)
class Asked:
    """What is remembered in the browser between the way there and the way back."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)


class OpenIdDesk:
    """One town's sign-in; what it says of itself is asked for when somebody comes, and remembered for an hour."""

    def __init__(self, plan: OpenId) -> None:
        self.plan = plan
        self._about: dict[str, Any] = {}
        self._keys = KeySet([])
        self._looked = 0.0

    async def way_there(self) -> tuple[str, Asked]:
        """The address at which somebody signs in, and what has to come back.

        Raises Misasked when nobody answers there.
        """
        about = await self._known()
        asked = Asked(*(secrets.token_urlsafe(32) for _ in range(3)))
        address = prepare_grant_uri(
            about["authorization_endpoint"], self.plan.client_id, "code", redirect_uri=self.plan.back,
            scope=" ".join(self.plan.scopes), state=asked.state, nonce=asked.nonce,
            code_challenge=create_s256_code_challenge(asked.verifier), code_challenge_method="S256",
        )  # fmt: skip
        return str(address), asked

    async def vouched(self, asked: Asked | None, came: Mapping[str, str]) -> Mapping[str, Any]:
        """What the sign-in vouches for, of whoever comes back with these words in the address.

        Raises Misasked: it is no answer to what was asked, not signed by whom it should be, or nobody answers.
        """
        if asked is None or not secrets.compare_digest(came.get("state", "").encode(), asked.state.encode()):
            raise Misasked(STRANGE, 403)
        about = await self._known()
        if came.get("iss", about["issuer"]) != about["issuer"]:
            raise Misasked(STRANGE, 403)
        if "code" not in came:
            log.warning("the town's own sign-in let somebody not in: %s", came.get("error", "")[:60])
            raise Misasked(STRANGE, 403)
        told = await self._exchanged(about, came["code"], asked.verifier)
        claims = await self._checked(str(told.get("id_token", "")), str(told.get("access_token", "")), asked.nonce)
        if self.plan.role_claim in claims or "userinfo_endpoint" not in about:
            return claims
        more = await self._json(about["userinfo_endpoint"], token=str(told.get("access_token", "")))
        # OpenID Connect Core 5.3.2: of somebody else it must not be used.
        return {**more, **claims} if more.get("sub") == claims["sub"] else claims

    async def _exchanged(self, about: Mapping[str, Any], code: str, verifier: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": self.plan.back,
            "client_id": self.plan.client_id, "code_verifier": verifier,
        }  # fmt: skip
        told = await self._json(about["token_endpoint"], form=form)
        if not told:
            raise Misasked(STRANGE, 403)
        return told

    async def _checked(self, id_token: str, access_token: str, nonce: str) -> Mapping[str, Any]:
        for fresh in (False, True):
            try:
                read = jwt.decode(id_token, self._keys, algorithms=ALGORITHMS)
                claims = CodeIDToken(
                    read.claims, read.header,
                    {"iss": {"essential": True, "value": self.plan.issuer},
                     "aud": {"essential": True, "value": self.plan.client_id}},
                    {"nonce": nonce, "client_id": self.plan.client_id, "access_token": access_token},
                )  # fmt: skip
                claims.validate(leeway=LEEWAY_S)
                return dict(claims)
            except (JoseError, AuthlibBaseError, ValueError, KeyError, TypeError) as error:
                # Its keys may have changed since they were asked for.
                if fresh:
                    log.warning("an identity of the town's own sign-in was refused: %s", type(error).__name__)
                    raise Misasked(STRANGE, 403) from error
                self._looked = 0.0
                await self._known()
        raise Misasked(STRANGE, 403)

    async def _known(self) -> dict[str, Any]:
        """What the sign-in says of itself, with its keys."""
        if self._looked and time.monotonic() - self._looked < REMEMBERED_S:
            return self._about
        about = await self._json(get_well_known_url(self.plan.issuer, external=True))
        try:
            self._fits(about)
            self._keys = KeySet.import_key_set(await self._json(about["jwks_uri"]))  # type: ignore[arg-type]
        except (ValueError, KeyError, JoseError) as error:
            log.warning("what the town's own sign-in says of itself cannot be used: %s", error)
            raise Misasked(DOWN, 503) from error
        self._about, self._looked = about, time.monotonic()
        return about

    def _fits(self, about: Mapping[str, Any]) -> None:
        """Nothing, when it is the sign-in we mean, and all of it as safe on the way as its issuer.

        Raises ValueError, KeyError.
        """
        if about["issuer"].rstrip("/") != self.plan.issuer:
            raise ValueError("it is another issuer")
        scheme = urlsplit(self.plan.issuer).scheme
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if urlsplit(about[name]).scheme not in ("https", scheme):
                raise ValueError(f"its {name} is no https address")

    async def _json(self, address: str, *, form: Mapping[str, str] | None = None, token: str = "") -> dict[str, Any]:
        """What is answered there; nothing, when a form was wrong (400).

        Raises Misasked when nobody answers, or with something else.
        """
        secret = self.plan.client_secret
        auth = httpx.BasicAuth(self.plan.client_id, secret) if secret and form is not None else None
        headers = {"Accept": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        try:
            async with httpx.AsyncClient(timeout=PATIENCE_S, auth=auth, headers=headers) as client:
                asked = client.get(address) if form is None else client.post(address, data=dict(form))
                answer = await asked
            if answer.status_code == httpx.codes.BAD_REQUEST and form is not None:
                return {}
            if answer.status_code != httpx.codes.OK or len(answer.content) > MOST_BYTES:
                raise ValueError(f"it answered {answer.status_code}")
            told = answer.json()
            if not isinstance(told, dict):
                raise ValueError("it answered no object")
        except (httpx.HTTPError, ValueError) as error:
            log.warning("the town's own sign-in cannot be asked: %s", type(error).__name__)
            raise Misasked(DOWN, 503) from error
        return told


def role_of(plan: OpenId, claims: Mapping[str, Any]) -> str:
    """The role that somebody's groups give; of several the one that may most.

    Raises Misasked when they give none.
    """
    told = claims.get(plan.role_claim, ())
    groups = [told] if isinstance(told, str) else told if isinstance(told, list) else []
    roles = [plan.roles[group] for group in groups if isinstance(group, str) and group in plan.roles]
    if not roles:
        raise Misasked(NOBODY, 403)
    return max(roles, key=list(ROLES).index)


def name_of(plan: OpenId, claims: Mapping[str, Any]) -> str:
    """The name under what somebody does: as the sign-in calls them, without what stands behind an @.

    Raises Misasked when it calls them nothing that can be a name here.
    """
    told = str(claims.get(plan.name_claim) or claims.get("preferred_username") or claims.get("email") or "")
    name = told.partition("@")[0].strip().lower()
    if not NAME.match(name):
        raise Misasked(
            f"The town's own sign-in calls you `{told[:40]}`, which is no name here: 2 to 32 small letters, digits and "
            ". _ - . Ask whoever looks after Townboard."
        )
    return name


async def enter(porter: Porter, claims: Mapping[str, Any], *, peer: str, agent: str, before: str | None) -> str:
    """The secret of a session for somebody whom the town's own sign-in vouches for.

    Raises Misasked: no role, no name, or the name is somebody else's here.
    """
    plan = porter.access.openid
    assert plan is not None
    role, name = role_of(plan, claims), name_of(plan, claims)
    subject = f"{plan.issuer} {claims['sub']}"
    owner = await porter.told("admit", subject=subject, name=name, role=role)
    return await porter.whole(str(owner), peer=peer, agent=agent, before=before)
