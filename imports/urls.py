"""Addresses of the imports app."""

from django.urls import path

from imports import views

app_name = "imports"
urlpatterns = [
    path("", views.statements, name="list"),
    path("<uuid:pk>/", views.statement, name="statement"),
    path("<uuid:pk>/confirm/", views.confirm, name="confirm"),
    path("<uuid:pk>/signs/", views.signs, name="signs"),
    path("<uuid:pk>/undo/", views.undo, name="undo"),
    path("<uuid:pk>/discard/", views.discard, name="discard"),
]
