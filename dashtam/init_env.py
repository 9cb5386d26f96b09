"""`python -m dashtam.init_env`: writes `.env` with fresh keys on a new machine, and never again.

Runs before Django can: there is no SECRET_KEY yet. Only the standard library.
"""

import base64
import os
import secrets
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("SECRET_KEY", "DASHTAM_KEYS", "DASHTAM_FINGERPRINT_KEY")
KEY_BYTES = 32
HEADER = """\
# The secrets of this installation, made for it alone. Keep a copy away from the database's backups:
# without DASHTAM_KEYS nothing that was sealed can be opened again. Other settings: .env.example
"""
SANDBOX = """\

# A bank in a box stands in for every provider, so that connecting can be tried with invented money.
# Take this line out to connect real ones; Dashtam does not start with it on a public address.
SANDBOX=true
"""


def main() -> int:
    """Prepare the settings file and the data folder; returns the exit status."""
    path = Path(os.environ.get("DASHTAM_ENV_FILE", ROOT / ".env"))
    data = ROOT / "data"
    data.mkdir(mode=0o700, exist_ok=True)
    if path.exists() or all(os.environ.get(name) for name in NAMES):
        return 0
    database = data / "dashtam.sqlite3"
    if database.exists() and database.stat().st_size:
        sys.stderr.write(
            f"There is a database in {data.name}/ but no {path.name} with its keys: "
            "put the old one back, or move the database away.\n"
        )
        return 2
    secrets_ = "".join(f"{name}={value}\n" for name, value in new_secrets().items())
    write_private(path, HEADER + secrets_ + SANDBOX)
    sys.stdout.write(f"Made {path.name} with new keys.\n")
    return 0


def new_secrets() -> dict[str, str]:
    """Return a random value for every setting that must not have a default."""
    return {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "DASHTAM_KEYS": f"k1:{_random_key()}",
        "DASHTAM_FINGERPRINT_KEY": _random_key(),
    }


def write_private(path: Path, text: str) -> None:
    """Create a file that only its owner can read; FileExistsError when it is there already."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _random_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode()


if __name__ == "__main__":
    sys.exit(main())
