"""An output folder that belongs to its user: only what an earlier run wrote is ever replaced or removed.

A list in the folder, a JSON file, names each file of a run with its checksum: ``report.json``, or
``funfuse-files.json`` for what has no report. A file that is on no list, or was changed since, is the user's;
so is a list whose own checksum is wrong. One run at a time works in a folder, and what a killed one left is
undone by the next.
"""

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Optional, Sequence

from .errors import InputError, OutputError

# The lists of what a run wrote. Written last: where one is, all files are there, and they are those it lists.
REPORT, LIST = "report.json", "funfuse-files.json"

# Names of the lock and of temporary folders; in these, what is new, what it replaces, and what is going on.
HIDDEN = ".funfuse"
NEW, OLD, JOURNAL, MARK = "new", "replaced", "moving.json", "temporary, of FunFuse"

# Seconds after which a temporary folder was left by a killed process, where the disk knows no locks.
ABANDONED = 24 * 3600

# What a full or broken disk says, without naming a file, and what one says that has no locks.
_DISK_ERRORS = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG, errno.EROFS, errno.EIO)
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, getattr(errno, "EOPNOTSUPP", errno.ENOSYS))


@dataclass(frozen=True)
class Claim:
    """What a run is going to do in a folder.

    :param writes: names of files that it may write, with "/" for those in folders of it; "data/speed_*" means
        all that begin so.
    :param inputs: files and folders that it reads: they are never replaced, whatever ``overwrite`` says.
    :param overwrite: replace files of the user's, too.
    :param where: what the user chose the folder with: "--out", or "folder" where there are no options.
    """

    writes: Sequence[str] = ()
    inputs: Sequence[object] = ()
    overwrite: bool = False
    where: str = "folder"

    @property
    def remedy(self) -> str:
        """What a user can do about a file in the way."""
        option = ", or add --overwrite" if self.where.startswith("--") else ""
        return f"Move it away, choose another {self.where}{option}."


# --- Who wrote it -------------------------------------------------------------------------------------


def listed(folder, name: str) -> Dict[str, dict]:
    """The files of a list: name -> ``{"sha256": ..., "bytes": ...}``; {} without a list of ours."""
    files = (_read_list(Path(folder) / name) or {}).get("files", {})
    return {file: entry for file, entry in files.items() if _is_inside(file)}


def _read_list(path: Path) -> Optional[dict]:
    """What a list says, but for its seal; None for what is none of ours."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        if path.is_symlink() or facts.pop("seal") != _seal(facts):
            return None
        return {**facts, "files": {str(file): dict(entry) for file, entry in facts["files"].items()}}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _is_inside(name: str) -> bool:
    """Whether a name stays in its folder; a list may come from anybody."""
    parts = re.split(r"[/\\]", name)
    return all(part not in ("", ".", "..") for part in parts) and not Path(name).drive


def write_list(path: Path, facts: dict) -> None:
    """Write a list, wholly or not at all, with a checksum of itself.

    :param facts: among them ``files``, see :func:`checksums`.
    """
    text = json.dumps({**facts, "seal": _seal(facts)}, indent=2, ensure_ascii=False)
    part = part_of(path)
    part.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
    os.replace(part, path)


def checksums(folder) -> Dict[str, dict]:
    """What a list says of the files in a folder and below, but for lists."""
    paths = {path.relative_to(folder).as_posix(): path for path in Path(folder).rglob("*") if path.is_file()}
    return {
        name: {"sha256": sha256_of(paths[name]), "bytes": paths[name].stat().st_size}
        for name in sorted(paths)
        if name not in (REPORT, LIST)
    }


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for part in iter(lambda: file.read(1 << 20), b""):
            digest.update(part)
    return digest.hexdigest()


def _seal(facts: dict) -> str:
    text = json.dumps(facts, sort_keys=True)
    # What JSON cannot keep, such as a tuple or the key 1, must not make a difference.
    return hashlib.sha256(json.dumps(json.loads(text), sort_keys=True).encode("ascii")).hexdigest()


def _is_listed(folder: Path, name: str) -> bool:
    """Whether an earlier run wrote a file, and nobody changed it since."""
    path = folder / name
    if path.is_symlink() or not path.is_file():
        return False
    if name in (REPORT, LIST):
        return _read_list(path) is not None
    found = [files[name] for files in (listed(folder, REPORT), listed(folder, LIST)) if name in files]
    known = {entry.get(key) for entry in found for key in ("sha256", "before")} - {None}
    return bool(known) and sha256_of(path) in known


# --- Before any work ----------------------------------------------------------------------------------


def check_writable(folder, where: str = Claim.where) -> Path:
    """Make the folder and prove that a file can be written in it.

    :raises OutputError: it cannot; names the folder.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=str(folder)):
            pass
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(
            f"{folder}: results cannot be written there ({reason}). Choose another {where}."
        ) from error
    return folder


