"""The servers other tests rely on do what those tests believe."""

import datetime as dt
import email
import hashlib
import imaplib
import os
import re
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from imapclient import IMAPClient
from imapclient.exceptions import LoginError

from infra.local import demo_mail
from infra.local.demo import send_command
from infra.local.dovecot import DovecotServer
from infra.local.dovecot_settings import DovecotSettings, render
from infra.local.mail import Login
from infra.simulators import faults, scripted_imap, scripted_smtp
from infra.simulators.scripted_imap import ScriptedImap
from infra.simulators.scripted_smtp import ScriptedSmtp

NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
LONG_AGO = dt.datetime(2020, 2, 29, 23, 59, 58, tzinfo=dt.UTC)


# ---- Dovecot ----


def test_dovecot_keeps_bytes_flags_and_dates(mail_user):
    mail = mail_user.mail
    raw = b"Subject: Gr\xfc\xdfe\r\n\r\n8 bits: \xff\r\n"
    uid = mail.deliver(raw, "Projekte/Größe", flags=["\\Flagged"], internal_date=LONG_AGO)
    assert mail.raw(uid, "Projekte/Größe") == raw
    assert mail.flags("Projekte/Größe") == {uid: {"\\Flagged"}}
    with mail.session() as client:
        client.select_folder("Projekte/Größe", readonly=True)
        assert client.fetch([uid], ["INTERNALDATE"])[uid][b"INTERNALDATE"] == LONG_AGO


def test_dovecot_mail_is_moved_expunged_and_renumbered(mail_user):
    mail = mail_user.mail
    mail.append_many("INBOX", [(b"Subject: %d\r\n\r\n" % n, (), None) for n in range(4)])
    mail.move([1, 2], "Archive/2026")
    mail.expunge([3])
    mail.set_flags([4], ["\\Seen"])
    assert (mail.uids(), mail.uids("Archive/2026")) == ([4], [1, 2])
    assert mail.flags() == {4: {"\\Seen"}}
    before = mail.uid_validity("Archive/2026")
    mail.delete_folder("Archive/2026")
    mail.create_folder("Archive/2026")
    assert mail.uid_validity("Archive/2026") != before


def test_dovecot_marks_special_folders(mail_user):
    with mail_user.mail.session() as client:
        found = {flag for flags, _, _ in client.list_folders() for flag in flags}
        assert {b"\\Sent", b"\\Drafts", b"\\Junk", b"\\Trash", b"\\Archive"} <= found
        assert {b"CONDSTORE", b"QRESYNC", b"ESEARCH", b"LIST-STATUS"} <= set(client.capabilities())


def test_dovecot_refuses_a_password_in_clear(mail_user):
    if mail_user.host == "127.0.0.1":
        assert sys.platform == "darwin"  # without a second loopback address it cannot be shown
        return
    client = IMAPClient(mail_user.host, mail_user.starttls_port, ssl=False, timeout=5)
    try:
        assert client.has_capability("LOGINDISABLED")
        with pytest.raises(LoginError, match="PRIVACYREQUIRED"):
            client.login(mail_user.address, mail_user.password)
    finally:
        client.shutdown()


def test_dovecot_password_can_change(dovecot, mail_user):
    dovecot.add_user(mail_user.address, "another:pässword")
    assert not mail_user.mail.can_log_in()
    assert dovecot.mail(mail_user.address).can_log_in()


@pytest.mark.parametrize(
    "folder", ["short", "a folder with spaces/and a name that " + "goes on " * 9]
)
def test_dovecot_comes_back_after_kill_with_the_same_mail(tmp_path, folder):
    server = DovecotServer(tmp_path / folder.strip(), {"a": "b"})
    with server:
        ports, validity = server.ports, server.mail("a").uid_validity()
        server.mail("a").deliver(b"Subject: kept\r\n\r\n")
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        server.start()
        assert (server.ports, server.mail("a").uid_validity()) == (ports, validity)
        assert server.mail("a").uids() == [1]
    assert not server.is_running


def test_dovecot_limits_sessions_of_a_user(tmp_path):
    with DovecotServer(tmp_path, {"a": "b"}, max_connections=1) as server:
        mail = server.mail("a")
        with mail.session(), pytest.raises(LoginError, match=r"\[LIMIT\]"), mail.session():
            pass


