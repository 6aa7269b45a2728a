"""The systems of the ingest benchmark: how each is started, sent readings, brought to rest, counted and stopped."""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from benchmarks.ingest_readings import Batch, town
from benchmarks.machine import free_port
from pipelines.engine import manifest

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 60.0


class Peer(ABC):
    """A system under measurement in a folder of its own."""

    name: ClassVar[str]
    durability: ClassVar[str]
    senders = 2

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @classmethod
    def missing(cls) -> str:
        """What is not installed; empty when all is there."""
        return ""

    @abstractmethod
    def start(self) -> None:
        """Begin, and be ready to be sent to."""

    @abstractmethod
    def send(self, batch: Batch) -> None:
        """Send a batch; it is acknowledged when this returns."""

    @abstractmethod
    def settle(self) -> None:
        """Let it merge, flush and compact as it does by itself in the long run."""

    @abstractmethod
    def stored(self) -> int:
        """How many readings it holds."""

    @abstractmethod
    def bytes_at_rest(self) -> int:
        """Bytes on disk of the readings and what belongs to them, after `settle` and `stop`."""

    def run(self, *command: str, env: dict[str, str] | None = None, ready: str = "") -> None:
        """Start the process and wait until it answers at this address."""
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **(env or {})})
        until = time.monotonic() + PATIENCE_S
        while ready and time.monotonic() < until:
            with contextlib.suppress(OSError):
                if self.ask("GET", ready)[0] < http.client.BAD_REQUEST:
                    return
            time.sleep(0.1)
        if ready:
            raise RuntimeError(
                f"{self.name} did not begin: {(self.folder / 'log').read_text('utf-8', 'replace')[-500:]}"
            )

    def ask(self, method: str, path: str, body: bytes = b"", kind: str = "text/plain") -> tuple[int, bytes]:
        """Status and body of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.request(method, path, body, {"Content-Type": kind})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def peak_mb(self) -> float:
        """The most memory that its processes held, added up."""
        assert self.process is not None
        return sum(map(_peak, [self.process.pid, *_children(self.process.pid)])) / 1024

    def stop(self) -> None:
        """End it cleanly."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(PATIENCE_S)


def _children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()] if path.exists() else []


def _peak(pid: int) -> int:
    """Kilobytes."""
    return _memory(pid, "VmHWM")


