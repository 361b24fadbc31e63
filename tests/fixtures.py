"""Fixtures of all tests of the whole program: servers that are stopped at the end, by pid, and must
end with exit code 0."""
import pytest

from server import Server


@pytest.fixture
def make_server(tmp_path):
    """Makes servers; what still runs at the end is stopped and must end with exit code 0."""
    servers = []

    def make(*flags, folder="data", start=True, **options):
        server = Server(tmp_path / folder, *flags, **options)
        servers.append(server)
        return server.start() if start else server

    yield make
    for server in servers:
        if server.process is not None and server.process.poll() is None:
            code = server.stop()
            assert code == 0, f"exit code {code}: {server.log()}"
        if server.log_path.exists():
            assert "Sanitizer" not in server.log(), server.log()


@pytest.fixture
def server(make_server):
    return make_server()


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    """One server for tests of a module that do not mind each other's events."""
    server = Server(tmp_path_factory.mktemp("shared") / "data").start()
    yield server
    assert server.stop() == 0, server.log()
    assert "Sanitizer" not in server.log(), server.log()
