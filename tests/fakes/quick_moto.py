"""moto's DynamoDB with the same answers for a third of the work; the order of its decisions stays moto's own.

What is replaced, each because most of a test's time was spent in it:

- a transaction copied the whole table to be able to take it back; now it copies the items it names
- an item was copied by the generic protocol, and measured anew with each attribute put into it
- an expression was parsed again each time, copied by the generic protocol, and its counts checked
  at every node, though the root's check covers all below it
- an answer was walked along its botocore shape, with a list of possible names for each member
- a request was matched against all services' addresses, made into a form of werkzeug's, parsed along
  its shape, and had all methods of its handler listed

`test_quick_moto.py` holds it against moto as it comes.
"""

import base64
import copy
import json
import pickle
from contextlib import contextmanager
from functools import cache, lru_cache
from types import SimpleNamespace

import moto.core.responses
import moto.dynamodb.models
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.responses import ActionResult
from moto.core.utils import method_names_from_class
from moto.dynamodb.exceptions import ItemSizeTooLarge
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.models.table import Table
from moto.dynamodb.models.utilities import DynamoJsonEncoder, dynamo_to_dict
from moto.dynamodb.parsing.ast_nodes import DepthFirstTraverser, Node
from moto.dynamodb.parsing.expressions import UpdateExpressionParser
from moto.dynamodb.parsing.validators import ActionCountValidator, OverlappingPathsValidator
from moto.dynamodb.responses import DynamoHandler, DynamoResult

LARGEST = 405_000
"""Bytes of an item, as moto has it."""
PLAIN = frozenset(
    {"BatchGetItem", "DeleteItem", "GetItem", "PutItem", "Query", "Scan", "UpdateItem"}
)
"""Operations whose answers are JSON as they stand."""

# ---- copies ----


def _copied(value):
    made = object.__new__(DynamoType)
    made.type, inner = value.type, value.value
    if made.type == "L":
        inner = [_copied(one) for one in inner]
    elif made.type == "M":
        inner = {name: _copied(one) for name, one in inner.items()}
    elif isinstance(inner, list):
        inner = list(inner)
    made.value = inner
    return made


def _copied_item(item, _memo=None):
    made = object.__new__(Item)
    made.hash_key, made.range_key = item.hash_key, item.range_key
    made.attrs = _attributes({name: _copied(value) for name, value in item.attrs.items()})
    return made


def _attributes(values):
    found = LimitedSizeDict.__new__(LimitedSizeDict)
    dict.update(found, values)
    return found


def _begin_item(item, hash_key, range_key, attrs):
    item.hash_key, item.range_key = hash_key, range_key
    item.attrs = _attributes({name: DynamoType(value) for name, value in attrs.items()})
    if item.size() > LARGEST:
        raise ItemSizeTooLarge


_cast_value = DynamoType.cast_value.fget


def _quick_cast_value(value):
    return value.value if value.type == "S" else _cast_value(value)


def _all_items(table):
    if not table.range_key_attr:
        return _all_of_one_key(table)
    found = [item for partition in table.items.values() for item in partition.values()]
    return sorted(found, key=lambda item: (item.hash_key.cast_value, item.range_key.cast_value))


_all_of_one_key = Table.all_items

# ---- transactions ----


def _transact(backend, transact_items):
    before = []
    for (asked,) in (one.values() for one in transact_items if len(one) == 1):
        table = backend.tables.get(asked.get("TableName"))
        if table is not None and table.range_key_attr:
            key = asked.get("Key") or asked["Item"]
            place = DynamoType(key[table.hash_key_attr]), DynamoType(key[table.range_key_attr])
            item = table.items.get(place[0], {}).get(place[1])
            before.append((table, place, item and _copied_item(item)))
    try:
        return _transact_at_once(backend, transact_items)
    except Exception:
        for table, (hash_key, range_key), item in before:
            if item is not None:
                table.items[hash_key][range_key] = item
            elif hash_key in table.items:
                table.items[hash_key].pop(range_key, None)
        raise


_transact_at_once = DynamoDBBackend.transact_write_items


def _copied_before_a_write(value):
    # What a transaction did to such a table is taken back item by item.
    is_covered = isinstance(value, Table) and value.range_key_attr
    return value if is_covered else copy.deepcopy(value)


