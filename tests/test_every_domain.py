"""The contract that every domain keeps, whatever it measures: a sixth one is held to it without an edit here."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines import available
from pipelines.engine import flow, registers, settings, validate
from pipelines.engine.calendar import windows
from pipelines.engine.decode import Decoded, decoder
from pipelines.engine.decode.base import FORMATS, fills
from pipelines.engine.flow import RawMessage
from pipelines.engine.line import Line
from pipelines.engine.measures import KEYS
from pipelines.engine.model import ENGINE_TABLES, GRAINS, INSTANT, Domain, Kpi, Source
from pipelines.engine.people.roles import ITSELF
from pipelines.engine.picture import STATE, Picture
from pipelines.engine.tables import ARRIVALS
from pipelines.engine.tables import ENGINE_TABLES as OWN_TABLES
from pipelines.engine.town import Town
from tests.engine import small_town
from tests.shipped import shipped

DOMAINS = dict(available())
SAMPLES = Path(__file__).resolve().parents[1] / "data" / "samples"
ZONE = "Asia/Kolkata"
# Later than any sample, so that nothing in them lies in the future.
NOW = datetime(2026, 7, 1, 7, 0, tzinfo=UTC)
SOURCES = [(name, source) for name, domain in DOMAINS.items() for source in domain.sources]
KPIS = [(name, kpi) for name, domain in DOMAINS.items() for kpi in domain.kpis]
PICTURES = [(name, picture) for name, domain in DOMAINS.items() for picture in domain.pictures]
RESULT = {*KEYS, "value", "numerator", "denominator", "n", "n_expected", "coverage", "reason", "detail", "as_of"}
REASONS = {None, "no_data", "insufficient_data", "stale", "not_applicable"}


def ids(things: list[tuple[str, Any]]) -> list[str]:
    return [f"{name}.{getattr(thing, 'id', None) or thing.name}" for name, thing in things]


def feed(domain: str, source: Source) -> settings.Feed:
    """The feed that this source is in a town."""
    table = str(source.mapping.get("table", "readings"))
    return settings.Feed(
        name=source.name, title=source.meaning, origin="drop_folder", format=source.format, table=table, every=source.every,
        zone=ZONE, domains=(domain,), mapping=source.mapping,
    )  # fmt: skip


def decoded(domain: str, source: Source) -> Decoded:
    """The source's sample through its decoder and mapping."""
    assert source.sample, f"{domain}.{source.name} has no sample"
    found = feed(domain, source)
    about: dict[str, Any] = {
        **found.mapping,
        "format": found.format,
        "table": found.table,
        "zone": ZONE,
        "feed": found.name,
    }
    tables = {table.name: table for table in DOMAINS[domain].tables}
    if found.table in tables:
        about["kinds"] = {column.name: column.kind for column in tables[found.table].columns}
    return decoder(source.format)((SAMPLES / source.sample).read_bytes(), about, NOW)


