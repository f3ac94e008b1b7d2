"""The Board protocol, its kinds, and packs of virtual boards."""
