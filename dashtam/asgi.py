"""The way in for Daphne: pages over HTTP, one socket over WebSocket."""

import os

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import path, re_path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashtam.settings")
pages = get_asgi_application()

from dashtam.consumers import LiveConsumer, SameOrigin, refuse  # noqa: E402  (needs the apps)

live = SameOrigin(AuthMiddlewareStack(LiveConsumer.as_asgi()))
application = ProtocolTypeRouter(
    {
        "http": pages,
        "websocket": URLRouter(
            [
                path("ws/live/", live),  # type: ignore[arg-type]
                re_path("", refuse),  # type: ignore[arg-type]
            ]
        ),
    }
)
