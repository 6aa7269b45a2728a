"""`python -m benchmarks.forecast`: what is usual, bands and steps, scored on recorded feeds against naive and labels.

Recorded feeds are no part of the project: `--data` names their folder (default: ../shared/data). What is absent is
named. Scores use `pipelines/engine/expectation.py` and `level_shifts.py` as the board does.
"""

import argparse
import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl

from pipelines.engine.expectation import BAND_SHARE, Season, departures, expected
from pipelines.engine.level_shifts import level_shifts
from pipelines.engine.model import INSTANT

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
NONE = pl.DataFrame(schema={"series": pl.String, "observed_at": INSTANT})
THREE = ("expected", "day_before", "week_before")
STARTS = tuple(date(2021 + month // 12, month % 12 + 1, 8) for month in range(3, 17, 2))
# A leak is found when a step begins this near to it.
NEAR_BEFORE, NEAR_AFTER = timedelta(days=1), timedelta(days=14)
# An alarm rings where a value lies so many half widths of the band away.
RINGS_AT = (1.0, 1.5, 2.0, 3.0)
M3_H_A_L_S = 3.6


def main() -> None:
    """All scores."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forecast")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the recorded feeds")
    data = parser.parse_args().data
    if not data.is_dir():
        print(f"The recorded feeds are not in {data}; nothing is scored.")
        return
    print("A day ahead: mean absolute error of what was expected, and of the values a day and a week before.\n")
    _forecast("Victoria, demand by hour (MW)", *victoria(data), "hour")
    _forecast("Victoria, demand by day (MW)", *victoria(data), "day")
    inflows = Season("hour", "Europe/Rome")
    _forecast("ten metered areas, inflow by hour (L/s)", areas(data), inflows, "hour")
    _forecast("ten metered areas, inflow by day (L/s)", areas(data), inflows, "day")
    _leaks(nights(areas(data)), data)
    _detectors(data)


def victoria(data: Path) -> tuple[pl.DataFrame, Season]:
    """Hourly demand, with the holidays of its own column."""
    rows = pl.read_csv(data / "energy" / "vic_electricity_halfhourly_2012_2014.csv.gz", try_parse_dates=True)
    at = pl.col("Time").cast(INSTANT).dt.truncate("1h").alias("observed_at")
    hours = rows.group_by(at).agg(value=pl.col("Demand").mean()).sort("observed_at")
    whole = hours.select(series=pl.lit("Victoria"), observed_at="observed_at", value="value")
    return whole, Season("hour", "Australia/Melbourne", frozenset(rows.filter("Holiday")["Date"]))


def areas(data: Path) -> pl.DataFrame:
    """Hourly net inflow of ten metered areas; the hour that a clock change repeats is taken once."""
    whole = pl.read_excel(data / "water" / "bwdf_Inflow_Data_1.xlsx", sheet_name="InflowData", infer_schema_length=0)
    local = pl.col(whole.columns[0]).str.to_datetime("%d/%m/%Y %H:%M")
    at = local.dt.replace_time_zone("Europe/Rome", ambiguous="earliest", non_existent="null")
    rows = whole.unpivot(index=whole.columns[0], variable_name="area").select(
        series=pl.col("area").str.slice(4, 1),
        observed_at=at.dt.convert_time_zone("UTC").cast(INSTANT),
        value=pl.col("value").cast(pl.Float64, strict=False),
    )
    return rows.drop_nulls().unique(["series", "observed_at"], keep="first").sort("series", "observed_at")


def _forecast(title: str, hours: pl.DataFrame, season: Season, step: str) -> None:
    if step == "day":
        local = pl.col("observed_at").dt.convert_time_zone(season.zone).dt.truncate("1d").dt.convert_time_zone("UTC")
        hours = hours.group_by("series", local).agg(pl.col("value").mean()).sort("series", "observed_at")
    found = expected(hours, NONE, Season(step, season.zone, season.holidays))
    judged = found.filter(pl.all_horizontal(pl.col("value", *THREE).is_not_null()))
    missed = {name: (pl.col("value") - pl.col(name)).abs().mean() for name in THREE}
    inside = pl.col("value").is_between("low", "high").mean()
    scores = judged.group_by("series").agg(n=pl.len(), inside=inside, **missed).sort("series")
    print(title)
    for row in scores.iter_rows(named=True):
        naive = min(row["day_before"], row["week_before"])
        shown = "shown" if row["expected"] < naive else "not shown: naive is nearer"
        errors = f"{row['expected']:8.3f} against {row['day_before']:8.3f} and {row['week_before']:8.3f}"
        print(
            f"  {row['series']:<9}{errors}  = {row['expected'] / naive:.2f} of the better one; "
            f"band of {BAND_SHARE:.0%} held {row['inside']:.0%} of {row['n']:,}; {shown}"
        )
    print()


def nights(hours: pl.DataFrame) -> pl.DataFrame:
    """The lowest hour of each night between two and five."""
    local = pl.col("observed_at").dt.convert_time_zone("Europe/Rome")
    dark = hours.filter(local.dt.hour().is_between(2, 4))
    return dark.group_by("series", day=local.dt.date()).agg(pl.col("value").min()).sort("series", "day")


def leak_flows(data: Path) -> Iterator[tuple[str, list[float]]]:
    """The simulated leaks of BattLeDIM 2019: name, and the lowest hourly flow of each night from their begin (L/s)."""
    for name in ("p523", "p257"):
        rows = pl.read_parquet(data / "water" / f"battledim_2019_leak_{name}_SIMULATED.parquet")
        flow = pl.col(name) / M3_H_A_L_S
        hours = rows.group_by_dynamic("Timestamp", every="1h").agg(flow.mean().alias("flow"))
        dark = hours.filter(pl.col("Timestamp").dt.hour().is_between(2, 4))
        low = dark.group_by(pl.col("Timestamp").dt.date()).agg(pl.col("flow").min()).sort("Timestamp")["flow"].to_list()
        first = next(number for number, flow_l_s in enumerate(low) if flow_l_s > 0)
        yield name, [flow_l_s for flow_l_s in low[first:] if flow_l_s > 0]


def _leaks(recorded: pl.DataFrame, data: Path) -> None:
    print("Steps of the recorded night flows themselves (nobody labelled them):")
    for row in level_shifts(recorded).iter_rows(named=True):
        change = f"{row['before']:6.2f} to {row['after']:6.2f} L/s"
        print(f"  area {row['series']}  {row['came']}, found {row['found']}  {change}")
    print(
        "\nLeaks: the simulated flows of BattLeDIM 2019 laid upon the recorded night flows. Of BattLeDIM 2018 there are"
        "\nlabels and no flows: it cannot be scored. Precision counts every other rise in the 60 days after the begin"
        "\nof a leak as false, though some are the recorded areas' own. Naive: one night a tenth above the week before."
    )
    for name, flow in leak_flows(data):
        for finder, found in (("steps that stay", _rises), ("naive", _naive)):
            _leak(name, flow, recorded, finder, found)
    print()


def _rises(days: pl.DataFrame) -> pl.DataFrame:
    return level_shifts(days).filter(pl.col("after") > pl.col("before")).select("series", "came", "found")


def _naive(days: pl.DataFrame) -> pl.DataFrame:
    earlier = days.with_columns(pl.col("day").dt.offset_by("7d")).rename({"value": "week_before"})
    joined = days.join(earlier, on=["series", "day"]).filter(pl.col("value") > 1.1 * pl.col("week_before"))
    return joined.select("series", came="day", found="day")


def _leak(name: str, flow: list[float], recorded: pl.DataFrame, finder: str, find: object) -> None:
    """Recall, precision and delay over areas and begins, apart for leaks small and large against the night flow."""
    parts: dict[str, list[tuple[bool, int, int]]] = {}
    usual = dict(recorded.group_by("series").agg(pl.col("value").median()).iter_rows())
    for start in STARTS:
        leaking = pl.DataFrame({"day": [start + timedelta(days=n) for n in range(len(flow))], "leak": flow})
        laid = recorded.join(leaking, on="day", how="left").with_columns(
            value=pl.col("value") + pl.col("leak").fill_null(0)
        )
        found = find(laid.sort("series", "day"))  # type: ignore[operator]
        for (area,), own in laid.partition_by("series", as_dict=True).items():
            if own.filter(pl.col("day").is_between(start - timedelta(days=28), start + timedelta(days=14))).height < 36:
                continue
            rises = found.filter(pl.col("series") == area)
            near = rises.filter(pl.col("came").is_between(start - NEAR_BEFORE, start + NEAR_AFTER))
            others = rises.filter(
                pl.col("came").is_between(start + NEAR_AFTER, start + timedelta(days=60), closed="right")
            )
            delay = (near["found"].min() - start).days if near.height else 0  # type: ignore[operator]
            size = "a third of the night flow or more" if flow[0] >= usual[area] / 3 else "less than a third"
            parts.setdefault(size, []).append((near.height > 0, others.height, delay))
    for size, rows in sorted(parts.items()):
        hits = [row for row in rows if row[0]]
        false = sum(row[1] for row in rows)
        precision = len(hits) / max(1, len(hits) + false)
        delay = sorted(row[2] for row in hits)[len(hits) // 2] if hits else 0
        recall = f"recall {len(hits)}/{len(rows)} = {len(hits) / len(rows):.2f}"
        told = f"{recall}, precision {precision:.2f}, found on day {delay} in the median"
        print(f"  {name} ({flow[0]:.1f} L/s, {size}), {finder}: {told}")


def detectors(data: Path) -> Iterator[tuple[str, pl.DataFrame, list[tuple[datetime, datetime]]]]:
    """Name, hourly means and the windows that people labelled, of three road detectors of Minnesota."""
    labels = json.loads((data / "traffic" / "mndot_anomaly_labels.json").read_text())["windows"]
    for name, windows in labels.items():
        rows = pl.read_csv(data / "traffic" / f"mndot_{name}", try_parse_dates=True)
        at = pl.col("timestamp").dt.replace_time_zone("UTC").cast(INSTANT).dt.truncate("1h").alias("observed_at")
        hours = rows.group_by(at).agg(pl.col("value").cast(pl.Float64).mean()).sort("observed_at")
        spans = [(datetime.fromisoformat(low), datetime.fromisoformat(high)) for low, high in windows]
        yield name.removesuffix(".csv"), hours.select(pl.lit(name).alias("series"), "observed_at", "value"), spans


def _detectors(data: Path) -> None:
    print(
        "Road detectors with windows that people labelled: hours beyond their band. Labelled windows found, alarms"
        "\n(hours in a row are one) inside and outside of any window, hours from its begin. Naive: beyond four robust"
        "\ndeviations of all hours before."
    )
    for name, hours, windows in detectors(data):
        found = expected(hours, NONE, Season("hour", "UTC"))
        first = found.filter(pl.col("high").is_not_null())["observed_at"].min()
        for times in RINGS_AT:
            _alarms(
                f"{name}, {times:g} times the band", departures(found, times)["observed_at"].to_list(), windows, first
            )
        _alarms(f"{name}, naive", _far(hours), windows, first)


def _far(hours: pl.DataFrame) -> list[datetime]:
    """Hours beyond four robust deviations of all before."""
    far, values = [], hours["value"].to_list()
    for number in range(24, len(values)):
        before = pl.Series(values[:number])
        middle = before.median()
        deviation = 1.4826 * float((before - middle).abs().median() or 0)  # type: ignore[arg-type]
        if abs(values[number] - middle) > 4 * deviation:
            far.append(hours["observed_at"][number])
    return far


def _alarms(title: str, at: list[datetime], windows: list[tuple[datetime, datetime]], first: object) -> None:
    """Print how alarms meet the labelled windows; those before a band could be told cannot be found by it."""
    begins = [
        one.replace(tzinfo=None)
        for number, one in enumerate(at)
        if not number or one - at[number - 1] > timedelta(hours=1)
    ]
    inside = [begin for begin in begins if any(low <= begin <= high for low, high in windows)]
    delays = []
    for low, high in windows:
        own = [begin for begin in begins if low <= begin <= high]
        if own:
            delays.append(round((own[0] - low).total_seconds() / 3600))
    precision = f"{len(inside) / len(begins):.2f}" if begins else "none rang"
    after = "hours after its begin: " + ", ".join(map(str, delays)) if delays else "none found"
    rang = f"precision {precision} ({len(inside)} of {len(begins)} alarms)"
    print(f"  {title}: recall {len(delays)}/{len(windows)}, {rang}; {after}; band from {first:%d %B} on")


if __name__ == "__main__":
    main()
