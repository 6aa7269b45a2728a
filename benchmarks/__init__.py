"""Benchmarks: each prints its figures as ratios against a limit or a peer, in one run."""
