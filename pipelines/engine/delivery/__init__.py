"""Delivery: who is told of which alarm, when, by which channel, and what happens when nobody answers."""
