"""Visits to buoys in service: readings as found, cleaned and in standards, and what they say of the data.

`limits` has the criteria of each sensor, `errors` the arithmetic, `evaluate` the judgement, `session` leads
through a visit, and `record` keeps it beside the calibration records. Method: Wagner, R.J., and others,
2006, Guidelines and standard procedures for continuous water-quality monitors, U.S. Geological Survey
Techniques and Methods 1-D3.
"""
