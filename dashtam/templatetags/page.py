"""Template tags of every page: icons, and which place in the navigation is the current one."""

from __future__ import annotations

from django import template
from django.conf import settings
from django.templatetags.static import static
from django.utils.html import format_html

register = template.Library()

SPRITE = "vendor/lucide/icons.svg"


@register.simple_tag
def in_sandbox() -> bool:
    """Whether a bank in the box stands in for every provider, and what it tells is invented."""
    return bool(settings.SANDBOX)


@register.simple_tag
def icon(name: str) -> str:
    """One icon of the sprite, silent to screen readers: the words beside it say what it means."""
    return format_html(
        '<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        static(SPRITE),
        name,
    )


@register.filter
def here(path: str, place: str) -> bool:
    """Whether a request path lies in a place: the place itself, or anything below it but `/`."""
    return path == place or (place != "/" and path.startswith(place))
