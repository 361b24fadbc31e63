"""Bad configuration and bad folders: a clear answer and the right exit code, nothing touched."""
import hashlib
import os
import re
import socket
import sqlite3
import subprocess

import pytest
from conftest import BINARY, event, free_port, run, wait_until


def serve(folder, *flags, env=None):
    return run("serve", "--listen", f"127.0.0.1:{free_port()}", "--metrics-listen",
               f"127.0.0.1:{free_port()}", "--data", folder, *flags, env=env)


def test_all_configuration_errors_are_listed_with_the_nearest_name(tmp_path):
    result = serve(tmp_path / "d", "--lisen", "x", "--batch-max=many", "--listen=nonsense",
                   env={"EVENTFLOW_LISTN": "1", "EVENTFLOW_EVENTS_MAX": "0"})
    assert result.returncode == 78
    for part in ("--lisen", "did you mean --listen", "--batch-max", "many", "nonsense",
                 "EVENTFLOW_LISTN", "did you mean EVENTFLOW_LISTEN", "EVENTFLOW_EVENTS_MAX"):
        assert part in result.stderr, result.stderr
    assert not (tmp_path / "d").exists()


def test_an_unwritable_folder_is_78(tmp_path):
    (tmp_path / "file").write_text("")
    result = serve(tmp_path / "file" / "data")
    assert result.returncode == 78 and "--data" in result.stderr


def test_addresses_and_folder_are_reported_together_with_the_settings(tmp_path):
    (tmp_path / "file").write_text("")
    result = run("serve", "--data", tmp_path / "file" / "data", "--listen", "0.0.0.0:18080",
                 "--metrics-listen", "192.0.2.1:1", "--loops", "0")
    assert result.returncode == 78
    for part in ("--loops", "0.0.0.0:18080", "192.0.2.1:1", "is no folder", "4 problems"):
        assert part in result.stderr, result.stderr


def test_a_taken_port_leaves_the_databases_untouched(server, tmp_path):
    result = run("serve", "--data", tmp_path / "other", "--listen", f"127.0.0.1:{server.port}",
                 "--metrics-listen", f"127.0.0.1:{free_port()}")
    assert result.returncode == 73
    assert not (tmp_path / "other" / "queue.db").exists()
    assert not (tmp_path / "other" / "running").exists()


def test_a_folder_in_use_is_73_and_names_the_pid(server):
    result = serve(server.folder)
    assert result.returncode == 73 and str(server.process.pid) in result.stderr
    assert server.get("/health").status == 200


def test_a_port_in_use_is_refused(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        result = run("serve", "--listen", f"127.0.0.1:{taken.getsockname()[1]}",
                     "--metrics-listen", f"127.0.0.1:{free_port()}", "--data", tmp_path / "d")
    assert result.returncode == 73 and "another process has that port" in result.stderr


@pytest.mark.parametrize("name", ["eventflow.db", "queue.db"])
def test_a_newer_schema_is_76_and_untouched(make_server, name):
    server = make_server()
    server.stop()
    path = server.folder / name
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=DELETE")
    connection.execute("PRAGMA user_version=9999")
    connection.commit()
    connection.close()
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    result = serve(server.folder)
    assert result.returncode == 76 and name in result.stderr, result.stderr
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


@pytest.mark.parametrize("name", ["eventflow.db", "queue.db"])
def test_a_damaged_database_is_65_and_names_the_file(make_server, name):
    server = make_server()
    server.send(event("x"))
    server.wait_idle()
    server.stop()
    path = server.folder / name
    path.write_bytes(b"this is not a database at all" * 400)
    for extra in ("-wal", "-shm"):
        (server.folder / (name + extra)).unlink(missing_ok=True)
    result = serve(server.folder)
    assert result.returncode == 65 and name in result.stderr, result.stderr


def test_other_than_loopback_needs_allow_open(make_server, tmp_path):
    result = run("serve", "--listen", f"0.0.0.0:{free_port()}", "--metrics-listen",
                 f"127.0.0.1:{free_port()}", "--data", tmp_path / "d")
    assert result.returncode == 78 and "--allow-open" in result.stderr


def test_ipv6_is_served(tmp_path, make_server):
    try:
        socket.socket(socket.AF_INET6).bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 on this machine")
    server = make_server(start=False)
    port = server.port
    server.flags += ["--listen", f"[::1]:{port}"]
    server.url = f"http://[::1]:{port}"
    server.start()
    assert server.get("/health").status == 200


def test_a_setting_from_a_file_and_flags_win_over_the_environment(tmp_path):
    (tmp_path / "depth").write_text("12345\n")
    result = run("config", "--batch-max=7", env={"EVENTFLOW_QUEUE_DEPTH_MAX_FILE": str(tmp_path / "depth"),
                                               "EVENTFLOW_BATCH_MAX": "9"})
    assert result.returncode == 0
    assert re.search(r"queue-depth-max +12345\b", result.stdout)
    assert re.search(r"^batch-max +7\b", result.stdout, re.M)


def test_sigterm_drains_and_exits_0(server):
    server.send(event("x"))
    assert server.stop() == 0
    lines = [line["message"] for line in server.log_lines()]
    assert any("stopped" in m for m in lines)
    assert not (server.folder / "running").exists()


def test_help_and_version():
    assert run("--version").stdout.startswith("eventflow ")
    assert "serve" in run("--help").stdout
    for command in ("serve", "send", "campaign", "events", "failed", "doctor", "config",
                    "backup", "restore", "load", "top"):
        result = run(command, "--help")
        assert result.returncode == 0 and "Usage" in result.stdout, command
    result = run("serv")
    assert result.returncode == 64 and "did you mean 'serve'" in result.stderr


def test_example_campaigns_are_loaded_into_a_new_folder_only(make_server):
    server = make_server("--examples")
    assert len(server.get("/campaigns").json["campaigns"]) == 3
    assert "curl" in server.log()
    server.request("DELETE", "/campaigns/welcome")
    server.stop()
    server.start()
    assert len(server.get("/campaigns").json["campaigns"]) == 2


def test_generated_documents_are_up_to_date():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    for flag, path in (("--env", "config/.env.example"), ("--markdown", "docs/settings.md")):
        with open(os.path.join(root, path)) as file:
            assert run("config", flag).stdout == file.read(), \
                f"{path} is stale: eventflow config {flag} > {path}"
