"""Addresses of the connections app."""

from django.urls import path

from connections import views

app_name = "connections"
urlpatterns = [
    path("", views.connections, name="list"),
    path("add/", views.catalogue, name="add"),
    path("add/<slug:slug>/", views.connect, name="connect"),
    path("<uuid:pk>/", views.connection, name="detail"),
    path("<uuid:pk>/name/", views.rename, name="rename"),
    path("<uuid:pk>/reconnect/", views.reconnect, name="reconnect"),
    path("<uuid:pk>/complete/", views.complete, name="complete"),
    path("<uuid:pk>/sync/", views.sync, name="sync"),
    path("<uuid:pk>/disconnect/", views.disconnect, name="disconnect"),
]
