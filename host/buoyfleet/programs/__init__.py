"""Programs that Python's packages do not bring: MicroPython for simulated boards, and useful ones beside it.

What this system has is used; the rest is fetched out of its own packages into a folder, without root.
Standard library only: the set-up of a checkout runs this with the system's Python, before any environment
exists.
"""
