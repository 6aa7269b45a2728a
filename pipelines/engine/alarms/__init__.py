"""Alarms: conditions -> what explains them -> lifecycle (ISA-18.2) -> the list, incidents and performance."""

from pipelines.engine.alarms.record import Alarm, Transition
from pipelines.engine.alarms.watch import Alarms

__all__ = ("Alarm", "Alarms", "Transition")
