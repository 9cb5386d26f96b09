"""The environment the tests run in: set before Django reads its settings, whatever `.env` says."""

import os
from pathlib import Path

# Git keeps no empty folder, and SQLite makes none.
(Path(__file__).resolve().parent.parent / "data").mkdir(mode=0o700, exist_ok=True)

os.environ["DASHTAM_ENV_FILE"] = os.devnull
os.environ.setdefault("SECRET_KEY", "tests-only-" + "x" * 50)
os.environ.setdefault("DASHTAM_KEYS", "t1:" + "dGVzdHMtb25seS1rZXktdGhpcnR5LXR3by1ieXRlcyE=")
os.environ.setdefault("DASHTAM_FINGERPRINT_KEY", "dGVzdHMtb25seS1maW5nZXJwcmludC1rZXktMzJieXQ=")
os.environ["STATIC_COLLECTED"] = "false"
os.environ["EMAIL_URL"] = "memorymail://"
os.environ["LOG_LEVEL"] = "WARNING"
