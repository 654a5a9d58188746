"""Decides which adapter serves which provider, each imported when it is first used."""

from typing import TYPE_CHECKING

from shared.domain.mailbox import Provider

if TYPE_CHECKING:
    from shared.config import Settings
    from shared.ports.provider import MailProvider, ServerTester
    from shared.ports.sign_in import AccountReader, SignIn
    from shared.providers.network import Network


def imap(network: "Network") -> "MailProvider":
    """Return the adapter of IMAP."""
    from shared.providers.imap.adapter import ImapProvider

    return ImapProvider(network)


def gmail(settings: "Settings") -> "MailProvider":
    """Return the adapter of Gmail."""
    raise NotImplementedError(settings)


def outlook(settings: "Settings") -> "MailProvider":
    """Return the adapter of Outlook."""
    raise NotImplementedError(settings)


def server_tester(network: "Network") -> "ServerTester":
    """Return what tries logins to mail servers."""
    from shared.providers.imap.adapter import ImapProvider

    return ImapProvider(network)


def sign_in(provider: Provider, settings: "Settings") -> "SignIn":
    """Return a provider's own sign-in; raises ValueError for IMAP, which has none."""
    match provider:
        case Provider.IMAP:
            raise ValueError("IMAP has no sign-in of its own")
        case Provider.GMAIL | Provider.OUTLOOK:
            raise NotImplementedError(settings)


def account_reader(provider: Provider, settings: "Settings") -> "AccountReader":
    """Return what tells whose mailbox a grant opens; raises ValueError for IMAP."""
    match provider:
        case Provider.IMAP:
            raise ValueError("an IMAP mailbox's address is its user's to say")
        case Provider.GMAIL | Provider.OUTLOOK:
            raise NotImplementedError(settings)
