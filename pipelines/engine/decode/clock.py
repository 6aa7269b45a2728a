"""Times as files write them -> instants in UTC, with the clock changes of the declared zone."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import available_timezones

import polars as pl

from pipelines.engine.decode.figures import Figures

NAIVE = pl.Datetime("us")
INSTANT = pl.Datetime("us", "UTC")
EPOCHS = {"s": 1_000_000, "ms": 1_000, "us": 1}
FIRST, LAST = datetime(1900, 1, 1), datetime(2200, 1, 1)  # noqa: DTZ001 a bound on clock readings, in no zone
OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})")
ISO = (
    r"^(?P<day>\d{4}-?\d{2}-?\d{2})"
    r"(?:[T ](?P<hour>\d{2}):?(?P<minute>\d{2})(?::?(?P<second>\d{2})(?:[.,](?P<part>\d{1,9}))?)?)?"
    r"\s*(?P<offset>[Zz]|[+-]\d{2}(?::?\d{2})?)?$"
)
SPREADSHEET_TIME = r"^1899-12-3[01] (\d{2}:\d{2}:\d{2})"


@dataclass(frozen=True)
class Clock:
    """How a file writes a time: in which columns, format or epoch unit, and zone; ISO 8601 when nothing is said.

    `zone` is an IANA name or a fixed offset such as +01:00.
    """

    columns: tuple[str, ...]
    format: str | None = None
    epoch: str | None = None
    zone: str | None = None

    @property
    def example(self) -> str:
        """A time as the file should have it, for the clerk."""
        if self.epoch:
            return str(1710684300 * 1_000_000 // EPOCHS[self.epoch])
        return datetime(2024, 3, 17, 14, 5, tzinfo=UTC).strftime(self.format or "%Y-%m-%dT%H:%M:%SZ")


def clock_of(rule: Any, zone: str | None) -> Clock:
    """The clock that a mapping's `time` (or an instant column of a table) declares."""
    if isinstance(rule, str):
        return Clock((" ".join(rule.split()),), zone=zone or None)
    columns = rule.get("columns") or [rule["column"]]
    return Clock(
        tuple(" ".join(name.split()) for name in columns),
        rule.get("format"),
        rule.get("epoch"),
        rule.get("zone", zone) or None,
    )


@cache
@cache
def zone_names() -> frozenset[str]:
    """The zones by name that this machine knows; looking for them reads a folder of hundreds of files."""
    return frozenset(available_timezones())


def zone_known(zone: str) -> bool:
    """Whether this is a zone that times can be converted from."""
    if OFFSET.fullmatch(zone):
        return True
    try:
        pl.Series([FIRST], dtype=NAIVE).dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return False
    return True


@cache
def format_fault(form: str) -> str | None:
    """Why this time format cannot be used, in words; None when it can."""
    if "%Z" in form:
        return 'a zone\'s letters (%Z) are not unique; leave them as plain text in the format and write zone = "..."'
    if not re.search(r"%(-?[dj]|[eDFTcsx+])", form):
        return "it names no day; write for example %d/%m/%Y %H:%M"
    example = datetime(2024, 3, 17, 14, 5, 9, tzinfo=UTC)
    try:
        read = _formatted(pl.Series([example.strftime(form)]), form)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError):
        return "it cannot be understood; write for example %d/%m/%Y %H:%M"
    if read["naive"][0] is None or read["naive"][0].date() != example.date():
        return "it cannot be read back; write for example %d/%m/%Y %H:%M"
    return None


def seconds(interval: str) -> int | None:
    """The length of an interval written like `15 min`, `1 h` or `1 day`; None when it is none."""
    found = re.fullmatch(r"(\d{1,6})\s*(s|min|h|day)s?", str(interval).strip())
    return int(found[1]) * {"s": 1, "min": 60, "h": 3600, "day": 86400}[found[2]] if found else None


def clock_readings(cells: pl.DataFrame, clock: Clock, dated: bool = False) -> pl.DataFrame:
    """What the clock on the wall showed, per row.

    Shape: `naive` (null when empty or unreadable), `fixed` (the time named its own offset: naive is UTC already),
    `day_only` (no time of day was written), `text` (what was found).
    """
    parts = [cells[name] for name in clock.columns]
    if len(parts) == 1 and parts[0].dtype.is_temporal():
        return _sane(_typed(parts[0]))
    text = _joined(parts, dated)
    if clock.epoch:
        read = _epoch(text, parts, EPOCHS[clock.epoch])
    elif clock.format:
        read = _formatted(text, clock.format)
        read = _filled(read, _iso(text)) if dated else read
    else:
        read = _iso(text)
    return _sane(read.with_columns(text.alias("text")))


