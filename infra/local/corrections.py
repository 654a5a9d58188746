"""What ministack does unlike AWS and is put right while it runs, each with its reason.

Runs in ministack's interpreter and replaces private names of ministack 1.5.33, which is pinned.
"""

import json
import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from ministack import app  # type: ignore[import-not-found]
from ministack.core import iam_actions, lambda_runtime  # type: ignore[import-not-found]
from ministack.services import eventbridge, lambda_svc, sqs  # type: ignore[import-not-found]

LOG_BYTES = 10_000_000

_SINGLE_CALLS = {
    "SendMessageBatch": "SendMessage",
    "DeleteMessageBatch": "DeleteMessage",
    "ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
}


def run_functions_with(interpreter: str) -> None:
    """Run functions in an environment of their own.

    Ministack would run them in its own, and what they forgot to lock would be found there.
    """
    script = lambda_runtime._PYTHON_WORKER_SCRIPT  # noqa: SLF001
    vars(lambda_runtime)["_detect_runtime_binary"] = lambda _runtime: (interpreter, script)


def log_functions_to(file: Path) -> None:
    """Write what functions print to a file of bounded size.

    Ministack would keep a log stream per call in its state for ever, and so make every save and
    every start slower than the one before.
    """
    vars(lambda_svc)["_emit_lambda_logs"] = _FunctionLog(file)


def log_messages_to(file: Path) -> None:
    """Write the body of each message sent to a queue or a bus to a file of bounded size.

    Once worked off they are nowhere to be seen, and what they hold is nobody's secret by rule.
    """
    log = _log_of(file)
    put_events = eventbridge._put_events  # noqa: SLF001
    enqueue = sqs._act_send_message  # noqa: SLF001

    def logged(data: dict[str, Any], queue: str) -> Any:
        name = str(data.get("QueueUrl", queue)).rpartition("/")[2]
        log.info("%s %s", name, data.get("MessageBody"))
        return enqueue(data, queue)

    def announced(data: dict[str, Any], *given: Any, **named: Any) -> Any:
        for entry in data.get("Entries", []):
            log.info("%s %s", entry.get("EventBusName"), json.dumps(entry, default=str))
        return put_events(data, *given, **named)

    vars(sqs)["_act_send_message"] = logged
    sqs._HANDLERS["SendMessage"] = logged  # noqa: SLF001
    vars(eventbridge)["_put_events"] = announced


def authorise_batches_as_single_calls() -> None:
    """Let `sqs:SendMessage` permit SendMessageBatch, and so on, as AWS does.

    Ministack asks a policy for `sqs:SendMessageBatch`, an action that AWS does not know.
    """
    action_of = iam_actions._action_from_target  # noqa: SLF001

    def corrected(headers: dict[str, str]) -> str | None:
        action: str | None = action_of(headers)
        return _SINGLE_CALLS.get(action or "", action)

    vars(iam_actions)["_action_from_target"] = corrected


def answer_without_a_body() -> None:
    """Send a function's `"body": null` as an empty body, as API Gateway does.

    Ministack would answer 500 after the function has done its work.
    """
    send = app._send_response  # noqa: SLF001

    async def corrected(
        channel: object, status: int, headers: dict[str, str], body: object, **named: bool
    ) -> None:
        await send(channel, status, headers, b"" if body is None else body, **named)

    vars(app)["_send_response"] = corrected


def know_encryption_contexts() -> None:
    """Let conditions on `kms:EncryptionContext:…` be checked, as AWS checks them.

    Ministack compares the context when it decrypts, and knows none when it asks a policy.
    """
    context_of = iam_actions.request_tag_context

    def corrected(service: str, action: str, body: bytes, *more: Any) -> dict[str, Any]:
        found: dict[str, Any] = dict(context_of(service, action, body, *more) or {})
        if service == "kms":
            given = json.loads(body or b"{}").get("EncryptionContext") or {}
            found |= {f"kms:EncryptionContext:{name}": value for name, value in given.items()}
        return found

    vars(iam_actions)["request_tag_context"] = corrected


def _log_of(file: Path) -> logging.Logger:
    log = logging.Logger(file.stem)  # noqa: LOG001 - alone, so that no other handler sees it
    handler = RotatingFileHandler(file, maxBytes=LOG_BYTES, backupCount=2)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log.addHandler(handler)
    return log


class _FunctionLog:
    """Where functions' output goes: a file, and what came before it in up to two more."""

    def __init__(self, file: Path) -> None:
        self._log = _log_of(file)

    def __call__(
        self, function: dict[str, Any], _request: str, text: str, *_more: Any, **_named: Any
    ) -> None:
        """Write what one call of `function` printed, a line each, with the function's name."""
        config = function.get("config") or function
        for line in (text or "").splitlines():
            self._log.info("%s %s", config.get("FunctionName"), line)
