"""When a provider is asked to tell of changes, how far that is trusted, and what its word brings.

A word is a hint. It makes a poll come sooner, and while it works polls come more seldom: that is
all. So what is decided here may be wrong at any time and costs minutes, never a message.
"""

import secrets
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import blake2b, sha256

from shared.domain.capabilities import CAPABILITIES
from shared.domain.mailbox import Mailbox, Provider, PushState, Watch
from shared.domain.secret import Secret

WATCHED_FOR = timedelta(days=6)
"""What is asked for where the provider lets one choose: Graph takes a little under a week."""
TRIED_AGAIN_AFTER = timedelta(hours=1)
"""A provider that could not be asked, or did not agree, is asked again."""
LISTED_AFTER_END = timedelta(days=1)
"""How long what finds a mailbox by its provider's word outlives the watch."""
WORD_TAKES = timedelta(minutes=5)
"""A word comes by then, or does not come: Graph takes three minutes at most, Gmail seconds."""
WINDOW = timedelta(seconds=30)
"""Words that come within it bring one run together."""
CLOCKS_DIFFER = timedelta(seconds=1)
"""A run that begins so soon may have begun already, by another machine's clock."""


def is_watchable(provider: Provider) -> bool:
    """Whether there is anything to ask of the provider."""
    return bool(CAPABILITIES[provider].watch_renewed_hours)


def is_due(state: PushState, now: datetime) -> bool:
    """Whether a watch is to be made or renewed."""
    return state.renew_at is None or state.renew_at <= now


def renewed_at(provider: Provider, watch: Watch, now: datetime) -> datetime:
    """Return when a watch made at `now` is renewed: at half its life at the latest."""
    usual = timedelta(hours=CAPABILITIES[provider].watch_renewed_hours)
    return now + min(usual, (watch.expires_at - now) / 2)


def is_healthy(state: PushState, now: datetime) -> bool:
    """Whether it can be relied on to be told: it is promised, and the promise was seen to be kept.

    One that nothing was heard of yet, or that was silent when there was news, is not relied on.
    """
    return state.watch is not None and state.watch.expires_at > now and state.heard_at is not None


def was_silent(state: PushState, news_at: datetime, started_at: datetime) -> bool:
    """Whether news of `news_at`, that a poll found unasked at `started_at`, came without a word."""
    heard_at = state.heard_at
    return heard_at is not None and started_at - max(heard_at, news_at) > WORD_TAKES


def after_run(state: PushState, now: datetime, *, told: bool | None) -> PushState:
    """Return the state after a run that ended at `now`.

    `told`: the provider's word brought it (True), or it was silent about what the run found
    (False): then its watch leads nowhere, perhaps, and is made anew.
    """
    match told:
        case None:
            return state
        case True:
            return replace(state, heard_at=now)
        case False:
            return replace(state, heard_at=None, renew_at=now)


def run_after(last: datetime | None, now: datetime) -> datetime | None:
    """Return when the run begins that a word of `now` asks for; None: one is on its way already.

    `last`: when the latest such run was to begin. However many words come, there are two runs in
    the first window and one in each that follows.
    """
    if last is None or now - last >= WINDOW:
        return now
    # A run that has yet to begin finds what this word is about.
    return None if last - now > CLOCKS_DIFFER else last + WINDOW


def new_proof() -> Secret:
    """Return 128 random bits that only we and the provider know."""
    return Secret(secrets.token_hex(16))


def digest_of(proof: Secret) -> str:
    """Return what is stored of a proof. It is random, so that nothing slower is needed."""
    return sha256(proof.reveal().encode("utf-8", "surrogatepass")).hexdigest()


def key_of_mailbox(mailbox: Mailbox) -> str:
    """Return by which key a word finds the mailbox: at most 64 characters, but for an address.

    Gmail says an address. Outlook says back what it was given: a name that tells nobody anything.
    """
    if mailbox.provider is Provider.GMAIL:
        return key_of_word(mailbox.provider, mailbox.address)
    text = f"{mailbox.tenant_id}/{mailbox.id}".encode("utf-8", "surrogatepass")
    return blake2b(text, digest_size=16).hexdigest()


def key_of_word(provider: Provider, key: str) -> str:
    """Return the key that a word came with as `key_of_mailbox` writes it."""
    return key.casefold() if provider is Provider.GMAIL else key
