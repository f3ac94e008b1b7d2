"""boards.yaml: loading, errors with line numbers, JSON schema."""
