"""In which words people read of each failure, where they read of it.

A mailbox that is connected is tried again by itself; a first test is not, and its words say what to
change instead.
"""

from dataclasses import replace

from shared.domain.errors import Acts, ErrorCode
from shared.domain.explanation_words import EXPLANATIONS, FIX_IN_TEST, TEST_AGAIN, WAIT, Explanation

_STILL_TRIED = "Mailroom still tries again by itself; act if it stays so."
_RESUME = "Resume the import: it goes on where it stopped."
_ASK_AGAIN = "Ask again in a few minutes; an import can begin without it."
_CONNECT_AGAIN = (
    "Connect again from the start, in a few minutes; quote the request id if it stays so."
)


def explain(code: ErrorCode) -> Explanation:
    """Return the words for `code`; every code has them (a test proves it)."""
    return EXPLANATIONS[code]


def explain_while_retried(code: ErrorCode) -> Explanation:
    """Return the words for `code` of a mailbox that is tried again: nobody has to act yet."""
    words = EXPLANATIONS[code]
    return replace(words, fix=f"{_STILL_TRIED} {words.fix}") if words.acts is Acts.USER else words


def explain_failed_import(code: ErrorCode) -> Explanation:
    """Return the words for `code` of an import that is given up until somebody resumes it."""
    words = EXPLANATIONS[code]
    fix = _RESUME if words.fix.startswith(WAIT) else f"{words.fix} Then r{_RESUME[1:]}"
    return replace(words, fix=fix)


def explain_in_test(code: ErrorCode) -> Explanation:
    """Return the words for `code` as the verdict of a test, after which nobody tries again."""
    words = EXPLANATIONS[code]
    fix = FIX_IN_TEST.get(code) or (TEST_AGAIN if words.fix == WAIT else words.fix)
    return replace(words, fix=fix)


def explain_in_attempt(code: ErrorCode) -> Explanation:
    """Return the words for `code` where a sign-in met it, which nobody tries again."""
    words = EXPLANATIONS[code]
    return replace(words, fix=_CONNECT_AGAIN) if words.fix.startswith(WAIT) else words


def explain_in_preview(code: ErrorCode) -> Explanation:
    """Return the words for `code` where a preview met it, which nobody asks for again."""
    words = EXPLANATIONS[code]
    return replace(words, fix=_ASK_AGAIN) if words.fix.startswith(WAIT) else words