def check(folder: Path, claim: Claim) -> None:
    """Refuse to replace what is not an earlier run's.

    :raises OutputError: a file of the user's is in the way; names it.
    :raises InputError: the run would replace or remove what it reads.
    """
    for name in _in_the_way(folder, claim):
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            raise OutputError(f"{path}: there is a folder of that name. {claim.remedy}")
        if _is_input(path, claim):
            raise InputError(
                f"{path} is an input of this run, which would replace or remove it: write the results into "
                "another folder."
            )
        if not claim.overwrite and not _is_listed(folder, name):
            raise OutputError(
                f"{path} is there already, and no earlier run wrote it as it is: it would be replaced. "
                f"{claim.remedy}"
            )


def _in_the_way(folder: Path, claim: Claim) -> List[str]:
    """The files that there are, of those that a run may write, and those of a report that it would renew."""
    found = []
    for name in claim.writes:
        if name.endswith("*"):
            parent, start = (folder / name).parent, (folder / name).name[:-1]
            some = sorted(parent.iterdir()) if parent.is_dir() else []
            found += [p.relative_to(folder).as_posix() for p in some if p.name.startswith(start)]
        elif os.path.lexists(folder / name):
            found.append(name)
    if REPORT in claim.writes:
        found += [name for name in listed(folder, REPORT) if name not in found and _is_listed(folder, name)]
    return found


def _is_input(path: Path, claim: Claim) -> bool:
    for given in claim.inputs:
        try:
            if os.path.samefile(path, given):
                return True
            if os.path.isdir(given) and os.path.samefile(path.parent, given):
                return not _is_listed(path.parent, path.name)
        except OSError:
            continue  # one of them is not there
    return False


# --- All at once --------------------------------------------------------------------------------------


@contextmanager
def all_or_nothing(folder, claim: Claim) -> Iterator[Path]:
    """A temporary folder whose files move into ``folder`` when the block ends well.

    After an error ``folder`` is as it was; one that did not exist is gone again. When the process is killed,
    whenever, ``folder`` holds either the list of before with its files or the new one with its files, or
    no list; the next run puts the files of before back. A block that writes no ``report.json`` gets a list,
    which goes on with that of before.

    :raises OutputError: the folder cannot be written, also for a full disk, or is in use; a file in the way.
    :raises InputError: see :func:`check`.
    """
    if REPORT not in claim.writes:
        claim = replace(claim, writes=[*claim.writes, LIST])
    with _own(folder, claim, HIDDEN) as folder, _temporary(folder, HIDDEN) as work:
        new = work / NEW
        yield new
        if not (new / REPORT).exists():
            files = {name: facts for name, facts in listed(folder, LIST).items() if _is_listed(folder, name)}
            write_list(new / LIST, {"files": {**files, **checksums(new)}})
        _move_all(work, folder, claim)


@contextmanager
def one_file(path, claim: Claim) -> Iterator[Path]:
    """A temporary path, of the same ending, for one file, which moves to ``path`` when the block ends well.

    It is on no list, so an older file of that name is always the user's.

    :raises OutputError, InputError: see :func:`all_or_nothing`.
    """
    path = Path(path)
    hidden = f"{HIDDEN}_{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:12]}"
    claim = replace(claim, writes=[path.name])
    with _own(path.parent, claim, hidden) as folder, _temporary(folder, hidden) as work:
        part = work / NEW / path.name
        yield part
        check(folder, claim)  # again: it may have taken hours
        os.replace(part, folder / path.name)


