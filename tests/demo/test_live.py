"""The live town over real sockets and files: mishaps come, pushes are tried again, files appear whole."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from google.transit import gtfs_realtime_pb2 as gtfs

from pipelines.demo import sending
from pipelines.demo.incidents import World
from pipelines.demo.live import Live
from pipelines.demo.misbehaviour import FAULTS, Gremlin, Mishap, half, schedule, with_decimal_commas
from pipelines.demo.server import Town, serve


@pytest.fixture
def board() -> Iterator[tuple[str, list[dict]]]:
    """An app that is busy twice, then takes everything."""
    taken: list[dict] = []
    answers = iter([503, 429])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            code = next(answers, 200)
            if code == 200:
                taken.append({"path": self.path, "token": self.headers.get("Authorization"), **body})
            self.send_response(code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", taken
    server.shutdown()
    server.server_close()


def until(holds, tries: int = 200) -> bool:
    pause = threading.Event()
    return any(holds() or pause.wait(0.05) for _ in range(tries))


def test_push_is_tried_again_until_it_is_taken_and_carries_the_token(board, monkeypatch) -> None:
    monkeypatch.setenv(sending.TOKEN, "secret")
    monkeypatch.setattr(sending, "BACK_OFF_S", (0.01,))
    address, taken = board
    pusher = sending.Pusher(address)
    pusher.push("water_telemetry", [(f"S{n}", 1_795_404_600.0, float(n)) for n in range(900)])
    assert until(lambda: len(taken) == 3)
    assert [len(call["readings"]) for call in taken] == [400, 400, 100]
    assert taken[0]["readings"][0] == {"sensor": "S0", "observed_at": "2026-11-23T03:30:00Z", "value": 0.0}
    assert taken[0]["token"] == "Bearer secret"
    assert taken[0]["path"] == "/api/v1/readings?feed=water_telemetry"


def test_a_quarter_of_an_hour_of_the_live_town_reaches_the_board(
    board, tmp_path: Path, troubled: World, start: float, monkeypatch
) -> None:
    monkeypatch.setattr(sending, "BACK_OFF_S", (0.01,))
    address, taken = board
    live = Live(tmp_path, address, troubled, Gremlin(schedule(start, 7)), start, since=start - 300.0, speed=1.0)
    for second in range(1, 901):
        live.tick(start + second)
    assert until(lambda: not live.pusher.queue)
    sent = [(r["sensor"], r["observed_at"], r["value"]) for call in taken for r in call["readings"]]
    assert len(sent) - len(set(sent)) > 0, "the duplicate batch"
    names = {sensor for sensor, _, _ in sent}
    assert {"D3-FLOW", "F4-KW", "T1-LEVEL", "NEW-METER-0815"} <= names
    assert any(sensor == "D4-FLOW" and value > 10_000 for sensor, _, value in sent)
    assert any(sensor == "F4-KW" and value == 0.0 for sensor, _, value in sent)
    files = {folder.name: list(folder.iterdir()) for folder in (tmp_path / "drop").iterdir()}
    assert not [f for found in files.values() for f in found if f.name.startswith(".")]
    assert {"outages", "air_stations", "noise_sites", "water_meters"} <= files.keys()
    assert any(b"-999.0" in f.read_bytes() for f in files["air_stations"])
    assert any(f.read_bytes().startswith(b"sensor;time") for f in files["air_stations"])
    assert any(not f.read_bytes().endswith(b"\n") for f in files["water_meters"]), "half a file"


def test_every_kind_of_mishap_comes_within_ten_minutes_and_never_all_at_once() -> None:
    mishaps = schedule(0.0, 7)
    assert {m.kind for m in mishaps if m.start < 600.0} == {fault.kind for fault in FAULTS}
    assert len(FAULTS) == 13
    for second in range(0, 6 * 3600, 5):
        assert sum(m.start <= second < m.end for m in mishaps) <= 7
    assert schedule(0.0, 7) == mishaps != schedule(0.0, 8)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("silent", []),
        ("missing_code", [("A", 10.0, -999.0)]),
        ("future_clock", [("A", 7210.0, 1.5)]),
        ("out_of_range", [("A", 10.0, 98_765.4)]),
        ("http_500", [("A", 10.0, 1.5)]),
    ],
)
def test_mishap_garbles_only_its_sensor_and_only_in_its_time(kind: str, expected: list) -> None:
    gremlin = Gremlin((Mishap(kind, "A", 5.0, 20.0),))
    assert gremlin.garbled("f", [("A", 10.0, 1.5), ("B", 10.0, 2.5)], 10.0) == [*expected, ("B", 10.0, 2.5)]
    assert gremlin.garbled("f", [("A", 30.0, 1.5)], 30.0) == [("A", 30.0, 1.5)]


def test_stuck_sensor_repeats_its_first_value() -> None:
    gremlin = Gremlin((Mishap("stuck", "A", 0.0, 100.0),))
    values = [gremlin.garbled("f", [("A", t, t)], t)[0][2] for t in (1.0, 2.0, 3.0)]
    assert values == [1.0, 1.0, 1.0]


def test_garbled_files_are_cut_in_a_row_or_use_commas() -> None:
    whole = b"sensor,time,value\nA,2026-11-23T03:30:00Z,1.5\nB,2026-11-23T03:30:00Z,2.5\n"
    assert whole.startswith(half(whole))
    assert not half(whole).endswith(b"\n")
    assert with_decimal_commas(b"sensor,value\nA,1.5\n") == b"sensor;value\nA;1,5\n"


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_servers_answer_in_their_formats_and_fail_as_real_ones_do(troubled: World) -> None:
    mishaps = (Mishap("http_500", "traffic", 0.0, 4e9), Mishap("html_page", "bus_trips", 0.0, 4e9))
    server = serve(Town(troubled, Gremlin(mishaps)), "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.server_port}"

    def get(path: str) -> tuple[str, bytes]:
        with urllib.request.urlopen(address + path, timeout=20) as answer:
            return answer.headers["Content-Type"], answer.read()

    try:
        kind, body = get("/gtfs-rt/vehicle-positions")
        assert kind == "application/x-protobuf"
        assert gtfs.FeedMessage.FromString(body).header.gtfs_realtime_version == "2.0"
        assert get("/gtfs/nadipur.zip")[1].startswith(b"PK")
        assert json.loads(get("/microgrid.json")[1])["sites"][0]["site"] == "MG1"
        assert isinstance(json.loads(get("/open311/v2/requests.json?page_size=3")[1]), list)
        assert get("/gtfs-rt/trip-updates")[1].startswith(b"<!DOCTYPE html>")
        with pytest.raises(urllib.error.HTTPError, match="500"):
            get("/traffic.json")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get("/nothing")
    finally:
        server.shutdown()
        server.server_close()
