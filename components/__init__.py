"""Pieces of glass: what pages are made of. They draw snapshots and ask the town; they change nothing."""