@pytest.fixture(scope="module")
def bare_town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A town of every domain to which nothing has come yet."""
    folder = small_town.make(tmp_path_factory.mktemp("bare") / "town", domains=DOMAINS)
    yield Town(small_town.read(folder), lambda: NOW)


@pytest.mark.parametrize(("name", "picture"), PICTURES, ids=ids(PICTURES))
def test_picture_says_what_is_unknown_when_nothing_has_come(bare_town: Town, name: str, picture: Picture) -> None:
    shown = bare_town.pictures.show(name, picture.id, actor=ITSELF)
    assert set(shown.rows.columns) - {STATE} == set(picture.names)
    assert shown.said, "it has no sentence"
    for one in shown.said:
        for words in filter(None, (one.words, one.many)):
            assert words.format_map(dict(one.values)).rstrip().endswith((".", "?"))
    for column in picture.columns:
        assert len(column.meaning) <= 40, f"{column.name}: a heading is short"
    for ward in ("W1", None):
        assert bare_town.pictures.show(name, picture.id, ward=ward, days=30, actor=ITSELF).said


def test_there_are_domains() -> None:
    assert {"transport", "water", "energy", "pollution", "grievances"} <= set(DOMAINS)
    assert all(name == domain.name for name, domain in DOMAINS.items())


def test_no_name_is_used_twice_over_all_domains() -> None:
    whole = list(DOMAINS.values())
    readable = [thing.name for d in whole for thing in (*d.quantities, *d.tables, *d.references)]
    readable += [f"{q.name}_{grain}" for d in whole for q in d.quantities for grain in GRAINS]
    readable += [*ENGINE_TABLES, *(table.name for table in OWN_TABLES if table.name not in ENGINE_TABLES)]
    for names in (readable, [k.id for d in whole for k in d.kpis], [a.name for d in whole for a in d.alarms]):
        assert not [name for name, count in Counter(names).items() if count > 1]


def test_catalogue_ids_are_each_computed_by_one_domain_only() -> None:
    owners: dict[str, set[str]] = {}
    for name, kpi in KPIS:
        owners.setdefault(kpi.catalogue, set()).add(name)
    assert {catalogue: names for catalogue, names in owners.items() if len(names) > 1} == {}


@pytest.mark.parametrize("domain", DOMAINS.values(), ids=DOMAINS)
def test_domain_says_what_it_is_in_plain_words(domain: Domain) -> None:
    assert domain.title
    assert len(domain.meaning) > 20
    assert domain.kpis
    assert any(kpi.headline for kpi in domain.kpis)
    for thing in (*domain.quantities, *domain.tables, *domain.references, *domain.sources):
        assert len(thing.meaning) > 5, thing.name
    for thing in (*domain.tables, *domain.references):
        assert all(column.meaning for column in thing.columns), thing.name


@pytest.mark.parametrize(("name", "kpi"), KPIS, ids=ids(KPIS))
def test_kpi_tells_people_all_they_need_to_believe_it(name: str, kpi: Kpi) -> None:
    for words in (kpi.title, kpi.plain, kpi.formula, kpi.standard, kpi.unit, kpi.catalogue):
        assert words.strip()
    assert len(kpi.plain) > 15
    assert 0 <= kpi.min_coverage <= 1
    assert kpi.decimals >= 0
    assert (kpi.function.__doc__ or "").strip()
    assert kpi.watch is None or kpi.target is not None
    assert kpi.watch is None or (kpi.watch <= kpi.target if kpi.better == "higher" else kpi.watch >= kpi.target)


@pytest.mark.parametrize("domain", DOMAINS.values(), ids=DOMAINS)
def test_alarm_tells_the_operator_what_to_do(domain: Domain) -> None:
    levels = {kpi.id: kpi.levels for kpi in domain.kpis}
    for rule in domain.alarms:
        assert rule.title
        assert len(rule.instruction.split()) > 4, rule.name
        # An alarm on a KPI must name a level at which the KPI has values.
        assert rule.watches not in levels or rule.level in levels[rule.watches], rule.name
        assert rule.watches in levels or rule.column or rule.level == "asset", rule.name


def test_every_sample_belongs_to_a_source() -> None:
    declared = {source.sample for _, source in SOURCES}
    present = {str(path.relative_to(SAMPLES)) for path in SAMPLES.glob("*/*") if path.name.lower() != "readme.md"}
    # What devices of any domain send belongs to a format, whose tests read it.
    assert declared == {name for name in present if not name.startswith("devices/")}


@pytest.mark.parametrize(("name", "source"), SOURCES, ids=ids(SOURCES))
def test_sample_decodes_and_validates_without_a_refusal(name: str, source: Source, tmp_path: Path) -> None:
    assert source.format in FORMATS
    found = decoded(name, source)
    assert not found.refused
    assert found.rows
    produced = fills(source.format, str(source.mapping.get("table", "")))
    assert set(found.tables) <= {*produced, "readings", *(table.name for table in DOMAINS[name].tables)}
    town = registers.load(settings.load(town_for(name, tmp_path), available))
    tables = {table.name: table for table in DOMAINS[name].tables}
    checked = validate.check(found, feed(name, source), tables, town, NOW, 300.0)
    assert checked.refused.select("reason", "detail").rows() == []
    assert sum(frame.height for frame in checked.good.values()) == found.rows


def town_for(name: str, folder: Path) -> Path:
    """A town whose registers know every sensor that the domain's samples speak of."""
    domain = DOMAINS[name]
    sensors, units = sensors_of(name), {quantity.name: quantity.unit for quantity in domain.quantities}
    reference = folder / "reference"
    reference.mkdir(parents=True)
    (folder / "town.toml").write_text(f'[town]\nname = "T"\ntimezone = "{ZONE}"\ndomains = ["{name}"]\n')
    wards = [f"W{number:02d},Ward {number},1000,250" for number in range(1, 10)]
    (reference / "wards.csv").write_text("\n".join(["ward,name,population,households", *wards, ""]))
    assets = [f"A{number},{name},thing,Thing,W01,0,0," for number in range(len(sensors))]
    (reference / "assets.csv").write_text("\n".join(["asset,domain,kind,name,ward,lat,lon,parent", *assets, ""]))
    rows = [
        f"{sensor},A{number},{quantity},{units[quantity]},15 min,,"
        for number, (sensor, quantity) in enumerate(sensors.items())
    ]
    (reference / "sensors.csv").write_text("\n".join(["sensor,asset,quantity,unit,every,low,high", *rows, ""]))
    return folder


def sensors_of(name: str) -> dict[str, str]:
    """Each sensor in the samples with the first quantity that its unit and its values fit."""
    fitting: dict[str, str] = {}
    for owner, source in SOURCES:
        frame = decoded(owner, source).tables.get("readings") if owner == name else None
        if frame is None:
            continue
        unit = frame["unit"] if "unit" in frame.columns else pl.Series([None] * frame.height, dtype=pl.String)
        cells = frame.select("sensor", pl.col("value").cast(pl.Float64, strict=False)).with_columns(unit=unit)
        for (sensor,), part in cells.partition_by("sensor", as_dict=True).items():
            fitting[str(sensor)] = quantity_for(DOMAINS[name], str(sensor), part)
    return fitting


