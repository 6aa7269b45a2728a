"""Grievances: what residents ask the town to put right, and whether it does."""

from datetime import timedelta
from pathlib import Path

from pipelines.engine.model import AlarmRule, Domain
from pipelines.grievances.kpis import KPIS
from pipelines.grievances.pictures import PICTURES
from pipelines.grievances.tables import (
    COMPLAINT_BOOK,
    OPEN311_JSON,
    OPEN311_XML,
    SEECLICKFIX,
    SERVICE_REQUESTS,
    SERVICES,
)

DOMAIN = Domain(
    name="grievances",
    title="Grievances",
    meaning="What residents ask the town to put right: how many, how soon settled, what is left open.",
    tables=(SERVICE_REQUESTS,),
    references=(SERVICES,),
    sources=(OPEN311_JSON, OPEN311_XML, SEECLICKFIX, COMPLAINT_BOOK),
    kpis=KPIS,
    alarms=(
        AlarmRule(
            name="complaint_wave",
            title="Wave of complaints",
            watches="requests_received",
            level="ward",
            above=9,
            deadband=4,
            off_delay=timedelta(minutes=30),
            priority="high",
            instruction="Read the newest complaints of the ward: one cause (no water, no power) usually stands behind "
            "them. Tell that department and answer the residents with one message.",
        ),
        AlarmRule(
            name="overdue_backlog",
            title="Many complaints past their promised date",
            watches="overdue",
            level="town",
            above=50,
            deadband=5,
            priority="medium",
            instruction="Open the list by department, ask each for the oldest ten, and tell the residents a new date.",
        ),
    ),
    pictures=PICTURES,
    rules=Path(__file__).parent / "limits" / "rules.csv",
)
