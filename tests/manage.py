"""`python -m tests.manage …`: the command line under the tests' environment, as if behind TLS.

For `make check`: it must not depend on a developer's `.env`, and judges what is deployed.
"""

import os
import sys

from django.core.management import execute_from_command_line

import tests.environment  # noqa: F401  (before the settings are read)

if __name__ == "__main__":
    os.environ["PUBLIC_URL"] = "https://dashtam.example"
    os.environ["DATABASE_URL"] = "sqlite://:memory:"  # leaves no file behind
    os.environ["DJANGO_SETTINGS_MODULE"] = "dashtam.settings"
    execute_from_command_line(sys.argv)
