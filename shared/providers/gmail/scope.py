"""Decides which messages a session cares for: those that are in an active folder."""

from collections.abc import Callable, Collection, Sequence

from shared.domain.folders import Folder, FolderRole
from shared.domain.ids import FolderId
from shared.providers.gmail import labels


class Scope:
    """What is active. Before a look it is not known: then everything counts, as Gmail lists it."""

    def __init__(self) -> None:
        self._is_active: Callable[[Folder], bool] | None = None
        self._folders: dict[FolderId, Folder] = {}

    def learn(self, is_active: Callable[[Folder], bool], folders: Sequence[Folder]) -> None:
        """Take over what a look was asked with, and the folders it found."""
        self._is_active = is_active
        self._folders = {folder.id: folder for folder in folders}

    def __call__(self, folder_ids: Collection[FolderId]) -> bool:
        """Whether a message in these folders is to be synced."""
        return any(map(self._covers, folder_ids))

    @property
    def on(self) -> frozenset[str]:
        """The labels that are active, as far as they are listed."""
        return frozenset(one for one in self._labels() if self._covers(FolderId(one)))

    @property
    def off(self) -> frozenset[str]:
        """The labels that are not; of trash, spam and drafts only what a listing would show."""
        return frozenset(self._labels() - self.on - self._hidden)

    @property
    def alone(self) -> tuple[str, ...]:
        """Of `labels.ALONE` what a listing shows, the first to be asked first."""
        return tuple(one for one in labels.ALONE if one not in self._hidden)

    @property
    def archive(self) -> bool:
        """Whether mail that is in no other place is to be synced."""
        return self._covers(labels.ARCHIVE.id)

    def _labels(self) -> set[str]:
        return {str(one) for one in self._folders} - {labels.ALL.id, labels.ARCHIVE.id}

    @property
    def _hidden(self) -> set[str]:
        hidden = set() if self.spam_and_trash else {labels.TRASH, labels.SPAM}
        return hidden if self.drafts else hidden | {labels.DRAFT}

    @property
    def spam_and_trash(self) -> bool:
        """Whether a listing has to show those two as well."""
        names = (FolderId(labels.TRASH), FolderId(labels.SPAM))
        return self._is_active is not None and self(names)

    @property
    def drafts(self) -> bool:
        """Whether a listing has to show drafts; one in the trash is in the trash."""
        return self.spam_and_trash or self._covers(FolderId(labels.DRAFT))

    def _covers(self, folder_id: FolderId) -> bool:
        if self._is_active is None:
            return True
        # A label made since the last listing is judged like any other folder of the user's.
        unknown = Folder(folder_id, folder_id, FolderRole.OTHER)
        return self._is_active(self._folders.get(folder_id, unknown))
