"""What the worker runs by the clock: SCHEDULES in the settings, kept as rows of the queue."""

from django.conf import settings
from django_q.models import Schedule

# Rows with this mark are ours; an operator's own schedules are left alone.
MARK = "dashtam "


def keep_schedules() -> None:
    """Make our rows those of the settings; a row that is right keeps its next run."""
    ours = Schedule.objects.filter(name__startswith=MARK)
    ours.exclude(name__in=[MARK + task for task in settings.SCHEDULES]).delete()
    for task, minutes in settings.SCHEDULES.items():
        what = {"func": task, "schedule_type": Schedule.MINUTES, "minutes": minutes, "repeats": -1}
        if ours.filter(**what).count() != 1:
            # Two hosts that start together may each have made one.
            ours.filter(name=MARK + task).delete()
            Schedule.objects.create(name=MARK + task, **what)
