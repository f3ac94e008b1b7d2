"""Flash and commission boards: resumable plans, many boards at once, records, labels."""
