"""Benchmarks: each prints its figures as ratios against a limit or a peer, in one run."""

import os

# As the processes of the app run (see app.py); read by Polars when it is first imported.
os.environ.setdefault("POLARS_MAX_THREADS", "1")
# Grouping a thousand rows takes a quarter of the time when they are not dealt out to workers first.
os.environ.setdefault("POLARS_NO_PARTITION", "1")
