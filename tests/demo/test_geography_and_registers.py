"""The map and the registers hang together."""

from itertools import combinations

import pytest
from shapely.geometry import Point, Polygon, shape
from shapely.ops import unary_union

from pipelines.demo import geography, town
from pipelines.demo.feeds import blocks

METRE_DEG2 = (1 / 111_320.0) ** 2


@pytest.fixture(scope="module")
def references() -> dict[str, list[dict[str, object]]]:
    return town.references(7)


@pytest.mark.parametrize("seed", [7, 8, 2024])
def test_wards_are_valid_touch_and_do_not_overlap(seed: int) -> None:
    polygons = [Polygon(ward.outline) for ward in geography.wards(seed)]
    assert len(polygons) == 12
    assert all(polygon.is_valid for polygon in polygons)
    assert max(a.intersection(b).area for a, b in combinations(polygons, 2)) < METRE_DEG2
    whole = unary_union(polygons)
    assert whole.geom_type == "Polygon"
    assert not whole.interiors
    for one in polygons:
        assert sum(one.intersection(other).length > 0.001 for other in polygons if other is not one) >= 2


def test_geojson_names_every_ward_once_with_rings_that_run_counter_clockwise() -> None:
    features = geography.geojson(7)["features"]
    assert [f["properties"]["ward"] for f in features] == [f"W{n:02d}" for n in range(1, 13)]
    assert all(shape(f["geometry"]).exterior.is_ccw for f in features)


def test_town_has_about_sixty_thousand_people_in_plausible_households(references) -> None:
    people = sum(row["population"] for row in references["wards"])
    assert people == pytest.approx(60_000, rel=0.03)
    assert people / sum(row["households"] for row in references["wards"]) == pytest.approx(4.6, abs=0.1)


def test_every_asset_lies_in_the_ward_it_names(references) -> None:
    outlines = {w.ward: Polygon(w.outline) for w in geography.wards(7)}
    placed = [row for row in references["assets"] if row["lat"] is not None]
    assert len(placed) > 2000
    assert all(outlines[row["ward"]].buffer(1e-6).contains(Point(row["lon"], row["lat"])) for row in placed)


def test_every_id_of_a_register_resolves(references) -> None:
    assets = {row["asset"]: row for row in references["assets"]}
    assert len(assets) == len(references["assets"])
    wards = {row["ward"] for row in references["wards"]}
    assert {row["ward"] for row in references["assets"]} <= wards
    assert {row["parent"] for row in references["assets"] if row["parent"]} <= set(assets)
    sensors = [row["sensor"] for row in references["sensors"]]
    assert len(set(sensors)) == len(sensors)
    assert {row["asset"] for row in references["sensors"]} <= set(assets)
    kinds = {
        "dmas": "dma",
        "tanks": "tank",
        "feeders": "feeder",
        "transformers": "transformer",
        "microgrids": "microgrid",
        "road_links": "road_link",
        "noise_sites": "noise_site",
        "effluent_plants": "effluent_plant",
    }
    for reference, kind in kinds.items():
        named = {row["asset"] for row in references[reference]}
        assert named == {a for a, row in assets.items() if row["kind"] == kind}, reference


def test_transformers_hang_on_feeders_and_meters_on_areas(references) -> None:
    assets = {row["asset"]: row for row in references["assets"]}
    parents = {
        "transformer": "feeder",
        "water_meter": "dma",
        "pressure_point": "dma",
        "pump": "tank",
        "voltage_point": "transformer",
    }
    for row in references["assets"]:
        if row["kind"] in parents:
            assert assets[row["parent"]]["kind"] == parents[row["kind"]], row["asset"]
    assert sum(row["kind"] == "transformer" for row in references["assets"]) == 18
    assert sum(row["kind"] == "water_meter" for row in references["assets"]) == pytest.approx(2000, abs=6)


def test_each_sensor_is_sent_by_exactly_one_block(references) -> None:
    sent = [s.sensor for block in blocks(7) for s in block.series]
    assert sorted(sent) == sorted(row["sensor"] for row in references["sensors"])


def test_two_towns_of_one_seed_are_equal_and_of_two_seeds_are_not(references) -> None:
    again, other = town.references(7), town.references(8)
    assert again == references
    assert other["assets"] != references["assets"]
