"""With Redis the cache, and the limits in it, are one for all processes."""

import pytest
from django.core.cache import cache

from tests.processes import manage


@pytest.mark.redis
def test_what_one_process_counts_another_sees(tmp_path):
    cache.set("visits", 1, timeout=30)
    code = "from django.core.cache import cache; cache.incr('visits')"
    result = manage(tmp_path / "unused.sqlite3", "shell", "--verbosity=0", "-c", code)
    assert result.returncode == 0, result.stderr
    assert cache.get("visits") == 2
    cache.delete("visits")
