"""The `sensors` key: one word for all nine, or a word or mapping for each."""

# ruff: noqa: RUF009 (`entry` makes a dataclass field, which is what the rule wants)

from dataclasses import dataclass, field, make_dataclass
from typing import Any

from buoyfleet.inventory.available import LATER_MODES, SENSOR_MODES
from buoyfleet.inventory.fields import Field, Invalid, Number, Schema, Switch, Word
from buoyfleet.inventory.problems import Reporter, in_words
from buoyfleet.inventory.sections import Section, entry, read_section, section_schema
from buoyfleet.inventory.yaml_nodes import Mapping, Node, Scalar
from buoyfleet.model.fleet import SensorMode, SensorSpec
from sensors.catalog import BOOLEAN_KEYS, KEYS, NAMES, UNITS

# Words that say all there is to say; a constant needs its value.
_WORDS = tuple(mode for mode in SENSOR_MODES if mode != "constant")
# Far beyond every sensor, and two decimals are still exact.
_LIMIT = 1_000_000


@dataclass(frozen=True, slots=True)
class SensorChoice:
    """What one sensor shall be."""

    mode: SensorMode
    base: float = 0.0
    value: float | bool = 0.0

    def spec(self, sensor: str) -> SensorSpec:
        """For one of the nine keys. A boolean has no base, and its value is one."""
        boolean = sensor in BOOLEAN_KEYS
        value = self.value if self.mode == "constant" else False if boolean else 0.0
        return SensorSpec(sensor, self.mode, 0.0 if boolean else self.base, value)


class SensorWord(Word):
    """A mode that needs no value."""

    def __init__(self) -> None:
        super().__init__(_WORDS, "sensor mode", LATER_MODES)

    def read(self, node: Node, path: str, report: Reporter) -> str:
        if isinstance(node, Scalar) and node.text == "constant":
            hint = "for one sensor: `{mode: constant, value: 7.0}`"
            raise self.refuse(node, path, report, "`constant` needs a value of each sensor's own", hint)
        if isinstance(node, Scalar) and node.value is False:
            raise self.refuse(
                node, path, report, f"{node.text} is not {self.expected}", "did you mean `off`?"
            )
        return super().read(node, path, report)


class _Value(Field):
    """A number, or for a boolean sensor `true` or `false`."""

    expected = "a number, or `true` or `false` for a boolean"

    def read(self, node: Node, path: str, report: Reporter) -> float | bool:
        if isinstance(node, Scalar) and isinstance(node.value, bool):
            return node.value
        return Number(-_LIMIT, _LIMIT, self.expected).read(node, path, report)

    def schema(self) -> Schema:
        return {"type": ["number", "boolean"]}


_MODE = Word(tuple(SENSOR_MODES), "sensor mode", LATER_MODES)
_BASE = Number(-_LIMIT, _LIMIT, f"a number from -{_LIMIT} to {_LIMIT}")


@dataclass
class SensorSection(Section):
    """One sensor as a mapping."""

    mode: SensorMode | None = entry(_MODE, "What the sensor is.", required=True)
    value: float | bool | None = entry(_Value(), "The value of a `constant`, in the published unit.")
    base: float | None = entry(_BASE, "The base of a `counter`.", shown="0")


