"""The Open311 server holds to GeoReport v2, by the specification's text and by clients that know nothing of us."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.engine import api
from pipelines.engine.decode import decoder
from pipelines.engine.filing import georeport
from pipelines.engine.town import Town
from tests.engine.filing import filing_town
from tests.engine.filing.filing_town import NOW, PERSONAL, PRIVATE, FilingTown, photo

V2 = "/open311/v2"
# GeoReport v2, "GET Service Requests", in the order of its table.
FIELDS = [
    "service_request_id", "status", "status_notes", "service_name", "service_code", "description", "agency_responsible",
    "service_notice", "requested_datetime", "updated_datetime", "expected_datetime", "address", "address_id", "zipcode",
    "lat", "long", "media_url",
]  # fmt: skip


@pytest.fixture(scope="module")
def filing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FilingTown]:
    more = '\n[filing]\njurisdiction = "testville.example"\ncontact = "Town office"\n'
    with filing_town.opened(filing_town.make(tmp_path_factory.mktemp("open311") / "town", more)) as found:
        yield found


@pytest.fixture(scope="module")
def key(filing: FilingTown) -> str:
    return filing.token("resident app", "ingest")


@pytest.fixture(scope="module")
def filed(filing: FilingTown) -> list[str]:
    """Three requests, one a day, the oldest first."""
    numbers = []
    for days, service in ((3, "leak"), (2, "lamp"), (1, "leak")):
        filing.clock["now"] = NOW - timedelta(days=days)
        numbers.append(filing.file(service=service))
    filing.clock["now"] = NOW
    done = filing.town.filing.change(
        numbers[0], filing_town.OFFICE, state="closed", notes="Mended\x08 & <painted>", agency="Water works"
    )
    filing.ask.wait_for(done)
    filing.look()
    return numbers


def listed(filing: FilingTown, **query: Any) -> list[dict[str, Any]]:
    answer = filing.ask.get(f"{V2}/requests.json", **query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def errors(answer: Any, status: int) -> str:
    """The words of the one error that an answer carries, in either format."""
    assert answer.status_code == status, answer.text
    if answer.headers["content-type"] == georeport.MEDIA["json"]:
        (error,) = answer.json()
    else:
        assert answer.headers["content-type"] == georeport.MEDIA["xml"]
        (found,) = ElementTree.fromstring(answer.content)
        error = {part.tag: part.text for part in found}
    assert set(error) == {"code", "description"} and int(error["code"]) == status
    return str(error["description"])


# by the specification


def test_the_list_of_services_is_written_as_the_specification_does(filing: FilingTown) -> None:
    told = filing.ask.get(f"{V2}/services.json")
    assert told.headers["content-type"] == "application/json; charset=utf-8"
    assert [service["service_code"] for service in told.json()] == ["leak", "lamp", "other"]
    assert told.json()[0] == {
        "service_code": "leak", "service_name": "Water leak", "description": "A pipe or tap that leaks", "metadata": True,
        "type": "realtime", "keywords": "Water", "group": "Water",
    }  # fmt: skip
    xml = filing.ask.get(f"{V2}/services.xml")
    assert xml.headers["content-type"] == "text/xml; charset=utf-8"
    assert xml.text.startswith(
        '<?xml version="1.0" encoding="utf-8"?>\n<services><service><service_code>leak</service_code>'
    )
    assert "<metadata>true</metadata>" in xml.text


def test_a_definition_names_the_wards_of_the_town(filing: FilingTown) -> None:
    told = filing.ask.get(f"{V2}/services/leak.json").json()
    (attribute,) = told["attributes"]
    assert set(attribute) == {
        "variable", "code", "datatype", "required", "datatype_description", "order", "description", "values",
    }  # fmt: skip
    assert attribute["values"] == [{"key": "W1", "name": "North"}, {"key": "W2", "name": "South"}]
    root = ElementTree.fromstring(filing.ask.get(f"{V2}/services/leak.xml").content)
    assert root.tag == "service_definition"
    assert [value.text for value in root.findall("attributes/attribute/values/value/key")] == ["W1", "W2"]


@pytest.mark.parametrize("form", ["json", "xml"])
def test_discovery_leads_to_the_endpoint(filing: FilingTown, form: str) -> None:
    for path in ("/open311/discovery", f"{V2}/discovery"):
        told = filing.ask.get(f"{path}.{form}")
        if form == "json":
            endpoint = told.json()["endpoints"][0]
            assert told.json()["contact"] == "Town office" and endpoint["formats"] == ["text/xml", "application/json"]
            url = endpoint["url"]
        else:
            root = ElementTree.fromstring(told.content)
            assert root.tag == "discovery"
            url = root.findtext("endpoints/endpoint/url")
        assert url == "http://localhost/open311/v2"


def test_requests_have_the_fields_of_the_specification_and_no_others(filing: FilingTown, filed: list[str]) -> None:
    found = listed(filing)
    assert [one["service_request_id"] for one in found] == filed[::-1]
    assert [list(one) for one in found] == [FIELDS] * 3
    oldest = found[-1]
    assert (oldest["status"], oldest["status_notes"]) == ("closed", "Mended\x08 & <painted>")
    assert (
        oldest["requested_datetime"] == "2026-03-07T06:30:00Z" and oldest["expected_datetime"] == "2026-03-08T06:30:00Z"
    )
    assert oldest["updated_datetime"] == "2026-03-10T06:30:00Z"
    root = ElementTree.fromstring(filing.ask.get(f"{V2}/requests.xml").content)
    assert root.tag == "service_requests" and {request.tag for request in root} == {"request"}
    assert [part.tag for part in root[0]] == FIELDS
    assert root[2].findtext("status_notes") == "Mended & <painted>"


def test_nothing_personal_is_told_to_everybody_and_all_to_those_who_may(filing: FilingTown, filed: list[str]) -> None:
    for form in ("json", "xml"):
        for path in ("requests", f"requests/{filed[1]}"):
            for more in ({}, {"extensions": "true"}):
                told = filing.ask.get(f"{V2}/{path}.{form}", **more).text
                assert not [text for text in PRIVATE if text in told]
                assert "North" in told and "0.512" in told
    headers = {"authorization": f"Bearer {filing.token('office', 'operate')}"}
    (told,) = filing.ask("GET", f"{V2}/requests/{filed[1]}.json", headers=headers).json()
    assert (told["description"], told["address"]) == (PERSONAL["description"], PERSONAL["place"])
    assert (told["lat"], told["long"]) == filing_town.PLACE
    assert not any(PERSONAL[name] in str(told) for name in ("name", "phone", "email"))


def test_filters_hold_and_numbers_go_before_them(filing: FilingTown, filed: list[str]) -> None:
    def numbers(**query: Any) -> list[str]:
        return [one["service_request_id"] for one in listed(filing, **query)]

    assert numbers(service_code="lamp") == [filed[1]]
    assert numbers(service_code="lamp,leak") == filed[::-1]
    assert numbers(status="closed") == [filed[0]] and numbers(status="open,closed") == filed[::-1]
    assert numbers(start_date="2026-03-08T06:30:00Z") == [filed[2], filed[1]]
    assert numbers(start_date="2026-03-08T12:00:00+05:30", end_date="2026-03-08T06:30:00Z") == [filed[1]]
    assert numbers(end_date="2026-03-07T06:30:00Z") == [filed[0]]
    assert numbers(service_request_id=f"{filed[2]},{filed[0]}", status="open", start_date="2026-03-09T07:00:00Z") == [
        filed[2], filed[0],
    ]  # fmt: skip
    assert numbers(service_request_id="nobody") == [] and numbers(service_code="", status="") == filed[::-1]


def test_without_dates_the_last_ninety_days_are_told(filing: FilingTown, filed: list[str]) -> None:
    filing.clock["now"] = NOW + timedelta(days=88)
    found = [one["service_request_id"] for one in listed(filing)]
    filing.clock["now"] = NOW
    assert found == [filed[2], filed[1]]


def test_pages_follow_each_other_by_their_links(filing: FilingTown, filed: list[str]) -> None:
    first = filing.ask.get(f"{V2}/requests.json", page_size=2)
    assert [one["service_request_id"] for one in first.json()] == [filed[2], filed[1]]
    link = first.headers["link"].partition(">")[0].lstrip("<")
    last = filing.ask("GET", f"{V2}/requests.json{link}")
    assert [one["service_request_id"] for one in last.json()] == [filed[0]] and "link" not in last.headers


@pytest.mark.parametrize(
    ("path", "status", "words", "query"),
    [
        ("services/tea", 404, "service_code", {}), ("requests/nobody", 404, "service_request_id", {}),
        ("tokens/x", 404, "token", {}), ("requests", 400, "start_date", {"start_date": "yesterday"}),
        ("requests", 400, "zone", {"end_date": "2026-03-08T06:30:00"}),
        ("requests", 400, "90 days", {"start_date": "2026-01-01T00:00:00Z", "end_date": "2026-06-01T00:00:00Z"}),
        ("requests", 400, "status", {"status": "lost"}), ("requests", 400, "page_size", {"page_size": "1001"}),
        ("requests", 400, "page", {"page": "०"}), ("services", 404, "jurisdiction_id", {"jurisdiction_id": "elsewhere.example"}),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_a_list_of_errors(
    filing: FilingTown, path: str, status: int, words: str, query: dict[str, str]
) -> None:
    for form in ("json", "xml"):
        assert words in errors(filing.ask.get(f"{V2}/{path}.{form}", **query), status)


def test_a_format_that_is_not_written_here_is_told_in_xml(filing: FilingTown) -> None:
    assert "pdf" in errors(filing.ask.get(f"{V2}/services.pdf"), 404)


def test_a_token_is_the_number_itself(filing: FilingTown, filed: list[str]) -> None:
    told = filing.ask.get(f"{V2}/tokens/{filed[0]}.json").json()
    assert told == [{"service_request_id": filed[0], "token": filed[0]}]


# filing


def posted(filing: FilingTown, form: str = "json", headers: dict[str, str] | None = None, **fields: str) -> Any:
    return filing.ask("POST", f"{V2}/requests.{form}", data=fields, headers=headers)


def test_a_posted_request_is_followed_by_the_number_it_gets(filing: FilingTown, key: str) -> None:
    answer = posted(
        filing, api_key=key, service_code="leak", address_string="blue gate", first_name="Asha", last_name="Verma",
        email="asha@example.org", description="It leaks", **{"attribute[ward]": "W2"},
    )  # fmt: skip
    (made,) = answer.json()
    assert answer.status_code == 200 and set(made) == {"service_request_id", "service_notice", "account_id"}
    assert "24 hours" in made["service_notice"]
    filing.look()
    (told,) = filing.ask.get(f"{V2}/requests/{made['service_request_id']}.json", extensions="true").json()
    assert told["status"] == "open" and told["extended_attributes"] == {
        "ward": "W2",
        "state": "received",
        "channel": "app",
    }
    case = filing.town.filing.case(made["service_request_id"], filing_town.OFFICE)
    assert case is not None
    assert case[0].personal == {
        "name": "Asha Verma", "email": "asha@example.org", "description": "It leaks", "place": "blue gate",
    }  # fmt: skip


def test_a_post_with_a_picture_is_taken_as_multipart(filing: FilingTown, key: str) -> None:
    fields = {"api_key": key, "service_code": "lamp", "lat": "0.2", "long": "0.3"}
    answer = filing.ask("POST", f"{V2}/requests.xml", data=fields, files={"media": ("me.jpg", photo(), "text/plain")})
    root = ElementTree.fromstring(answer.content)
    number = root.findtext("request/service_request_id")
    filing.look()
    case = filing.town.filing.case(str(number), filing_town.OFFICE)
    assert case is not None and [picture.kind for picture in case[0].pictures] == ["image/jpeg"]


def test_the_same_idempotency_key_files_once(filing: FilingTown, key: str) -> None:
    fields = {"api_key": key, "service_code": "other", "address_string": "the well"}
    made = [posted(filing, headers={"idempotency-key": "once"}, **fields).json()[0] for _ in range(2)]
    assert made[0]["service_request_id"] == made[1]["service_request_id"]
    assert posted(filing, **fields).json()[0]["service_request_id"] != made[0]["service_request_id"]


REFUSED = {
    "no key": (403, "api_key", {"api_key": ""}), "a wrong key": (403, "api_key", {"api_key": "tbk_none"}),
    "no service": (400, "service_code", {"service_code": ""}), "another service": (404, "service_code", {"service_code": "tea"}),
    "no place": (400, "address_string", {"address_string": ""}), "half a place": (400, "lat", {"lat": "0.5"}),
    "no number": (400, "lat", {"lat": "north", "long": "0.5"}), "far away": (400, "outside", {"lat": "40", "long": "40"}),
    "not a number": (400, "lat", {"lat": "nan", "long": "inf"}),
    "another town": (404, "jurisdiction_id", {"jurisdiction_id": "elsewhere.example"}),
    "an unknown ward": (400, "attribute[ward]", {"attribute[ward]": "W9"}),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_filed_is_refused_in_words(filing: FilingTown, key: str, case: str) -> None:
    status, words, wrong = REFUSED[case]
    fields = {"api_key": key, "service_code": "leak", "address_string": "the well", **wrong}
    for form in ("json", "xml"):
        assert words in errors(posted(filing, form, **fields), status)


def test_a_token_for_something_else_files_nothing(filing: FilingTown) -> None:
    fields = {"service_code": "leak", "address_string": "the well"}
    assert "scope" in errors(posted(filing, api_key=filing.token("reader", "read"), **fields), 403)
    assert "form" in errors(
        filing.ask("POST", f"{V2}/requests.json", content=b"{}", headers={"content-type": "text/plain"}), 400
    )


# anything at all


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    body=st.binary(max_size=300),
    kind=st.sampled_from([
        "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "multipart/form-data", "text/xml", "",
        'multipart/form-data; boundary="', "multipart/form-data; boundary=" + "y" * 300,
    ]),
    frame=st.booleans(),
)  # fmt: skip
def test_any_body_is_answered_with_a_document(filing: FilingTown, body: bytes, kind: str, frame: bool) -> None:
    sent = (
        b'--x\r\nContent-Disposition: form-data; name="service_code"\r\n\r\n' + body + b"\r\n--x--\r\n"
        if frame
        else body
    )
    answer = filing.ask("POST", f"{V2}/requests.json", content=sent, headers={"content-type": kind})
    assert errors(answer, answer.status_code) and answer.status_code in (400, 403)


@settings(max_examples=100, deadline=None)
@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.dictionaries(st.sampled_from(["service_code", "status_notes"]), inner, max_size=2),
    max_leaves=8,
))  # fmt: skip
def test_whatever_stands_in_a_document_is_readable_xml(value: Any) -> None:
    body = georeport.written("errors", [{"code": 400, "description": value}], "xml")
    ElementTree.fromstring(body)
    assert json.loads(georeport.written("errors", [str(value).encode("utf-8", "replace").decode()], "json")) is not None


# read by others, and by ourselves


@contextmanager
def served(filing: FilingTown) -> Iterator[str]:
    """The address of the town's API over HTTP."""
    town = Town(filing.line.settings, lambda: NOW)
    server = uvicorn.Server(uvicorn.Config(api.build(town), port=0, log_level="warning", lifespan="off", ws="none"))

    async def serve() -> None:
        await server.serve()
        await town.line.close()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(timeout=10)


