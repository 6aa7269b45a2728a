"""Public transport and roads: timetable and live buses (GTFS), traffic counts and speeds, crashes."""

from datetime import timedelta
from pathlib import Path

from pipelines.engine.model import AlarmRule, Domain, Source
from pipelines.transport.kpis import KPIS
from pipelines.transport.pictures import PICTURES
from pipelines.transport.tables import LIVE, QUANTITIES, ROAD_LINKS, TIMETABLE

SOURCES = (
    Source(
        name="gtfs_static",
        format="gtfs_static",
        every=timedelta(days=7),
        meaning="Timetable (GTFS zip)",
        mapping={"table": "gtfs_trips"},
        sample="transport/gtfs.zip",
    ),
    Source(
        name="vehicle_positions",
        format="gtfs_realtime",
        every=timedelta(seconds=30),
        meaning="Where the buses are (GTFS-Realtime)",
        mapping={"table": "vehicle_positions"},
        sample="transport/vehicle_positions.pb",
    ),
    Source(
        name="trip_updates",
        format="gtfs_realtime",
        every=timedelta(seconds=30),
        meaning="How late the trips are (GTFS-Realtime)",
        mapping={"table": "trip_updates"},
        sample="transport/trip_updates.pb",
    ),
    Source(
        name="service_alerts",
        format="gtfs_realtime",
        every=timedelta(minutes=5),
        meaning="Disruptions announced (GTFS-Realtime)",
        mapping={"table": "service_alerts"},
        sample="transport/service_alerts.pb",
    ),
    Source(
        name="traffic_counts",
        format="csv",
        every=timedelta(minutes=15),
        meaning="Traffic counts, speeds and travel times",
        sample="transport/traffic_counts.csv",
    ),
    Source(
        name="crashes",
        format="csv",
        every=timedelta(days=31),
        meaning="Road crashes with injury, from the police",
        mapping={"table": "crashes"},
        sample="transport/crashes.csv",
    ),
)

ALARMS = (
    AlarmRule(
        name="route_bunched",
        title="Buses of a route run bunched",
        watches="bunching_now",
        level="route",
        above=20,
        deadband=5,
        on_delay=timedelta(minutes=1),
        off_delay=timedelta(minutes=10),
        priority="medium",
        instruction="Call the operator's control room: hold the second bus at a timing point until the gap is back. "
        "Look on the map for what stopped the first bus.",
    ),
    AlarmRule(
        name="route_unpunctual",
        title="A route is rarely on time today",
        watches="on_time_performance",
        level="route",
        below=60,
        deadband=5,
        on_delay=timedelta(minutes=15),
        off_delay=timedelta(minutes=30),
        priority="low",
        instruction="Look which stop the delays begin at. Tell passengers; if it lasts, ask for a relief bus.",
    ),
    AlarmRule(
        name="link_slow",
        title="Traffic on a road stands",
        watches="speed_of_free_flow",
        level="asset",
        below=40,
        deadband=10,
        on_delay=timedelta(minutes=5),
        off_delay=timedelta(minutes=10),
        priority="medium",
        instruction="Look at the camera or send a patrol: crash, broken-down vehicle or signal failure. "
        "Buses on this road will be late: tell the operator.",
    ),
)

DOMAIN = Domain(
    name="transport",
    title="Transport",
    meaning="Buses against their timetable, the live data behind them, and traffic on the roads",
    quantities=QUANTITIES,
    tables=(*TIMETABLE, *LIVE),
    references=(ROAD_LINKS,),
    sources=SOURCES,
    kpis=KPIS,
    alarms=ALARMS,
    pictures=PICTURES,
    rules=Path(__file__).parent / "limits" / "rules.csv",
)
