"""A passkey made of software, and a browser that says on which page it was used."""

from __future__ import annotations

import hashlib
import json
import re
import secrets

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from fido2.cose import ES256
from fido2.utils import websafe_encode
from fido2.webauthn import (
    AttestationObject,
    AttestedCredentialData,
    AuthenticatorData,
    CollectedClientData,
)

HERE = "http://localhost"
FLAGS = AuthenticatorData.FLAG.UP | AuthenticatorData.FLAG.UV


class Passkey:
    """One key pair for this site."""

    def __init__(self, origin=HERE, rp_id="localhost"):
        self.origin, self.rp_id = origin, rp_id
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = secrets.token_bytes(16)
        self.user_handle = ""

    def create(self, options, **said):
        """The answer to “make a passkey”."""
        wanted = options["publicKey"]
        self.user_handle = wanted["user"]["id"]
        client_data = self._client_data("webauthn.create", wanted["challenge"], **said)
        public = ES256.from_cryptography_key(self.key.public_key())
        credential = AttestedCredentialData.create(bytes(16), self.id, public)
        flags = FLAGS | AuthenticatorData.FLAG.AT
        data = AuthenticatorData.create(self._rp_hash(), flags, 0, credential)
        attestation = AttestationObject.create("none", data, {})
        return self._answer(
            {
                "clientDataJSON": websafe_encode(client_data),
                "attestationObject": websafe_encode(attestation),
            }
        )

    def get(self, options, **said):
        """The answer to “show your passkey”."""
        challenge = options["publicKey"]["challenge"]
        client_data = self._client_data("webauthn.get", challenge, **said)
        data = AuthenticatorData.create(self._rp_hash(), FLAGS, 0)
        signed = data + hashlib.sha256(client_data).digest()
        return self._answer(
            {
                "clientDataJSON": websafe_encode(client_data),
                "authenticatorData": websafe_encode(data),
                "signature": websafe_encode(self.key.sign(signed, ec.ECDSA(SHA256()))),
                "userHandle": self.user_handle,
            }
        )

    def _client_data(self, kind, challenge, **said):
        origin = said.pop("origin", self.origin)
        return CollectedClientData.create(kind, challenge, origin, **said)

    def _rp_hash(self):
        return hashlib.sha256(self.rp_id.encode()).digest()

    def _answer(self, response):
        own = websafe_encode(self.id)
        return json.dumps(
            {
                "id": own,
                "rawId": own,
                "type": "public-key",
                "response": response,
                "clientExtensionResults": {"credProps": {"rk": True}},
            }
        )


def options_of(page, kind):
    """What the page tells the browser's script to ask for."""
    found = re.search(r'<script id="js_data" type="application/json">(.+?)</script>', page)
    return json.loads(found[1])[kind]


def add_passkey(client, passkey, name="My key", **said):
    """Add a passkey in a signed-in browser that proved itself; return the answer."""
    page = client.get("/auth/2fa/webauthn/add/").content.decode()
    credential = passkey.create(options_of(page, "creation_options"), **said)
    form = {"name": name, "credential": credential, "passwordless": "on"}
    return client.post("/auth/2fa/webauthn/add/", form)


def ask_for_passkey(client):
    """What a browser that nobody signed in with is told to ask for."""
    answer = client.get("/auth/2fa/webauthn/login/", headers={"accept": "application/json"})
    return answer.json()["request_options"]


def enter_by_passkey(client, passkey, **said):
    """Sign in without saying who one is."""
    credential = passkey.get(ask_for_passkey(client), **said)
    return client.post("/auth/2fa/webauthn/login/", {"credential": credential})
