from datetime import UTC, datetime

import pytest

from shared.domain.ids import ProviderMessageId
from shared.domain.mailbox import Provider
from shared.domain.message import FetchedMessage, Flags, ParsedMessage
from shared.domain.threads import provider_thread_of


def thread_of(provider, *, subject="", references=(), in_reply_to=None, name="2", thread="1"):
    fetched = FetchedMessage(
        ProviderMessageId(name),
        datetime(2026, 1, 1, tzinfo=UTC),
        1,
        Flags(),
        provider_thread_id=thread,
    )
    parsed = ParsedMessage(
        "own@x", references, in_reply_to, subject, None, (), "", None, "", (), {}, b""
    )
    return provider_thread_of(provider, fetched, parsed)


@pytest.mark.parametrize(
    "subject", ["Re: Offer", "AW: Offer", "re[2]: Offer", "Sv : x", "回复：报价", "RIF: x"]
)
def test_where_subjects_make_threads_one_that_says_it_answers_is_believed(subject):
    assert thread_of(Provider.GMAIL, subject=subject) == "1"


@pytest.mark.parametrize(
    "subject", ["Offer", "Your invoice 12: paid", "", "12:30 lunch", ": x", "Invoices: March"]
)
def test_one_that_shares_a_subject_alone_is_in_no_thread_of_the_providers(subject):
    assert thread_of(Provider.GMAIL, subject=subject) is None
    assert thread_of(Provider.IMAP, subject=subject) is None


def test_the_one_a_thread_is_named_after_is_in_it():
    assert thread_of(Provider.GMAIL, name="1") == "1"


def test_headers_say_that_a_message_answers():
    assert thread_of(Provider.GMAIL, references=("a@x",)) == "1"
    assert thread_of(Provider.GMAIL, in_reply_to="a@x") == "1"


def test_a_thread_that_is_more_than_a_subject_is_believed_as_it_is():
    assert thread_of(Provider.OUTLOOK, subject="Offer") == "1"


def test_where_the_provider_names_none_there_is_none():
    assert thread_of(Provider.OUTLOOK, thread=None) is None
