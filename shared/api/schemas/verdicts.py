"""How the test of a mail server is shown."""

from shared.api.schemas.fields import Shown
from shared.domain.errors import ErrorCode
from shared.domain.explanations import explain_in_test
from shared.domain.folders import Folder, FolderRole
from shared.domain.mail_server import Verdict


class FoundFolder(Shown):
    """A folder as the mail server lists it."""

    id: str
    name: str
    role: FolderRole
    selectable: bool

    @classmethod
    def of(cls, folder: Folder) -> "FoundFolder":
        """Show a folder."""
        return cls(id=folder.id, name=folder.name, role=folder.role, selectable=folder.selectable)


class VerdictShown(Shown):
    """The verdict on one side: `code`, `message` and `fix` are null when it is fine."""

    ok: bool
    code: ErrorCode | None
    message: str | None
    fix: str | None
    folders: list[FoundFolder]

    @classmethod
    def of(cls, verdict: Verdict) -> "VerdictShown":
        """Show a verdict in the words of its code."""
        words = explain_in_test(verdict.code) if verdict.code else None
        return cls(
            ok=verdict.ok,
            code=verdict.code,
            message=words.message if words else None,
            fix=words.fix if words else None,
            folders=[FoundFolder.of(folder) for folder in verdict.folders],
        )
