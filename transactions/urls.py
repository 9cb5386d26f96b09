"""Addresses of the transactions app."""

from django.urls import path

from transactions import views

app_name = "transactions"
urlpatterns = [path("", views.transactions, name="list")]
