"""Water, parts, buses and whole boards in software."""
