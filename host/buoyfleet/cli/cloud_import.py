"""What `buoy cloud import` does and prints."""

from pathlib import Path

from buoyfleet.cli.console import write_line
from buoyfleet.cloud.aws.account import Account
from buoyfleet.cloud.aws.code_download import download
from buoyfleet.cloud.aws.import_pipeline import PipelineReader
from buoyfleet.cloud.aws.imported_files import write_pipeline
from buoyfleet.model.aws import AwsSpec
from buoyfleet.model.exit_codes import ExitCode


def show_import(rules: tuple[str, ...], into: Path, region: str, profile: str, topic_prefix: str) -> ExitCode:
    """Read, write, and say what is not as in the account."""
    account = Account(AwsSpec(region=region, profile=profile), "import")
    found = PipelineReader(account, download).read(rules, topic_prefix)
    files = write_pipeline(found, into)
    write_line(f"account   {found.account} in {found.region}")
    write_line(f"rules     {', '.join(found.rules)}")
    if found.feeding:
        write_line(f"stores    fed by {', '.join(found.feeding)}; topics {found.topic_prefix}/<id>/data/")
    if found.functions:
        write_line(f"functions {', '.join(found.functions)}")
    for file in files:
        write_line(f"wrote     {file}")
    for note in found.notes:
        write_line(f"! {note}")
    write_line(f"next      buoy check {files[0]}")
    return ExitCode.OK
