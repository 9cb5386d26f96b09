"""The bank in a box: providers' wire formats served on this computer, for demo, docs and tests.

Free of Django. `python -m connections.sandbox --port 8900` serves it; in a test, `Bank` does.
"""
