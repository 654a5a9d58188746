"""Decides which folder is which: its id, its readable name, what it is for.

The id comes from the name exactly as the server spells it, so it is stable while the name is. What
a folder is for is the server's word (SPECIAL-USE, RFC 6154) and only without it a name we know.
"""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from imapclient.imap_utf7 import decode as decode_utf7
from imapclient.imap_utf7 import encode as encode_utf7

from shared.domain.folders import Folder, FolderRole
from shared.domain.ids import FolderId
from shared.providers.imap import grammar
from shared.providers.imap.wire import Answer, untagged

_SPECIAL_USE = {
    # Compared in lower case: Cyrus answers `\drafts` (RFC 6154 leaves it open). XLIST's words too.
    b"\\inbox": FolderRole.INBOX,
    b"\\sent": FolderRole.SENT,
    b"\\drafts": FolderRole.DRAFTS,
    b"\\trash": FolderRole.TRASH,
    b"\\junk": FolderRole.SPAM,
    b"\\spam": FolderRole.SPAM,
    b"\\archive": FolderRole.ARCHIVE,
    b"\\all": FolderRole.ALL,
    b"\\allmail": FolderRole.ALL,
    b"\\flagged": FolderRole.FLAGGED,
    b"\\starred": FolderRole.FLAGGED,
    # Like Starred, Gmail's Important shows what other folders hold.
    b"\\important": FolderRole.FLAGGED,
}
_NOT_SELECTABLE = frozenset({b"\\noselect", b"\\nonexistent"})
_NAMES = {
    FolderRole.SENT: (
        "sent|sent items|sent mail|sent messages|gesendet|gesendete elemente"
        "|gesendete objekte|gesendete nachrichten|envoyés|éléments envoyés|messages envoyés"
        "|objets envoyés|enviados|elementos enviados|mensajes enviados|correo enviado"
        "|itens enviados|mensagens enviadas|inviati|inviata|posta inviata|elementi inviati"
        "|messaggi inviati|verzonden|verzonden items|verzonden berichten|skickat|skickade"
        "|skickat e-post|sendt|sendte elementer|sendt post|lähetetyt|wysłane|elementy wysłane"
        "|odeslané|odeslaná pošta|odoslané|elküldött|elküldött elemek|trimise|отправленные"
        "|надіслані|gönderilmiş öğeler|gönderilenler|απεσταλμένα|送信済み|送信済みメール"
        "|送信済みアイテム|已发送|已发送邮件|寄件備份|보낸 편지함|보낸편지함"
    ),
    FolderRole.DRAFTS: (
        "drafts|draft|entwürfe|entwurf|brouillons|borradores|rascunhos|bozze|concepten|utkast"
        "|kladder|luonnokset|wersje robocze|szkice|kopie robocze|koncepty|piszkozatok|ciorne"
        "|черновики|чернетки|taslaklar|πρόχειρα|下書き|草稿|草稿箱|임시 보관함|임시보관함"
    ),
    FolderRole.TRASH: (
        "trash|deleted|deleted items|deleted messages|bin|papierkorb|gelöschte elemente"
        "|gelöschte objekte|gelöscht|corbeille|éléments supprimés|messages supprimés|papelera"
        "|elementos eliminados|lixeira|lixo|itens excluídos|itens eliminados|cestino"
        "|posta eliminata|elementi eliminati|prullenbak|verwijderde items|papperskorg"
        "|papperskorgen|borttaget|slettet post|slettede elementer|papirkurv|roskakori"
        "|poistetut|kosz|elementy usunięte|koš|odstraněná pošta|kôš|kuka|törölt elemek"
        "|coș de gunoi|корзина|удаленные|удалённые|кошик|çöp kutusu|silinmiş öğeler"
        "|κάδος απορριμμάτων|ゴミ箱|削除済みアイテム|已删除|已删除邮件|垃圾桶|휴지통|지운 편지함"
    ),
    FolderRole.SPAM: (
        "spam|junk|junk e-mail|junk email|junk mail|bulk mail|bulk|spamverdacht"
        "|courrier indésirable|indésirables|pourriel|correo no deseado|no deseado"
        "|lixo eletrônico|lixo eletrónico|correio eletrónico não solicitado|posta indesiderata"
        "|ongewenste e-mail|ongewenst|skräppost|søppelpost|uønsket post|roskaposti"
        "|wiadomości-śmieci|nevyžádaná pošta|nevyžiadaná pošta|levélszemét|спам"
        "|нежелательная почта|gereksiz|önemsiz e-posta|ανεπιθύμητη αλληλογραφία"
        "|迷惑メール|垃圾邮件|垃圾郵件|스팸|스팸함|스팸메일함"
    ),
    FolderRole.ARCHIVE: (
        "archive|archives|archiv|archivi|archivio|archivo|archivos|arquivo|arquivo morto|archief"
        "|arkiv|arkisto|archiwum|archív|archívum|архив|архів|arşiv|アーカイブ|存档|封存|보관함"
    ),
}
_ROLE_BY_NAME = {name: role for role, names in _NAMES.items() for name in names.split("|") if names}


