"""Backups: one sealed file that restores on either database.

`envelope` and `keybox` seal the file, `tables` and `columns` say what is in it, `state` reads rows
and hashes them, `snapshot` holds the database still, `writing` and `restoring` do the two halves.
"""
