"""Ledger against stores, explained by evidence."""
