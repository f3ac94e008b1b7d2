"""The modules of an ESP32 as simulated: pure Python for CPython and for MicroPython's Unix port.

Every class and function that a module names in `WIRED` takes the keyword `wire`: the call interface of a
board's bench. On a host, buoyfleet.simulation.buses.modules fills it in, so that a process holds any number
of boards. In a MicroPython process, which is one board, it is left out: then it is that of
`buoy_wire.connect`.
"""
