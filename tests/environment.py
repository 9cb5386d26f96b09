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

# Test processes that run side by side empty their caches: each has a Redis database of its own.
_worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
if _worker and os.environ.get("REDIS_URL") and os.environ.get("REDIS_URL_OF") != _worker:
    _server, _, _number = os.environ["REDIS_URL"].rpartition("/")
    os.environ["REDIS_URL"] = f"{_server}/{(int(_number) - 1 - int(_worker)) % 16}"
    os.environ["REDIS_URL_OF"] = _worker
