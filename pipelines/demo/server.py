"""The town's servers behind one port: GTFS, GTFS-Realtime, Open311, traffic, microgrid; now and then failing."""

import json
import threading
import time
from collections.abc import Callable
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from pipelines.demo import microgrid, people, realtime, timetable, traffic
from pipelines.demo.calendar import DAY_S, day_number
from pipelines.demo.due import Pace, readings
from pipelines.demo.feeds import FEEDS, as_measurements, as_sites
from pipelines.demo.incidents import World
from pipelines.demo.misbehaviour import HTML, Gremlin

Answer = tuple[str, bytes]
PROTOBUF = "application/x-protobuf"
HANGS_S = 12.0
PAGE = 1000


class Town:
    """What each address answers at a moment."""

    def __init__(self, world: World, gremlin: Gremlin) -> None:
        self.world, self.gremlin = world, gremlin
        self.paces = [Pace(world.seed, block) for block in traffic.BLOCKS]
        self.timetable: tuple[int, bytes] = (0, b"")
        makers: dict[str, Callable[[float, dict[str, str]], Answer]] = {
            "bus_timetable": self.gtfs,
            "bus_positions": lambda now, _: (PROTOBUF, realtime.positions(world, now)),
            "bus_trips": lambda now, _: (PROTOBUF, realtime.trip_updates(world, now)),
            "bus_alerts": lambda now, _: (PROTOBUF, realtime.alerts(world, now)),
            "traffic": self.traffic,
            "microgrid": self.microgrid,
            "complaints": self.requests,
        }
        self.answers = {FEEDS[feed]["path"]: (feed, make) for feed, make in makers.items()}

    def gtfs(self, now: float, _: dict[str, str]) -> Answer:
        """The timetable, made once a day."""
        today = int(day_number(now))
        if self.timetable[0] != today:
            self.timetable = (today, timetable.gtfs_zip(self.world.seed, now))
        return "application/zip", self.timetable[1]

    def traffic(self, now: float, _: dict[str, str]) -> Answer:
        """The newest reading of each counter and link."""
        newest = [
            reading
            for pace in self.paces
            for reading in readings(self.world, pace.block, (np.arange(len(pace.block.series)), pace.latest(now)))
        ]
        return "application/json", as_measurements(self.gremlin.garbled("traffic", newest, now))

    def microgrid(self, now: float, _: dict[str, str]) -> Answer:
        """The state of the microgrid, new every five seconds."""
        t = np.array([now // 5.0 * 5.0])
        return "application/json", as_sites(microgrid.ASSET, t.tolist(), microgrid.BLOCKS[0].at(self.world, t))

    def requests(self, now: float, query: dict[str, str]) -> Answer:
        """GeoReport v2 requests, newest change first: of the last day unless start_date says otherwise."""
        since = _instant(query.get("start_date") or query.get("updated_after")) or now - DAY_S
        rows = people.changed_since(self.world, since, now)
        if query.get("status"):
            rows = [row for row in rows if row["status"] in query["status"].split(",")]
        page, size = _whole(query.get("page"), 1), min(_whole(query.get("page_size"), PAGE), PAGE)
        return "application/json", json.dumps(rows[(page - 1) * size : page * size]).encode()


def _instant(text: str | None) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp() if text else None
    except ValueError:
        return None


def _whole(text: str | None, default: int) -> int:
    return int(text) if text and text.isdigit() and int(text) else default


def handler(town: Town) -> type[BaseHTTPRequestHandler]:
    """The request handler of this town."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Answer, or fail as real servers fail."""
            address = urlsplit(self.path)
            known = town.answers.get(address.path)
            now = time.time()
            if known is None:
                self._send(404, "text/plain", ("Known here: " + ", ".join(sorted(town.answers))).encode())
            elif town.gremlin.raging("http_500", known[0], now):
                self._send(500, "text/plain", b"Internal Server Error")
            elif town.gremlin.raging("html_page", known[0], now):
                self._send(200, "text/html", HTML)
            else:
                if town.gremlin.raging("time_out", known[0], now):
                    time.sleep(HANGS_S)
                query = {key: values[-1] for key, values in parse_qs(address.query).items()}
                self._send(200, *known[1](time.time(), query))

        def _send(self, code: int, kind: str, body: bytes) -> None:
            try:
                self.send_response(code)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Stay quiet."""

    return Handler


def serve(town: Town, host: str, port: int) -> ThreadingHTTPServer:
    """Listen in a thread of its own until `shutdown`."""
    server = ThreadingHTTPServer((host, port), handler(town))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.5}, daemon=True).start()
    return server
