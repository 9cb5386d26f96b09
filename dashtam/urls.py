"""Every address of Dashtam."""

from django.contrib import admin
from django.urls import include, path

from dashtam import health, pages

urlpatterns = [
    path("", pages.dashboard, name="dashboard"),
    path("accounts/", include("accounts.urls")),
    path("accounts/<uuid:pk>/", pages.account, name="account"),
    path("transactions/", include("transactions.urls")),
    path("imports/", include("imports.urls")),
    path("settings/", pages.settings, name="settings"),
    path("auth/", include("allauth.urls")),
    path("admin/", admin.site.urls),
    path("health/live", health.live, name="health-live"),
    path("health/ready", health.ready, name="health-ready"),
]

handler500 = "dashtam.pages.server_error"
