#!/usr/bin/env python
"""Django's command line for Dashtam."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashtam.settings")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        # Wrong settings are the operator's to mend: a sentence helps there, a traceback does not.
        sys.stderr.write(f"{error} (.env.example explains every setting.)\n")
        sys.exit(2)
