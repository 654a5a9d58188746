"""What a function's code may come to call, read from the sources without running them.

From a handler on, every function and class of ours that is named in what is reached is reached too;
of a module only what is named, so that a neighbour in the same file does not count. A call by a
method's name alone leads nowhere: ports are called so, and which adapter stands behind one is for
the wiring to say.
"""

import ast
from functools import cache

from tests.infra.template_text import ROOT

_OURS = ("functions.", "shared.")


def attributes_named(module: str) -> set[str]:
    """The names after a dot in all the code that `module`, with what it reaches, may run."""
    reached: set[tuple[str, str]] = set()
    todo = [(module, name) for name in _definitions(module)]
    found: set[str] = set()
    while todo:
        place = todo.pop()
        if place in reached:
            continue
        reached.add(place)
        attributes, named = _read(*place)
        found |= attributes
        todo += named
    return found


@cache
def _read(module: str, name: str) -> tuple[set[str], list[tuple[str, str]]]:
    """The attributes in a definition, and module and name of what of ours it may name."""
    imports = _imports(module)
    node = _definitions(module).get(name)
    if node is None:
        return set(), [imports[name]] if name in imports else []
    attributes: set[str] = set()
    named: list[tuple[str, str]] = []
    for one in ast.walk(node):
        match one:
            case ast.Name(id=other):
                named.append(imports.get(other, (module, other)))
            case ast.Attribute(value=value, attr=attribute):
                attributes.add(attribute)
                if isinstance(value, ast.Name) and value.id in imports:
                    named.append((".".join(imports[value.id]), attribute))
    return attributes, named


@cache
def _parsed(module: str) -> ast.Module:
    stem = ROOT.joinpath(*module.split("."))
    for path in (stem.with_suffix(".py"), stem / "__init__.py"):
        if path.exists():
            return ast.parse(path.read_text(encoding="utf-8"))
    # A name in a module, not a module: it defines nothing.
    return ast.Module([], [])


@cache
def _definitions(module: str) -> dict[str, ast.AST]:
    """The statements of a module, each under the name it gives to something."""
    found: dict[str, ast.AST] = {}
    for number, node in enumerate(_parsed(module).body):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                found[name] = node
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                found[name] = node
            case _:
                found[str(number)] = node
    return found


@cache
def _imports(module: str) -> dict[str, tuple[str, str]]:
    """What a module imports of ours, also inside its functions: module and name by our name."""
    return {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(_parsed(module))
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(_OURS)
        for alias in node.names
    }
