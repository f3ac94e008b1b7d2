"""Reports from one result object."""