@contextmanager
def growing(folder, claim: Claim) -> Iterator[Path]:
    """A folder that gets its files one by one, each with :func:`put`, and keeps them after an error.

    :raises OutputError, InputError: see :func:`all_or_nothing`.
    """
    with _own(folder, replace(claim, writes=[*claim.writes, LIST]), HIDDEN) as folder:
        yield folder


@contextmanager
def putting(folder: Path) -> Iterator[Path]:
    """A temporary folder for what shall be put into a growing one."""
    with _temporary(folder, HIDDEN) as work:
        yield work / NEW
        for path in sorted((work / NEW).iterdir()):
            put(path, folder / path.name)


def part_of(target: Path) -> Path:
    """Where to write a file until it is finished."""
    return target.with_name(f"{HIDDEN}-{target.name}-part")


def put(part: Path, target: Path) -> None:
    """Put a finished file in its place, and in the list of its folder.

    The list is written before, with the checksums of the old and of the new file: it is true whenever the
    process is killed.
    """
    files = listed(target.parent, LIST)
    entry = {"sha256": sha256_of(part), "bytes": part.stat().st_size}
    if target.is_file():
        entry["before"] = sha256_of(target)
    write_list(target.parent / LIST, {"files": {**files, target.name: entry}})
    os.replace(part, target)


@contextmanager
def _own(folder, claim: Claim, hidden: str) -> Iterator[Path]:
    """The folder, checked and locked; errors of writing in it become sentences."""
    # os.path.exists, because a name too long for the disk makes Path's raise.
    made = [path for path in (Path(folder), *Path(folder).parents) if not os.path.exists(path)]
    try:
        folder = check_writable(folder, claim.where)
        with _locked(folder, hidden, claim.where) as alone:
            _clear_up(folder, hidden, alone)
            check(folder, claim)
            yield folder
    except OSError as error:
        if not _is_ours(error, folder):
            raise
        reason = error.strerror or error
        raise OutputError(
            f"{folder}: the results could not be written ({reason}). Choose another {claim.where}."
        ) from error
    finally:
        for path in made:
            if os.path.isdir(path) and not any(path.iterdir()):
                path.rmdir()


def _is_ours(error: OSError, folder: Path) -> bool:
    """Whether an error is of writing into ``folder``, not of reading something else."""
    if error.errno in _DISK_ERRORS or error.filename is None:
        return True
    return os.path.realpath(str(error.filename)).startswith(os.path.realpath(folder) + os.sep)


def _move_all(work: Path, folder: Path, claim: Claim) -> None:
    """Move all that is new from ``work`` into ``folder``; after an error all is as it was.

    The list goes first and comes last.

    :raises OSError: a file cannot be moved.
    """
    new = {**checksums(work / NEW), **dict.fromkeys(_lists(work / NEW))}
    last = REPORT if REPORT in new else LIST
    check(folder, replace(claim, writes=[*new]))  # again: it may have taken hours
    going = {name for name in new if os.path.lexists(folder / name)}
    if last == REPORT:
        going |= {name for name in listed(folder, REPORT) if _is_listed(folder, name)}
    entries = {name: sha256_of(work / NEW / name) for name in new}
    part = work / f"{JOURNAL}-part"
    part.write_text(json.dumps(entries), encoding="utf-8")
    os.replace(part, work / JOURNAL)
    moves = [(folder / name, work / OLD / name) for name in sorted(going, key=lambda n: (n != last, n))]
    moves += [(work / NEW / name, folder / name) for name in sorted(new, key=lambda n: (n == last, n))]
    try:
        for source, target in moves:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(source, target)
    except BaseException:
        _undo(work, folder)
        raise
    (work / JOURNAL).unlink()
    _remove_empty(folder, going)


def _remove_empty(folder: Path, names: Iterable[str]) -> None:
    """Folders in it that held these files and nothing else, and whose files are gone."""
    parents = {parent for name in names for parent in (folder / name).parents if folder in parent.parents}
    for parent in sorted(parents, key=lambda path: -len(path.parts)):
        try:
            parent.rmdir()
        except OSError:
            pass