def test_two_independent_clients_read_and_file_over_http(filing: FilingTown, filed: list[str], key: str) -> None:
    """georeport and civicbot from PyPI, written against other cities' servers."""
    from civicbot.open311 import Open311Client
    from civicbot.registry import Endpoint
    from georeport import GeoReport

    with served(filing) as place:
        for form in ("json", "xml"):
            reader = GeoReport(f"{place}{V2}", jurisdiction="testville.example", output_format=form)
            assert [service["service_code"] for service in reader.get_service_list()] == ["leak", "lamp", "other"]
            assert reader.get_service_definition("leak")["service_code"] == "leak"
            closed = reader.get_service_requests(
                status="closed", start_date="2026-03-01T00:00:00Z", service_code="leak,lamp"
            )
            assert [one["service_request_id"] for one in (closed if form == "json" else [closed])] == [filed[0]]
            assert reader.get_service_request(filed[1])["service_name"] == "Street lamp"
        endpoint = Endpoint(id="testville", name="Testville", base_url=f"{place}{V2}", write=True)
        client = Open311Client(endpoint, jurisdiction_id="testville.example")
        sent = client.create_request(
            "lamp", dry_run=False, confirm="SEND", api_key=key, validate_remote=True, lat=0.4, lng=0.4, email="a@example.org",
            description="दीया नहीं जलता", attributes={"ward": "W1"},
        )  # fmt: skip
        number = sent.response[0]["service_request_id"]
        assert client.get_request(number)["status"] == "open"
        assert client.get_token(number)[0]["service_request_id"] == number
        assert len(client.list_requests(status="open", page_size=1)) == 1


@pytest.mark.parametrize("form", ["json", "xml"])
def test_our_own_poll_reads_our_own_server(filing: FilingTown, filed: list[str], form: str) -> None:
    payload = filing.ask.get(f"{V2}/requests.{form}", extensions="true", service_request_id=",".join(filed)).content
    found = decoder(f"open311_{form}")(payload, {"format": f"open311_{form}"}, NOW)
    assert not found.refused
    read = found.tables["service_requests"].sort("requested_datetime")
    own = filing.line.store.rows(
        "service_requests", where="service_request_id IN (SELECT unnest($n))", params={"n": filed}
    )
    same = [
        "service_request_id", "status", "service_code", "service_name", "requested_datetime", "updated_datetime",
        "expected_datetime", "ward", "state", "channel", "closed_at", "first_response_at", "lat", "lon", "agency_responsible",
    ]  # fmt: skip
    assert read.select(same).rows() == own.select(same).rows()
