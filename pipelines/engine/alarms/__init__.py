"""Alarms: conditions -> what explains them -> lifecycle (ISA-18.2) -> the list, incidents and performance."""
