"""Feeds about energy that need no mapping by the town."""

SOURCES = ()
