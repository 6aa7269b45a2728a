"""Requests that people file with the town itself: what is personal apart from what is counted."""
