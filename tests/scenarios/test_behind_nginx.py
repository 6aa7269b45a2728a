"""The example of a reverse proxy, with a real nginx: path prefix, TLS, the live stream as it comes, who may read what."""

import http.client
import os
import re
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.conftest import CHROMIUM, FLAGS, Served, free_port
from tests.browser.test_wall_in_a_browser import heals, looks_dead, second_by_second
from tests.conftest import ROOT
from tests.glass.fake_town import FakeTown
from tests.glass.serve import plain_api

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")]


class Proxy:
    """nginx with the example's file, only ports, addresses and places of files changed."""

    def __init__(self, folder: Path, board: int) -> None:
        self.folder, self.tls, self.plain = folder, free_port(), free_port()
        name = ["-subj", "/CN=board.town.example", "-addext", "subjectAltName=DNS:board.town.example,IP:127.0.0.1"]
        made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-days", "2", *name, "-keyout", "privkey.pem", "-out", "fullchain.pem"]  # fmt: skip
        subprocess.run(made, cwd=folder, check=True, capture_output=True)
        text = (ROOT / "docs" / "running" / "nginx.conf").read_text()
        for old, new in (
            ("listen 443", f"listen 127.0.0.1:{self.tls}"), ("listen 80;", f"listen 127.0.0.1:{self.plain};"),
            ("127.0.0.1:8050", f"127.0.0.1:{board}"), ("/etc/ssl/townboard", str(folder)),
        ):  # fmt: skip
            assert old in text
            text = text.replace(old, new)
        kinds = " ".join(
            f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"{'user root;' if os.geteuid() == 0 else ''} daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;\n"
            f"events {{}}\nhttp {{ access_log off; {kinds}\n{text}\n}}\n"
        )
        self.process = subprocess.Popen([NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf")])

    def connection(self) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self.folder / "fullchain.pem"))
        return http.client.HTTPSConnection("127.0.0.1", self.tls, timeout=10, context=context)

    def get(self, path: str) -> tuple[int, dict[str, str], bytes]:
        connection = self.connection()
        connection.request("GET", path)
        answer = connection.getresponse()
        found = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        connection.close()
        return found


@pytest.fixture(scope="module")
def board() -> Iterator[Served]:
    from components.web import build

    town = FakeTown(water_points=20)
    served = Served(town, build(town, plain_api, "/town/"), free_port(), seq=1000)  # type: ignore[arg-type]
    served.publish()
    served.start()
    yield served
    served.stop()


@pytest.fixture(scope="module")
def proxy(board: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    made = Proxy(tmp_path_factory.mktemp("nginx"), board.port)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            made.get("/town/healthz")
            break
        except OSError:
            assert made.process.poll() is None, (made.folder / "error.log").read_text()
    yield made
    made.process.terminate()
    made.process.wait(10)


def test_pages_below_a_path_come_over_tls_and_stay_below_it(proxy: Proxy) -> None:
    status, headers, body = proxy.get("/town/water")
    assert status == 200
    assert "max-age" in headers["strict-transport-security"] and "content-security-policy" in headers
    links = re.findall(r'(?:href|src)="(/[^"]*)"', body.decode())
    assert len(links) > 20 and all(link.startswith("/town/") for link in links)
    assert proxy.get("/town")[:2][0] == 308
    assert proxy.get("/")[0] == 404


def test_live_stream_passes_as_it_comes(proxy: Proxy, board: Served) -> None:
    connection = proxy.connection()
    connection.request("GET", "/town/api/v1/stream")
    answer = connection.getresponse()
    assert answer.headers["content-type"].startswith("text/event-stream")
    seen = b""
    while b"event: full" not in seen and b"\n\n" not in seen.partition(b"event: hello")[2]:
        seen += answer.read1(1 << 16)
    for _ in range(3):
        began, seen = time.monotonic(), b""
        board.publish()
        while f'"seq":{board.seq}'.encode() not in seen:
            seen += answer.read1(1 << 16)
        # nginx would keep up to 64 kB back, and a change has a few hundred bytes.
        assert time.monotonic() - began < 2
    connection.close()


def test_metrics_are_for_this_computer_alone_and_plain_http_leads_to_tls(proxy: Proxy) -> None:
    assert proxy.get("/town/metrics")[0] == 200
    text = (proxy.folder / "nginx.conf").read_text()
    assert "allow 127.0.0.1;\n        deny all;" in text
    plain = http.client.HTTPConnection("127.0.0.1", proxy.plain, timeout=10)
    plain.request("GET", "/town/water?days=7", headers={"Host": "board.town.example"})
    answer = plain.getresponse()
    assert (answer.status, answer.headers["location"]) == (308, "https://board.town.example/town/water?days=7")
    plain.close()


@pytest.mark.browser
def test_wall_below_a_path_goes_grey_when_the_board_behind_the_proxy_dies_and_heals(
    proxy: Proxy, board: Served
) -> None:
    if not CHROMIUM.exists():
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        page = browser.new_page(ignore_https_errors=True)
        board.publish()
        page.goto(f"https://127.0.0.1:{proxy.tls}/town/wall")
        page.wait_for_selector(".live[data-mode=live]", timeout=20_000)
        board.publish(peak_loading=55.5)
        page.locator("[data-kpi='peak_loading|town'] .value:text-is('55.5')").wait_for(timeout=5000)
        board.stop()
        # nginx ends the stream at once and answers 502 from then on.
        seen = second_by_second(page, ".not-live:not([hidden])", 14)
        assert len(seen) <= 14 and all(not banner for _, banner in seen[:-1]) and looks_dead(page)
        board.publish(peak_loading=44.5)
        board.start()
        heals(page)
        page.locator("[data-kpi='peak_loading|town'] .value:text-is('44.5')").wait_for(timeout=5000)
        browser.close()
