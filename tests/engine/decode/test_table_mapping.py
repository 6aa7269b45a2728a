import re
import tomllib
from pathlib import Path

import pytest

from pipelines.engine.decode.base import Refused
from pipelines.engine.decode.device_mapping import FORMATS as DEVICES
from pipelines.engine.decode.device_mapping import KEYS, check_devices
from pipelines.engine.decode.table_file import check_mapping
from pipelines.engine.decode.table_mapping import COLUMN_KEYS, FORMAT_KEYS, READING_KEYS, SHEET_KEYS, TIME_KEYS, faults
from tests.engine.decode.table_payloads import read

READINGS = {"sensor": "text", "observed_at": "instant", "value": "number", "unit": "text"}
OUTAGES = {"outage": "text", "started_at": "instant", "customers": "integer"}


def words(kinds=READINGS, table="readings", form="csv", **mapping):
    return " ".join(
        check_mapping({"format": form, "table": table, "zone": "Asia/Kolkata", "feed": "f", **mapping}, kinds)
    )


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        ({"delimeter": ";"}, "'delimeter' is not known here. Allowed: comment, decimal, delimiter, encoding"),
        ({"decimal": ";"}, "decimal = ';' is not possible. Write one of '.', ','"),
        ({"decimal": ",", "thousands": ","}, "must differ"),
        ({"skip_before": -1}, "a whole number, 0 or more"),
        ({"skip_before": True}, "a whole number, 0 or more"),
        ({"missing": "NA"}, 'a list of words, for example ["NA", "-200"]'),
        ({"encoding": "utf-9"}, "'cp1252'"),
        ({"max_mb": 0}, "above 0"),
        ({"time": {"column": "a", "fromat": "%d"}}, "mapping.time: 'fromat' is not known here"),
        ({"time": {"column": "a", "format": "DD/MM/YYYY"}}, "it names no day"),
        ({"time": {"column": "a", "format": "%d/%m/%Y %Q"}}, "cannot be"),
        ({"time": {"column": "a", "format": "%d/%m/%Y %Z"}}, "leave them as plain text"),
        ({"time": {"column": "a", "columns": ["b"]}}, "exactly one of column, columns"),
        ({"time": {"column": "a", "zone": "Rome"}}, 'a zone such as "Europe/Rome"'),
        ({"time": {"column": "a", "epoch": "min"}}, "'s', 'ms', 'us'"),
        ({"zone": "IST5"}, 'Write one such as "Europe/Rome"'),
        ({"labels": "end"}, 'interval = "1 h"'),
        ({"labels": "end", "interval": "soon"}, "15 min, 1 h or 1 day"),
        ({"value": "a", "hours": "%H:%M"}, "exclude each other"),
        ({"hours": "HH:MM"}, "%H:%M"),
        ({"sensor": "x:{column}"}, "this mapping has no values"),
        ({"unit": "wombats"}, "is not known"),
        ({"values": {"a": {"unit": "??"}}}, "mapping.values.a: the unit"),
        ({"values": {"a": 5}}, "Write a sensor or"),
        ({"columns": {"a": "b"}}, "'columns' is not known here"),
        ({"factor": 0}, "a number other than 0"),
    ],
)
def test_mistake_in_a_mapping_of_readings_is_named_with_what_is_allowed(mapping, expected):
    assert expected in words(**mapping)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"start": "a"}, "the table outages has no such column. It has outage, started_at, customers"),
        ({"outage": {"colum": "a"}}, "mapping.columns.outage: 'colum' is not known here"),
        ({"outage": {"map": {"a": "b"}}}, "exactly one of column, columns, value"),
        ({"outage": {"column": "a", "value": "b"}}, "exactly one of column, columns, value"),
        ({"outage": 5}, "Write a column's name or"),
        ({"outage": {"column": "a", "map": {"x": ["y"]}}}, "map turns words into words"),
        ({"started_at": {"column": "a", "format": "%H:%M"}}, "it names no day"),
        ({"customers": {"column": "a", "kind": "float"}}, "'integer'"),
    ],
)
def test_mistake_in_a_mapping_of_events_is_named_with_what_is_allowed(columns, expected):
    assert expected in words(OUTAGES, "outages", columns=columns)


def test_keys_of_another_format_are_refused():
    assert "'delimiter' is not known here" in words(form="json", delimiter=";")
    assert "'sheet' is not known here" in words(form="csv", sheet="A")
    assert "belongs to one of csv, xlsx, json, ndjson, parquet" in words(form="gtfs_static")


def test_sound_mappings_raise_no_words():
    assert words() == ""
    assert words(delimiter="\t", quote="", missing=[-200, "NA"], values=["DMA *"], unit="L/s") == ""
    assert (
        words(
            OUTAGES,
            "outages",
            columns={"outage": "OBS", "customers": {"value": 0}, "started_at": {"column": "a", "format": "%Y%m%d"}},
        )
        == ""
    )


def test_payload_is_refused_when_its_mapping_cannot_be_used():
    with pytest.raises(Refused, match="delimeter") as caught:
        read("sensor,observed_at,value\n", delimeter=";")
    assert caught.value.reason == "mapping"


GUIDE = (Path(__file__).parents[3] / "docs" / "mappings.md").read_text()
EXAMPLES = [
    (name, feed)
    for block in re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)
    for name, feed in tomllib.loads(block)["feeds"].items()
]


@pytest.mark.parametrize(("name", "feed"), EXAMPLES)
def test_example_in_the_guide_is_sound(name, feed):
    if feed["format"] in DEVICES:
        assert check_devices({"format": feed["format"], **feed["mapping"]}) == []
        return
    engine = {key: feed[key] for key in ("format", "table", "zone")} | {"feed": name}
    assert faults({**engine, **feed["mapping"]}, None) == []


def test_guide_explains_every_key():
    keys = {
        *SHEET_KEYS,
        *READING_KEYS,
        *TIME_KEYS,
        *COLUMN_KEYS,
        *KEYS,
        *(key for keys in FORMAT_KEYS.values() for key in keys),
    }
    assert {key for key in keys if not re.search(rf"\b{key}\b", GUIDE)} == set()