@dataclass(frozen=True, slots=True)
class ListedFolder:
    """A folder and the name the server knows it by, still encoded."""

    raw: bytes
    folder: Folder


def folder_id(raw: bytes) -> FolderId:
    """Return the id of the folder the server spells `raw`."""
    digest = hashlib.blake2b(_one_inbox(raw), digest_size=15).digest()
    return FolderId("f" + base64.b32encode(digest).decode("ascii").lower())


def _one_inbox(raw: bytes) -> bytes:
    # INBOX alone is compared without case (RFC 3501, 5.1).
    return b"INBOX" if raw.upper() == b"INBOX" else raw


def raw_name(folder: Folder) -> bytes | None:
    """Return the server's spelling of `folder` if its readable name gives it, else None."""
    raw = bytes(encode_utf7(folder.name))
    return raw if folder_id(raw) == folder.id else None


def readable_name(raw: bytes) -> str:
    """Decode a name for people: modified UTF-7, or the 8-bit text some servers send instead."""
    if not raw.isascii():
        return raw.decode("utf-8", "replace")
    try:
        # UTF-7 can spell half a pair of surrogates, which no store and no answer can hold.
        return str(decode_utf7(raw)).encode("utf-8", "replace").decode("utf-8")
    except ValueError:
        return raw.decode("ascii")


def list_command(capabilities: Iterable[bytes]) -> bytes:
    """Return the LIST that makes this server name the folders' roles."""
    offered = frozenset(capabilities)
    if {b"SPECIAL-USE", b"LIST-EXTENDED"} <= offered:
        return b'LIST "" "*" RETURN (SPECIAL-USE)'
    if b"XLIST" in offered and b"SPECIAL-USE" not in offered:
        return b'XLIST "" "*"'
    return b'LIST "" "*"'


def read_folders(answers: Sequence[Answer]) -> tuple[ListedFolder, ...]:
    """Return the folders a LIST named, in its order, each once; raises `GrammarError`."""
    listed: dict[FolderId, tuple[bytes, bytes, frozenset[bytes]]] = {}
    for response in (*untagged(answers, b"LIST"), *untagged(answers, b"XLIST")):
        # `*`, the word LIST, attributes, delimiter, name
        attributes, delimiter, raw = (*grammar.parse(response), None, None, None)[2:5]
        if not isinstance(raw, bytes) or not isinstance(attributes, list):
            continue
        flags = frozenset(flag.lower() for flag in attributes if isinstance(flag, bytes))
        listed[folder_id(raw)] = (raw, delimiter if isinstance(delimiter, bytes) else b"", flags)
    named = {role for _raw, _delimiter, flags in listed.values() if (role := _special_use(flags))}
    return tuple(
        ListedFolder(
            raw,
            Folder(
                id=identifier,
                name=readable_name(_one_inbox(raw)),
                role=_role(raw, delimiter, flags, named),
                selectable=_is_selectable(raw, flags),
            ),
        )
        for identifier, (raw, delimiter, flags) in listed.items()
    )


def _role(
    raw: bytes, delimiter: bytes, flags: frozenset[bytes], named: set[FolderRole]
) -> FolderRole:
    if _one_inbox(raw) == b"INBOX":
        return FolderRole.INBOX
    if special := _special_use(flags):
        return special
    separator = delimiter.decode("latin-1")
    path = readable_name(raw).split(separator) if separator else [readable_name(raw)]
    if len(path) > 1 and path[0].upper() == "INBOX":
        path = path[1:]
    guess = _ROLE_BY_NAME.get(path[0].casefold()) if len(path) == 1 else None
    # Where the server names a role itself, a name like it is somebody's own folder.
    return guess if guess and guess not in named else FolderRole.OTHER


def _special_use(flags: frozenset[bytes]) -> FolderRole | None:
    return next((role for flag, role in _SPECIAL_USE.items() if flag in flags), None)


def _is_selectable(raw: bytes, flags: frozenset[bytes]) -> bool:
    # A name with a line end in it cannot be written in a command; it stays visible and unused.
    return not flags & _NOT_SELECTABLE and not any(control in raw for control in b"\r\n\0")
