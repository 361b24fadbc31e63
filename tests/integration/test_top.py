"""`eventflow top` on a terminal of its own: what it shows, how it ends, what it leaves behind."""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios

import pytest
from conftest import BINARY, event, free_port, run, wait_until

ENTER, LEAVE = b"\x1b[?1049h\x1b[?25l", b"\x1b[?25h\x1b[?1049l"


class Terminal:
    """A pseudo terminal with `eventflow top` on it. shown collects all that it prints."""

    def __init__(self, url, size=(24, 100), env=None):
        self.side, tty = pty.openpty()
        self.tty = tty
        self.resize(*size)
        self.before = termios.tcgetattr(tty)
        self.shown = b""
        environment = {**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8", **(env or {})}
        environment = {k: v for k, v in environment.items() if v is not None}
        self.process = subprocess.Popen(
            [BINARY, "top", "--url", url, "--interval", "100ms"], stdin=tty, stdout=tty,
            stderr=subprocess.PIPE, env=environment, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def resize(self, rows, columns):
        fcntl.ioctl(self.side, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self):
        while select.select([self.side], [], [], 0)[0]:
            self.shown += os.read(self.side, 65536)
        return self.shown

    def frames(self):
        """The pictures so far, as lists of plain lines; the last one may be half there."""
        text = self.read().decode(errors="replace")
        frames = re.split("\x1b\\[H", text)[1:]
        return [re.sub("\x1b\\[[0-9;?]*[A-Za-z]|\r", "", f).split("\n") for f in frames]

    def wait_for(self, pattern):
        return wait_until(lambda: next((f for f in self.frames()[:-1]
                                        if re.search(pattern, "\n".join(f))), None), pattern)

    def type(self, keys):
        os.write(self.side, keys)

    def end(self):
        """Waits for the end; the exit code. The terminal must be as it was."""
        wait_until(lambda: self.read() and self.process.poll() is not None, "top to end")
        self.read()
        assert self.shown.endswith(LEAVE), "the terminal was not given back"
        assert self.shown.startswith(ENTER) and self.shown.count(LEAVE) == 1
        assert termios.tcgetattr(self.tty) == self.before
        error = self.process.stderr.read()
        self.process.stderr.close()
        os.close(self.side)
        os.close(self.tty)
        assert error == b"", error
        return self.process.returncode


CAMPAIGN = {"id": "over-50", "name": "x", "rules": {"event_type": ["purchase"]}}


def test_it_shows_the_numbers_of_the_server_and_q_leaves(server):
    server.post("/campaigns", CAMPAIGN)
    top = Terminal(server.url)
    top.wait_for(r"accepted +0/s")
    server.send(*[event(f"t-{n}") for n in range(50)])
    server.send(event("t-1"))
    server.post("/events", event("t-2", payload={"other": 1}))
    frame = top.wait_for(r"(?s)processed.* 50 in all.*failed.* 1 in all, 1 open")
    text = "\n".join(frame)
    assert re.search(r"accepted .*52 in all", text) and re.search(r"duplicates .*1 in all", text)
    assert re.search(r"over-50 +50 +100 %", text) and re.search(r"memory +\d+\.\d MiB", text)
    assert any(mark in text for mark in "▂▃▄▅▆▇█")
    assert b"\x1b[1m" in top.shown
    top.type(b"xq")
    assert top.end() == 0


@pytest.mark.parametrize("way", ["ctrl-c", "term", "hup"])
def test_a_signal_gives_the_terminal_back(server, way):
    top = Terminal(server.url)
    top.wait_for("accepted")
    if way == "ctrl-c":
        top.type(b"\x03")
    else:
        top.process.send_signal({"term": signal.SIGTERM, "hup": signal.SIGHUP}[way])
    assert top.end() == 0


def test_it_follows_the_size_of_the_window(server):
    top = Terminal(server.url, size=(8, 40))
    for rows, columns in [(8, 40), (30, 120), (3, 12)]:
        top.resize(rows, columns)
        top.process.send_signal(signal.SIGWINCH)
        seen = len(top.frames()) + 1
        frames = wait_until(lambda: (f := top.frames())[seen:-1] and f, "more pictures")
        assert len(frames[-2]) <= rows and max(map(len, frames[-2])) <= columns, frames[-2]
        assert len(frames[-2]) == rows or rows == 30
    top.type(b"q")
    assert top.end() == 0


def test_a_server_that_is_away_is_said_and_waited_for(make_server):
    server = make_server(start=False)
    top = Terminal(server.url)
    top.wait_for("no answer for 0 s, trying on: ")
    server.start()
    top.wait_for(r"accepted +\d")
    server.kill()
    frame = top.wait_for(r"(?s)no answer for \d+ s.*accepted")
    assert any("accepted" in line for line in frame), "the last numbers stay"
    server.start()
    pictures = len(top.frames())
    wait_until(lambda: any("no answer" not in "\n".join(f) and "accepted" in "\n".join(f)
                           for f in top.frames()[pictures:-1]), "the numbers of the new process")
    top.type(b"q")
    assert top.end() == 0


def test_it_can_be_suspended_and_comes_back(server):
    top = Terminal(server.url)
    top.wait_for("accepted")
    top.process.send_signal(signal.SIGTSTP)
    wait_until(lambda: top.read().endswith(LEAVE), "the terminal to be given back")
    assert termios.tcgetattr(top.tty) == top.before
    wait_until(lambda: "T" == open(f"/proc/{top.process.pid}/stat").read().split(") ")[1][0],
               "the process to be stopped")
    top.process.send_signal(signal.SIGCONT)
    wait_until(lambda: top.read().rfind(ENTER) > top.shown.rfind(LEAVE), "the view to come back")
    top.shown = ENTER + top.shown[top.shown.rfind(ENTER) + len(ENTER):]
    top.type(b"q")
    assert top.end() == 0


def test_colours_and_signs_are_left_out_where_they_are_not_wanted(server):
    top = Terminal(server.url, env={"NO_COLOR": "1", "LC_ALL": "C"})
    top.wait_for("accepted")
    top.type(b"q")
    assert top.end() == 0
    assert not re.search(rb"\x1b\[[0-9;]*m", top.shown)
    assert all(byte < 128 for byte in top.shown)


def test_without_a_terminal_it_prints_one_picture_and_ends(server):
    server.send(event("once-1"))
    server.wait_idle()
    for flags in (["--once"], []):
        result = run("top", "--url", server.url, "--interval", "100ms", *flags)
        assert result.returncode == 0 and "\x1b" not in result.stdout
        assert re.search(r"accepted +0/s +1 in all", result.stdout), result.stdout
    result = run("top", "--url", server.url, "--interval", "100ms", "--once", "--json")
    numbers = json.loads(result.stdout)
    assert (numbers["accepted"], numbers["accepted_per_second"], numbers["waiting"]) == (1, 0, 0)
    assert numbers["memory_bytes"] > 1e6 and numbers["sync_p99_seconds"] is None


def test_wrong_use_and_a_missing_server_have_their_exit_codes():
    away = f"http://127.0.0.1:{free_port()}"
    assert run("top", "--once", "--url", away).returncode == 69
    assert run("top", "x", "--url", away).returncode == 64
    assert run("top", "--interval", "1", "--url", away).returncode == 64
    assert run("top", "--url", "ftp://x").returncode == 64
    assert "--interval" in run("top", "--help").stdout
