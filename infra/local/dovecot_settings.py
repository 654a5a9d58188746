"""Decides how our Dovecot is set up, in the syntax of version 2.3 and in that of 2.4.

The rules behind the odd lines:

- As root, every mail process is chrooted into the mail folder before it drops its rights, and
  the auth service stays root: a checkout under ``/root`` or a temporary folder of mode 0700 is
  closed to every unprivileged account, and mail access as uid 0 is refused by Dovecot itself.
- As anybody else, every process stays that user and no process is chrooted.
- Failed logins are answered at once; Dovecot would otherwise slow them by up to 15 seconds.
- Version 2.4 (brew, newer Debian) renamed most settings. That variant follows its documentation
  and has not been tried on a machine.
"""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from infra.local.certificates import ServerCertificate

MailFormat = Literal["mdbox", "maildir"]
SPECIAL_FOLDERS = ("Drafts", "Sent", "Junk", "Trash", "Archive")
_CHROOTED_BY_DEFAULT = ("imap-login", "imap-urlauth-login", "anvil", "stats")


@dataclass(frozen=True, slots=True)
class Accounts:
    """The system accounts Dovecot's processes run as; all of them exist already.

    Attributes:
        login: of the processes that face the network.
        internal: of the processes that need no rights.
        internal_group: its group.
        mail: of the processes that read and write mail.
        mail_group: its group.
        privileged: whether Dovecot is started as root and may chroot.
    """

    login: str
    internal: str
    internal_group: str
    mail: str
    mail_group: str
    privileged: bool


@dataclass(frozen=True, slots=True)
class DovecotSettings:
    """What one instance needs to know.

    Attributes:
        home: folder of this instance, absolute and with no space; may be a link.
        run: folder of its sockets, absolute, short (a socket's name has 104 bytes) and no link.
        addresses: listened on.
        starttls_port: plain IMAP that asks for STARTTLS.
        tls_port: IMAP over implicit TLS.
        certificate: shown to clients.
        mail_format: how mail lies on disk; ``maildir`` can be written by hand.
        max_connections: simultaneous sessions of one user from one address.
    """

    home: Path
    run: Path
    addresses: tuple[str, ...]
    starttls_port: int
    tls_port: int
    certificate: ServerCertificate
    mail_format: MailFormat
    max_connections: int


def accounts_here() -> Accounts:
    """Return the accounts to use: Dovecot's own or ``nobody`` as root, else the current user."""
    if os.geteuid() != 0:
        me = pwd.getpwuid(os.geteuid()).pw_name
        group = grp.getgrgid(os.getegid()).gr_name
        return Accounts(me, me, group, me, group, privileged=False)
    internal = _first_user("dovecot", "_dovecot", "nobody")
    login = _first_user("dovenull", "_dovenull", "nobody")
    mail = _first_user("nobody", "dovecot", "_dovecot")
    return Accounts(
        login,
        internal,
        _group_of(internal),
        mail,
        _group_of(mail),
        privileged=True,
    )


def render(settings: DovecotSettings, version: tuple[int, int]) -> str:
    """Return the text of ``dovecot.conf`` for that version of Dovecot."""
    accounts = accounts_here()
    if version >= (2, 4):
        return _version_2_4(settings, accounts)
    return _version_2_3(settings, accounts)


def _version_2_3(settings: DovecotSettings, accounts: Accounts) -> str:
    home = settings.home
    userdb = f"uid={accounts.mail} gid={accounts.mail_group} "
    userdb += f"home=/%u chroot={home}/mail" if accounts.privileged else f"home={home}/mail/%u"
    return f"""{_shared_by_both(settings, accounts)}
ssl_cert = <{settings.certificate.certificate}
ssl_key = <{settings.certificate.key}
disable_plaintext_auth = yes
mail_location = {settings.mail_format}:~/{settings.mail_format}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {home}/users/%u
}}
userdb {{
  driver = static
  args = {userdb}
}}
"""


def _version_2_4(settings: DovecotSettings, accounts: Accounts) -> str:
    home = settings.home
    place = f"{home}/mail/%{{user}}"
    chroot = ""
    if accounts.privileged:
        place, chroot = "/%{user}", f"\n    chroot = {home}/mail"
    return f"""dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
{_shared_by_both(settings, accounts)}
ssl_server_cert_file = {settings.certificate.certificate}
ssl_server_key_file = {settings.certificate.key}
auth_allow_cleartext = no
mail_driver = {settings.mail_format}
mail_path = ~/{settings.mail_format}
passdb passwd-file {{
  passwd_file_path = {home}/users/%{{user}}
  default_password_scheme = PLAIN
}}
userdb static {{
  fields {{
    uid = {accounts.mail}
    gid = {accounts.mail_group}
    home = {place}{chroot}
  }}
}}
"""


def _shared_by_both(settings: DovecotSettings, accounts: Accounts) -> str:
    home = settings.home
    folders = "".join(
        f"  mailbox {name} {{\n    special_use = \\{name}\n    auto = subscribe\n  }}\n"
        for name in SPECIAL_FOLDERS
    )
    unchrooted = "".join(
        f"service {name} {{\n  chroot =\n}}\n"
        for name in _CHROOTED_BY_DEFAULT
        if name not in ("imap-login", "anvil")
    )
    auth_user = "root" if accounts.privileged else accounts.internal
    return f"""base_dir = {settings.run}
state_dir = {home}/state
log_path = {home}/dovecot.log
instance_name = mailroom
listen = {", ".join(settings.addresses)}
protocols = imap
default_login_user = {accounts.login}
default_internal_user = {accounts.internal}
default_internal_group = {accounts.internal_group}
first_valid_uid = 1
first_valid_gid = 1
valid_chroot_dirs = {home}/mail
ssl = required
ssl_min_protocol = TLSv1.2
auth_mechanisms = plain login
auth_failure_delay = 0
mail_fsync = never
namespace inbox {{
  inbox = yes
  separator = /
{folders}}}
service imap-login {{
  inet_listener imap {{
    port = {settings.starttls_port}
  }}
  inet_listener imaps {{
    port = {settings.tls_port}
    ssl = yes
  }}
  chroot =
  service_count = 0
  process_min_avail = 1
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
{unchrooted}service auth {{
  user = {auth_user}
}}
protocol imap {{
  mail_max_userip_connections = {settings.max_connections}
}}"""


def _first_user(*names: str) -> str:
    known = {entry.pw_name for entry in pwd.getpwall()}
    for name in names:
        if name in known:
            return name
    raise SystemExit(f"Dovecot needs one of these accounts to run as: {', '.join(names)}.")


def _group_of(user: str) -> str:
    return grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name