def test_dovecot_2_4_settings_use_its_names(tmp_path, certificates):
    settings = DovecotSettings(
        home=tmp_path,
        run=tmp_path / "run",
        addresses=("127.0.0.1",),
        starttls_port=1143,
        tls_port=1993,
        certificate=certificates.good,
        mail_format="mdbox",
        max_connections=5,
    )
    new, old = render(settings, (2, 4)), render(settings, (2, 3))
    assert new.startswith("dovecot_config_version")
    assert "mail_driver = mdbox" in new
    assert "mail_location = mdbox:~/mdbox" in old
    assert new.count("{") == new.count("}")


# ---- submission ----


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_submission_delivers_to_dovecot_and_keeps_the_rest(
    dovecot, smtp_server, mail_user, security
):
    context = dovecot.certificates.client_context()
    if security == "tls":
        client: smtplib.SMTP = smtplib.SMTP_SSL(
            "127.0.0.1", smtp_server.ports.tls, context=context, timeout=5
        )
    else:
        client = smtplib.SMTP("127.0.0.1", smtp_server.ports.starttls, timeout=5)
        client.ehlo()
        assert not client.has_extn("auth")
        client.starttls(context=context)
    with client:
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            client.login(mail_user.address, "wrong")
        assert refused.value.smtp_code == 535
        client.login(mail_user.address, mail_user.password)
        kept = len(smtp_server.outbox)
        to = [mail_user.address, "somebody@elsewhere.example"]
        client.sendmail(mail_user.address, to, b"Subject: hello\r\n\r\nhi\r\n")
        with pytest.raises(smtplib.SMTPSenderRefused):
            client.sendmail("other@mailroom.example", to, b"Subject: forged\r\n\r\n")
    (uid,) = mail_user.mail.uids()
    assert mail_user.mail.raw(uid).endswith(b"Subject: hello\r\n\r\nhi\r\n")
    assert len(smtp_server.outbox) == kept + 1


def test_the_command_the_demo_prints_delivers_a_mail_each_time(dovecot, smtp_server, mail_user):
    login = Login("127.0.0.1", smtp_server.ports.tls, "tls", mail_user.address, mail_user.password)
    sender = "Jörg O'Neil <joerg@customer.example>"
    command = send_command(login, dovecot.certificates.authority, sender, mail_user.address)
    for _ in range(2):
        sent = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
        assert (sent.returncode, sent.stderr) == (0, "")
    raws = [mail_user.mail.raw(uid) for uid in mail_user.mail.uids()]
    assert len(raws) == 2
    for raw in raws:
        assert f"From: {sender}\r\nTo: {mail_user.address}\r\n".encode() in raw
        assert raw.endswith(b"\r\n\r\nDoes it arrive?\r\n")
        assert b"%" not in raw


def test_a_mail_and_its_answer_go_between_two_mailboxes_unchanged(dovecot, smtp_server, mail_user):
    dovecot.add_user(other := "customer@elsewhere.example", "password of the other")
    head = f"From: {mail_user.address}\r\nTo: {other}\r\nMessage-ID: <1@x.example>\r\n"
    mails = {
        other: f"{head}Subject: hello\r\n\r\n..\r\n.x\r\n".encode(),
        mail_user.address: b"In-Reply-To: <1@x.example>\r\nMessage-ID: <2@y.example>\r\n\r\n",
    }
    for sender, password, to in (
        (mail_user.address, mail_user.password, other),
        (other, "password of the other", mail_user.address),
    ):
        with _submission(dovecot, smtp_server) as client:
            client.login(sender, password)
            client.sendmail(sender, [to], mails[to])
    for to, raw in mails.items():
        (uid,) = dovecot.mail(to).uids()
        trace, _, arrived = dovecot.mail(to).raw(uid).partition(b"\r\n")
        assert arrived == raw
        assert trace.startswith(b"Received: ")
        assert not dovecot.mail(to).uids("Sent")
    dovecot.remove_user(other)