def quantity_for(domain: Domain, sensor: str, part: pl.DataFrame) -> str:
    for quantity in domain.quantities:
        factors = [factor_of(unit, quantity.unit) for unit in part["unit"]]
        if None in factors:
            continue
        values = [
            value * f[0] + f[1] for value, f in zip(part["value"], factors, strict=True) if value is not None and f
        ]
        low, high = quantity.low, quantity.high
        if all((low is None or v >= low) and (high is None or v <= high) for v in values):
            return quantity.name
    raise AssertionError(f"no quantity of {domain.name} fits the sensor {sensor} of the samples")


def factor_of(unit: str | None, wanted: str) -> tuple[float, float] | None:
    try:
        return validate.conversion(unit, wanted) if unit else (1.0, 0.0)
    except validate.UnitError:
        return None


# every KPI, called plainly and through the line -------------------------------------------------------------------


def empty(domain: Domain, name: str) -> pl.DataFrame:
    """The input of this name without a row."""
    place = {"sensor": pl.String, "asset": pl.String, "kind": pl.String, "ward": pl.String, "observed_at": INSTANT}
    rolled = {
        "n": pl.Int64,
        **dict.fromkeys(("expected", "sum", "min", "max", "last"), pl.Float64),
        "last_at": INSTANT,
    }
    tables = {table.name: {**table.schema, "received_at": INSTANT} for table in domain.tables}
    references = {reference.name: reference.schema for reference in (*domain.references, *registers.ENGINE_REFERENCES)}
    if name == "sensors":
        numbers = {"every_s": pl.Float64, "low": pl.Float64, "high": pl.Float64}
        return pl.DataFrame(
            schema={
                **dict.fromkeys(("sensor", "asset", "kind", "ward", "quantity", "unit"), pl.String),
                **numbers,
                "parent": pl.String,
            }
        )
    if name == "arrivals":
        return pl.DataFrame(schema={**ARRIVALS.schema, "received_at": INSTANT})
    if name in tables:
        return pl.DataFrame(schema=tables[name])
    if name in references:
        own = next((one for one in domain.references if one.name == name and one.shipped), None)
        return shipped(own) if own else pl.DataFrame(schema=references[name])
    return pl.DataFrame(
        schema={**place, "value": pl.Float64} if name in {q.name for q in domain.quantities} else {**place, **rolled}
    )


def given_nothing(domain: Domain, kpi: Kpi, now: datetime) -> pl.DataFrame:
    grid = windows(kpi.window, now - timedelta(hours=1), now, now, ZONE)
    special = {"windows": grid, "zone": ZONE}
    return kpi.function(**{name: special[name] if name in special else empty(domain, name) for name in kpi.inputs})


def check_shape(kpi: Kpi, found: pl.DataFrame) -> None:
    assert set(KEYS) <= set(found.columns)
    assert set(found.columns) <= RESULT, f"{kpi.id} gives columns nobody reads"
    assert "value" in found.columns or {"numerator", "denominator"} <= set(found.columns)
    assert not found.select(KEYS).is_duplicated().any()
    assert found.null_count().select(KEYS).row(0) == (0, 0)
    if "reason" in found.columns:
        assert set(found["reason"]) <= REASONS


@pytest.mark.parametrize(("name", "kpi"), KPIS, ids=ids(KPIS))
def test_kpi_gives_its_shape_and_no_false_zero_when_nothing_is_known(name: str, kpi: Kpi) -> None:
    found = given_nothing(DOMAINS[name], kpi, NOW)
    check_shape(kpi, found)
    if "denominator" in found.columns:
        empty_ratio = found.filter(pl.col("denominator").fill_null(0) == 0)
        if "value" in found.columns:
            assert empty_ratio["value"].drop_nulls().is_empty()


@pytest.mark.parametrize("name", DOMAINS)
def test_every_kpi_of_the_domain_is_computed_from_its_samples(name: str, tmp_path: Path) -> None:
    found = settings.load(town_for(name, tmp_path), available)
    line = Line(found, registers.load(found), NOW)
    sources = [source for owner, source in SOURCES if owner == name]
    for source in sources:
        payload = (SAMPLES / str(source.sample)).read_bytes()
        for again in range(2):
            (receipt,) = flow.take(line, [RawMessage(found.feeds[source.name], payload, NOW)], NOW)
            assert receipt.decoded == receipt.stored + receipt.duplicate + receipt.quarantined
            assert receipt.quarantined == 0, receipt.reasons
            assert not again or receipt.stored == 0, f"{source.name}: the same payload again is not known"
    flow.beat(line, NOW)
    while not line.kpis.settled:
        flow.beat(line, NOW)
    faults, areas = (
        dict(line.kpis.faults),
        {work.kpi.id: set(work.current["area"]) for work in line.kpis.works.values()},
    )
    levels = {kpi.id: set(kpi.levels) for kpi in found.kpis}
    line.close()
    assert faults == {}
    for kpi, seen in areas.items():
        assert {area.partition(":")[0] for area in seen} <= levels[kpi], f"{kpi} gives a level that it does not declare"
