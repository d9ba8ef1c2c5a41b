"""A lock file that needs no locks of the file system, which shared ones may not have."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from filelock import SoftFileLease
from filelock._soft import read_lock_file
from filelock._util import pin_inode

# Seconds.
LEASE = 30.0
_POLL = 0.01


class _Lease(SoftFileLease):
    """A lease that can be taken from a holder that died before it had written its name."""

    def _try_break_stale_lock(self) -> None:
        # filelock makes the file, then writes into it, and takes an empty one as held for ever:
        # its releases before 3.22 wrote nothing.
        with suppress(OSError), pin_inode(self._lock_path) as pinned:
            content, marker = read_lock_file(self._lock_path)
            nameless = content == "" and pinned in {None, marker.st_ino}
            if nameless and self._marker_unchanged_for(marker) >= self.lease_duration:
                self._take_over(marker, None)
                return
        super()._try_break_stale_lock()


def shared_lock(path: Path, lease: float = LEASE) -> SoftFileLease:
    """The lock in a file.

    A holder that dies loses it: at once on its own machine, after `lease` seconds on another one,
    or where it died before its name was in the file. One that is suspended loses it after `lease`
    seconds.

    Args:
        path: The file.
        lease: Seconds; the same for all that want the lock.
    """
    return _Lease(path, lease_duration=lease, poll_interval=_POLL)
