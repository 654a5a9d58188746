"""Every flow, interrupted at every call it makes to AWS or a provider, ends where the undisturbed one ends.

A flow runs once undisturbed; that is the truth. Then again and again, each time from the picture of
the invocation it is to hit, with one interruption: the process dies before a side effect or after
it, the answer is lost, the SDK sends twice, AWS or the provider asks to slow down, at reads as
well. Last, every message comes twice, newest first, and once more after all is done.
Then time passes, as long as it takes a queue, a schedule and a sweeper to mend it, and the
fingerprints of both worlds are compared.

A difference reads `FLOW KIND NUMBER (CALL): PART: missing [...], extra [...]`: what the undisturbed
world has in that part and this one has not, and the other way round. To see that one alone, with
its log lines:

    pytest tests/faults -k "flags_change-after" --at 7

What may differ is taken out in `fingerprint.py`, each with its reason. A new flow is a function
with `@flow` on it in `flows.py`; what else it needs (a queue, a port of a provider) joins `world.py`.
"""

import pytest

from tests.faults import (  # noqa: F401 - each adds its flows
    flows_of_accounts,
    flows_of_changes,
    flows_of_contacts_only,
    flows_of_erasures,
    flows_of_letters,
    flows_of_logins,
    flows_of_new_contacts,
    flows_of_push,
    flows_of_rights,
    flows_of_sends,
    flows_of_threads,
)
from tests.faults.driver import interrupted, repeated, shuffled
from tests.faults.flows import FLOWS
from tests.faults.killpoints import Kind
from tests.faults.world import a_world


@pytest.fixture(params=FLOWS, ids=str, scope="module")
def flow(request):
    return request.param


@pytest.fixture(scope="module")
def world(flow, places):
    """One for all tests of a flow: each begins with a picture."""
    with pytest.MonkeyPatch.context() as monkeypatch, a_world(monkeypatch, flow.kind) as world:
        yield world


@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.name.lower())
def test_interrupted_at_any_call_it_ends_the_same(flow, kind, world, tried, at):
    tried(*interrupted(flow, world, kind, only=at), world.take_tally())


def test_what_comes_twice_or_in_another_order_ends_the_same(flow, world, tried):
    tried(*shuffled(flow, world), world.take_tally())


def test_what_comes_again_changes_nothing(flow, world, tried):
    tried(*repeated(flow, world), world.take_tally())
