"""Reports from one result object.

`write.write_reports` makes result.json, report.html and junit.xml in a run's folder; `terminal.print_verdict`
says it where people type; `load.read_result` brings a result back.
"""
