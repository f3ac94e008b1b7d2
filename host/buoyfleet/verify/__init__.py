"""The verdict: the ledger against the stores, explained by the evidence.

Two entries, both given a run's folder (neither is imported here: they need pyarrow and DuckDB, and start-up
counts):

    buoyfleet.verify.ledger.compact_ledger    the streams of a run → `ledger.parquet`
    buoyfleet.verify.verdict.verify           ledger, stores and evidence → `Verification`
"""
