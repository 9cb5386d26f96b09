"""Every address of Dashtam."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from connections.views import oauth_callback
from dashtam import health, metrics, operators, pages, sign_in

# Operators come in by the same door as everybody: its limits and second factors apply to them.
admin.site.login = operators.door  # type: ignore[method-assign]
admin.site.has_permission = operators.may_operate  # type: ignore[method-assign]

urlpatterns = [
    path("", pages.dashboard, name="dashboard"),
    path("accounts/", include("accounts.urls")),
    path("accounts/<uuid:pk>/", pages.account, name="account"),
    path("accounts/<uuid:pk>/same/", pages.same_account, name="account-same"),
    path("accounts/<uuid:pk>/two/", pages.two_accounts, name="account-two"),
    path("accounts/<uuid:pk>/separate/", pages.separate_accounts, name="account-separate"),
    path("transactions/", include("transactions.urls")),
    path("connections/", include("connections.urls")),
    path("oauth/<slug:slug>/callback", oauth_callback, name="oauth-callback"),
    path("imports/", include("imports.urls")),
    path("settings/", pages.settings, name="settings"),
    path("settings/devices/", sign_in.devices, name="devices"),
    path("settings/devices/end/", sign_in.end_device, name="device-end"),
    path("settings/devices/end-others/", sign_in.end_others, name="devices-end-others"),
    # Ours in front of those of the same address.
    path("auth/2fa/webauthn/login/", sign_in.by_passkey, name="mfa_login_webauthn"),
    path("auth/oidc/<slug:provider_id>/login/", sign_in.to_single_sign_on),
    path("auth/oidc/<slug:provider_id>/login/callback/", sign_in.from_single_sign_on),
    path("auth/", include("allauth.urls")),
    path("admin/password_change/", RedirectView.as_view(pattern_name="account_change_password")),
    path("admin/", admin.site.urls),
    path("metrics", metrics.metrics, name="metrics"),
    path("health/live", health.live, name="health-live"),
    path("health/ready", health.ready, name="health-ready"),
]

handler500 = "dashtam.pages.server_error"
