"""Lets one launcher at a time work on a virtual environment; the others wait for it."""

import errno
import os
import time

from .terminal import say


class FolderLock:
    """A context that holds the lock, a file.

    The lock belongs to the open file, and the pip that is started inherits it: should the launcher be
    killed, nobody else starts before that pip has ended too.
    """

    held = None

    def __init__(self, path):
        self.path = path
        self.file = None

    def __enter__(self):
        self.file = open(self.path, "a+")
        told = False
        while not self.try_lock():
            if not told:
                say("another start of funfuse.py is preparing the virtual environment; waiting for it.")
                told = True
            time.sleep(0.3)
        FolderLock.held = self.file
        return self

    def __exit__(self, *_):
        FolderLock.held = None
        self.file.close()

    @classmethod
    def inheritable(cls):
        """Files that a process gets which shall keep the lock beyond the launcher's end."""
        return () if os.name == "nt" or cls.held is None else (cls.held.fileno(),)

    def try_lock(self):
        """Take the lock if nobody has it."""
        try:
            if os.name == "nt":
                import msvcrt

                self.file.seek(0)
                msvcrt.locking(self.file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # Some network file systems have no locks; working without one beats not working.
            return error.errno in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
        return True
