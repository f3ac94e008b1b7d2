"""The usual JUnit schema (Ant's junitreport as Jenkins reads it): elements, their order, attribute types."""

import re
from xml.etree import ElementTree

NUMBER, DECIMAL, ANY = r"\d+", r"\d+(\.\d+)?", r"(?s).*"
STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"
# Element → (required attributes, optional attributes, children in order).
SCHEMA: dict[str, tuple[dict[str, str], dict[str, str], tuple[str, ...]]] = {
    "testsuites": (
        {},
        {
            "name": ANY,
            "time": DECIMAL,
            "tests": NUMBER,
            "failures": NUMBER,
            "errors": NUMBER,
            "disabled": NUMBER,
        },
        ("testsuite",),
    ),
    "testsuite": (
        {"name": ANY, "tests": NUMBER},
        {
            "failures": NUMBER,
            "errors": NUMBER,
            "skipped": NUMBER,
            "disabled": NUMBER,
            "time": DECIMAL,
            "timestamp": STAMP,
            "hostname": r"\S+",
            "id": NUMBER,
            "package": ANY,
        },
        ("properties", "testcase", "system-out", "system-err"),
    ),
    "properties": ({}, {}, ("property",)),
    "property": ({"name": ANY, "value": ANY}, {}, ()),
    "testcase": (
        {"name": ANY},
        {"classname": ANY, "time": DECIMAL, "assertions": NUMBER, "status": ANY},
        ("skipped", "error", "failure", "system-out", "system-err"),
    ),
    "failure": ({}, {"message": ANY, "type": ANY}, ()),
    "skipped": ({}, {"message": ANY, "type": ANY}, ()),
}
ONCE = {"properties"}


def violations(root: ElementTree.Element) -> list[str]:
    """Everything that a validator would complain of, and sums that are wrong."""
    found = [] if root.tag == "testsuites" else [f"root is {root.tag}"]
    for element in root.iter():
        found += _of(element)
    for suite in root.iter("testsuite"):
        sums = {"tests": len(suite.findall("testcase")), "failures": len(suite.findall("testcase/failure"))}
        found += [
            f"{suite.get('name')}: {name}={suite.get(name)} but there are {number}"
            for name, number in sums.items()
            if suite.get(name) != str(number)
        ]
    return found


def _of(element: ElementTree.Element) -> list[str]:
    if element.tag not in SCHEMA:
        return [f"unknown element {element.tag}"]
    required, optional, children = SCHEMA[element.tag]
    found = [f"{element.tag} lacks {name}" for name in required if name not in element.attrib]
    for name, value in element.attrib.items():
        pattern = {**required, **optional}.get(name)
        if pattern is None or not re.fullmatch(pattern, value):
            found.append(f"{element.tag} has {name}={value!r}")
    tags = [child.tag for child in element]
    if any(tag not in children for tag in tags):
        found.append(f"{element.tag} holds {tags}")
    elif tags != sorted(tags, key=children.index) or any(tags.count(tag) > 1 for tag in ONCE):
        found.append(f"{element.tag}: order of {sorted(set(tags))}")
    return found
