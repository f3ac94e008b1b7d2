"""Simulated parts: what a driver talks to, from the liquid to the wire."""