class Sensor(Field):
    """One of the nine: a word, or a mapping with `mode` and `value` or `base`."""

    def __init__(self, sensor: str) -> None:
        self._sensor = sensor
        self._boolean = sensor in BOOLEAN_KEYS
        example = "true" if self._boolean else "7.0"
        self._example = f"{{mode: constant, value: {example}}}"
        self.expected = in_words([*(f"`{word}`" for word in _WORDS), f"`{self._example}`"])

    def read(self, node: Node, path: str, report: Reporter) -> SensorChoice:
        if isinstance(node, Mapping):
            return self._mapping(read_section(SensorSection, node, path, report), report)
        if isinstance(node, Scalar):
            value = node.value
            if (
                not node.secret
                and isinstance(value, int | float)
                and isinstance(value, bool) == self._boolean
            ):
                hint = f"did you mean `{{mode: constant, value: {node.text}}}`?"
                raise self.refuse(node, path, report, f"{node.text} is not {self.expected}", hint)
            if node.text == "constant":
                hint = f"write `{self._example}`"
                raise self.refuse(node, path, report, "`constant` needs a value", hint)
            return SensorChoice(_MODE_OF[SensorWord().read(node, path, report)])
        raise self.refuse(node, path, report)

    def _mapping(self, section: SensorSection, report: Reporter) -> SensorChoice:
        wrong = len(report.problems)
        mode = section.mode
        if mode is not None:
            self._fits(section, mode, report)
        if mode is None or len(report.problems) > wrong or (mode == "constant" and section.value is None):
            raise Invalid
        return SensorChoice(mode, section.base or 0.0, 0.0 if section.value is None else section.value)

    def _fits(self, section: SensorSection, mode: SensorMode, report: Reporter) -> None:
        def refuse(name: str, message: str, hint: str = "") -> None:
            report.add(section.line(name), section.under(name), message, hint)

        if mode == "constant" and not section.has("value"):
            report.add(
                section.line("mode"), section.path, "`constant` needs a value", f"write `{self._example}`"
            )
        if mode != "constant" and section.has("value"):
            refuse("value", f"only a `constant` has a value; this is `{mode}`")
        if section.has("base") and (mode != "counter" or self._boolean):
            this = f"{self._sensor} is a boolean" if mode == "counter" else f"this is `{mode}`"
            refuse("base", f"only a `counter` of a number has a base; {this}")
        if section.value is not None and isinstance(section.value, bool) != self._boolean:
            allowed = Switch.expected if self._boolean else "a number"
            refuse("value", f"{section.text('value')} is not {allowed}, which {self._sensor} is")

    def schema(self) -> Schema:
        value: Schema = {"type": "boolean"} if self._boolean else _BASE.schema()
        counter: Schema = {
            "mode": {"const": "counter"},
            **({} if self._boolean else {"base": _BASE.schema()}),
        }
        plain = [mode for mode in _WORDS if mode != "counter"]
        forms: list[tuple[Schema, list[str]]] = [
            ({"mode": {"const": "constant"}, "value": value}, ["mode", "value"]),
            (counter, ["mode"]),
            ({"mode": {"enum": plain}}, ["mode"]),
        ]
        objects = [
            {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
            for properties, required in forms
        ]
        return {"anyOf": [SensorWord().schema(), *objects]}


_MODE_OF: dict[str, SensorMode] = {mode: mode for mode in SENSOR_MODES}


def _about(sensor: str) -> str:
    name, unit = NAMES[sensor], UNITS[sensor]
    title = name if name[1:] != name[1:].lower() else f"{name[0].upper()}{name[1:]}"
    return f"{title}, in {unit}." if unit and unit != name else f"{title}."


def _declare() -> type[Section]:
    others = entry(
        SensorWord(), "All that are not named here.", shown="`counter`; in an override: as the group"
    )
    declared: list[tuple[str, Any, Any]] = [("others", Any, others)]
    declared += [(sensor, Any, entry(Sensor(sensor), _about(sensor))) for sensor in KEYS]
    return make_dataclass("SensorsSection", declared, bases=(Section,), namespace={"WHAT": "sensor"})


SensorsSection = _declare()


@dataclass(frozen=True, slots=True)
class SensorChoices:
    """The nine as far as the file says something about them."""

    others: SensorMode | None = None
    named: dict[str, SensorChoice] = field(default_factory=dict)

    def over(self, below: tuple[SensorSpec, ...]) -> tuple[SensorSpec, ...]:
        """All nine: what is said here, and `below` where nothing is."""
        said = {} if self.others is None else dict.fromkeys(KEYS, SensorChoice(self.others))
        said.update(self.named)
        return tuple(said[spec.key].spec(spec.key) if spec.key in said else spec for spec in below)


class Sensors(Field):
    """The `sensors` key."""

    expected = f"{SensorWord().expected} for all nine, or a mapping with sensors as keys"

    def read(self, node: Node, path: str, report: Reporter) -> SensorChoices:
        if isinstance(node, Mapping):
            section: Any = read_section(SensorsSection, node, path, report)
            named = {sensor: getattr(section, sensor) for sensor in KEYS}
            others = None if section.others is None else _MODE_OF[section.others]
            return SensorChoices(others, {sensor: one for sensor, one in named.items() if one is not None})
        if isinstance(node, Scalar) and node.value is not None:
            return SensorChoices(_MODE_OF[SensorWord().read(node, path, report)])
        raise self.refuse(node, path, report)

    def schema(self) -> Schema:
        return {"anyOf": [SensorWord().schema(), section_schema(SensorsSection)]}
