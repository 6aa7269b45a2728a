"""The GTFS schedule of the bus network as a zip file."""

import csv
import io
from datetime import date, timedelta
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from pipelines.demo.calendar import EPOCH, ZONE, day_number, is_festival
from pipelines.demo.lines import SERVICES, Line, departures, network, stops

DAYS_BACK, DAYS_AHEAD = 60, 120
Rows = list[dict[str, object]]


def service_of(day: int) -> int:
    """Which timetable runs on this local day: 0 weekday, 1 Saturday, 2 Sunday and festivals."""
    weekday = (EPOCH + timedelta(days=day)).weekday()
    return 2 if weekday == 6 or is_festival(day) else 1 if weekday == 5 else 0


def trip_id(line: Line, service: int, direction: int, number: int) -> str:
    """The trip's id, the same every day of its service."""
    return f"{line.route.line}-{SERVICES[service][:2].upper()}-{direction}-{number:03d}"


def clock(seconds: int) -> str:
    """GTFS time; hours go on beyond 24."""
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def starts(line: Line, service: int, direction: int) -> list[int]:
    """Scheduled departures of all trips of a direction: the return trip leaves after the layover."""
    wait = direction * (line.running_s + line.layover_s(service))
    return [departure + wait for departure in departures(line, service)]


def is_timepoint(position: int, count: int) -> bool:
    """The ends and every fourth stop are timing points."""
    return position % 4 == 0 or position == count - 1


def _stop_times(lines: tuple[Line, ...]) -> Rows:
    rows: Rows = []
    for line in lines:
        for direction in (0, 1):
            offsets, calls = line.offsets(direction), line.calls(direction)
            far = [line.path_m[-1] - m for m in reversed(line.stops_m)] if direction else line.stops_m
            for service in range(3):
                for number, start in enumerate(starts(line, service, direction)):
                    trip = trip_id(line, service, direction, number)
                    for k, (offset, stop) in enumerate(zip(offsets, calls, strict=True)):
                        at = clock(start + offset)
                        rows.append(
                            {
                                "trip_id": trip,
                                "arrival_time": at,
                                "departure_time": at,
                                "stop_id": stop.stop,
                                "stop_sequence": k + 1,
                                "timepoint": int(is_timepoint(k, len(calls))),
                                "shape_dist_traveled": round(far[k] / 1000.0, 3),
                            }
                        )
    return rows


def _trips(lines: tuple[Line, ...]) -> Rows:
    return [
        {
            "route_id": line.route.line,
            "service_id": SERVICES[service],
            "trip_id": trip_id(line, service, direction, number),
            "trip_headsign": line.calls(direction)[-1].name,
            "direction_id": direction,
            "shape_id": f"{line.route.line}-{direction}",
        }
        for line in lines
        for service in range(3)
        for direction in (0, 1)
        for number in range(len(departures(line, service)))
    ]


def _shapes(lines: tuple[Line, ...]) -> Rows:
    rows: Rows = []
    for line in lines:
        for direction in (0, 1):
            path = line.path[::-1] if direction else line.path
            far = [line.path_m[-1] - m for m in reversed(line.path_m)] if direction else line.path_m
            rows += [
                {
                    "shape_id": f"{line.route.line}-{direction}",
                    "shape_pt_sequence": k,
                    "shape_pt_lat": lat,
                    "shape_pt_lon": lon,
                    "shape_dist_traveled": round(m / 1000.0, 3),
                }
                for k, ((lon, lat), m) in enumerate(zip(path, far, strict=True), 1)
            ]
    return rows


def _calendar(today: int) -> tuple[Rows, Rows]:
    first, last = (EPOCH + timedelta(days=today + shift) for shift in (-DAYS_BACK, DAYS_AHEAD))
    days = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    runs = {"weekday": range(5), "saturday": (5,), "sunday": (6,)}
    regular: Rows = [
        {
            "service_id": service,
            **{name: int(n in on) for n, name in enumerate(days)},
            "start_date": _gtfs(first),
            "end_date": _gtfs(last),
        }
        for service, on in runs.items()
    ]
    exceptions: Rows = []
    for day in range(today - DAYS_BACK, today + DAYS_AHEAD + 1):
        weekday = (EPOCH + timedelta(days=day)).weekday()
        if is_festival(day) and weekday != 6:
            date_text = _gtfs(EPOCH + timedelta(days=day))
            exceptions.append(
                {"service_id": "saturday" if weekday == 5 else "weekday", "date": date_text, "exception_type": 2}
            )
            exceptions.append({"service_id": "sunday", "date": date_text, "exception_type": 1})
    return regular, exceptions


def _gtfs(day: date) -> str:
    return day.strftime("%Y%m%d")


def _csv(rows: Rows) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def gtfs_zip(seed: int, now: float) -> bytes:
    """The whole schedule, valid from two months before `now` to four months after."""
    lines, today = network(seed), int(day_number(now))
    regular, exceptions = _calendar(today)
    files: dict[str, Rows] = {
        "agency.txt": [
            {
                "agency_id": "NNP",
                "agency_name": "Nadipur Nagar Parivahan",
                "agency_url": "https://buses.nadipur.example",
                "agency_timezone": ZONE,
                "agency_lang": "en",
            }
        ],
        "routes.txt": [
            {
                "route_id": x.route.line,
                "agency_id": "NNP",
                "route_short_name": x.route.line,
                "route_long_name": x.route.name,
                "route_type": 3,
                "route_color": x.route.color,
                "route_text_color": "FFFFFF",
            }
            for x in lines
        ],
        "trips.txt": _trips(lines),
        "stops.txt": [
            {"stop_id": s.stop, "stop_name": s.name, "stop_lat": s.lat, "stop_lon": s.lon} for s in stops(seed)
        ],
        "stop_times.txt": _stop_times(lines),
        "calendar.txt": regular,
        "shapes.txt": _shapes(lines),
    }
    if exceptions:
        files["calendar_dates.txt"] = exceptions
    buffer = io.BytesIO()
    with ZipFile(buffer, "w", ZIP_DEFLATED) as archive:
        for name, rows in files.items():
            archive.writestr(ZipInfo(name), _csv(rows), ZIP_DEFLATED)
    return buffer.getvalue()
