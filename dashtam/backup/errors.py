"""Why there is no backup, or nothing was restored; each message is a sentence for the operator."""


class BackupError(Exception):
    """Something in the way that the operator can do something about; nothing was changed."""


class WrongKey(BackupError):
    """The keys or the passphrase at hand do not open this file."""


class Damaged(BackupError):
    """The file was cut, altered or is no backup; there is nothing to be done with it."""
