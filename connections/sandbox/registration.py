"""What the sandbox knows this product by, as if it had been registered there."""

SANDBOX_CLIENT_ID = "dashtam-sandbox-app-key"
# Public on purpose: it opens nothing but invented accounts on this computer.
SANDBOX_CLIENT_SECRET = "dashtam-sandbox-secret"  # noqa: S105
