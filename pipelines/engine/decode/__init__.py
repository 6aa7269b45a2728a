"""Decoders: bytes of one payload -> frames with canonical column names; one module a wire format."""

from pipelines.engine.decode.base import (
    Decoded,
    Refusal,
    Refused,
    RowOriginals,
    Together,
    decoder,
    fills,
    formats,
    together,
)

__all__ = ["Decoded", "Refusal", "Refused", "RowOriginals", "Together", "decoder", "fills", "formats", "together"]
