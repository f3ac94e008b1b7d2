"""Bench calibration: from a probe in a known solution to coefficients on the board and a certificate.

`guide.Guide` leads through a `procedure.Procedure`, one per sensor; `dialogue.Dialogue` is whoever follows: a
person at a terminal or a plan. Everything that happens is in an append-only record (`record`), from which
certificates, exports, status and forecasts are made.
"""
