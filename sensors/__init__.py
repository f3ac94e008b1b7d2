"""Nine sensors: drivers, calibration, on-board fakes; MicroPython and CPython."""
