"""Where buoys publish and where their data ends."""
