"""What a value means: good, watch, breach, stale, no data."""

from datetime import datetime

from pipelines.engine.model import Kpi

STALE_INTERVALS = 3
# Without a declared `watch` value, up to a tenth of the target beyond it is watched before it is a breach.
WATCH_SHARE = 0.1


def judge(kpi: Kpi, value: float | None, as_of: datetime | None, every_s: float | None, now: datetime) -> str:
    """The state word of a KPI value.

    good: meets the target. watch: beyond it, by less than the watch value. breach: worse.
    stale: three expected intervals without new data. context: the KPI is neither good nor bad.
    """
    if value is None:
        return "no data"
    if as_of is not None and every_s and (now - as_of).total_seconds() > STALE_INTERVALS * every_s:
        return "stale"
    if kpi.better == "context" or kpi.target is None:
        return "context"
    sign = 1.0 if kpi.better == "higher" else -1.0
    miss = (kpi.target - value) * sign
    if miss <= 0:
        return "good"
    margin = abs(kpi.watch - kpi.target) if kpi.watch is not None else abs(kpi.target) * WATCH_SHARE
    return "watch" if miss <= margin else "breach"
