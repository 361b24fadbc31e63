"""What the fault tests share with the integration tests lives one folder up."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fixtures import make_server, server  # noqa: E402,F401
