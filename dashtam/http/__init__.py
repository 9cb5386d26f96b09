"""The one outbound HTTP client. Nothing else in the product opens a connection to the outside.

Free of Django: settings are passed in.
"""

from dashtam.http.answer import Answer
from dashtam.http.brake import Brake
from dashtam.http.client import Client
from dashtam.http.errors import BadAnswer, HttpError, RateLimited, Refused, Retryable, Unavailable
from dashtam.http.guard import tls_context
from dashtam.http.pace import Pace
from dashtam.http.wire import Limits, Wiring

__all__ = [
    "Answer",
    "BadAnswer",
    "Brake",
    "Client",
    "HttpError",
    "Limits",
    "Pace",
    "RateLimited",
    "Refused",
    "Retryable",
    "Unavailable",
    "Wiring",
    "tls_context",
]
