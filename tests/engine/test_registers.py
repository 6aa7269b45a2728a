"""The registers: what a clerk mistypes is named by file and line."""

from pathlib import Path

import pytest

from pipelines.engine import registers
from pipelines.engine.errors import SettingsError
from tests.engine import small_town
from tests.engine.small_town import make, read

S = small_town


def words_of(folder: Path, name: str, text: str | bytes) -> tuple[str, ...]:
    town = make(folder / "town")
    path = town / "reference" / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SettingsError) as caught:
        registers.load(read(town))
    return caught.value.mistakes


MISTAKES = {
    "column_missing": ("sensors.csv", "sensor,asset,quantity,unit\nx,D1,inflow_m3_h,L/s\n", "line 1: the column every is missing", "Found: sensor, asset"),
    "empty_file": ("assets.csv", "", "line 1: the column asset, domain, kind is missing", "Found: nothing"),
    "required_cell": ("assets.csv", S.ASSETS + "\nX1,water,,Name,W1,,,\n", "line 7, column kind", "nothing is written here"),
    "twice": ("wards.csv", S.WARDS + "W1,Again,5,5\n", "line 4: W1 stands already on line 2", "Keep one"),
    "number": ("wards.csv", S.WARDS + "W3,West,about 5000,5\n", "line 4, column population: `about 5000` is not a number", "12.5"),
    "not_finite": ("wards.csv", S.WARDS + "W3,West,nan,5\n", "line 4, column population: `nan`", "not a number"),
    "outside": ("assets.csv", S.ASSETS + "X1,water,tank,N,W1,95,0.5,\n", "line 6, column lat: 95 is outside", "-90"),
    "unknown_ward": ("assets.csv", "\n".join(["", S.ASSETS.strip(), "", "X1,water,tank,N,W9,,,"])[1:], "line 7, column ward: `W9`", "wards.csv"),
    "unknown_domain": ("assets.csv", S.ASSETS + "X1,energy,feeder,N,W1,,,\n", "line 6, column domain: `energy`", "town.toml [town] domains"),
    "unknown_asset": ("sensors.csv", S.SENSORS + "x,D9,inflow_m3_h,m^3/h,5 min,,\n", "line 7, column asset: `D9`", "assets.csv"),
    "unknown_quantity": ("sensors.csv", S.SENSORS + "x,D1,inflow,m^3/h,5 min,,\n", "line 7, column quantity: `inflow`", "domains that are on"),
    "unit_of_something_else": ("sensors.csv", S.SENSORS + "x,D1,inflow_m3_h,kW,5 min,,\n", "line 7, column unit", "do not measure the same thing"),
    "unknown_unit": ("sensors.csv", S.SENSORS + "x,D1,inflow_m3_h,buckets,5 min,,\n", "line 7, column unit", "'buckets' is not known"),
    "interval": ("sensors.csv", S.SENSORS + "\n\nx,D1,inflow_m3_h,m^3/h,often,,\n", "line 9, column every", "is no duration"),
    "limits_exchanged": ("sensors.csv", S.SENSORS + "x,D1,inflow_m3_h,m^3/h,5 min,9,2\n", "line 7: low 9 is above high 2", "Exchange"),
    "unquoted_comma": ("assets.csv", S.ASSETS + "X1,water,tank,Mill, the old one,W1,,,D1\n", "line 6: more cells than the 8 columns", "quotes"),
    "not_utf8": ("wards.csv", "ward,name\nW1,Bürg\n".encode("latin-1"), "not saved as UTF-8", "CSV UTF-8"),
    "own_table": ("dmas.csv", "asset,connections\nD1,many\n", "line 2, column connections: `many`", "not a number"),
    "endless_cell": ("assets.csv", S.ASSETS + 'X1,water,tank,"' + "N" * 140_000, "line 6: a cell holds more than 131,072 characters", "quotation mark"),
    "too_many_to_count": ("dmas.csv", "asset,connections\nD1,9999999999999999999999\n", "line 2, column connections: 9999999999999999999999 is too large", "counted"),
    "shapes_not_json": ("wards.geojson", "{", "not readable as GeoJSON", "Export the ward borders"),
    "shapes_too_deep": ("wards.geojson", "[" * 100_000, "not readable as GeoJSON", "Export"),
    "shapes_a_list": ("wards.geojson", "[1]", "not readable as GeoJSON", "Export"),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(MISTAKES))
def test_mistake_names_file_line_and_what_to_do(tmp_path: Path, name: str) -> None:
    file, text, found, advice = MISTAKES[name]
    mistakes = words_of(tmp_path, file, text)
    fitting = [words for words in mistakes if found in words and advice in words]
    assert fitting, mistakes
    assert file in fitting[0]


def test_spreadsheet_with_semicolons_and_comma_decimals_is_read(tmp_path: Path) -> None:
    town = make(tmp_path / "town")
    (town / "reference" / "dmas.csv").write_text("\ufeffasset;connections;mains_km\nD1;900;12,5\n", "utf-8")
    found = registers.load(read(town)).references["dmas"]
    assert found.select("asset", "connections", "mains_km").rows() == [("D1", 900, 12.5)]


def test_sensor_takes_place_unit_and_limits_from_the_other_registers(tmp_path: Path) -> None:
    town = make(tmp_path / "town")
    (town / "reference" / "sensors.csv").write_text(S.SENSORS + "D1.ls,D1,inflow_m3_h,L/s,5 min,,50\n")
    found = registers.load(read(town))
    row = found.sensors.filter(sensor="D1.ls").row(0, named=True)
    # 1 L/s = 3.6 m3/h
    assert (row["ward"], row["kind"], row["every_s"], row["high"]) == ("W1", "dma", 300.0, 50.0)
    assert (round(row["factor"], 9), row["offset"]) == (3.6, 0.0)
    assert found.population == 4000


def test_asset_without_a_ward_gets_the_one_it_stands_in(tmp_path: Path) -> None:
    town = make(tmp_path / "town")
    (town / "reference" / "assets.csv").write_text(S.ASSETS + "X1,water,tank,N,,0.5,1.5,\nX2,water,tank,N,,9,9,\n")
    wards = dict(registers.load(read(town)).assets.select("asset", "ward").iter_rows())
    assert (wards["X1"], wards["X2"]) == ("W2", None)
