"""Second factors and passkeys: seeds are sealed, a code counts once, a passkey's answer is ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from allauth.account.internal.flows.login import get_authentication_records, record_authentication
from allauth.core import context
from allauth.core.internal.cryptokit import compare_user_code
from allauth.mfa.adapter import DefaultMFAAdapter, get_adapter
from allauth.mfa.base import forms as code_forms
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.totp.internal.auth import (
    SECRET_SESSION_KEY,
    format_hotp_value,
    generate_totp_secret,
    hotp_value,
    yield_hotp_counters_from_time,
)
from allauth.mfa.utils import decrypt, encrypt, is_mfa_enabled
from allauth.mfa.webauthn import forms as passkey_forms
from allauth.mfa.webauthn.internal.auth import get_state
from django import forms
from django.conf import settings
from django.db.transaction import atomic
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from fido2.utils import websafe_decode
from fido2.webauthn import CollectedClientData

from dashtam.vault import Tampered, vault

if TYPE_CHECKING:
    from uuid import UUID

    from django.contrib.auth.base_user import AbstractBaseUser
    from django.http import HttpRequest

# Where a seed lies in an authenticator's data, and where the last code that was used.
SEEDS = ("secret", "seed")
LAST_COUNTER = "last_counter"


class Seed(str):
    """A sealed seed that knows whose row it was read from, and so where it may be opened."""

    def __new__(cls, sealed: str, owner: UUID) -> Seed:
        """Mark a seal as found in a row of this person's."""
        made = super().__new__(cls, sealed)
        made.owner = owner
        return made

    owner: UUID


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Seals what codes are made from, bound to the person: in another's row it does not open."""

    def encrypt(self, text: str) -> str:
        """Seal a seed of the person who asks."""
        return vault(settings.DASHTAM_KEYS).seal(text.encode(), **place(context.request.user.pk))

    def decrypt(self, encrypted_text: str) -> str:
        """Open a seed that was read from its row. VaultError for any other."""
        if not isinstance(encrypted_text, Seed):
            raise Tampered("a seed without an owner does not open")
        ring = vault(settings.DASHTAM_KEYS)
        return ring.open(encrypted_text, **place(encrypted_text.owner)).decode()

    def generate_authenticator_name(self, user: AbstractBaseUser, type: Any) -> str:
        """What a new passkey is called until the person says otherwise."""
        count = Authenticator.objects.filter(user_id=user.pk, type=type).count()
        return gettext("Passkey {number}").format(number=count + 1) if count else gettext("Passkey")


def place(owner: UUID) -> dict[str, str]:
    """Where a seed is sealed for: a person has one of each, and its row no id before it is made."""
    return {
        "table": Authenticator._meta.label_lower,
        "row": str(owner),
        "user": str(owner),
        "field": "data",
    }


def mark_seeds(instance: Authenticator, **_kwargs: Any) -> None:
    """Tell the seeds of a row that was just read or made whose they are."""
    for key in SEEDS:
        if isinstance(seed := instance.data.get(key), str):
            instance.data[key] = Seed(seed, instance.user_id)


def take_code(authenticator: Authenticator, code: str) -> bool:
    """Use up a code of an app; whether it was still unused.

    The row remembers it, whatever the process and however long its half minutes last: allauth's
    own memory is a cache of one process and forgets while the code still counts.
    """
    with atomic():
        row = Authenticator.objects.select_for_update().get(pk=authenticator.pk)
        counter = _counter_of(decrypt(row.data["secret"]), code)
        if counter is None or counter <= row.data.get(LAST_COUNTER, 0):
            return False
        row.data[LAST_COUNTER] = counter
        row.save(update_fields=["data"])
        return True


def _counter_of(secret: str, code: str) -> int | None:
    for counter in yield_hotp_counters_from_time():
        value = format_hotp_value(hotp_value(secret, counter))
        if compare_user_code(actual=code, expected=value):
            return int(counter)
    return None


def on_added(request: HttpRequest, user: Any, authenticator: Authenticator, **_kwargs: Any) -> None:
    """Count the proof that was just given as this session's, and the code as used."""
    if authenticator.type == Authenticator.Type.RECOVERY_CODES:
        return
    if authenticator.type == Authenticator.Type.TOTP:
        take_code(authenticator, request.POST.get("code", ""))
    record_authentication(request, user, "mfa", id=authenticator.pk, type=authenticator.type)


