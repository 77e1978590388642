"""Exit 0 when the engine of this container answers ``/live``, else 1 with one line that says why.

The engine writes where it listens into its data folder, so that this needs no setting of its own.
It imports nothing of the engine: it runs every few seconds.
"""

import http.client
import sys
from pathlib import Path
from urllib.parse import urlsplit

DATA = Path("/var/lib/carebus")
TIMEOUT_SECONDS = 3


def main(data: Path) -> int:
    try:
        address = urlsplit((data / "control-url").read_text("ascii").strip())
        connection = http.client.HTTPConnection(
            address.hostname or "", address.port, timeout=TIMEOUT_SECONDS
        )
        connection.request("GET", "/live")
        status = connection.getresponse().status
    except (OSError, ValueError, http.client.HTTPException) as error:
        print(f"the engine does not answer: {error}")
        return 1
    print(f"/live: {status}")
    return 0 if status == 200 else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else DATA))
