"""Nadipur, an invented town that talks to the app only through real sources."""
