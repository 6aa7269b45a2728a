"""Text messages without the internet: what a modem's program finds in its folder, what a gateway is asked, what it says."""

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from pipelines.engine.delivery.channels import Channel, Parcel, sender
from pipelines.engine.errors import SourceDown
from tests.engine.delivery.notices import at

TEXT = 'Nadipur: "HIGH": Pressure is low & falls, {id} ä'
PARCEL = Parcel("abc123", at(0), "+91 555-1", "Subject", "Body", TEXT, {})


class Gateway(BaseHTTPRequestHandler):
    """Notes what it is asked; answers as it was told to."""

    def do_GET(self) -> None:
        self.answer("")

    def do_POST(self) -> None:
        self.answer(self.rfile.read(int(self.headers["Content-Length"])).decode())

    def answer(self, body: str) -> None:
        self.server.got.append((self.path, body, dict(self.headers)))  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.server.says)  # type: ignore[attr-defined]

    def log_message(self, *_: object) -> None:
        """Silence."""


@pytest.fixture
def gateway() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), Gateway)
    server.got, server.says = [], b"OK"  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)


def handed(channel: Channel) -> None:
    made = sender(channel)
    try:
        made.send(PARCEL)
    finally:
        made.close()


def test_router_is_asked_by_an_address_with_number_and_text_escaped(gateway: HTTPServer) -> None:
    url = f"http://127.0.0.1:{gateway.server_port}/cgi-bin/sms_send?username=u&number={{address}}&text={{text}}"
    handed(Channel(name="sms", kind="sms_gateway", url=url, accepts="^OK"))
    ((path, _, _),) = gateway.got  # type: ignore[attr-defined]
    assert parse_qs(urlsplit(path).query) == {"username": ["u"], "number": ["+91 555-1"], "text": [TEXT]}


def test_phone_is_asked_by_json_with_the_name_of_the_message_and_the_password_of_the_url(gateway: HTTPServer) -> None:
    url = f"http://board:secret@127.0.0.1:{gateway.server_port}/message"
    body = '{"id": "{id}", "textMessage": {"text": "{text}"}, "phoneNumbers": ["{address}"]}'
    handed(Channel(name="sms", kind="sms_gateway", url=url, body=body))
    ((_, told, headers),) = gateway.got  # type: ignore[attr-defined]
    assert json.loads(told) == {"id": "abc123", "textMessage": {"text": TEXT}, "phoneNumbers": ["+91 555-1"]}
    assert headers["Content-Type"] == "application/json" and headers["Authorization"] == "Basic Ym9hcmQ6c2VjcmV0"


def test_form_of_a_gateway_is_posted_with_its_fields_escaped(gateway: HTTPServer) -> None:
    url = f"http://127.0.0.1:{gateway.server_port}/send"
    handed(Channel(name="sms", kind="sms_gateway", url=url, body="to={address}&message={text}"))
    ((_, told, _),) = gateway.got  # type: ignore[attr-defined]
    assert parse_qs(told) == {"to": ["+91 555-1"], "message": [TEXT]}


def test_gateway_that_answers_something_else_has_not_taken_the_message(gateway: HTTPServer) -> None:
    gateway.says = b"ERROR: no credit"  # type: ignore[attr-defined]
    url = f"http://127.0.0.1:{gateway.server_port}/?to={{address}}&t={{text}}"
    with pytest.raises(SourceDown, match=r"no credit.*SIM card"):
        handed(Channel(name="sms", kind="sms_gateway", url=url, accepts="^OK"))


def test_file_for_gammu_holds_the_number_in_its_name_and_the_text_as_utf_16(tmp_path: Path) -> None:
    handed(Channel(name="sms", kind="sms_spool", folder=tmp_path, program="gammu"))
    handed(Channel(name="sms", kind="sms_spool", folder=tmp_path, program="gammu"))
    (path,) = tmp_path.iterdir()
    assert path.name == "OUTA20260617_120000_00_+915551_abc123.txt"
    assert path.read_bytes().decode("utf-16") == TEXT


@pytest.mark.slow
def test_real_gammu_sends_what_stands_in_its_folder(tmp_path: Path) -> None:
    """Against gammu's own dummy phone, which keeps what it sends as files."""
    if shutil.which("gammu-smsd") is None:
        pytest.skip("no gammu on this machine (Debian: apt-get install gammu-smsd)")
    places = {name: tmp_path / name for name in ("inbox", "outbox", "sent", "error", "phone")}
    for place in places.values():
        place.mkdir()
    for part in ("sms/1", "sms/2", "sms/3", "sms/4", "sms/5"):
        (places["phone"] / part).mkdir(parents=True)
    (tmp_path / "smsdrc").write_text(
        f"[gammu]\nmodel = dummy\nconnection = none\nport = {places['phone']}\ngammuloc = /dev/null\n"
        f"[smsd]\nservice = files\nlogfile = {tmp_path}/log\ndebuglevel = 255\ntransmitformat = auto\ncommtimeout = 1\n"
        f"loopsleep = 1\ninboxpath = {places['inbox']}/\noutboxpath = {places['outbox']}/\n"
        f"sentsmspath = {places['sent']}/\nerrorsmspath = {places['error']}/\n",
        "utf-8",
    )
    handed(Channel(name="sms", kind="sms_spool", folder=places["outbox"], program="gammu"))
    process = subprocess.Popen(["gammu-smsd", "-c", str(tmp_path / "smsdrc")])
    try:
        for _ in range(300):
            if list(places["sent"].iterdir()):
                break
            threading.Event().wait(0.1)
    finally:
        process.terminate()
        process.wait(10)
    told = (tmp_path / "log").read_text("utf-8", "replace")
    assert [path.name for path in places["sent"].iterdir()] == ["OUTA20260617_120000_00_+915551_abc123.txt"], told
    assert '"+915551" with text "Nadipur: "HIGH": Pressure is low & falls' in told