# ---- expressions ----


@lru_cache(maxsize=4096)
def _parsed(text):
    return _parse(UpdateExpressionParser, text)


_parse = UpdateExpressionParser.make.__func__


def _copied_node(node, _memo):
    return pickle.loads(pickle.dumps(node))


@cache
def _processed_as(node_type, kinds):
    return next((kind for kind in kinds if issubclass(node_type, kind)), None)


def _traverse(traverser, root):
    processors = traverser._processing_map()
    kinds = tuple(processors)

    def visit(node, place):
        if not hasattr(node, "children"):
            return node
        parent = node.parent
        for number, child in enumerate(node.children or ()):
            traverser.pre_processing_of_child(node, number)
            visit(child, number)
        kind = _processed_as(type(node), kinds)
        if kind is not None:
            node = processors[kind](node)
            node.parent = parent
            if parent:
                parent.children[place] = node
        return node

    return visit(root, -1)


def _at_the_root(check):
    return lambda validator, node: node if node.parent else check(validator, node)


# ---- requests and answers ----


def _process_request(stubber, request):
    if "://dynamodb." not in request.url:
        return _process_any_request(stubber, request)
    handler = DynamoHandler()
    handler.headers = {
        name: value.decode() if isinstance(value, bytes) else value
        for name, value in request.headers.items()
    }
    handler.querystring = {}
    handler.params = json.loads(request.body, object_hook=_with_bytes)
    handler.region = handler.get_region_from_url(handler, request.url)
    handler.current_account = handler.get_current_account()
    handler.response_headers = {}
    return handler.call_action()


_process_any_request = BotocoreStubber.process_request


def _with_bytes(value):
    match value:
        case {"B": str() as text}:
            return {"B": base64.b64decode(text)}
        case {"BS": [*texts]}:
            return {"BS": [base64.b64decode(text) for text in texts]}
    return value


def _keep_result(answer, result):
    answer._result = result


def _execute_result(answer, context):
    if context.operation_model.name not in PLAIN:
        answer._result = dynamo_to_dict(answer._result)
        return ActionResult.execute_result(answer, context)
    body = {name: value for name, value in answer._result.items() if value is not None}
    text = json.dumps(body, cls=DynamoJsonEncoder)
    return 200, {"Content-Type": "application/x-amz-json-1.0"}, text


# ---- all of it ----

_REPLACED = (
    (DynamoType, "__deepcopy__", lambda value, _memo: _copied(value)),
    (DynamoType, "cast_value", property(_quick_cast_value)),
    (Item, "__deepcopy__", _copied_item),
    (Item, "__init__", _begin_item),
    (moto.dynamodb.models, "copy", SimpleNamespace(deepcopy=_copied_before_a_write)),
    (Table, "all_items", _all_items),
    (DynamoDBBackend, "transact_write_items", _transact),
    (UpdateExpressionParser, "make", staticmethod(_parsed)),
    (Node, "__deepcopy__", _copied_node),
    (DepthFirstTraverser, "traverse", _traverse),
    (
        ActionCountValidator,
        "verify_action_counts",
        _at_the_root(ActionCountValidator.verify_action_counts),
    ),
    (
        OverlappingPathsValidator,
        "check_for_overlapping_paths",
        _at_the_root(OverlappingPathsValidator.check_for_overlapping_paths),
    ),
    (DynamoResult, "__init__", _keep_result),
    (DynamoResult, "execute_result", _execute_result),
    (moto.core.responses, "method_names_from_class", cache(method_names_from_class)),
    (BotocoreStubber, "process_request", _process_request),
)
_COMES = tuple((owner, name, vars(owner).get(name)) for owner, name, _ in _REPLACED)


def make_quick() -> None:
    """Hold for every mock of this process."""
    for owner, name, quick in _REPLACED:
        setattr(owner, name, quick)


@contextmanager
def as_it_comes():
    """Have moto be as it comes, for as long as that lasts."""
    for owner, name, slow in _COMES:
        if slow is None:
            delattr(owner, name)
        else:
            setattr(owner, name, slow)
    try:
        yield
    finally:
        make_quick()
