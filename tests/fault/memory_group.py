"""A group of processes whose memory has a limit: the kernel's control groups, version 1 or 2."""
import os
from pathlib import Path

TREE = Path("/sys/fs/cgroup")
# Version: the files for the limit and for what the kernel has killed.
FILES = {1: ("memory.limit_in_bytes", "memory.oom_control"), 2: ("memory.max", "memory.events")}


class NoGroups(Exception):
    """No such group can be made here: the test is to be skipped, visibly."""


def place_for_a_group(tree=TREE, memberships=None):
    """(version, folder): below which of our own groups a new one gets a limit for memory, so that
    all limits that we have stay in force."""
    text = memberships or Path("/proc/self/cgroup").read_text()
    ours = {line.split(":", 2)[1]: line.split(":", 2)[2] for line in text.splitlines()}
    for controllers, path in ours.items():
        folder = tree / "memory" / path.lstrip("/")
        if "memory" in controllers.split(",") and (folder / FILES[1][0]).exists():
            return 1, folder
    folder = tree / ours.get("", "").lstrip("/")
    while folder == tree or tree in folder.parents:
        # A group with processes cannot hand memory on to groups below it, so maybe one above us.
        control = folder / "cgroup.subtree_control"
        if control.exists() and "memory" in control.read_text().split():
            return 2, folder
        folder = folder.parent
    raise NoGroups("no control group here hands on the control of memory")


class MemoryGroup:
    """Use with `with`; all its processes must have ended then."""

    def __init__(self, limit, place=None):
        self.version, parent = place or place_for_a_group()
        self.limit_file, self.events_file = FILES[self.version]
        self.folder = parent / f"eventflow-test-{os.getpid()}"
        try:
            self.folder.mkdir()
            self.write(self.limit_file, limit)
        except OSError as error:
            self.close()
            raise NoGroups(str(error)) from error

    def write(self, name, value):
        (self.folder / name).write_text(str(value))

    def processes(self):
        return (self.folder / "cgroup.procs").read_text().split()

    def kills(self):
        """How often the kernel ended a process for want of memory."""
        lines = (self.folder / self.events_file).read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))

    def prefix(self):
        """Before a command: it runs in the group, with the same pid."""
        return ["sh", "-c", f'echo $$ > {self.folder}/cgroup.procs; exec "$@"', "sh"]

    def close(self):
        if self.folder.exists():
            self.folder.rmdir()
