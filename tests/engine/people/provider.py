"""A small OpenID provider that really answers over HTTP; it signs by hand, and misbehaves where it is told to."""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import uvicorn
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

SECRET = "the-client-s-secret"


def text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def number(value: int) -> str:
    return text(value.to_bytes((value.bit_length() + 7) // 8, "big"))


class Provider:
    """`person`: who signs in, as claims; `lies`: claims of the identity that are put in place of the true ones."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.signs_with, self.number = self.key, 1
        self.person: dict[str, Any] = {"sub": "s-1", "preferred_username": "asha", "groups": ["water office"]}
        self.lies: dict[str, Any] = {}
        self.algorithm = "RS256"
        self.issuer = ""
        self.given: dict[str, dict[str, str]] = {}
        self.asked_for_keys = 0
        routes = [
            Route("/.well-known/openid-configuration", self._about), Route("/authorize", self._authorize),
            Route("/token", self._token, methods=["POST"]), Route("/keys", self._keys),
        ]  # fmt: skip
        self.app = Starlette(routes=routes)

    async def _about(self, request: Request) -> Response:
        names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
        found = {name: f"{self.issuer}/{path}" for name, path in names.items()}
        return JSONResponse({"issuer": self.issuer, **found})

    async def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        code = secrets.token_urlsafe(16)
        self.given[code] = asked
        back = {"code": code, "state": asked["state"], "iss": self.issuer}
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(back)}", 302)

    async def _token(self, request: Request) -> Response:
        form = {key: str(value) for key, value in (await request.form()).items()}
        asked = self.given.pop(form["code"], None)
        challenge = text(hashlib.sha256(form["code_verifier"].encode()).digest())
        known = base64.b64decode(request.headers["authorization"].partition(" ")[2]).decode()
        if (
            asked is None
            or (asked["code_challenge"], asked["code_challenge_method"]) != (challenge, "S256")
            or asked["redirect_uri"] != form["redirect_uri"]
            or known != f"{asked['client_id']}:{SECRET}"
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": asked["client_id"], "iat": now, "exp": now + 300, "nonce": asked["nonce"],
            **self.person, **self.lies,
        }  # fmt: skip
        return JSONResponse({"access_token": "a", "token_type": "Bearer", "id_token": self.signed(claims)})

    def signed(self, claims: dict[str, Any]) -> str:
        head = {"alg": self.algorithm, "typ": "JWT", "kid": str(self.number)}
        body = f"{text(json.dumps(head).encode())}.{text(json.dumps(claims).encode())}"
        if self.algorithm == "none":
            return f"{body}."
        return f"{body}.{text(self.signs_with.sign(body.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    async def _keys(self, request: Request) -> Response:
        self.asked_for_keys += 1
        public = self.key.public_key().public_numbers()
        key = {"kty": "RSA", "use": "sig", "kid": str(self.number), "n": number(public.n), "e": number(public.e)}
        return JSONResponse({"keys": [key]})

    def turn_keys(self) -> None:
        """Sign with another key from now on, and publish it."""
        self.key = self.signs_with = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.number += 1


@contextmanager
def provider() -> Iterator[Provider]:
    """The provider at a port of its own, as long as the block lasts."""
    made = Provider()
    server = uvicorn.Server(uvicorn.Config(made.app, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
    made.issuer = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    yield made
    server.should_exit = True
    thread.join(5)