def _memory(pid: int, what: str) -> int:
    found = re.search(rf"{what}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) if found else 0


def size(folder: Path) -> int:
    """Bytes of all files below a folder; of those that only reserve room, what they use."""
    found = [path.stat() for path in folder.rglob("*") if path.is_file()]
    return sum(min(one.st_size, one.st_blocks * 512) for one in found)


class Townboard(Peer):
    """The board as it is run: web process and line; CSV over HTTP."""

    name = "Townboard"
    durability = "fsynced in the journal, checked, deduplicated and queryable"

    def start(self) -> None:
        """Line and web."""
        town(self.folder / "town")
        self._app("serve", "--port", str(self.port), ready="/readyz")

    def _app(self, *words: str, ready: str = "") -> None:
        self.run(sys.executable, str(ROOT / "app.py"), "--town", str(self.folder / "town"), *words, ready=ready)

    def send(self, batch: Batch) -> None:
        """Every reading has to be accepted."""
        status, told = self.ask("POST", "/api/v1/readings", batch.csv, "text/csv")
        accepted = json.loads(told).get("accepted")
        assert (status, accepted) == (http.client.OK, batch.readings), told[:500]

    def held_mb(self) -> dict[str, float]:
        """What the line and the web process hold now."""
        assert self.process is not None
        words = {pid: Path(f"/proc/{pid}/cmdline").read_text().split("\0") for pid in _children(self.process.pid)}
        return {name: _memory(pid, "VmRSS") / 1024 for name in ("line", "web") for pid in words if name in words[pid]}

    def settle(self) -> None:
        """The compaction that runs every half hour."""
        command = [sys.executable, str(ROOT / "app.py"), "--town", str(self.folder / "town"), "compact"]
        subprocess.run(command, check=True, capture_output=True, timeout=600)

    def stored(self) -> int:
        """By the manifest."""
        return sum(part.rows for part in manifest.read(self.folder / "town" / "store").parts["readings"].values())

    def bytes_at_rest(self) -> int:
        """Readings and their rollups."""
        store = self.folder / "town" / "store"
        parts = manifest.read(store).parts
        named = [part for name in ("readings", "roll_hourly", "roll_daily") for part in parts[name].values()]
        return sum((store / part.file).stat().st_size for part in named)


class InfluxDb(Peer):
    """InfluxDB 1.6, line protocol over HTTP."""

    name = "InfluxDB"
    durability = "fsynced in the write-ahead log (its default), queryable"

    @classmethod
    def missing(cls) -> str:
        """The daemon."""
        return "" if shutil.which("influxd") else "Debian package influxdb"

    def start(self) -> None:
        """All of it below our folder."""
        own = {
            "META_DIR": self.folder / "meta", "DATA_DIR": self.folder / "data", "DATA_WAL_DIR": self.folder / "wal",
            "HTTP_BIND_ADDRESS": f"127.0.0.1:{self.port}", "BIND_ADDRESS": f"127.0.0.1:{free_port()}",
            "REPORTING_DISABLED": "true", "MONITOR_STORE_ENABLED": "false", "HTTP_LOG_ENABLED": "false",
            "DATA_CACHE_SNAPSHOT_WRITE_COLD_DURATION": "3s", "DATA_COMPACT_FULL_WRITE_COLD_DURATION": "3s",
        }  # fmt: skip
        env = {f"INFLUXDB_{name}": str(value) for name, value in own.items()} | {"HOME": str(self.folder)}
        (self.folder / "influxdb.conf").write_text(f'[meta]\n  dir = "{self.folder / "meta"}"\n')
        env |= {"INFLUXDB_META_DIR": str(self.folder / "meta")}
        self.run("influxd", "-config", str(self.folder / "influxdb.conf"), env=env, ready="/ping")
        self.ask("POST", f"/query?q={quote('CREATE DATABASE b')}")

    def send(self, batch: Batch) -> None:
        """204 when written."""
        status, told = self.ask("POST", "/write?db=b&precision=s", batch.lines)
        assert status == http.client.NO_CONTENT, told[:500]

    def settle(self) -> None:
        """Wait until the cache has been written and merged."""
        time.sleep(12)

    def stored(self) -> int:
        """By a query."""
        _, told = self.ask("GET", f"/query?db=b&q={quote('SELECT count(v) FROM r')}")
        return int(json.loads(told)["results"][0]["series"][0]["values"][0][1])

    def bytes_at_rest(self) -> int:
        """Data and what is left of the log."""
        return size(self.folder / "data" / "b") + size(self.folder / "wal" / "b")


class VictoriaMetrics(Peer):
    """VictoriaMetrics, line protocol over HTTP."""

    name = "VictoriaMetrics"
    durability = "in memory; on disk after up to 5 s (its design), queryable after about a second"

    @classmethod
    def missing(cls) -> str:
        """The daemon."""
        return "" if shutil.which("victoria-metrics") else "Debian package victoria-metrics"

    def start(self) -> None:
        """All of it below our folder."""
        data = f"-storageDataPath={self.folder / 'data'}"
        self.run(
            "victoria-metrics", data, f"-httpListenAddr=127.0.0.1:{self.port}", "-retentionPeriod=10y", ready="/health"
        )

    def send(self, batch: Batch) -> None:
        """204 when taken."""
        status, told = self.ask("POST", "/write?precision=s", batch.lines)
        assert status == http.client.NO_CONTENT, told[:500]

    def settle(self) -> None:
        """Flush and merge now."""
        for call in ("force_flush", "force_merge"):
            self.ask("GET", f"/internal/{call}")
        time.sleep(5)

    def stored(self) -> int:
        """By an export of how many there are."""
        query = quote("sum(count_over_time(r_v[5y]))")
        _, told = self.ask("GET", f"/api/v1/query?query={query}&nocache=1")
        found = json.loads(told)["data"]["result"]
        return int(found[0]["value"][1]) if found else 0

    def bytes_at_rest(self) -> int:
        """Data and index."""
        return size(self.folder / "data")


class PostgreSql(Peer):
    """PostgreSQL 15, COPY into a staging table and an upsert by primary key, as a duplicate needs it."""

    name = "PostgreSQL"
    durability = "fsynced in the write-ahead log, upserted by (sensor, time), queryable"
    senders = 1
    bin = Path("/usr/lib/postgresql/15/bin")

    @classmethod
    def missing(cls) -> str:
        """The server and a user to run it as."""
        if not (cls.bin / "initdb").exists():
            return "Debian package postgresql"
        return "" if os.geteuid() or shutil.which("runuser") else "it does not run as root, and runuser is not here"

    def _as_user(self, *command: str) -> list[str]:
        return ["runuser", "-u", "postgres", "--", *command] if os.geteuid() == 0 else list(command)

    def start(self) -> None:
        """A cluster of its own, reached by a socket in the folder."""
        data = self.folder / "data"
        data.mkdir()
        if os.geteuid() == 0:
            self.folder.chmod(0o755)
            shutil.chown(data, "postgres")
        init = self._as_user(str(self.bin / "initdb"), "-D", str(data), "-A", "trust", "-U", "postgres")
        subprocess.run(init, check=True, capture_output=True)
        self.run(
            *self._as_user(str(self.bin / "postgres"), "-D", str(data), "-p", str(self.port), "-k", str(data), "-h", "")
        )
        self._psql = self._connected(data)
        self._say(
            "CREATE TABLE readings (sensor text, at timestamptz, value float8, PRIMARY KEY (sensor, at));\n"
            "CREATE TEMP TABLE stage (LIKE readings);\n"
        )

    def _connected(self, data: Path) -> subprocess.Popen[str]:
        command = self._as_user("psql", "-qAtX", "-h", str(data), "-p", str(self.port), "-U", "postgres")
        until = time.monotonic() + PATIENCE_S
        while subprocess.run([*command, "-c", "SELECT 1"], capture_output=True, check=False).returncode:
            assert time.monotonic() < until, (self.folder / "log").read_text()[-500:]
            time.sleep(0.1)
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def _say(self, statements: str) -> list[str]:
        """What it answers to some statements."""
        assert self._psql.stdin is not None and self._psql.stdout is not None
        self._psql.stdin.write(f"{statements}\\echo done\n")
        self._psql.stdin.flush()
        return [line.strip() for line in iter(self._psql.stdout.readline, "done\n")]

    def send(self, batch: Batch) -> None:
        """Answered after the commit."""
        self._say(
            f"BEGIN;\nCOPY stage FROM STDIN (FORMAT csv, HEADER);\n{batch.csv.decode()}\\.\n"
            "INSERT INTO readings SELECT * FROM stage ON CONFLICT (sensor, at) DO UPDATE SET value = excluded.value;\n"
            "TRUNCATE stage;\nCOMMIT;\n"
        )

    def settle(self) -> None:
        """What autovacuum does."""
        self._say("VACUUM readings;\nCHECKPOINT;\n")
        self._bytes = int(self._say("SELECT pg_total_relation_size('readings');\n")[0])

    def stored(self) -> int:
        """By a query."""
        return int(self._say("SELECT count(*) FROM readings;\n")[0])

    def bytes_at_rest(self) -> int:
        """Table and index; the log is not counted."""
        return self._bytes

    def peak_mb(self) -> float:
        """Of all server processes."""
        assert self.process is not None
        found = [self.process.pid]
        for pid in found:
            found += _children(pid)
        return sum(map(_peak, found)) / 1024

    def stop(self) -> None:
        """Close the session, then the server."""
        self._psql.communicate("\\q\n")
        subprocess.run(
            self._as_user(str(self.bin / "pg_ctl"), "-D", str(self.folder / "data"), "-m", "fast", "stop"),
            check=True, capture_output=True,
        )  # fmt: skip


class Sqlite(Peer):
    """SQLite in this process: no wire, upsert by primary key."""

    name = "SQLite"
    durability = "fsynced in the write-ahead log (synchronous FULL), in process: no wire, queryable"
    senders = 1

    def start(self) -> None:
        """One file."""
        self._db = sqlite3.connect(self.folder / "readings.sqlite", check_same_thread=False, isolation_level=None)
        for said in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL"):
            self._db.execute(said)
        self._db.execute(
            "CREATE TABLE readings (sensor TEXT, at TEXT, value REAL, PRIMARY KEY (sensor, at)) WITHOUT ROWID"
        )

    def send(self, batch: Batch) -> None:
        """The same CSV, taken apart and written in one transaction."""
        rows = [line.split(",") for line in batch.csv.decode().splitlines()[1:]]
        self._db.execute("BEGIN")
        self._db.executemany("REPLACE INTO readings VALUES (?, ?, CAST(? AS REAL))", rows)
        self._db.execute("COMMIT")

    def settle(self) -> None:
        """Empty the log."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def stored(self) -> int:
        """By a query."""
        return int(self._db.execute("SELECT count(*) FROM readings").fetchone()[0])

    def bytes_at_rest(self) -> int:
        """The file."""
        return (self.folder / "readings.sqlite").stat().st_size

    def peak_mb(self) -> float:
        """Unknown: it shares this process."""
        return float("nan")

    def stop(self) -> None:
        """Close the file."""
        self._db.close()


PEERS: tuple[type[Peer], ...] = (Townboard, InfluxDb, VictoriaMetrics, PostgreSql, Sqlite)
