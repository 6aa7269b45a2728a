"""How a declaration that contradicts itself is refused."""


class DeclarationError(ValueError):
    """A domain module contradicts itself; raised on import, read by the developer of that module."""


def require(holds: object, words: str) -> None:
    """Nothing, when it holds.

    Raises DeclarationError with these words.
    """
    if not holds:
        raise DeclarationError(words)
