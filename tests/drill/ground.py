"""What a drill stands on: a local stack with mail servers and providers, and hands to break it with."""

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from infra.local import ports
from infra.local.dovecot import DovecotServer
from infra.local.mail_providers import MailProviders
from infra.local.smtp_server import SubmissionServer
from infra.local.stack import MailAccess
from tests.drill.ground_of_mail import Mailboxes
from tests.e2e.conftest import SPARE_PORTS, Stack

PREFIX = "mailroom-local-"


@dataclass
class Ground:
    """One stack, and what was taken from it that is to be given back."""

    stack: Stack
    dovecot: DovecotServer
    submission: SubmissionServer
    providers: MailProviders
    kept: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def mailboxes(self):
        return Mailboxes(self)

    def client(self, name):
        return self.stack.client(name)

    def ask(self, method, path, body=None, **headers):
        """Call the API as an administrator."""
        return self.stack.as_user("drill", "ada", "admin")(method, path, body, **headers)

    # ---- queues ----

    def queue(self, name):
        return self.client("sqs").get_queue_url(QueueName=PREFIX + name)["QueueUrl"]

    def put(self, queue, body):
        url = self.queue(queue)
        text = body if isinstance(body, str) else json.dumps(body)
        self.client("sqs").send_message(QueueUrl=url, MessageBody=text, MessageGroupId="drill")

    def purge(self, *queues):
        for queue in queues:
            self.client("sqs").purge_queue(QueueUrl=self.queue(queue))

    def hurry(self, queue):
        """Let what failed be delivered again after a second instead of minutes."""
        client, url = self.client("sqs"), self.queue(queue)
        names = ["VisibilityTimeout"]
        self.kept[queue] = client.get_queue_attributes(QueueUrl=url, AttributeNames=names)
        client.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "1"})

    def calm(self, queue):
        """Let it be as it was."""
        self.client("sqs").set_queue_attributes(
            QueueUrl=self.queue(queue), Attributes=self.kept.pop(queue)["Attributes"]
        )

    # ---- functions ----

    def mapping(self, function, queue, *, enabled):
        """Stop or start the taking of a queue's messages by a function, as an operator would."""
        found = self.client("lambda").list_event_source_mappings(FunctionName=PREFIX + function)
        for one in found["EventSourceMappings"]:
            if one["EventSourceArn"].endswith(":" + PREFIX + queue):
                self.client("lambda").update_event_source_mapping(UUID=one["UUID"], Enabled=enabled)

    def start(self, function):
        """Call it as a schedule does: nobody waits for it, and a failure is tried again."""
        self.client("lambda").invoke(FunctionName=PREFIX + function, InvocationType="Event")

    def schedule(self, function, *, enabled):
        """Switch a function's schedule on or off."""
        schedules = self.client("scheduler")
        now = schedules.get_schedule(Name=PREFIX + function)
        names = ("Name", "GroupName", "ScheduleExpression", "FlexibleTimeWindow", "Target")
        given = {name: now[name] for name in names if name in now}
        schedules.update_schedule(**given, State="ENABLED" if enabled else "DISABLED")

    def break_function(self, function):
        """Deploy it so that it cannot work: without the setting that names the table."""
        self.set_function(function, MAILROOM_TABLE="")

    def set_function(self, function, **variables):
        """Deploy it with other settings."""
        functions = self.client("lambda")
        now = functions.get_function_configuration(FunctionName=PREFIX + function)
        self.kept[function] = now["Environment"]["Variables"]
        functions.update_function_configuration(
            FunctionName=PREFIX + function,
            Environment={"Variables": {**self.kept[function], **variables}},
        )

    def mend_function(self, function):
        self.client("lambda").update_function_configuration(
            FunctionName=PREFIX + function, Environment={"Variables": self.kept.pop(function)}
        )

    # ---- rights ----

    def take_right(self, function, sid):
        """Take one statement out of the function's role."""
        iam = self.client("iam")
        name = self._role(function)
        (policy,) = iam.list_role_policies(RoleName=name)["PolicyNames"]
        document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        left = [one for one in document["Statement"] if one["Sid"] != sid]
        assert len(left) < len(document["Statement"]), sid
        self.kept[sid] = (name, policy, document)
        self._put_policy(name, policy, {**document, "Statement": left})

    def give_right(self, sid):
        self._put_policy(*self.kept.pop(sid))

    def _role(self, function):
        arn = self.client("lambda").get_function_configuration(FunctionName=PREFIX + function)[
            "Role"
        ]
        return arn.rpartition("/")[2]

    def _put_policy(self, role, policy, document):
        self.client("iam").put_role_policy(
            RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(document)
        )


@contextmanager
def stand(paths):
    """A stack of its own in `paths`, with mail servers and providers, ended afterwards."""
    paths.create()
    with (
        DovecotServer(paths.mail / "imap", {}) as dovecot,
        SubmissionServer(paths.mail / "smtp", dovecot) as submission,
    ):
        providers = MailProviders(paths, dovecot.certificates)
        spare = tuple(ports.claim(paths, f"spare {number}") for number in range(SPARE_PORTS))
        try:
            providers.start()
            stack = Stack(
                paths,
                mail=MailAccess(
                    ports=(
                        *(dovecot.ports.tls, dovecot.ports.starttls),
                        *(submission.ports.tls, submission.ports.starttls),
                        *spare,
                    ),
                    authority=dovecot.certificates.authority,
                ),
                more=providers.parameters(),
            )
            stack.spare_ports = spare
            try:
                stack.start()
                providers.register(stack)
                yield Ground(stack, dovecot, submission, providers)
            finally:
                stack.stop()
        finally:
            providers.stop()
