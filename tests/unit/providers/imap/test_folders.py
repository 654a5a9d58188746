import pytest

from shared.domain.folders import FolderRole
from shared.providers.imap import folders
from shared.providers.imap.wire import Answer


def listed(*lines: bytes):
    return folders.read_folders([Answer(b"M1", [[line] for line in lines])])


def roles(*lines: bytes):
    return {one.folder.name: one.folder.role for one in listed(*lines)}


def test_special_use_is_read_without_regard_to_case():
    assert roles(
        b'* LIST (\\HasNoChildren) "/" INBOX',
        b'* LIST (\\drafts) "/" Entw&APw-rfe',
        b'* LIST (\\SENT) "/" Out',
        b'* LIST (\\Junk) "/" "Maybe spam"',
        b'* LIST (\\All) "/" "[Gmail]/All Mail"',
        b'* LIST (\\Important) "/" "[Gmail]/Important"',
    ) == {
        "INBOX": FolderRole.INBOX,
        "Entwürfe": FolderRole.DRAFTS,
        "Out": FolderRole.SENT,
        "Maybe spam": FolderRole.SPAM,
        "[Gmail]/All Mail": FolderRole.ALL,
        "[Gmail]/Important": FolderRole.FLAGGED,
    }


@pytest.mark.parametrize(
    ("line", "role"),
    [
        (b'* LIST () "/" "Sent Items"', FolderRole.SENT),
        (b'* LIST () "." INBOX.Sent', FolderRole.SENT),
        (b'* LIST () "/" Papierkorb', FolderRole.TRASH),
        (b'* LIST () "/" "Gel&APY-schte Elemente"', FolderRole.TRASH),
        (b'* LIST () "/" &BCEEPwQwBDw-', FolderRole.SPAM),
        (b"* LIST () NIL Drafts", FolderRole.DRAFTS),
        (b'* LIST () "/" Projects/Sent', FolderRole.OTHER),
        (b'* LIST () "/" Deals', FolderRole.OTHER),
        (b'* LIST () "/" inbox', FolderRole.INBOX),
    ],
)
def test_names_are_known_where_the_server_names_no_role(line, role):
    assert listed(line)[0].folder.role is role


def test_a_role_the_server_names_is_not_guessed_again():
    named = roles(b'* LIST (\\Sent) "/" Gesendet', b'* LIST () "/" Sent')
    assert named == {"Gesendet": FolderRole.SENT, "Sent": FolderRole.OTHER}


@pytest.mark.parametrize("flag", [b"\\Noselect", b"\\NonExistent", b"\\NOSELECT"])
def test_what_cannot_be_opened_is_not_selectable(flag):
    assert not listed(b"* LIST (" + flag + b') "/" Box')[0].folder.selectable


def test_a_name_with_a_line_end_is_never_written_into_a_command():
    response = [b'* LIST () "/" {7}', b"a\r\nb\0c", b""]
    (one,) = folders.read_folders([Answer(b"M1", [response])])
    assert not one.folder.selectable


def test_ids_follow_the_servers_spelling_and_inbox_has_one():
    assert folders.folder_id(b"INBOX") == folders.folder_id(b"Inbox")
    assert folders.folder_id(b"Sent") != folders.folder_id(b"sent")
    assert len(folders.folder_id(b"x")) == 25
    assert "." not in folders.folder_id(b"x")


@pytest.mark.parametrize(
    "raw", [b"Caf\xe9", b"Caf\xc3\xa9", b"&broken", b"&AOk", b"a&-b", b"&#-", b"&2AA-"]
)
def test_any_name_is_readable(raw):
    assert folders.readable_name(raw)


def test_a_spelling_that_ours_would_not_give_is_asked_for():
    unusual = listed(b'* LIST () "/" &AGE-')[0]
    assert unusual.folder.name == "a"
    assert folders.raw_name(unusual.folder) is None
    usual = listed(b'* LIST () "/" Entw&APw-rfe')[0]
    assert folders.raw_name(usual.folder) == b"Entw&APw-rfe"


def test_odd_answers_are_left_out():
    assert listed(b"* LIST", b"* LIST () NIL", b"* LIST x y z", b"* LIST () NIL ()") == ()


@pytest.mark.parametrize(
    ("capabilities", "command"),
    [
        ({b"SPECIAL-USE", b"LIST-EXTENDED"}, b'LIST "" "*" RETURN (SPECIAL-USE)'),
        ({b"SPECIAL-USE", b"XLIST"}, b'LIST "" "*"'),
        ({b"XLIST"}, b'XLIST "" "*"'),
        (set(), b'LIST "" "*"'),
    ],
)
def test_the_server_is_asked_for_roles_in_its_own_way(capabilities, command):
    assert folders.list_command(capabilities) == command
