"""Each function is given the queues its code may send to, and may send to those it is given.

What a handler's code may send is read from the sources, so that a new request in an operation asks
for its queue in the template here and not at three in the morning.
"""

import ast
import inspect

import pytest

from infra.lint_access import allowed
from infra.lint_rules import folder_of, of_type, statement_list, target
from shared.aws.queues import SqsWorkQueues
from shared.config import Settings
from shared.ports.queues import WorkQueues
from tests.infra.code_reached import attributes_named
from tests.infra.template_text import ROOT, translated

FUNCTIONS = dict(of_type(translated(), "AWS::Lambda::Function"))


def queue_of_each_request() -> dict[str, str]:
    """Which queue each method of the port sends to, as the adapter says it."""
    tree = ast.parse((ROOT / "shared/aws/queues.py").read_text(encoding="utf-8"))
    (adapter,) = (
        node
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == SqsWorkQueues.__name__
    )
    found: dict[str, str] = {}
    for method in adapter.body:
        for node in ast.walk(method):
            match node:
                case ast.Call(func=ast.Attribute(attr="_send"), args=[ast.Constant(queue), *_]):
                    found[method.name] = queue
    return found


def queues_given(function: str) -> dict[str, str]:
    """The queues a function is given: kind, and the resource it is."""
    variables = FUNCTIONS[function]["Environment"]["Variables"]
    return Settings({name: str(target(value)) for name, value in variables.items()}).queue_urls


WORK = {queue for function in FUNCTIONS for queue in queues_given(function).values()}


def queues_allowed(function: str) -> set[str | None]:
    """The queues of work a function may send to."""
    return WORK & {
        target(resource)
        for role, statement in allowed(translated())
        if role == target(FUNCTIONS[function]["Role"])
        if "sqs:SendMessage" in statement_list(statement["Action"])
        for resource in statement_list(statement["Resource"])
    }


def test_every_request_has_a_queue():
    methods = {name for name, _ in inspect.getmembers(WorkQueues, inspect.isfunction)}
    sending = {name for name in methods if name.startswith("send_")}
    assert set(queue_of_each_request()) == sending != set()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_is_given_the_queues_its_code_may_send_to_and_no_other(function):
    named = attributes_named(f"functions.{folder_of(function)}.handler")
    kinds = {kind for method, kind in queue_of_each_request().items() if method in named}
    assert set(queues_given(function)) == kinds


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_may_send_to_the_queues_it_is_given_and_to_no_other(function):
    assert queues_allowed(function) == set(queues_given(function).values())
