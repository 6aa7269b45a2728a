"""Errors for the three kinds of reader: the clerk who sets up, the row that is wrong, the source that is down."""

from collections.abc import Sequence


class SettingsError(Exception):
    """The town's settings or registers hold mistakes; stops the start; each names file, line and what is allowed."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = tuple(mistakes)


class SourceDown(Exception):
    """A source does not answer as it should; it is tried again and shown on the feeds page in these words."""


class StoreError(Exception):
    """The store cannot be opened or written; the text says what to do."""
