"""Routes: which receivers an alarm goes to, by the rules of Alertmanager's route tree."""

import pytest

from pipelines.engine.delivery.routes import Matcher, Route

WATER = (Matcher("domain", "=", "water"),)
URGENT = (Matcher("priority", "=~", "critical|high"),)


@pytest.mark.parametrize(
    ("text", "labels", "holds"),
    [
        ('priority="critical"', {"priority": "critical"}, True),
        ('priority="critical"', {"priority": "criticals"}, False),
        ("ward =~ W0[1-3]", {"ward": "W02"}, True),
        ("ward=~W0", {"ward": "W02"}, False),
        ('ward!~"W0."', {"ward": "W11"}, True),
        ('asset!=""', {"ward": "W11"}, False),
        ('asset=""', {}, True),
    ],
)
def test_matcher_holds_as_in_alertmanager(text: str, labels: dict[str, str], holds: bool) -> None:
    assert Matcher.of(text).holds(labels) is holds


@pytest.mark.parametrize(
    ("text", "words"), [("priority", "is no condition"), ('colour="red"', "an alarm has"), ('ward=~"("', "regular")]
)
def test_matcher_is_refused_in_words_when_it_asks_what_no_alarm_has(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Matcher.of(text)


def tree(*, continues: bool) -> Route:
    deep = Route(key="r.1.1", receiver="pumps", matchers=URGENT)
    water = Route(key="r.1", receiver="water", matchers=WATER, routes=(deep,), continues=continues)
    urgent = Route(key="r.2", receiver="duty", matchers=URGENT)
    return Route(key="r", receiver="all", routes=(water, urgent))


@pytest.mark.parametrize(
    ("labels", "continues", "receivers"),
    [
        ({"domain": "water", "priority": "low"}, False, ["water"]),
        ({"domain": "water", "priority": "high"}, False, ["pumps"]),
        ({"domain": "water", "priority": "high"}, True, ["pumps", "duty"]),
        ({"domain": "energy", "priority": "high"}, False, ["duty"]),
        ({"domain": "energy", "priority": "low"}, True, ["all"]),
    ],
)
def test_alarm_takes_the_deepest_route_and_goes_on_only_where_it_is_told_to(
    labels: dict[str, str], continues: bool, receivers: list[str]
) -> None:
    assert [route.receiver for route in tree(continues=continues).found(labels)] == receivers


def test_group_is_named_by_the_route_and_the_labels_it_groups_by() -> None:
    route = Route(key="r", receiver="all", group_by=("domain", "ward"))
    assert route.group({"domain": "water", "ward": "W07", "asset": "P1"}) == "r|domain=water|ward=W07"
    assert route.group({"domain": "water"}) == "r|domain=water|ward="
