"""When a group of alarms is told of: Alertmanager's waits, intervals and repeats, on an injected clock."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pipelines.engine.delivery.notice import Notice
from pipelines.engine.delivery.routes import Route

# A member that has ended for longer and was never told of is no news any more.
OLD_NEWS = timedelta(hours=24)


@dataclass(frozen=True)
class Told:
    """What a receiver was last told of a group: which alarms fired, which had ended, and when."""

    firing: frozenset[str] = frozenset()
    ended: frozenset[str] = frozenset()
    at: datetime | None = None


@dataclass(frozen=True)
class Telling:
    """A group to tell of now. `news` is what the receiver will then have been told."""

    key: str
    route: Route
    firing: tuple[Notice, ...]
    ended: tuple[Notice, ...]
    news: Told


@dataclass
class Group:
    """Alarms told of together: when the next look is due, and its members by id."""

    route: Route
    next_at: datetime
    looked: bool = False
    members: dict[str, Notice] = field(default_factory=dict)


def is_news(told: Told, firing: frozenset[str], ended: frozenset[str], repeat: bool) -> bool:
    """Whether a receiver is to be told: something fires that it does not know of, something that it knows of has ended,
    or it is time to say it again.

    Source: Alertmanager, notify.go, DedupStage.needsUpdate.
    """
    if not firing <= told.firing:
        return True
    if not firing:
        return bool(told.firing)
    return not ended <= told.ended or repeat


class Grouping:
    """The groups of a town. They live in memory: after a restart what was told (durable) keeps them from doubling."""

    def __init__(self, root: Route, told: Mapping[str, Told], direct: Mapping[str, Route] | None = None) -> None:
        """`direct`: the route to each receiver that an alarm may name."""
        self._root, self.told, self._direct = root, dict(told), direct or {}
        self.groups: dict[str, Group] = {}

    def due(self, notices: Iterable[Notice], now: datetime, held: Callable[[Notice], bool]) -> list[Telling]:
        """The groups to tell of now, of all alarms that are known; those that are `held` back wait in their groups."""
        self._take(notices, now)
        tellings = []
        for key, group in list(self.groups.items()):
            if now < group.next_at:
                continue
            group.looked, group.next_at = True, now + group.route.group_interval
            telling = self._look(key, group, now, held)
            if telling:
                tellings.append(telling)
            elif not group.members:
                del self.groups[key]
        return tellings

    def keep(self, telling: Telling) -> None:
        """It is durable that this was told: who has ended leaves the group."""
        self.told[telling.key] = telling.news
        group = self.groups.get(telling.key)
        for notice in telling.ended:
            if group and group.members.get(notice.id) == notice:
                del group.members[notice.id]

    def again(self, tellings: Iterable[Telling], now: datetime) -> None:
        """These could not be made durable: they are due with the next look."""
        for telling in tellings:
            self.groups[telling.key].next_at = now

    def forget(self, now: datetime) -> list[str]:
        """Drop what was told so long ago that it would be said again anyway; gives the keys."""
        longest = {route.key: route.repeat_interval for route in (*self._root.walk(), *self._direct.values())}
        gone = [
            key
            for key, told in self.told.items()
            if key not in self.groups
            and told.at is not None
            and now - told.at > 2 * longest.get(key.partition("|")[0], OLD_NEWS) + OLD_NEWS
        ]
        for key in gone:
            del self.told[key]
        return gone

    def _take(self, notices: Iterable[Notice], now: datetime) -> None:
        for notice in notices:
            for route in self._routes(notice.labels):
                key = route.group(notice.labels)
                group = self.groups.get(key)
                known = notice.id in group.members if group else False
                if not notice.firing and not known and notice.id not in self.told.get(key, Told()).firing:
                    # Ended or muted, and nobody was told of it: there is nothing to take back.
                    continue
                if group is None:
                    group = self.groups[key] = Group(route, now + route.group_wait)
                group.members[notice.id] = notice
                if not group.looked and notice.firing and notice.since + route.group_wait <= now:
                    group.next_at = now

    def _routes(self, labels: Mapping[str, str]) -> list[Route]:
        """Where an alarm goes: by the tree, and to the receiver that it names, whom it reaches once."""
        found, own = list(self._root.found(labels)), self._direct.get(labels.get("tell", ""))
        named = own is not None and all(route.receiver != own.receiver for route in found)
        return [*found, own] if own and named else found

    def _look(self, key: str, group: Group, now: datetime, held: Callable[[Notice], bool]) -> Telling | None:
        members = sorted((m for m in group.members.values() if not held(m)), key=lambda one: (one.since, one.id))
        told = self.told.get(key, Told())
        firing = [one for one in members if one.firing]
        # Of what nobody was told (it came and went while the group waited) nobody is told that it is over.
        ended = [one for one in members if one.ended_at is not None and one.id in told.firing]
        names, over = frozenset(one.id for one in firing), frozenset(one.id for one in ended)
        # Nobody is called again for what somebody has in hand.
        waiting = any(not one.acknowledged for one in firing)
        again = waiting and told.at is not None and now - told.at >= group.route.repeat_interval
        for one in members:
            if not one.firing and one.id not in told.firing:
                del group.members[one.id]
        if not (firing or ended) or not is_news(told, names, over, again):
            return None
        return Telling(key, group.route, tuple(firing), tuple(ended), Told(names, over, now))
