"""The topic of an MQTT feed: what the broker is asked for, and which fields a message's topic gives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engine.settings.topics import topic_of

LEVEL = st.text(st.characters(blacklist_characters="/+#{}\x00", blacklist_categories=["Cs"]), max_size=8)


@pytest.mark.parametrize(
    ("written", "filtered", "topic", "fields"),
    [
        ("town/water/{asset}/{what}", "town/water/+/+", "town/water/T1/level", {"asset": "T1", "what": "level"}),
        ("town/water/{asset}/{what}", "town/water/+/+", "town/water/T1", None),
        ("town/water/{asset}/{what}", "town/water/+/+", "town/water/T1/level/raw", None),
        ("spBv1.0/{group}/{rest...}", "spBv1.0/+/#", "spBv1.0/plant/DDATA/n1/d1", {"group": "plant", "rest": "DDATA/n1/d1"}),
        ("a/{rest...}", "a/#", "a", {"rest": ""}),
        ("+/up/#", "+/up/#", "x/up/y/z", {}),
        ("a.b/c", "a.b/c", "aXb/c", None),
        ("#", "#", "any/thing", {}),
    ],
)  # fmt: skip
def test_topic_gives_the_filter_and_the_fields(written: str, filtered: str, topic: str, fields: object) -> None:
    found = topic_of(written)
    assert found.filter == filtered
    told = found.fields(topic)
    assert (told and dict(told)) == (fields if fields is None else {"topic": topic, **fields})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("town/tank-{asset}/level", "mixes text with a placeholder"),
        ("town/{rest...}/level", "must be the last"),
        ("town/#/level", "must be the last"),
        ("town/{a}/{a}", "taken already"),
        ("town/{topic}", "taken already"),
        ("$share/group/town/+", "shared subscription"),
    ],
)
def test_topic_that_cannot_be_is_refused_in_words(written: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        topic_of(written)


@given(levels=st.lists(LEVEL, min_size=1, max_size=5), other=st.lists(LEVEL, min_size=1, max_size=5))
def test_named_levels_are_those_of_the_topic(levels: list[str], other: list[str]) -> None:
    named = topic_of("/".join(f"{{l{n}}}" for n in range(len(levels))))
    fields = named.fields("/".join(levels))
    assert fields is not None
    assert [fields[f"l{n}"] for n in range(len(levels))] == levels
    assert (named.fields("/".join(other)) is not None) == (len(other) == len(levels))
