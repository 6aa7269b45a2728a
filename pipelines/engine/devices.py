"""What is known about the devices themselves: their reports, lost frames, restarts, batteries, and who is offline."""

from datetime import datetime, timedelta

import polars as pl

from pipelines.engine.decode.known import Known
from pipelines.engine.device_tables import DEVICE_REPORTS, EDGE_STATES
from pipelines.engine.store import Store

# Two ways of delivering one uplink differ by seconds; hours leave room for a queue that was held up.
REMEMBERED = timedelta(hours=6)
BIRTHS_KEPT = 2
SHOWN = timedelta(days=1)
HEALTH = pl.Schema(
    {
        "device": pl.String(), "feed": pl.String(), "last_seen_at": pl.Datetime("us", "UTC"), "frames": pl.Int64(),
        "lost": pl.Int64(), "repeated": pl.Int64(), "resets": pl.Int64(), "sessions": pl.Int64(),
        "battery_pct": pl.Float64(), "rssi_dbm": pl.Float64(), "snr_db": pl.Float64(), "gateways": pl.Int64(),
        "spreading_factor": pl.Int64(),
    }
)  # fmt: skip
SHOWN_DEVICES = pl.Schema({**HEALTH, "offline_since": pl.Datetime("us", "UTC")})


def health(reports: pl.DataFrame) -> pl.DataFrame:
    """How each device did, from rows of the table device_reports in any order.

    Shape: HEALTH, one row per device; the newest known battery and radio figures. `lost` counts the frames that are
    missing between two counters of one session, `repeated` those that came again with the counter of the one before,
    `resets` the counters that went back within a session: the device lost its memory or was restarted without joining.
    """
    in_order = reports.sort("device", "observed_at", "frame_counter")
    states = ("battery_pct", "rssi_dbm", "snr_db", "gateways", "spreading_factor")
    newest = in_order.group_by("device", maintain_order=True).agg(
        pl.col("feed").last(),
        pl.col("observed_at").max().alias("last_seen_at"),
        *(pl.col(name).drop_nulls().last() for name in states),
    )
    counted = newest.join(frames(in_order), on="device", how="left")
    return counted.select(pl.col(name).cast(kind) for name, kind in HEALTH.items())


def frames(in_order: pl.DataFrame) -> pl.DataFrame:
    """Counts of the frames of each device: frames, lost, repeated, resets, sessions.

    A session ends where the device joins anew (another session, or a birth): its counter may begin anywhere then.
    """
    step = pl.col("frame_counter").diff()
    wraps = pl.col("counter_wraps")
    begins = (pl.col("session") != pl.col("session").shift()).fill_null(value=False) | (pl.col("event") == "NBIRTH")
    counted = in_order.filter(pl.col("frame_counter").is_not_null())
    counted = counted.with_columns(begins=begins.over("device"), step=step.over("device"))
    counted = counted.with_columns(
        step=pl.when("begins").then(None).when(wraps.is_not_null()).then(pl.col("step") % wraps).otherwise("step")
    )
    return counted.group_by("device").agg(
        frames=pl.len().cast(pl.Int64),
        lost=(pl.col("step") - 1).filter(pl.col("step") > 1).sum(),
        repeated=(pl.col("step") == 0).sum().cast(pl.Int64),
        resets=(pl.col("step") < 0).sum().cast(pl.Int64),
        sessions=(pl.col("begins").slice(1).sum() + 1).cast(pl.Int64),
    )


def offline(states: pl.DataFrame) -> pl.DataFrame:
    """The nodes and devices that said goodbye (or whose broker did) and have not come back.

    Shape: edge, since; a device is offline when its node is. `states`: rows of the table edge_states in any order.
    """
    newest = states.sort("observed_at").unique("edge", keep="last").with_columns(node=_node())
    nodes = newest.filter(pl.col("edge") == pl.col("node")).select("node", node_state="state", node_at="observed_at")
    both = newest.join(nodes, on="node", how="left")
    gone = pl.col("node_state") == "offline"
    # A device whose node came back has to be born again before anything it says can be read.
    unborn = (pl.col("observed_at") < pl.col("node_at")) & (pl.col("edge") != pl.col("node"))
    down = (pl.col("state") == "offline") | gone.fill_null(value=False) | unborn.fill_null(value=False)
    since = pl.when(pl.col("state") == "offline").then("observed_at").otherwise("node_at")
    return both.filter(down).select("edge", since=since).sort("edge")


def as_shown(store: Store, now: datetime) -> pl.DataFrame:
    """The devices heard within a day and those that are offline.

    Shape: SHOWN_DEVICES; offline_since is null for those that are not.
    """
    reports = store.rows(DEVICE_REPORTS.name, now - SHOWN)
    down = offline(store.rows(EDGE_STATES.name, columns=["edge", "state", "observed_at"]))
    return health(reports).join(
        down.rename({"edge": "device", "since": "offline_since"}), on="device", how="full", coalesce=True
    )


def _node() -> pl.Expr:
    """group/node of group/node/device."""
    return pl.col("edge").str.split("/").list.head(2).list.join("/")


def recall(store: Store, now: datetime) -> Known:
    """What a line that starts must know of earlier messages: recent reports and the newest births."""
    known = Known()
    columns = ["device", "event", "report", "observed_at", "counter_wraps"]
    known.learn({DEVICE_REPORTS.name: store.rows(DEVICE_REPORTS.name, now - REMEMBERED, columns=columns)})
    seen = store.rows(EDGE_STATES.name, columns=["edge", "state", "observed_at"])
    births = seen.filter(pl.col("state") == "online").sort("observed_at").group_by("edge").tail(BIRTHS_KEPT)
    for (edge,), since in births.group_by("edge"):
        start = since["observed_at"].min()
        assert isinstance(start, datetime)
        rows = store.rows(EDGE_STATES.name, start, where="edge = $edge", params={"edge": edge})
        known.learn({EDGE_STATES.name: rows})
    return known
