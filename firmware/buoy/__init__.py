"""The application of a buoy: the same files on MicroPython and CPython."""
