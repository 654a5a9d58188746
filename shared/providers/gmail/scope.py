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
        hidden = set() if self.spam_and_trash else {labels.TRASH, labels.SPAM}
        hidden |= set() if self.drafts else {labels.DRAFT}
        return frozenset(self._labels() - self.on - hidden)

    @property
    def archive(self) -> bool:
        """Whether mail without any label is to be synced."""
        return self._covers(labels.ARCHIVE.id)

    def _labels(self) -> set[str]:
        return {str(one) for one in self._folders} - {labels.ALL.id, labels.ARCHIVE.id}

    @property
    def spam_and_trash(self) -> bool:
        """Whether a listing has to show those two as well."""
        names = (FolderId(labels.TRASH), FolderId(labels.SPAM))
        return self._is_active is not None and self(names)

    @property
    def drafts(self) -> bool:
        """Whether a listing has to show drafts."""
        return self._is_active is None or self._covers(FolderId(labels.DRAFT))

    def _covers(self, folder_id: FolderId) -> bool:
        if self._is_active is None:
            return True
        # A label made since the last listing is judged like any other folder of the user's.
        unknown = Folder(folder_id, folder_id, FolderRole.OTHER)
        return self._is_active(self._folders.get(folder_id, unknown))
