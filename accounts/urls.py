"""Addresses of the accounts app; one account's page reads several apps and is the project's."""

from django.urls import path

from accounts import views

app_name = "accounts"
urlpatterns = [path("", views.accounts, name="list")]