def test_an_alias_is_written_from_and_to(dovecot, smtp_server, mail_user):
    smtp_server.add_alias(alias := f"sales-of-{mail_user.address}", mail_user.address)
    with _submission(dovecot, smtp_server) as client:
        client.login(mail_user.address, mail_user.password)
        client.sendmail(alias, [alias, mail_user.address], b"Subject: to myself\r\n\r\n")
        with pytest.raises(smtplib.SMTPSenderRefused):
            client.sendmail("someone-elses@mailroom.example", [alias], b"Subject: no\r\n\r\n")
    assert len(mail_user.mail.uids()) == 1


def _submission(dovecot, smtp_server):
    context = dovecot.certificates.client_context()
    return smtplib.SMTP_SSL("127.0.0.1", smtp_server.ports.tls, context=context, timeout=5)


# ---- pymap ----


def test_pymap_is_a_server_without_condstore(pymap_user):
    mail = pymap_user.mail
    mail.append_many("INBOX", [(b"Subject: a\r\n\r\nx", ["\\Seen"], LONG_AGO)])
    with mail.session() as client:
        assert not {b"CONDSTORE", b"SPECIAL-USE", b"ESEARCH"} & set(client.capabilities())
        client.select_folder("INBOX", readonly=True)
        (uid,) = client.search("ALL")
        assert client.fetch([uid], ["INTERNALDATE"])[uid][b"INTERNALDATE"] == LONG_AGO
    assert 0 < mail.uid_validity() < 2**32


# ---- scripts ----


def test_every_row_of_the_login_table_reaches_the_client(certificates):
    for scenario, answer in scripted_imap.LOGIN_ANSWERS.items():
        with (
            ScriptedImap(scenario, certificates=certificates) as server,
            imaplib.IMAP4_SSL(
                server.host, server.port, ssl_context=certificates.client_context(), timeout=5
            ) as client,
        ):
            _, _, text = answer.partition(" ")
            with pytest.raises(imaplib.IMAP4.error) as refused:
                client.login("ada", "secret")
            assert text in str(refused.value), scenario


def test_scripted_imap_answers_a_look_around(certificates):
    with ScriptedImap(certificates=certificates, security="starttls") as server:
        client = IMAPClient(server.host, server.port, ssl=False, timeout=5)
        client.starttls(certificates.client_context())
        client.login("ada", 'with literal \\ and "')
        assert [name for _, _, name in client.list_folders()] == ["INBOX", "Sent", "Junk"]
        assert client.select_folder("INBOX", readonly=True)[b"UIDVALIDITY"] == 7
        assert client.fetch([1], ["BODY.PEEK[]"])[1][b"BODY[]"] == b"Subject: hi\r\n\r\nhi"
        client.logout()
        assert b"LOGIN" not in server.received_in_clear
        assert any(b"LOGIN" in line for line in server.commands)


@pytest.mark.parametrize("bad", ["self_signed", "wrong_name", "expired"])
def test_a_bad_certificate_is_refused_and_nothing_is_said(certificates, bad):
    with ScriptedImap(certificates=certificates, certificate=getattr(certificates, bad)) as server:
        with pytest.raises(ssl.SSLCertVerificationError) as refused:
            IMAPClient(
                "localhost", server.port, ssl_context=certificates.client_context(), timeout=5
            )
        words = {"self_signed": "self", "wrong_name": "match", "expired": "expired"}
        assert words[bad] in refused.value.verify_message.lower()
        assert server.received == b""


@pytest.mark.parametrize("scenario", sorted(faults.FAULTS))
def test_every_fault_ends_with_the_server_and_is_not_an_answer(scenario):
    with ScriptedImap(scenario, at="greeting", security="none") as server:
        try:
            # A server that resets may do so before we know that we are connected.
            with socket.create_connection((server.host, server.port), timeout=0.2) as sock:
                assert not re.search(rb"\A\* (OK|PREAUTH|BYE)[^\r]*\r\n\Z", sock.recv(4096)) or (
                    scenario in {"chatter", "flood"}
                )
        except (TimeoutError, ConnectionResetError):
            assert scenario in {"silence", "reset"}


