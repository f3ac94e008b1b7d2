"""The certificate of one calibration, as HTML and PDF, from its record alone."""
