"""The folder of a model, which appears when all of it is there. Everything in this module is blocking."""

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
import errno
import os
from pathlib import Path
import shutil

from ..engine import ModelFile
from .errors import HubError
from .part import Part

# Bytes that are to stay free: Home Assistant's own database lives there too.
_MARGIN = 64 * 10**6
_FULL = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def disk_errors() -> Generator[None]:
    """Turn an OSError into HubError `no_space` or `folder_unwritable`."""
    try:
        yield
    except OSError as err:
        raise HubError("no_space" if err.errno in _FULL else "folder_unwritable", str(err)) from err


def is_complete(folder: Path, files: Sequence[ModelFile]) -> bool:
    """Tell whether a folder has all files in the right size.

    Nothing is hashed: into the folder itself only comes what was verified. A folder is to be one revision's.
    """
    try:
        return all((folder / file.name).stat().st_size == file.size for file in files)
    except OSError:
        return False


def forget_others(root: Path, kept: Iterable[Path]) -> None:
    """Remove all models below a folder but these, and what there is of unfinished downloads of others.

    What cannot be removed stays, and takes its space.
    """
    if not root.is_dir():
        return
    spared = {path for folder in kept for path in (folder, _partial(folder))}
    for path in root.iterdir():
        if path not in spared:
            shutil.rmtree(path, ignore_errors=True)


def distrust(folder: Path) -> None:
    """Take a model out of use: the next download hashes its files, and fetches those that are spoilt.

    A model that runs keeps its files open. Raises HubError `folder_unwritable`.
    """
    with disk_errors():
        if folder.exists():
            shutil.rmtree(_partial(folder), ignore_errors=True)
            folder.rename(_partial(folder))


def prepare(folder: Path, files: Sequence[ModelFile]) -> list[Part]:
    """Take up what an earlier download left, and make room for the rest. Raises HubError `no_space`, and OSError."""
    partial = _partial(folder)
    if partial.exists():
        _keep_only(partial, files)
    nearest = next(path for path in (partial, *partial.parents) if path.exists())
    parts = [Part(file, partial) for file in files]
    missing = sum(part.file.size - part.done for part in parts)
    free = shutil.disk_usage(nearest).free
    if free < missing + _MARGIN:
        raise HubError("no_space", f"{(missing + _MARGIN) / 1e6:.0f} MB > {free / 1e6:.0f} MB: {folder}")
    partial.mkdir(parents=True, exist_ok=True)
    return parts


def put_in_place(folder: Path) -> None:
    """Let the folder appear. Raises OSError.

    What was in its place is moved away whole: a model that runs has its files mapped, and keeps them.
    """
    partial, replaced = _partial(folder), _replaced(folder)
    _sync(partial)
    if folder.exists():
        shutil.rmtree(replaced, ignore_errors=True)
        folder.replace(replaced)
    partial.replace(folder)
    _sync(folder.parent)
    shutil.rmtree(replaced, ignore_errors=True)


def _keep_only(partial: Path, files: Sequence[ModelFile]) -> None:
    """Remove what belongs to another list of files, and would appear with these."""
    wanted = {name for file in files for name in (file.name, f"{file.name}.part")}
    for path in partial.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name not in wanted:
            path.unlink()


def _partial(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.partial")


def _replaced(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.replaced")


def _sync(folder: Path) -> None:
    """Have the disk know the names in a folder. Some network file systems cannot, and are none the worse for it."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
