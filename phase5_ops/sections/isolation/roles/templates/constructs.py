"""Names the constructs of a template whose effect is not evaluated, so that a person finds them. Pure."""

from collections.abc import Iterator, Mapping

from phase5_ops.sections.isolation.roles.templates.values import function_of

_EVALUATED = frozenset(
    f"Fn::{name}" for name in ("GetAtt", "Sub", "Join", "Select", "Split", "FindInMap", "If", "ToJsonString", "ImportValue")
) | {"Fn::Base64", "Fn::Cidr", "Fn::GetAZs", "Fn::Length", "Fn::And", "Fn::Or", "Fn::Not", "Fn::Equals", "Fn::Contains"}
_LONGEST, _SHOWN = 80, 3


def described(value: object) -> str:
    """A value in a few words: the functions and references in it, else its text."""
    names = list(dict.fromkeys(_functions(value)))
    if names:
        return ", ".join(names[:_SHOWN])
    if isinstance(value, Mapping):
        return f"a mapping of {', '.join(map(str, list(value)[:_SHOWN])) or 'nothing'}"
    text = "null" if value is None else "a list" if isinstance(value, list) else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def macros(value: object) -> list[str]:
    """The constructs in a value that rewrite the template: macros, loops that were not expanded, unknown functions."""
    if isinstance(value, list):
        return [name for entry in value for name in macros(entry)]
    if not isinstance(value, Mapping):
        return []
    found = []
    for key, entry in value.items():
        name = str(key)
        if name == "Fn::Transform":
            found.append(_transform(entry))
        elif name.startswith("Fn::") and name not in _EVALUATED:
            found.append(name)
        else:
            found += macros(entry)
    return found


def transforms(value: object) -> list[str]:
    """The names of the transforms of a template's section Transform, or of one Fn::Transform."""
    if isinstance(value, list):
        return [name for entry in value for name in transforms(entry)]
    if isinstance(value, Mapping) and function_of(value) is None:
        location = value.get("Parameters")
        place = described(location.get("Location")) if isinstance(location, Mapping) and "Location" in location else ""
        return [f"{described(value.get('Name'))} {place}".strip()]
    return [] if value is None else [described(value)]


def _transform(argument: object) -> str:
    return " ".join(["Fn::Transform", *transforms(argument)])


def _functions(value: object) -> Iterator[str]:
    if isinstance(value, list):
        for entry in value:
            yield from _functions(entry)
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            name = str(key)
            if name == "Fn::Transform":
                yield _transform(entry)
            elif name.startswith("Fn::ForEach"):
                yield name
            elif name == "Ref" or name.startswith("Fn::"):
                if (name, entry) != ("Ref", "AWS::NoValue"):
                    yield f"{name} {_argument(name, entry)}".strip()[:_LONGEST]
                yield from _functions(entry)
            else:
                yield from _functions(entry)


def _argument(name: str, argument: object) -> str:
    """The argument to show for a function: its text, the condition of Fn::If, the attribute of Fn::GetAtt."""
    if isinstance(argument, list) and argument and all(isinstance(part, str) for part in argument[:1]):
        return str(argument[0]) if name == "Fn::If" else ".".join(map(str, argument)) if name == "Fn::GetAtt" else ""
    return argument if isinstance(argument, str) else ""
