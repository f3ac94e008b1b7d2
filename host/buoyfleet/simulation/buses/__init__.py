"""Simulated buses: what drivers import on a board (machine, onewire …), led to the simulated parts."""