def _lists(folder: Path) -> List[str]:
    return [name for name in (REPORT, LIST) if (folder / name).is_file()]


def _undo(work: Path, folder: Path) -> None:
    """Put back what a move that was cut short has set aside, unless it was at its end.

    This, too, can be cut short.
    """
    journal, new = work / JOURNAL, work / NEW
    if not journal.exists():
        return
    entries = json.loads(journal.read_text(encoding="utf-8"))
    entries = {name: sha256 for name, sha256 in entries.items() if _is_inside(name)}
    if not all((folder / n).is_file() and not os.path.lexists(new / n) for n in entries):
        for name, sha256 in entries.items():
            moved = folder / name
            if not os.path.lexists(new / name) and moved.is_file() and sha256_of(moved) == sha256:
                os.replace(moved, new / name)
        for path in sorted((work / OLD).rglob("*")):
            target = folder / path.relative_to(work / OLD)
            if not (path.is_dir() and not path.is_symlink()) and not os.path.lexists(target):
                os.replace(path, target)
    journal.unlink()


# --- One at a time ------------------------------------------------------------------------------------


@contextmanager
def _temporary(folder: Path, hidden: str) -> Iterator[Path]:
    """A new hidden folder in ``folder``, gone afterwards, but for what could not be put back."""
    work = Path(tempfile.mkdtemp(prefix=f"{hidden}-", dir=str(folder)))
    try:
        (work / MARK).touch()
        for name in (NEW, OLD):
            (work / name).mkdir()
        yield work
    finally:
        if not (work / JOURNAL).exists():
            shutil.rmtree(work, ignore_errors=True)


def _clear_up(folder: Path, hidden: str, alone: bool) -> None:
    """Undo and remove what killed runs left."""
    for work in folder.iterdir():
        if not re.fullmatch(re.escape(hidden) + r"-[a-z0-9_]{8}", work.name) or work.is_symlink():
            continue
        if not alone and time.time() - work.stat().st_mtime < ABANDONED:
            continue
        if (work / MARK).is_file():
            _undo(work, folder)
            shutil.rmtree(work, ignore_errors=True)
        elif work.is_dir() and not any(work.iterdir()):
            work.rmdir()


@contextmanager
def _locked(folder: Path, hidden: str, where: str) -> Iterator[bool]:
    """One process at a time; False on disks without locks. The system frees the lock of a dead process.

    :raises OutputError: another run is at work there.
    """
    path = folder / f"{hidden}-lock"
    while True:
        file = _open_lock(path)
        try:
            alone = _lock(file)
            if alone is None:
                raise OutputError(
                    f"{folder}: another run is writing there. Wait for its end, or choose another {where}."
                )
            try:
                if os.path.samestat(os.fstat(file), os.stat(path)):
                    break
            except FileNotFoundError:
                pass  # the run before has just removed it: that was the lock of nobody
        except BaseException:
            os.close(file)
            raise
        os.close(file)
    os.lseek(file, 0, os.SEEK_SET)
    # Empty when the run that made it was killed before it wrote the mark; else it is a file of the user's.
    ours = os.read(file, 99) in (b"", MARK.encode())
    try:
        yield alone
    finally:
        if ours and os.name != "nt":
            _remove(path)  # before the lock is given back: nobody else's is removed
        os.close(file)
        if ours and os.name == "nt":
            _remove(path)  # Windows removes no open file; one that is in use again stays


def _open_lock(path: Path) -> int:
    while True:
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            try:
                return os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
            except FileNotFoundError:
                continue  # the run before has just removed it
        os.write(file, MARK.encode())
        return file


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError:
        pass


def _lock(file: int) -> Optional[bool]:
    """True when the file is locked, None when another process has it, False where there are no locks."""
    try:
        if os.name == "nt":
            import msvcrt

            os.lseek(file, 1 << 20, os.SEEK_SET)  # behind its text, which may be read
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in _NO_LOCKS else None
    return True
