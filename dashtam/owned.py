"""What belongs to a person: every row names its owner, every query starts at `for_user`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from django.conf import settings
from django.core.exceptions import FieldError
from django.db import models
from django.db.models.expressions import CombinedExpression

from dashtam.fields import AmountField
from dashtam.ids import uuid7

if TYPE_CHECKING:
    from typing import Self

    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

_M = TypeVar("_M", bound=models.Model, covariant=True)


class OwnedQuerySet(models.QuerySet[_M]):
    """Rows with an owner."""

    def for_user(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """Only the rows of this person; none for somebody who is not signed in."""
        return self.filter(user_id=user.pk)

    def update(self, **kwargs: Any) -> int:
        """Write the columns. FieldError for arithmetic that would leave an amount unscaled."""
        for name, value in kwargs.items():
            if isinstance(value, CombinedExpression):
                self._refuse_unscaled(name, value)
        return super().update(**kwargs)

    update.alters_data = True  # type: ignore[attr-defined]

    def _refuse_unscaled(self, name: str, value: CombinedExpression) -> None:
        if not isinstance(self.model._meta.get_field(name), AmountField):
            return
        # Resolving the type raises by itself when an amount meets a bare number.
        resolved = value.resolve_expression(self.query)
        if not isinstance(resolved.output_field, AmountField):
            raise FieldError(f"{name} is an amount: add only another amount to it in SQL.")


class Stamped(models.Model):
    """An id that sorts by age, and when the row was made and last saved.

    `bulk_update` and `update` leave `updated_at` alone unless it is named.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True


class Owned(Stamped):
    """A row of one person's data; goes with them."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", editable=False
    )

    class Meta:
        abstract = True
