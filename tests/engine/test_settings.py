"""town.toml: every mistake is named by file and line, with what was found and what is allowed. One file per mistake."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from pipelines import available
from pipelines.engine import settings
from pipelines.engine.errors import SettingsError

MISTAKES = Path(__file__).parent / "settings"
# The mistake, the line it stands on, what was found, what is allowed.
EXPECTED = {
    "no_town_section": (None, "[town] is missing", "name, timezone and domains"),
    "not_toml": (None, "line 1, column 6", "Mend that line"),
    "no_name": (1, "name is missing", 'name = "Nadipur"'),
    "unknown_zone": (3, "Europe/Roma", "Europe/Rome"),
    "zone_is_a_list": (3, "['Europe/Rome']", "text in quotes"),
    "unknown_domain": (4, "`watr`", "Did you mean `water`? Known are: energy, grievances, pollution, transport, water"),
    "no_domain": (4, "no domain", "choose from energy"),
    "domains_is_text": (4, 'domains = "water"', "a list of texts"),
    "unknown_town_key": (5, "`langages`", "Did you mean `languages`?"),
    "beat_is_zero": (5, "`beat_s = 0`", "above 0"),
    "unknown_section": (6, "`watter`", "Did you mean `water`?"),
    "feeds_is_a_number": (1, "`feeds = 5`", "[feeds]"),
    "feed_is_a_number": (7, "`bus = 5`", "[feeds.bus]"),
    "feed_name_with_dash": (6, "Bus-Feed", "small letters, digits and _"),
    "unknown_feed_key": (8, "`evry`", "Did you mean `every`?"),
    "unknown_source": (7, "`water.network_reading`", "Did you mean `water.network_readings`?"),
    "unknown_origin": (8, "'ftp'", "poll, drop_folder, http_push, mqtt, replay"),
    "poll_without_url": (6, "needs an address", 'url = "https://'),
    "unknown_format": (7, "'xml'", "csv, xlsx, json"),
    "unknown_table": (8, "`reading`", "Did you mean `readings`?"),
    "feed_zone": (8, "IST!", "Europe/Rome"),
    "every_without_unit": (8, "'5' is no duration", '"15 min"'),
    "timeout_is_text": (8, '`timeout_s = "20"`', "a number above 0"),
    "mapping_is_text": (8, '`mapping = "time"`', "[feeds.x.mapping]"),
    "unknown_mapping_key": (8, "'tme'", "time"),
    "unknown_kpi": (6, "`suply_per_head`", "Did you mean `supply_per_head`?"),
    "unknown_kpi_key": (7, "`targt`", "Did you mean `target`?"),
    "target_is_text": (7, "'135 l'", "not a number"),
    "coverage_in_per_cent": (7, "`min_coverage = 75`", "between 0 and 1"),
    "kpi_is_a_number": (7, "`supply_per_head = 135`", "[water.kpis.supply_per_head]"),
    "unknown_alarm": (6, "`tank_lo`", "Did you mean `tank_low`?"),
    "alarm_limit_is_text": (7, "'40%'", "without a sign or unit"),
    "alarm_other_side": (7, "rings below", "tune `below`"),
    "alarm_delay": (7, "60 is no duration", '"15 min"'),
    "alarm_priority": (7, "'urgent'", "critical, high, medium, low"),
    "filing_open_is_text": (7, "`open = 'yes'`", "true or false"),
    "filing_keep": (7, '`keep = "1 h"`', "at least 1 d"),
    "filing_per_hour": (7, "`per_hour = 0`", "a whole number above 0"),
    "filing_contact": (7, "`contact = 5`", "write text"),
    "filing_unknown_key": (7, "`kep`", "Did you mean `keep`?"),
    "open_wall_is_text": (5, '`open_wall = "yes"`', "true or false"),
    "alarm_enabled_is_text": (7, '`enabled = "no"`', "true or false"),
    "mqtt_without_broker": (6, "names the broker", "write [brokers.main]"),
    "topic_mixed": (11, "`tank-{b}`", "one whole level"),
    "broker_url": (7, "needs an address", 'url = "mqtts://'),
    "broker_two_passwords": (10, "only one of", "password, password_file, password_env"),
    "broker_ca_missing": (8, "ca.pem", "below the town's folder"),
    "broker_certificate_without_key": (8, "needs a `key_file`", "a certificate and its key"),
    "broker_certificate_without_tls": (8, "over TLS only", "mqtts://"),
    "broker_version": (8, "`version = 4`", "3.1.1"),
    "delivery_without_receiver": (6, "no receiver is declared", "[delivery.receivers.control_room]"),
    "delivery_unknown_key": (7, "`lnk`", "Did you mean `link`?"),
    "delivery_channel_kind": (7, "'pigeon'", "apprise, sms_gateway, sms_spool, webhook"),
    "delivery_gateway_places": (8, "say where {text}", "sms_send"),
    "delivery_gateway_accepts": (10, "no regular expression", "OK"),
    "delivery_spool_program": (8, "'kalkun'", "smstools, gammu"),
    "delivery_channel_without_url": (6, "give the address", "url_file"),
    "delivery_unknown_channel": (9, "`sns`", "Did you mean `sms`?"),
    "delivery_unknown_receiver": (9, "`rom`", "Did you mean `room`?"),
    "delivery_matcher": (11, "'severity'", "priority"),
    "delivery_ladder_step": (9, "'soon' is no duration", "10 min: supervisor"),
    "delivery_quiet_time": (9, "'ten'", "22:00"),
    "delivery_cap_sender": (9, "without spaces", "board@town.example"),
    "backup_without_place": (6, "name a folder on another disk", 'to = "/media/'),
    "unknown_backup_key": (8, "`evry`", "Did you mean `every`?"),
    "backup_every": (8, "'daily' is no duration", "years"),
    "export_of_no_table": (7, "`reeding`", "kpi_values"),
    "export_without_place": (6, "name a folder", 'to = "/srv/'),
    "export_name": (6, "file names", "small letters, digits and _"),
    "report_language": (8, "['fr']", "en, hi"),
    "report_tells_nobody": (9, "`counsel`", "Did you mean `council`?"),
    "second_factor_from_unknown_role": (7, "'chief'", "viewer, council, operator, clerk, admin"),
    "unknown_access_key": (7, "`second_factor`", "Did you mean `second_factor_from`?"),
    "too_few_connections": (7, "`connections_per_address = 4`", "from 16 on"),
    "too_few_requests": (7, "`requests_per_minute = 5`", "from 60 on"),
    "openid_over_http": (7, "`issuer` must be the https address", 'issuer = "https://'),
    "openid_without_roles": (6, "who may do what", "[access.openid.roles]"),
    "openid_unknown_role": (11, "'chief'", "viewer, council, operator, clerk, admin"),
    "openid_secret_missing": (10, "`nowhere.secret`", "beside town.toml"),
    "openid_scopes": (10, "list of texts", '["openid", "profile", "groups"]'),
    "unknown_openid_key": (10, "`client_secret`", "Did you mean `client_secret_file`?"),
    "backup_keeps_none": (8, "`keep = 0`", "keep = 7"),
    "unknown_retention": (7, "`reading`", "Did you mean `readings`?"),
    "retention_too_short": (7, '`quarantine = "1 d"`', "at least 31 d"),
    "retention_is_a_number": (7, "730 is no duration", '"for ever"'),
    "values_are_never_dropped": (7, "`values` is not known", "arrivals, board, corrections"),
    "rollups_shorter_than_readings": (8, "rollups", "at least as long as the readings"),
    "owner_is_a_number": (7, "name the office that answers", 'owner = "Water department"'),
    "tolerance_below_zero": (7, "`tolerance = -1`", "0 or more"),
    "unknown_section_of_a_domain": (6, "`kpi`", "Did you mean `kpis`?"),
}


def mistakes_of(folder: Path) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        settings.load(folder, available)
    return caught.value.mistakes


def test_every_file_of_mistakes_is_expected_here() -> None:
    assert {path.name.split(".")[1] for path in MISTAKES.glob("town.*.toml")} == set(EXPECTED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_mistake_is_named_with_its_line_what_was_found_and_what_is_allowed(tmp_path: Path, name: str) -> None:
    shutil.copy(MISTAKES / f"town.{name}.toml", tmp_path / "town.toml")
    line, found, allowed = EXPECTED[name]
    words = mistakes_of(tmp_path)
    fitting = [text for text in words if found in text and allowed in text]
    assert fitting, words
    assert "town.toml" in fitting[0]
    assert line is None or f"line {line}," in fitting[0]


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "town.toml").write_text(
        '[town]\nname = ""\ntimezone = "X"\ndomains = ["water"]\nbeat_s = true\n[feeds.a]\nformat = "x"\n[water.kpis.y]\n'
    )
    assert len(mistakes_of(tmp_path)) == 5


def test_missing_file_says_how_to_begin(tmp_path: Path) -> None:
    (words,) = mistakes_of(tmp_path)
    assert "town.example.toml" in words
    assert "python app.py demo" in words


def test_brackets_in_brackets_without_end_are_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "town.toml").write_text("a = " + "[" * 5_000)
    (words,) = mistakes_of(tmp_path)
    assert "hundreds deep" in words


VALUES = ("5", "true", '"x"', "[]", "[1]", "{}", "-1", "nan", "inf", "2026-01-01", '[["a"]]', '""')
KEYS = {
    "town": ("name", "timezone", "languages", "domains", "demo", "open_wall", "beat_s", "future_tolerance_s"),
    "feeds.f": sorted(settings.FEED_KEYS),
    "feeds": ("f",),
    "water": ("kpis", "alarms"),
    "water.kpis": ("supply_per_head",),
    "water.kpis.supply_per_head": ("target", "watch", "min_coverage", "floor"),
    "water.alarms": ("tank_low",),
    "exports.e": sorted(settings.EXPORT_KEYS),
    "reports.r": sorted(settings.REPORT_KEYS),
    "water.alarms.tank_low": sorted(settings.ALARM_KEYS),
}


@pytest.mark.parametrize(("section", "key"), [(section, key) for section, keys in KEYS.items() for key in keys])
def test_no_value_of_any_kind_brings_a_traceback(tmp_path: Path, section: str, key: str) -> None:
    for value in VALUES:
        town = {"name": '"T"', "timezone": '"UTC"', "domains": '["water"]'}
        feed = {"from": '"poll"', "url": '"http://x/"', "format": '"csv"'}
        own = {"town": town, "feeds.f": feed}.get(section, {})
        lines = [f"{name} = {text}" for name, text in {**own, key: value}.items()]
        head = [] if section == "town" else ["[town]", *(f"{name} = {text}" for name, text in town.items())]
        (tmp_path / "town.toml").write_text("\n".join([*head, f"[{section}]", *lines, ""]))
        try:
            settings.load(tmp_path, available)
        except SettingsError as error:
            assert all("town.toml" in words for words in error.mistakes)


def test_town_may_tune_what_a_domain_declares(tmp_path: Path) -> None:
    (tmp_path / "town.toml").write_text(
        '[town]\nname = "T"\ntimezone = "Europe/Rome"\ndomains = ["water"]\n'
        '[feeds.f]\nuse = "water.network_readings"\nevery = "90 s"\n'
        "[water.kpis.pressure_compliance]\ntarget = 80\nmin_coverage = 0.5\n"
        '[water.alarms.tank_low]\nbelow = 2.5\non_delay = "3 min"\npriority = "low"\n'
        "[water.alarms.e_coli]\nenabled = false\n"
    )
    found = settings.load(tmp_path, available)
    (water,) = found.domains
    kpi = next(kpi for kpi in water.kpis if kpi.id == "pressure_compliance")
    alarms = {rule.name: rule for rule in water.alarms}
    assert (kpi.target, kpi.min_coverage) == (80.0, 0.5)
    assert (alarms["tank_low"].below, alarms["tank_low"].on_delay, alarms["tank_low"].priority) == (
        2.5,
        timedelta(minutes=3),
        "low",
    )
    assert "e_coli" not in alarms
    feed = found.feeds["f"]
    assert (feed.every, feed.origin, feed.table, feed.zone, feed.declared) == (
        timedelta(seconds=90),
        "drop_folder",
        "readings",
        "Europe/Rome",
        True,
    )
    # A source that the town does not name still has its drop folder, and pushes a feed of their own.
    assert not found.feeds["tank_readings"].declared
    assert "network_readings" not in found.feeds
    assert found.feeds["push"].origin == "http_push"


@pytest.mark.parametrize(
    ("text", "seconds"), [("30 s", 30), ("15 min", 900), ("1.5h", 5400), (" 2 d ", 172800), ("1 day", 86400)]
)
def test_duration_is_read_from_text(text: str, seconds: float) -> None:
    assert settings.duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "5", "5 m", "-1 s", "0 s", 5, None, "1 h 5 min", "inf s", "9999999 years"])
def test_duration_refuses_what_is_none(text: object) -> None:
    with pytest.raises(ValueError, match="no duration"):
        settings.duration(text)


def test_town_says_how_long_rows_are_kept_and_where_its_copies_go(tmp_path: Path) -> None:
    (tmp_path / "town.toml").write_text(
        '[town]\nname = "T"\ntimezone = "Asia/Kolkata"\ndomains = ["water"]\n'
        '[backup]\nto = "/media/usb"\nkeep = 3\n'
        '[retention]\nreadings = "400 d"\nevents = "10 years"\nwater_samples = "for ever"\n'
    )
    found = settings.load(tmp_path, available)
    assert found.backup == settings.BackupPlan(Path("/media/usb"), timedelta(days=1), 3, weekly=4, monthly=12)
    assert found.retention["readings"] == timedelta(days=400)
    assert found.retention["water_bills"] == timedelta(days=3660)
    # Never taken away: what the town keeps for ever, published values, the numbers of sensors, rollups.
    assert not {"water_samples", "kpi_values", "series", "roll_hourly"} & set(found.retention)


def test_owner_of_a_kpi_goes_before_the_owner_of_its_domain(tmp_path: Path) -> None:
    text = '[town]\nname = "T"\ntimezone = "UTC"\ndomains = ["water"]\n[water]\nowner = "Water works"\n'
    (tmp_path / "town.toml").write_text(text + '[water.kpis.non_revenue_water]\nowner = "Treasurer"\ntolerance = 2\n')
    kpis = {kpi.id: kpi for kpi in settings.load(tmp_path, available).kpis}
    assert kpis["non_revenue_water"].owner == "Treasurer"
    assert kpis["non_revenue_water"].tolerance == 2
    assert kpis["supply_per_head"].owner == "Water works"
