"""One body of water in simulated time: what the nine sensors of every buoy have in common."""
