"""Decides where what we ask for is in Graph; each begins after the version, with a slash."""

from urllib.parse import quote

from shared.domain.folders import Folder
from shared.domain.ids import ProviderMessageId
from shared.providers.outlook.entries import FIELDS


def folder_path(folder: Folder) -> str:
    """Return where a folder is."""
    return f"/me/mailFolders/{quote(folder.id, safe='')}"


def first_link(folder: Folder) -> str:
    """Return where a round that tells the whole folder begins.

    The properties named here are those that every later link of it tells, and watches.
    """
    return f"{folder_path(folder)}/messages/delta?$select={FIELDS}"


def message_path(message_id: ProviderMessageId) -> str:
    """Return where a message is."""
    return f"/me/messages/{quote(message_id, safe='')}"


def content_path(message_id: ProviderMessageId) -> str:
    """Return where a message is as MIME."""
    return f"{message_path(message_id)}/$value"
