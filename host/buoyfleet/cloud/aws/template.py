"""The pipeline as a CloudFormation template, with the Lambda function of the twin in it."""

from pathlib import Path

FILE = Path(__file__).with_name("pipeline.yaml")
HANDLER = Path(__file__).parent.parent / "local" / "datatransform.py"
_MARK = "@datatransform.py"


def pipeline_template() -> str:
    """The template, ready to be deployed: the function's source stands where the file has a mark."""
    text = FILE.read_text(encoding="utf-8")
    lines = []
    for line in text.splitlines():
        if _MARK in line:
            indent = line[: len(line) - len(line.lstrip())]
            source = HANDLER.read_text(encoding="utf-8").splitlines()
            lines += [f"{indent}{code}".rstrip() for code in source]
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"
