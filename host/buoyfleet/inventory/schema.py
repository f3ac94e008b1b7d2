"""The JSON schema of a fleet file, for editors: from the declarations that the loader reads by.

What JSON schema cannot say is left to the loader: ids that stand twice, bounds of durations, and what one key
means for another in a different place (`docs/boards-yaml.md` tells).
"""

from buoyfleet.inventory.fields import Schema
from buoyfleet.inventory.format import FleetSection
from buoyfleet.inventory.sections import section_schema

# The version that yaml-language-server knows best.
DIALECT = "http://json-schema.org/draft-07/schema#"


def fleet_schema() -> Schema:
    """The schema as JSON data."""
    return {
        "$schema": DIALECT,
        "title": "buoyfleet fleet file",
        "description": "The boards of a fleet and what they do.",
        **section_schema(FleetSection),
    }
