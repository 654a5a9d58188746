"""Decides which adapter serves which provider, each imported when it is first used."""

import functools
from typing import TYPE_CHECKING

from shared.domain.mailbox import Provider

if TYPE_CHECKING:
    from shared.config import Settings
    from shared.ports.changing import MailChanger
    from shared.ports.provider import MailProvider, ServerTester
    from shared.ports.push import PushReader
    from shared.ports.sending import MailSender
    from shared.ports.sign_in import AccountReader, SignIn
    from shared.providers.gmail.adapter import GmailProvider
    from shared.providers.gmail.endpoints import GoogleEndpoints
    from shared.providers.gmail.sender import GmailSender
    from shared.providers.http import Http
    from shared.providers.network import Network
    from shared.providers.outlook.adapter import OutlookProvider
    from shared.providers.outlook.endpoints import MicrosoftEndpoints
    from shared.providers.outlook.sender import OutlookSender
    from shared.providers.outlook.token_endpoint import Documents


def imap(network: "Network") -> "MailProvider":
    """Return the adapter of IMAP."""
    from shared.providers.imap.adapter import ImapProvider

    return ImapProvider(network)


def imap_sender(network: "Network") -> "MailSender":
    """Return the way out of an IMAP mailbox."""
    from shared.providers.imap.sending import ImapSender

    return ImapSender(network)


def imap_changer(network: "Network") -> "MailChanger":
    """Return what changes mail over IMAP."""
    from shared.providers.imap.adapter import ImapProvider

    return ImapProvider(network)


def gmail(settings: "Settings") -> "GmailProvider":
    """Return the adapter of Gmail."""
    from shared.providers.gmail.adapter import GmailProvider

    return GmailProvider(*_google(settings))


def gmail_sender(settings: "Settings") -> "GmailSender":
    """Return what sends by Gmail, and tells from which addresses."""
    from shared.providers.gmail.sender import GmailSender

    return GmailSender(*_google(settings))


def outlook(settings: "Settings") -> "OutlookProvider":
    """Return the adapter of Outlook."""
    from shared.providers.outlook.adapter import OutlookProvider

    return OutlookProvider(*_microsoft(settings))


def outlook_sender(settings: "Settings") -> "OutlookSender":
    """Return what sends by Outlook, and tells from which addresses."""
    from shared.providers.outlook.sender import OutlookSender

    return OutlookSender(*_microsoft(settings))


def push_reader(provider: Provider, settings: "Settings") -> "PushReader":
    """Return what reads a provider's pushes; raises ValueError for IMAP, which has none.

    To be kept: Gmail's holds Google's keys.
    """
    match provider:
        case Provider.IMAP:
            raise ValueError("IMAP pushes nothing")
        case Provider.GMAIL:
            from shared.providers.gmail.push import GmailPush

            return GmailPush(
                *_google(settings),
                audience=settings.gmail_push_audience,
                senders=settings.gmail_push_senders,
            )
        case Provider.OUTLOOK:
            from shared.providers.outlook.push import OutlookPush

            return OutlookPush()


def server_tester(network: "Network") -> "ServerTester":
    """Return what tries logins to mail servers."""
    from shared.providers.imap.adapter import ImapProvider

    return ImapProvider(network)


def sign_in(provider: Provider, settings: "Settings") -> "SignIn":
    """Return a provider's own sign-in; raises ValueError for IMAP, which has none."""
    match provider:
        case Provider.IMAP:
            raise ValueError("IMAP has no sign-in of its own")
        case Provider.GMAIL:
            from shared.providers.gmail.sign_in import GoogleSignIn

            return GoogleSignIn(*_google(settings))
        case Provider.OUTLOOK:
            from shared.providers.outlook.sign_in import MicrosoftSignIn

            return MicrosoftSignIn(*_microsoft(settings), documents=_described(settings))


def account_reader(provider: Provider, settings: "Settings") -> "AccountReader":
    """Return what tells whose mailbox a grant opens; raises ValueError for IMAP."""
    match provider:
        case Provider.IMAP:
            raise ValueError("an IMAP mailbox's address is its user's to say")
        case Provider.GMAIL:
            return gmail(settings)
        case Provider.OUTLOOK:
            return outlook(settings)


@functools.cache
def _google(settings: "Settings") -> "tuple[Http, GoogleEndpoints]":
    from shared.providers.gmail.endpoints import GoogleEndpoints
    from shared.providers.http import Http

    endpoints = GoogleEndpoints()
    if settings.google_url:
        endpoints = GoogleEndpoints.at(settings.google_url, settings.google_sign_in_url)
    return Http(endpoints.origins, extra_ca_file=settings.extra_ca_file), endpoints


@functools.cache
def _microsoft(settings: "Settings") -> "tuple[Http, MicrosoftEndpoints]":
    from shared.providers.http import Http
    from shared.providers.outlook.endpoints import MicrosoftEndpoints

    given = {"login": settings.microsoft_login_url, "graph": settings.graph_url}
    endpoints = MicrosoftEndpoints(**{name: url for name, url in given.items() if url})
    return Http(endpoints.origins, extra_ca_file=settings.extra_ca_file), endpoints


@functools.cache
def _described(_settings: "Settings") -> "Documents":
    """Return what all sign-ins of a process share, for each call makes a sign-in of its own."""
    from shared.providers.outlook.token_endpoint import Documents

    return Documents()
