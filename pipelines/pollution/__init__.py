"""Pollution: air, noise, treated sewage and greenhouse gas."""

from datetime import timedelta
from pathlib import Path

from pipelines.engine.model import AlarmRule, Domain
from pipelines.pollution.kpis import KPIS
from pipelines.pollution.limit_references import LIMITS
from pipelines.pollution.pictures import PICTURES
from pipelines.pollution.tables import (
    CLIMATE_ACTIVITIES,
    EFFLUENT,
    EFFLUENT_PLANTS,
    EFFLUENT_SAMPLES,
    NOISE_LIMITS,
    NOISE_SITES,
    QUANTITIES,
    SOURCES,
)

ALARMS = (
    AlarmRule(
        name="smoke",
        title="Smoke: fine particles very high",
        watches="pm25_ug_m3",
        above=250,
        deadband=50,
        on_delay=timedelta(minutes=1),
        off_delay=timedelta(minutes=15),
        priority="critical",
        instruction="Look for a fire or waste burning upwind and call the fire service. Warn schools and the hospital. "
        "If only one station shows it, check its inlet.",
    ),
    AlarmRule(
        name="air_very_poor",
        title="Air quality index very poor",
        watches="india_naqi",
        above=300,
        deadband=10,
        off_delay=timedelta(hours=1),
        priority="high",
        instruction="Publish the health advice for this band. Stop waste burning and dusty works, water the roads.",
    ),
    AlarmRule(
        name="noise_high",
        title="Noise very high",
        watches="noise_dba",
        above=85,
        deadband=3,
        on_delay=timedelta(minutes=10),
        off_delay=timedelta(minutes=10),
        priority="medium",
        instruction="Send someone to the site. Check for loudspeakers or works without a permit.",
    ),
    AlarmRule(
        name="night_noise_over_limit",
        title="Night noise over the limit of the zone",
        watches="noise_compliance_night",
        below=100,
        priority="low",
        instruction="Note the site and the night for the police station; look for a permit or a festival exemption.",
    ),
    AlarmRule(
        name="effluent_ph",
        title="Treated sewage too sour or too alkaline",
        watches="effluent_samples",
        column="ph",
        thing="plant",
        # What the NGT order of 30 April 2019 allows; the other limits of a consent are held by effluent_fails.
        below=5.5,
        above=9.0,
        deadband=0.2,
        priority="high",
        instruction="Call the plant: ask what was let into the sewer and whether the outlet can be closed. Take a "
        "second sample; at such values the treatment itself dies within hours.",
    ),
    AlarmRule(
        name="effluent_fails",
        title="Sewage plant outside its consent",
        watches="effluent_compliance",
        below=100,
        priority="high",
        instruction="Call the plant: ask for the aeration, the chlorine dose and a second sample. "
        "Tell the pollution control board when the second sample fails too.",
    ),
)

DOMAIN = Domain(
    name="pollution",
    title="Pollution",
    meaning="Air quality, noise, treated sewage and greenhouse gas.",
    quantities=QUANTITIES,
    tables=(EFFLUENT_SAMPLES, CLIMATE_ACTIVITIES),
    references=(NOISE_SITES, NOISE_LIMITS, EFFLUENT_PLANTS, EFFLUENT, *LIMITS),
    sources=SOURCES,
    kpis=KPIS,
    alarms=ALARMS,
    pictures=PICTURES,
    rules=Path(__file__).parent / "limits" / "rules.csv",
)
