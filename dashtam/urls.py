"""Every address of Dashtam."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path

from connections.views import oauth_callback
from dashtam import health, pages

# Operators come in by the same door as everybody: its limits and second factors apply to them.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

urlpatterns = [
    path("", pages.dashboard, name="dashboard"),
    path("accounts/", include("accounts.urls")),
    path("accounts/<uuid:pk>/", pages.account, name="account"),
    path("transactions/", include("transactions.urls")),
    path("connections/", include("connections.urls")),
    path("oauth/<slug:slug>/callback", oauth_callback, name="oauth-callback"),
    path("imports/", include("imports.urls")),
    path("settings/", pages.settings, name="settings"),
    path("auth/", include("allauth.urls")),
    path("admin/", admin.site.urls),
    path("health/live", health.live, name="health-live"),
    path("health/ready", health.ready, name="health-ready"),
]

handler500 = "dashtam.pages.server_error"
