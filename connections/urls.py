"""Addresses of the connections app."""

from django.urls import path

from connections import sync_views, unreadable_views, views

app_name = "connections"
urlpatterns = [
    path("", views.connections, name="list"),
    path("attention/", sync_views.attention_part, name="attention"),
    path("unreadable/", unreadable_views.rows, name="unreadable"),
    path("unreadable/retry/", unreadable_views.retry, name="retry-unreadable"),
    path("unreadable/dismiss/", unreadable_views.dismiss, name="dismiss-unreadable"),
    path("unreadable/<uuid:pk>/retry/", unreadable_views.retry_one, name="retry-row"),
    path("unreadable/<uuid:pk>/dismiss/", unreadable_views.dismiss_one, name="dismiss-row"),
    path("unreadable/<uuid:pk>/reopen/", unreadable_views.reopen, name="reopen-row"),
    path("add/", views.catalogue, name="add"),
    path("add/<slug:slug>/", views.connect, name="connect"),
    path("<uuid:pk>/", sync_views.connection, name="detail"),
    path("<uuid:pk>/name/", sync_views.rename, name="rename"),
    path("<uuid:pk>/reconnect/", views.reconnect, name="reconnect"),
    path("<uuid:pk>/complete/", views.complete, name="complete"),
    path("<uuid:pk>/sync/", sync_views.sync, name="sync"),
    path("<uuid:pk>/read/<slug:kind>/", sync_views.read_part, name="read-part"),
    path("<uuid:pk>/syncs/", sync_views.syncs, name="syncs"),
    path("<uuid:pk>/syncs/<uuid:sync_pk>/", sync_views.one_sync, name="one-sync"),
    path("<uuid:pk>/disconnect/", views.disconnect, name="disconnect"),
]
