"""Water: from the source to the tap, the meter and the drain."""

from pathlib import Path

from pipelines.engine.model import Domain
from pipelines.water import accounts, balance, meters, network, night, pumps, quality, supply, tanks
from pipelines.water.alarms import ALARMS
from pipelines.water.pictures import PICTURES
from pipelines.water.sources import SOURCES
from pipelines.water.tables import QUANTITIES, REFERENCES, TABLES

DOMAIN = Domain(
    name="water",
    title="Water",
    meaning="Supply, pressure, quality and losses of the water network, its tanks, pumps and meters, and sewage",
    quantities=QUANTITIES,
    tables=TABLES,
    references=REFERENCES,
    sources=SOURCES,
    kpis=(
        *supply.KPIS,
        *network.KPIS,
        *tanks.KPIS,
        *night.KPIS,
        *meters.KPIS,
        *quality.KPIS,
        *pumps.KPIS,
        *balance.KPIS,
        *accounts.KPIS,
    ),
    alarms=ALARMS,
    pictures=PICTURES,
    rules=Path(__file__).parent / "limits" / "rules.csv",
)
