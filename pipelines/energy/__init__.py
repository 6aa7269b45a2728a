"""Energy: reliability of supply, feeders and transformers, microgrids, street lights."""

from pathlib import Path

from pipelines.energy.alarms import ALARMS
from pipelines.energy.kpis import KPIS
from pipelines.energy.pictures import PICTURES
from pipelines.energy.sources import SOURCES
from pipelines.energy.tables import QUANTITIES, REFERENCES, TABLES
from pipelines.engine.model import Domain

DOMAIN = Domain(
    name="energy",
    title="Energy",
    meaning="Power cuts, voltage, feeders and transformers, microgrids and street lights",
    quantities=QUANTITIES,
    tables=TABLES,
    references=REFERENCES,
    sources=SOURCES,
    kpis=KPIS,
    alarms=ALARMS,
    pictures=PICTURES,
    rules=Path(__file__).parent / "limits" / "rules.csv",
)
