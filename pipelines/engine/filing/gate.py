"""Who may post a form that anybody can see: not too often from one address, and no address is kept as it is."""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address

from pipelines.engine.filing.faults import Faulty

WINDOW = timedelta(hours=1)
# From all addresses together; somebody with many of them must not fill the office's list either.
MOST_TOGETHER_TIMES = 20
MOST_ADDRESSES = 20_000
# A household has a network of so many bits; what is behind them its devices change at will.
IPV6_NETWORK_BITS = 64


class Gate:
    """Counts by address for one web process; what it knows of addresses ends with the process."""

    def __init__(self, per_hour: int, clock: Callable[[], datetime]) -> None:
        self._most, self._clock, self._salt = per_hour, clock, secrets.token_bytes(32)
        self._seen: OrderedDict[bytes, tuple[datetime, int]] = OrderedDict()

    def check(self, peer: str) -> None:
        """Nothing, when this address may file one more.

        Raises Faulty.
        """
        for key, most in self._keys(peer):
            if self._standing(key)[1] >= most:
                raise Faulty("form", "often")

    def passed(self, peer: str) -> None:
        """Count one that was filed from this address."""
        for key, _ in self._keys(peer):
            since, count = self._standing(key)
            self._seen.pop(key, None)
            self._seen[key] = since, count + 1
        while len(self._seen) > MOST_ADDRESSES:
            self._seen.popitem(last=False)

    def _keys(self, peer: str) -> list[tuple[bytes, int]]:
        return [(self._hashed(network(peer)), self._most), (self._hashed("all"), self._most * MOST_TOGETHER_TIMES)]

    def _hashed(self, text: str) -> bytes:
        return hmac.new(self._salt, text.encode(), hashlib.sha256).digest()

    def _standing(self, key: bytes) -> tuple[datetime, int]:
        now = self._clock()
        since, count = self._seen.get(key, (now, 0))
        return (since, count) if timedelta(0) <= now - since < WINDOW else (now, 0)


def network(peer: str) -> str:
    """What counts as one address: an IPv4 address, or the network of an IPv6 one."""
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(int(address) >> (128 - IPV6_NETWORK_BITS))
    return str(getattr(address, "ipv4_mapped", None) or address)
