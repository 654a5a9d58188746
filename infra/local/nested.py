"""How a nested stack becomes part of the template around it.

The emulator would deploy it as a stack of its own, and make another one at each update. Merged in,
its resources change in place. Only kinds that say something on one machine are taken: alarms.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

Template = dict[str, Any]

_TAKEN: Final = frozenset({"AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"})


def merge(template: Template, load: Callable[[str], Template]) -> None:
    """Put what the nested stacks of `template` hold in their place.

    `load` reads a nested template by its `TemplateURL`, the path of a local file. Names of its
    resources and conditions get the nested stack's own in front.
    """
    resources: Template = template["Resources"]
    for name, resource in list(resources.items()):
        if resource["Type"] != "AWS::CloudFormation::Stack":
            continue
        del resources[name]
        inner = load(resource["Properties"]["TemplateURL"])
        given = _parameters(inner) | resource["Properties"].get("Parameters", {})
        taken = {key: one for key, one in inner["Resources"].items() if one["Type"] in _TAKEN}
        conditions = inner.get("Conditions", {})
        put = _Putter(name, given, frozenset(taken) | frozenset(conditions))
        outer = {key: resource[key] for key in ("Condition",) if key in resource}
        for key, one in taken.items():
            resources[f"{name}{key}"] = {**outer, **put(one)}
        for key, one in conditions.items():
            template.setdefault("Conditions", {})[f"{name}{key}"] = put(one)


def _parameters(inner: Template) -> Template:
    declared = inner.get("Parameters", {}).items()
    return {key: spec["Default"] for key, spec in declared if "Default" in spec}


class _Putter:
    """Says what the nested template says in the words of the one around it."""

    def __init__(self, prefix: str, given: Mapping[str, Any], own: frozenset[str]) -> None:
        self._prefix = prefix
        self._given = given
        self._own = own

    def __call__(self, value: Any) -> Any:
        """Return `value` with what is the nested template's own renamed, and parameters put in."""
        match value:
            case list():
                return [self(item) for item in value]
            case {"Ref": str(name)} if name in self._given:
                return self._given[name]
            case {"Fn::Sub": str(text)}:
                return self._text(text)
            case dict():
                return {key: self._put(key, item) for key, item in value.items()}
        return value

    def _put(self, key: str, item: Any) -> Any:
        if key in {"Ref", "Condition"} and isinstance(item, str) and item in self._own:
            return self._prefix + item
        if key in {"Fn::GetAtt", "Fn::If"} and item[0] in self._own:
            return [self._prefix + item[0], *map(self, item[1:])]
        return self(item)

    def _text(self, text: str) -> Any:
        variables = {
            name: self._given[name]
            for name in re.findall(r"\$\{(\w+)\}", text)
            if name in self._given
        }
        for name in self._own:
            text = re.sub(rf"\$\{{{name}(?=[.}}])", f"${{{self._prefix}{name}", text)
        return {"Fn::Sub": [text, variables]} if variables else {"Fn::Sub": text}
