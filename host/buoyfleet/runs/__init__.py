"""Runs of a fleet: pacing, engine, progress."""
