"""Chase, by the statement files it offers for download (OFX, QFX, QBO)."""

from connections.auth import StatementFiles
from connections.provider import Provider
from connections.types import Capability, Category


class ChaseFile(Provider):
    """Its files say ORG B1, and the bank id 10898 (Quicken) or 2430 (QuickBooks)."""

    slug = "chase_file"
    name = "Chase statement file"
    category = Category.BANK
    auth = StatementFiles()
    capabilities = frozenset({Capability.ACCOUNTS, Capability.TRANSACTIONS})
    website = "https://www.chase.com"
    institution_name = "Chase"
    institution_marks = frozenset({"B1", "10898", "2430"})
    reads_files = True
