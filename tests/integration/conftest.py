"""What the integration tests share; it lives one folder up, beside the fault tests."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fixtures import make_server, server, shared_server  # noqa: E402,F401
from server import BINARY, ROOT, event, free_port, run, wait_until  # noqa: E402,F401