def used_second_factor(request: HttpRequest) -> bool:
    """Whether this session proved a second factor, and the person still has one."""
    records = get_authentication_records(request, request.user)
    proved = any(one.get("method") == "mfa" for one in records)
    return proved and is_mfa_enabled(request.user)


class _Once:
    """A code form that accepts each code of an app once."""

    authenticator: Authenticator

    def clean_code(self) -> str:
        code: str = super().clean_code()  # type: ignore[misc]
        is_app = self.authenticator.type == Authenticator.Type.TOTP
        if is_app and not take_code(self.authenticator, code):
            self._emit_authentication_failed(self.authenticator)  # type: ignore[attr-defined]
            raise get_adapter().validation_error("incorrect_code")
        return code


class CodeForm(_Once, code_forms.AuthenticateForm):  # type: ignore[misc]
    """The second step of a sign-in."""


class CodeAgainForm(_Once, code_forms.ReauthenticateForm):  # type: ignore[misc]
    """A code before something sensitive."""


class AddAppForm(ActivateTOTPForm):  # type: ignore[misc]
    """The first code of an app; until it is right, the session keeps the app's secret sealed."""

    def __init__(self, *args: Any, user: AbstractBaseUser, **kwargs: Any) -> None:
        self.user = user
        forms.Form.__init__(self, *args, **kwargs)
        self.fields["code"].label = _("Code from the app")
        self.fields["code"].widget.attrs["inputmode"] = "numeric"
        session = context.request.session
        if not self.is_bound or SECRET_SESSION_KEY not in session:
            session[SECRET_SESSION_KEY] = encrypt(generate_totp_secret())
        self.secret = decrypt(Seed(session[SECRET_SESSION_KEY], user.pk))


class _FromHere:
    """A form that takes a passkey's answer only when it was given on a page of this site."""

    def clean_credential(self) -> Any:
        given = self.cleaned_data["credential"]  # type: ignore[attr-defined]
        if not _is_from_here(given):
            raise get_adapter().validation_error("incorrect_code")
        checked = getattr(super(), "clean_credential", None)
        return checked() if checked else given


def _is_from_here(credential: Any) -> bool:
    request = context.request
    try:
        said = CollectedClientData(websafe_decode(credential["response"]["clientDataJSON"]))
        origin, is_framed = said.origin, said.cross_origin
    except (KeyError, TypeError, ValueError):
        return False
    here = {f"{request.scheme}://{request.get_host()}", *settings.CSRF_TRUSTED_ORIGINS}
    return origin in here and not is_framed


class AddPasskeyForm(_FromHere, passkey_forms.AddWebAuthnForm):  # type: ignore[misc]
    """One more passkey."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _name_field(self)
        self.fields["passwordless"].initial = True
        self.fields["passwordless"].label = _("Sign in with it alone, without the password")
        self.fields["passwordless"].help_text = _(
            "Works with the device’s PIN, fingerprint or face. Turn it off for an older security "
            "key that cannot: it is then the second step after your password."
        )


class FirstPasskeyForm(_FromHere, passkey_forms.SignupWebAuthnForm):  # type: ignore[misc]
    """The passkey of somebody who signs up with one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _name_field(self)


def _name_field(form: forms.Form) -> None:
    form.fields["name"].label = _("Name")
    form.fields["name"].help_text = _("So that you know it again, for example “My phone”.")
    form.fields["name"].widget.attrs["maxlength"] = 60
    form.fields["name"].max_length = 60  # type: ignore[attr-defined]


class PasskeyForm(_FromHere, passkey_forms.AuthenticateWebAuthnForm):  # type: ignore[misc]
    """A passkey as the second step."""


class PasskeySignInForm(_FromHere, passkey_forms.LoginWebAuthnForm):  # type: ignore[misc]
    """A passkey instead of address and password."""

    def clean_credential(self) -> Any:
        """Take only the answer to this door's own question, which asks who holds the key.

        The second step asks less, and its question may still be in the session.
        """
        if (get_state() or {}).get("user_verification") != "required":
            raise get_adapter().validation_error("incorrect_code")
        return super().clean_credential()


class PasskeyAgainForm(_FromHere, passkey_forms.ReauthenticateWebAuthnForm):  # type: ignore[misc]
    """A passkey before something sensitive."""
