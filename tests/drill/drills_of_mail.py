"""Alarms that mail and its providers cause: refusals, silence, mail that nobody can read."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from infra.simulators.kit.mailbox import Delivery
from tests.drill.run import Drill
from tests.e2e.test_main_job import PASSWORD

CUSTOMER = "kim@customer.example"
BLANK = b"\r\n\r\n"


def _rejected(provider, host):
    return Drill(
        f"{provider}-client-rejected",
        f"the client's secret at {host} is renewed and ours is the old one",
        lambda ground: ground.mailboxes.reject_client(provider, "rejected"),
        lambda ground: ground.mailboxes.accept_client(provider),
        lane=provider,
        period=20,
    )


def _failing(provider, fault):
    def again(ground):
        lives = [ground.mailboxes.signed_in(provider, f"failing-{n}") for n in range(2)]
        ground.mailboxes.ask_all(lives)

    def cause(ground):
        again(ground)
        ground.mailboxes.simulator(provider).faults.arm(fault, times=None)

    return Drill(
        f"{provider}-error-rate",
        f"the provider answers nothing but 5xx (`{fault}`)",
        cause,
        lambda ground: ground.mailboxes.simulator(provider).faults.clear(),
        again=again,
        lane=provider,
        period=20,
    )


def _clear_gmail(ground):
    ground.mailboxes.simulator("gmail").faults.clear()


def _lost_answers(ground):
    """The server takes each mail and hangs up in place of saying so."""
    desk = ground.mailboxes.desk()
    ground.submission.lose_answers(5)
    for number in range(5):
        desk.ask(to=[{"address": CUSTOMER}], subject=f"Offer {number}", text="Hello")


def _deadly(ground):
    desk = ground.mailboxes.desk()
    later = (datetime.now(UTC) + timedelta(hours=9)).isoformat()
    send = desk.ask(to=[{"address": CUSTOMER}], subject="Deadly", text="Hello", send_at=later)
    ground.mailboxes.kill_workers_of(desk.life, send)


def _missed(ground):
    ground.mailboxes.lose_newest_copy(ground.mailboxes.imap("audited", messages=3))


def _unreadable(many):
    def cause(ground):
        life = ground.mailboxes.signed_in("gmail", "unreadable")
        life.mail.deliver_all([Delivery(raw=BLANK) for _ in range(many)])
        ground.mailboxes.ask_all([life])

    return cause


def _not_revoked(ground):
    life = ground.mailboxes.signed_in("gmail", "leaving")
    ground.mailboxes.simulator("gmail").faults.arm("revoke_unavailable", times=None)
    assert life.api("DELETE", f"/v1/mailboxes/{life.mailbox_id}").status == 204


def _not_watched(ground):
    """Three people connect their mailboxes while Google refuses to tell of changes."""
    ground.mailboxes.simulator("gmail").faults.arm(
        "domain_policy_403", times=None, route=r"/watch$"
    )
    with ThreadPoolExecutor(3) as pool:
        names = [f"not-watched-{number}" for number in range(3)]
        list(pool.map(lambda name: ground.mailboxes.signed_in("gmail", name), names))


def _silent(ground):
    """Google's words get lost; a poll of each mailbox finds its news, hours after the last word."""
    mailboxes = ground.mailboxes
    lives = [mailboxes.signed_in("gmail", f"told-{number}") for number in range(3)]
    mailboxes.simulator("gmail").faults.arm("push_lost", times=None)
    mailboxes.last_heard(lives, hours=2)
    for life in lives:
        life.fill(1, start=100)
    mailboxes.poll(lives)


def _imap_down(ground):
    fleet = ground.mailboxes.fleet()
    ground.dovecot.stop()
    ground.mailboxes.age(fleet, hours=2)


def _change_passwords(ground):
    for life in ground.mailboxes.fleet()[:3]:
        ground.dovecot.add_user(life.user, "changed by its person")
    ground.mailboxes.ask_all(ground.mailboxes.fleet())


def _reconnect(ground):
    for life in ground.mailboxes.fleet()[:3]:
        ground.dovecot.add_user(life.user, PASSWORD)
        path = f"/v1/mailboxes/{life.mailbox_id}/reconnect"
        assert life.api("POST", path, life.logins()).status == 200


def _ask_fleet(ground):
    ground.mailboxes.ask_all(ground.mailboxes.fleet())


DRILLS = (
    _rejected("gmail", "Google"),
    _rejected("outlook", "Microsoft"),
    _failing("gmail", "backend_error"),
    _failing("outlook", "unavailable"),
    Drill(
        "send-unknown",
        "the mail server takes five mails and hangs up in place of saying so",
        _lost_answers,
        lambda ground: ground.submission.lose_answers(0),
        lane="imap",
        period=30,
    ),
    Drill(
        "send-given-up",
        "five workers in a row ended amid one mail",
        _deadly,
        lane="imap",
    ),
    Drill(
        "messages-missed",
        "a stored message is taken out of the table; an audit misses it and repairs",
        _missed,
        lane="imap",
    ),
    Drill(
        "messages-set-aside",
        "one mail is nothing but an empty line",
        _unreadable(1),
        lane="gmail",
        period=10,
    ),
    Drill(
        "many-messages-set-aside",
        "fifty mails are nothing but an empty line",
        _unreadable(50),
        lane="gmail",
        period=30,
    ),
    Drill(
        "gmail-grant-not-revoked",
        "Google does not take a grant back while its mailbox is disconnected",
        _not_revoked,
        _clear_gmail,
        lane="gmail",
    ),
    Drill(
        "push-not-renewed",
        "three mailboxes are connected while Google refuses to tell of changes",
        _not_watched,
        _clear_gmail,
        lane="gmail",
        period=60,
    ),
    Drill(
        "push-silent",
        "Google's words get lost while there is news for three mailboxes",
        _silent,
        _clear_gmail,
        lane="gmail",
        period=30,
    ),
    Drill(
        "sync-age",
        "the IMAP server is gone for two hours while syncs are asked for",
        _imap_down,
        lambda ground: ground.dovecot.start(),
        again=_ask_fleet,
        lane="imap",
        period=60,
    ),
    Drill(
        "imap-error-rate",
        "the IMAP server is gone",
        lambda ground: ground.dovecot.stop(),
        lambda ground: ground.dovecot.start(),
        again=_ask_fleet,
        lane="imap",
        period=20,
    ),
    Drill(
        "many-reconnects",
        "three people of five change their password",
        _change_passwords,
        _reconnect,
        lane="imap",
        period=30,
    ),
)
