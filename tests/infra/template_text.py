"""Our template as the tests read it, and the golden files made from it.

After a change that is meant: `python -m tests.infra.template_text`, and read the difference.
"""

import json
from functools import cache
from pathlib import Path

from infra.lint_access import allowed, api_routes
from infra.lint_rules import folder_of, of_type, statement_list, target
from infra.local.expand import Template, load, translate

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "template.yaml"
GOLDEN = Path(__file__).with_name("golden")
PARAMETERS = {
    "Stage": "dev",
    "JwtIssuer": "https://issuer.example/",
    "JwtAudience": "mailroom",
    "AllowedOrigins": "https://app.example,https://crm.example",
}


@cache
def translated_text() -> str:
    return json.dumps(translate(load(TEMPLATE), PARAMETERS))


def translated() -> Template:
    """A copy of one's own, to be broken at will."""
    template: Template = json.loads(translated_text())
    return template


def written(value) -> str:
    """A value of the template in one line, as it is written there."""
    match value:
        case {"Ref": str(name)}:
            return f"!Ref {name}"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"!GetAtt {name}.{attribute}"
        case {"Fn::Sub": str(text)}:
            return f"!Sub {text}"
    return value if isinstance(value, str) else json.dumps(value)


def routes_text() -> str:
    lines = [
        f"{route.method:6} {route.path:66} {folder_of(route.function):18} {route.authorizer or 'public'}"
        for route in api_routes(translated())
    ]
    return "\n".join(lines) + "\n"


def roles_text() -> str:
    template = translated()
    lines: list[str] = []
    for name, _ in sorted(of_type(template, "AWS::IAM::Role")):
        lines.append(name)
        lines += sorted(
            f"    {action:32} {written(resource)}{_condition(statement)}"
            for role, statement in allowed(template)
            if role == name
            for action in statement_list(statement["Action"])
            for resource in statement_list(statement["Resource"])
        )
    return "\n".join(lines) + "\n"


def _condition(statement: Template) -> str:
    given = statement.get("Condition")
    return f" if {json.dumps(given, sort_keys=True)}" if given else ""


def settings_text() -> str:
    template = translated()
    sources = {
        target(properties["FunctionName"]): properties
        for _, properties in of_type(template, "AWS::Lambda::EventSourceMapping")
    }
    lines: list[str] = []
    for name, properties in sorted(of_type(template, "AWS::Lambda::Function")):
        lines.append(f"{name} {properties['Timeout']} s {properties['MemorySize']} MB")
        if source := sources.get(name):
            window = source.get("MaximumBatchingWindowInSeconds", 0)
            lines.append(f"    batches of {source['BatchSize']}, gathered for {window} s")
        for variable, value in sorted(properties["Environment"]["Variables"].items()):
            lines.append(f"    {variable:38} {written(value)}")
    return "\n".join(lines) + "\n"


RENDERED = {
    "routes.txt": routes_text,
    "roles.txt": roles_text,
    "settings.txt": settings_text,
}


if __name__ == "__main__":
    for name, render in RENDERED.items():
        (GOLDEN / name).write_text(render(), encoding="utf-8")