def _joined(parts: list[pl.Series], dated: bool) -> pl.Series:
    texts = pl.DataFrame([part.cast(pl.String).alias(str(i)) for i, part in enumerate(parts)])
    columns = [pl.col(name).str.strip_chars() for name in texts.columns]
    if dated:
        columns = [column.str.replace(SPREADSHEET_TIME, "$1") for column in columns]
        columns[:-1] = [column.str.replace(r" 00:00:00$", "") for column in columns[:-1]]
    joined = pl.concat_str(columns, separator=" ")
    return texts.select(pl.when(joined != "").then(joined).alias("text")).to_series()


def _typed(times: pl.Series) -> pl.DataFrame:
    zone = getattr(times.dtype, "time_zone", None)
    utc = times.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if zone else times
    naive = utc.cast(NAIVE, strict=False) if times.dtype in (pl.Date, pl.Datetime) else pl.Series([None] * len(times))
    return pl.DataFrame({"naive": naive.cast(NAIVE)}).with_columns(
        fixed=pl.lit(zone is not None), day_only=pl.lit(times.dtype == pl.Date), text=times.cast(pl.String)
    )


def _epoch(text: pl.Series, parts: list[pl.Series], factor: int) -> pl.DataFrame:
    whole = text.cast(pl.Int64, strict=False)
    numbers, _ = Figures().numbers(parts[0] if len(parts) == 1 else text)
    frame = pl.DataFrame({"whole": whole, "number": numbers})
    sane = pl.col("number").abs() * factor < 1e16
    micros = pl.coalesce(pl.col("whole") * factor, (pl.col("number") * factor).round().cast(pl.Int64, strict=False))
    return frame.select(
        pl.when(sane).then(micros).cast(NAIVE).alias("naive"), fixed=pl.lit(True), day_only=pl.lit(False)
    )


def _iso(text: pl.Series) -> pl.DataFrame:
    groups = pl.DataFrame({"text": text}).select(pl.col("text").str.extract_groups(ISO)).unnest("text")
    offset = pl.col("offset").str.replace(":", "", literal=True).str.pad_end(5, "0")
    shift = pl.col("offset").str.slice(0, 1).replace_strict({"-": -1, "+": 1}, default=0, return_dtype=pl.Int64) * (
        offset.str.slice(1, 2).cast(pl.Int64, strict=False) * 60 + offset.str.slice(3, 2).cast(pl.Int64, strict=False)
    )
    late = pl.col("hour") == "24"
    hour = pl.when(late).then(pl.lit("00")).otherwise(pl.col("hour").fill_null("00"))
    spelled = pl.concat_str(
        pl.col("day").str.replace_all("-", ""), hour, pl.col("minute").fill_null("00"),
        pl.col("second").fill_null("00"), pl.lit("."), pl.col("part").fill_null("0"),
    )  # fmt: skip
    naive = spelled.str.to_datetime("%Y%m%d%H%M%S%.f", strict=False, time_unit="us")
    only_full = pl.when(
        ~late.fill_null(False) | ((pl.col("minute") == "00") & (pl.col("second").fill_null("00") == "00"))
    )
    day_later = pl.when(late.fill_null(False)).then(pl.duration(days=1)).otherwise(pl.duration(days=0))
    return groups.select(
        (only_full.then(naive) + day_later - pl.duration(minutes=shift.fill_null(0))).alias("naive"),
        fixed=pl.col("offset").is_not_null(),
        day_only=pl.col("hour").is_null(),
    )


def _formatted(text: pl.Series, form: str) -> pl.DataFrame:
    form = form.replace(".%f", "%.f")
    timed = bool(re.search(r"%-?[HIkl]|%[RTrc]", form))
    if timed and not re.search(r"%-?M|%[RTrc]", form):
        text, form = text + " 00", form + " %M"
    times = text.str.to_datetime(form, strict=False, time_unit="us", ambiguous="earliest")
    fixed = getattr(times.dtype, "time_zone", None) is not None
    naive = times.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if fixed else times
    read = pl.DataFrame({"naive": naive.cast(NAIVE)}).with_columns(fixed=pl.lit(fixed), day_only=pl.lit(not timed))
    if "%H" in form and not fixed and (naive.is_null() & text.is_not_null()).any():
        return _filled(read, _midnight_as_24(text, form))
    return read


def _midnight_as_24(text: pl.Series, form: str) -> pl.DataFrame:
    """Times written as 24:00, which is 00:00 of the next day."""
    before, after = (_as_pattern(part) for part in form.split("%H", 1))
    midnight = text.str.replace(f"^({before})24({after})$", "${1}00${2}")
    changed = pl.DataFrame({"is": midnight, "was": text}).select((pl.col("is") != pl.col("was")).fill_null(False))
    naive = midnight.set(~changed.to_series(), None).str.to_datetime(form, strict=False, time_unit="us")
    full_day = (naive.dt.hour() == 0) & (naive.dt.minute() == 0) & (naive.dt.second() == 0)
    naive = (naive + timedelta(days=1)).set(~full_day.fill_null(False), None)
    return pl.DataFrame({"naive": naive}).with_columns(fixed=pl.lit(False), day_only=pl.lit(False))


