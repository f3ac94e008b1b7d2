"""What lies where in a twin's folder."""

TIMESTREAM_FOLDER, S3_FOLDER, EVIDENCE_FOLDER, LAMBDA_LOG = "timestream", "s3", "evidence", "lambda.log"
ACTIONS_FOLDER = "actions"
"""What actions of rules beside the stores would hand over."""
S3_INDEX_FOLDER = "s3-index"
"""Beside the bucket: which message wrote which bytes, as S3 itself does not know."""
RECORDS_WHOLE = "records-whole"
"""In `EVIDENCE_FOLDER`: written last by a twin that ended with all it knew on the disk."""
STORES = ("timestream", "s3")
"""Stores of every twin."""
