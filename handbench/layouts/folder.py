"""An official folder as it lies on the disk: what is read of it lies inside it, is a plain file, and is not endless."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path

from handbench.errors import InvalidError, MissingError, UsageError

# no file that is read whole, image by image or frame by frame, is larger
MOST_BYTES = 64 << 20
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".part1")
FETCH = "Is the download complete?"


class Folder:
    """The root of a dataset. Paths are given from it, with `/`; the root itself may be a link, what it holds may not
    lead out of it.

    Raises MissingError where it is not there, InvalidError where it is an archive or another file.
    """

    def __init__(self, root: Path, title: str, url: str = ""):
        self.root = Path(root)
        self.title = title
        self.hint = f"{title} is had from {url}; unpack it there or name its folder." if url else FETCH
        if self.root.is_file():
            if self.root.name.lower().endswith(ARCHIVES):
                raise InvalidError(f"{self.root} is an archive, not a folder.", "Unpack it and give the folder.")
            raise InvalidError(f"{self.root} is a file, not the folder of {title}.", "Give the folder.")
        if not self.root.is_dir():
            raise MissingError(f"The folder {self.root} does not exist.", self.hint)
        self._real = os.path.realpath(self.root)
        self._fine: set[str] = set()

    def __str__(self) -> str:
        return str(self.root)

    def path(self, inside: str) -> Path:
        """The path of what is called so inside, whether it is there or not; raises InvalidError where it leads out."""
        head, _, name = inside.rpartition("/")
        self._require_inside(head)
        path = self.root / inside
        if name in ("", ".", "..") or path.is_symlink():
            self._require_real(path)
            if path.is_symlink() and not path.exists():
                raise InvalidError(f"{path} is a link that leads nowhere.", FETCH)
        # whoever opens a pipe waits for ever
        if path.exists() and not path.is_file() and not path.is_dir():
            raise InvalidError(f"{path} is not a file.", FETCH)
        return path

    def has(self, inside: str) -> bool:
        return self.path(inside).exists()

    def read(self, inside: str, most: int = MOST_BYTES) -> bytes:
        """The bytes of a plain file of at most `most` bytes.

        Raises MissingError; InvalidError where it is too large, no plain file, or a link that leads out of the folder.
        """
        head, _, _ = inside.rpartition("/")
        if head not in self._fine:
            self._require_inside(head)
        path = f"{self.root}/{inside}"
        try:
            try:
                file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError as error:
                if error.errno not in (errno.ELOOP, errno.EMLINK):
                    raise
                self._require_real(Path(path))
                file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                about = os.fstat(file)
                if not stat.S_ISREG(about.st_mode):
                    raise InvalidError(f"{path} is not a file.", FETCH)
                if about.st_size > most:
                    raise InvalidError(
                        f"{path} has {about.st_size:,} bytes, more than any such file of {self.title}.",
                        "Is it the right file?",
                    )
                data = os.read(file, about.st_size)
                while len(data) < about.st_size and (more := os.read(file, about.st_size - len(data))):
                    data += more
                return data
            finally:
                os.close(file)
        except FileNotFoundError:
            raise MissingError(f"{path} does not exist.", FETCH) from None
        except OSError as error:
            raise InvalidError(f"{path} cannot be read: {error.strerror}.", "Fetch it again.") from None

    def names(self, inside: str, pattern: str) -> list[str]:
        """The names in a folder that fit a whole regular expression, sorted. Raises MissingError."""
        path = self.path(inside) if inside else self.root
        fits = re.compile(pattern).fullmatch
        try:
            with os.scandir(path) as entries:
                return sorted(entry.name for entry in entries if fits(entry.name))
        except FileNotFoundError:
            raise MissingError(f"The folder {path} does not exist.", FETCH) from None
        except NotADirectoryError:
            raise InvalidError(f"{path} is not a folder.", "Fetch it again.") from None
        except OSError as error:
            raise InvalidError(f"{path} cannot be read: {error.strerror}.", "Fetch it again.") from None

    def _require_inside(self, folder: str) -> None:
        if folder in self._fine:
            return
        if folder.startswith("/") or ".." in folder.split("/"):
            raise InvalidError(f"{folder!r} leads out of {self.root}.", "Paths in official files stay inside.")
        self._require_real(self.root / folder)
        self._fine.add(folder)

    def _require_real(self, path: Path) -> None:
        real = os.path.realpath(path)
        if real != self._real and not real.startswith(self._real.rstrip("/") + "/"):
            raise InvalidError(
                f"{path} is a link that leads out of {self.root}, to {real}.",
                "Nothing outside the folder is read: put the files themselves there.",
            )


def require_split(split: str, known: tuple[str, ...] | list[str], dataset: str) -> None:
    """Raises UsageError for a split that the dataset does not have."""
    if split not in known:
        raise UsageError(f"{dataset} has no split {split!r}.", f"Splits: {', '.join(known)}.")
