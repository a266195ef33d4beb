"""The folder in which a worker's process for a stage starts, and how files come there and go back."""

import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from spira.base.errors import DataError, MachineError
from spira.base.system_errors import naming, sentence
from spira.cluster.messages import SentFolder, SharedFolder
from spira.storage.objects import Sent, Storage

_CODE = "code.zip"
SENT_SOURCE = "src"  # where an own folder has the package


class StageFolder:
    """The stage's own, on a disk that both see: nothing needs to be brought or sent."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def bring(self, files: Iterable[Sent]) -> None:
        """What a shard reads is there."""

    def send(self, _: Path, /) -> str:
        """What a shard wrote is where the stage finds it: its MD5 in the storage, "" where it is in none."""
        return ""

    def remove(self) -> None:
        """Whatever is not the stage's own."""


class OwnFolder(StageFolder):
    """One of the worker's own, with what was sent; it keeps what shards read until the stage ends."""

    def __init__(self, path: Path, sent: SentFolder) -> None:
        super().__init__(path)
        self._storage = Storage(sent.storage)
        self._here: set[Sent] = set()
        self._is_removed = False
        try:
            self.bring([sent.code, *sent.files])
            with naming(path, "written"), ZipFile(path / sent.code.path) as archive:
                archive.extractall(path)
        except (DataError, MachineError):
            self.remove()
            raise

    def bring(self, files: Iterable[Sent]) -> None:
        try:
            for file in files:
                if self._is_removed:
                    raise MachineError("the stage has ended")
                if file not in self._here:
                    self._bring(file)
        finally:
            if self._is_removed:  # while a file was on its way
                self.remove()

    def _bring(self, file: Sent) -> None:
        try:
            self._storage.bring(file, self.path / file.path)
        except DataError as error:
            if isinstance(cause := error.__cause__, OSError):  # this machine's disk is full, which no other's need be
                raise MachineError(f"{file.shown}: cannot be written: {sentence(cause)}") from error
            raise
        if not file.spans:  # those of one shard are no other's
            self._here.add(file)

    def send(self, file: Path, /) -> str:
        written = self.path / file
        if not written.is_file():
            return ""
        digest = self._storage.send(written, str(file))
        written.unlink()
        return digest

    def remove(self) -> None:
        self._is_removed = True
        shutil.rmtree(self.path, ignore_errors=True)


def open_folder(folder: SharedFolder | SentFolder, own: Path) -> StageFolder:
    """Where this machine has the folder that the stage runs in: shared, at the same path or as the current one; or own.

    Args:
        folder: the stage's.
        own: a path for what was sent.

    Raises:
        DataError: it is not shared; or what was sent is damaged.
        MachineError: the storage cannot be reached.
    """
    if isinstance(folder, SentFolder):
        return OwnFolder(own, folder)
    for path in (Path(folder.path), Path.cwd()):
        with suppress(OSError):
            if (path / folder.sign).read_text(encoding="utf-8") == folder.signed:
                return StageFolder(path)
    raise DataError(f"it does not see {folder.path}, nor was it started in that folder")


def archived(source: Path, others: Iterable[Path], to: Path) -> Path:
    """Writes what ``OwnFolder`` starts with, the same bytes for the same files; returns its path.

    Args:
        source: a package's folder; in the archive its modules lie in ``SENT_SOURCE``.
        others: files, which keep their paths.
        to: the folder of the archive.
    """
    files = {f"{SENT_SOURCE}/{path.relative_to(source.parent).as_posix()}": path for path in source.rglob("*.py")}
    files |= {path.as_posix(): path for path in others}
    with ZipFile(to / _CODE, "w", ZIP_DEFLATED) as archive:
        for name, path in sorted(files.items()):
            archive.writestr(ZipInfo(name), path.read_bytes(), ZIP_DEFLATED)
    return to / _CODE
