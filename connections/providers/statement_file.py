"""Any institution whose statement files have no provider of their own."""

from connections.auth import StatementFiles
from connections.provider import Provider
from connections.types import Capability, Category


class StatementFile(Provider):
    """Takes every statement file that no other file provider knows as its own."""

    slug = "statement_file"
    name = "Statement file"
    category = Category.OTHER
    auth = StatementFiles()
    capabilities = frozenset({Capability.ACCOUNTS, Capability.TRANSACTIONS, Capability.HOLDINGS})
    reads_files = True
