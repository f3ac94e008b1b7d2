"""Variables of a Lambda function come from a file, as Lambda would take them."""

import json
from pathlib import Path
from typing import Any

import pytest

from buoyfleet.cloud.local.lambda_variables import read_variables
from buoyfleet.model.errors import UsageError


@pytest.mark.parametrize(
    "document", [{"SITE": "a"}, {"FunctionName": "f", "Environment": {"Variables": {"SITE": "a"}}}]
)
def test_variables_are_read_from_an_object_or_from_what_aws_prints(tmp_path: Path, document: Any) -> None:
    file = tmp_path / "variables.json"
    file.write_text(json.dumps(document))
    assert read_variables(str(file)) == {"SITE": "a"}
    assert read_variables("") == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[]", "a JSON object of texts"),
        ('{"SITE": 1}', "a JSON object of texts"),
        ('{"X": "one letter"}', "no name of a variable"),
        ('{"AWS_REGION": "x"}', "reserves"),
        (json.dumps({"LONG": "x" * 4096}), "Lambda takes 4096"),
    ],
)
def test_variables_that_lambda_would_refuse_are_refused(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "variables.json"
    file.write_text(text)
    with pytest.raises(UsageError, match=words):
        read_variables(str(file))
    with pytest.raises(UsageError, match="cannot be read"):
        read_variables(str(tmp_path / "none.json"))
