"""The topic of an MQTT feed: `town/water/{asset}/{quantity}` -> the broker's filter, and the fields of a topic."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

LEVEL = re.compile(r"\{([A-Za-z_]\w*)\}")
REST = re.compile(r"\{([A-Za-z_]\w*)\.\.\.\}")
# What every message has beside it, whatever its topic is called.
RESERVED = ("topic", "received_at")


@dataclass(frozen=True)
class Topic:
    """A topic filter whose named levels give fields."""

    text: str
    filter: str
    pattern: re.Pattern[str]

    def fields(self, topic: str) -> Mapping[str, str] | None:
        """The named levels of a message's topic, and the topic itself; None when this filter does not let it pass."""
        found = self.pattern.fullmatch(topic)
        if found is None:
            return None
        return {"topic": topic, **{name: text or "" for name, text in found.groupdict().items()}}


def topic_of(text: str) -> Topic:
    """The topic that a town has written.

    Raises ValueError with what is allowed.
    """
    levels = text.split("/")
    filters, patterns, names = [], [], []
    for place, level in enumerate(levels):
        kind, name, pattern = _level(level)
        if kind == "#" and place != len(levels) - 1:
            raise ValueError(f"`{level}` stands for all levels that follow, so it must be the last")
        filters.append(kind)
        # `a/#` is also what came on `a` itself.
        patterns.append(f"(?:/{pattern})?" if kind == "#" and place else ("/" if place else "") + pattern)
        names += [name] if name else []
    wrong = [name for name in names if names.count(name) > 1 or name in RESERVED]
    if wrong:
        raise ValueError(f"the name {{{wrong[0]}}} is taken already; choose another one")
    if levels[0] == "$share":
        raise ValueError("a shared subscription would leave a part of the messages to others; name the topic itself")
    return Topic(text, "/".join(filters), re.compile("".join(patterns), re.DOTALL))


def _level(level: str) -> tuple[str, str, str]:
    """Filter, name and pattern of one level."""
    if named := LEVEL.fullmatch(level):
        return "+", named[1], f"(?P<{named[1]}>[^/]*)"
    if rest := REST.fullmatch(level):
        return "#", rest[1], f"(?P<{rest[1]}>.*)"
    if level == "+":
        return "+", "", "[^/]*"
    if level == "#":
        return "#", "", ".*"
    if re.search(r"[{}+#]", level):
        raise ValueError(
            f"the level `{level}` mixes text with a placeholder; braces stand for one whole level between two "
            "slashes, as in `town/water/{asset}/{quantity}`, and `{rest...}` for all that follow"
        )
    return level, "", re.escape(level)