def test_every_row_of_the_smtp_table_reaches_the_client(certificates):
    for scenario, (place, lines) in scripted_smtp.REPLIES.items():
        with ScriptedSmtp(scenario, certificates=certificates) as server:
            code = int(lines[0][:3])
            with pytest.raises(smtplib.SMTPException) as refused:
                _send(server, certificates)
            error: Any = refused.value
            if scenario == "auth_rate_limited":
                # smtplib tries the next mechanism, but after a 421 the server has hung up.
                assert isinstance(error, smtplib.SMTPServerDisconnected)
            elif place == "EHLO":
                # smtplib says HELO then, after which no login is offered.
                assert isinstance(error, smtplib.SMTPNotSupportedError)
            elif isinstance(error, smtplib.SMTPRecipientsRefused):
                (answer,) = error.recipients.values()
                assert answer[0] == code, scenario
            else:
                assert error.smtp_code == code, scenario
            assert len(server.messages) == (place == "DOT"), scenario


def _send(server, certificates):
    with _smtp(server, certificates) as client:
        client.login("ada@mailroom.example", "secret")
        client.sendmail("ada@mailroom.example", ["b@x.example"], b"Subject: x\r\n\r\nx")


def _smtp(server, certificates):
    context = certificates.client_context()
    return smtplib.SMTP_SSL(server.host, server.port, context=context, timeout=5)


@pytest.mark.parametrize(
    "scenario", ["starttls_stripped", "starttls_refused", "starttls_temporary"]
)
def test_scripted_smtp_can_withhold_starttls(certificates, scenario):
    with (
        ScriptedSmtp(scenario, certificates=certificates, security="starttls") as server,
        smtplib.SMTP(server.host, server.port, timeout=5) as client,
    ):
        client.ehlo()
        if scenario == "starttls_stripped":
            assert not client.has_extn("starttls")
        else:
            with pytest.raises(smtplib.SMTPResponseException):
                client.starttls(context=certificates.client_context())


def test_scripted_smtp_can_break_after_the_message(certificates):
    with ScriptedSmtp("drop", at="dot", certificates=certificates) as server:
        client = _smtp(server, certificates)
        with client, pytest.raises(smtplib.SMTPServerDisconnected):
            client.sendmail("ada@mailroom.example", ["b@x.example"], b"Subject: x\r\n\r\n.dot")
        assert server.messages == [b"Subject: x\r\n\r\n.dot\r\n"]


# ---- mailboxes ----


def test_demo_mail_is_the_same_each_time_in_any_process():
    program = (
        "import datetime as dt, hashlib; from infra.local.demo_mail import build;"
        "made = build(dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC));"
        "print(hashlib.sha256(b''.join(m.raw for m in made)).hexdigest())"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": str(Path.cwd())}
    other = subprocess.run(
        [sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True
    )
    raw = b"".join(message.raw for message in demo_mail.build(NOW))
    assert other.stdout.strip() == hashlib.sha256(raw).hexdigest()


def test_demo_mail_is_believable():
    made = demo_mail.build(NOW)
    assert 280 <= len(made) <= 330
    assert {m.folder for m in made} == {"INBOX", "Sent", demo_mail.ARCHIVE, "Junk", "Trash"}
    assert all(NOW - dt.timedelta(days=351) < m.internal_date <= NOW for m in made)
    for contact in demo_mail.demo_contacts():
        about = [m for m in made if any(a.encode() in m.raw for a in contact.addresses)]
        assert len({m.folder for m in about}) >= 2
        assert len(about) >= 15
    threads = [email.message_from_bytes(m.raw) for m in made if m.kind == "thread"]
    roots = Counter((one["References"] or one["Message-ID"]).split()[0] for one in threads)
    assert max(roots.values()) == 8
    ids = [email.message_from_bytes(m.raw)["Message-ID"] for m in made if ": " not in m.kind]
    assert len(set(ids)) == len(ids)
    types = {part.get_content_type() for one in threads for part in one.walk()}
    assert {"application/pdf", "image/png", "text/calendar", "text/csv", "text/html"} <= types


def test_demo_mail_loads_whole(mail_user):
    made = demo_mail.build(NOW)
    demo_mail.load(mail_user.mail, made)
    for folder, count in Counter(message.folder for message in made).items():
        assert len(mail_user.mail.uids(folder)) == count