def _as_pattern(form: str) -> str:
    return "".join(
        r".+?" if piece.startswith("%") else re.escape(piece) for piece in re.split(r"(%[-.]?\w)", form) if piece
    )


def _filled(first: pl.DataFrame, second: pl.DataFrame) -> pl.DataFrame:
    empty = first["naive"].is_null()
    return first.with_columns(
        pl.when(empty).then(second[name]).otherwise(pl.col(name)).alias(name) for name in ("naive", "fixed", "day_only")
    )


def _sane(read: pl.DataFrame) -> pl.DataFrame:
    return read.with_columns(pl.when(pl.col("naive").is_between(FIRST, LAST)).then(pl.col("naive")).alias("naive"))


def instants(read: pl.DataFrame, zone: str | None, series: pl.Series | None = None) -> tuple[pl.Series, pl.Series]:
    """The instants, and beside each that cannot be told the reason: naive_time or nonexistent_time.

    `series` says which rows follow each other (the sensor). In the hour that autumn gives twice, the first row with
    a clock reading lies before the change and the second after it; without `series` every one lies before it.
    """
    naive, fixed = read["naive"], read["fixed"]
    offset = OFFSET.fullmatch(zone or "")
    if offset:
        minutes = int(offset[1] + "1") * (int(offset[2]) * 60 + int(offset[3]))
        zoned: Any = (naive - timedelta(minutes=minutes)).dt.replace_time_zone("UTC")
    elif zone:
        zoned = _zoned(read, zone, series)
    else:
        zoned = pl.Series([None], dtype=INSTANT).new_from_index(0, len(naive))
    reason = "nonexistent_time" if zone else "naive_time"
    both = pl.DataFrame({"fixed": fixed, "utc": naive.dt.replace_time_zone("UTC"), "zoned": zoned, "naive": naive})
    both = both.with_columns(at=pl.when("fixed").then("utc").otherwise("zoned"))
    lost = pl.col("at").is_null() & pl.col("naive").is_not_null()
    both = both.with_columns(reason=pl.when(lost).then(pl.lit(reason)))
    return both["at"], both["reason"]


def _zoned(read: pl.DataFrame, zone: str, series: pl.Series | None) -> pl.Series:
    naive = read["naive"]
    early, late = (_utc(naive, zone, which) for which in ("earliest", "latest"))
    # Where the clock changes at midnight that day has no 00:00; it begins at 01:00.
    begins_late = early.is_null() & read["day_only"] & naive.is_not_null()
    if begins_late.any():
        early = early.zip_with(~begins_late, _utc(naive + timedelta(hours=1), zone, "earliest"))
    twice = ((early != late) & ~read["fixed"]).fill_null(False)
    if series is None or not twice.any():
        return early
    return late.zip_with(_second_pass(naive, early, twice, series), early)


def _utc(naive: pl.Series, zone: str, which: Any) -> pl.Series:
    return naive.dt.replace_time_zone(zone, ambiguous=which, non_existent="null").dt.convert_time_zone("UTC")


def _second_pass(naive: pl.Series, early: pl.Series, twice: pl.Series, series: pl.Series) -> pl.Series:
    """Which of the ambiguous rows belong to the second pass of the hour.

    A row does when its clock reading has been there before, or when the clock has jumped back within that hour in
    a series that otherwise runs in order. A series that runs from new to old is read from its end.
    """
    rows = pl.DataFrame({"naive": naive, "early": early, "twice": twice, "series": series.alias("series")})
    rows = rows.with_row_index("place").filter(pl.col("naive").is_not_null())
    step = pl.col("early").filter(~pl.col("twice")).diff().dt.total_microseconds()
    order = rows.group_by("series").agg(up=(step > 0).sum(), down=(step < 0).sum())
    hours = rows.filter("twice").join(order, on="series", how="left", nulls_equal=True)
    hours = hours.with_columns(turned=pl.when(pl.col("down") > pl.col("up")).then(-1).otherwise(1))
    hours = hours.sort(pl.col("place").cast(pl.Int64) * pl.col("turned"))
    hour = ["series", pl.col("early").dt.truncate("3h")]
    back = (pl.col("naive").diff() <= pl.duration(seconds=0)).fill_null(False)
    ordered = pl.min_horizontal("up", "down") == 0
    jumped = back.cum_sum().over(hour) > 0
    again = pl.col("naive").cum_count().over("series", "naive") > 1
    hours = hours.with_columns(after=again | (ordered & (pl.col("up") + pl.col("down") > 0) & jumped))
    second = hours.filter("after")["place"]
    return pl.Series("place", range(len(naive)), dtype=pl.UInt32).is_in(second.implode())
