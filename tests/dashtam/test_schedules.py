"""What runs by the clock is what the settings say, once, whoever starts how often."""

import pytest
from django.conf import settings
from django.utils.module_loading import import_string
from django_q.models import Schedule

from dashtam.schedules import MARK, keep_schedules

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("task", settings.SCHEDULES)
def test_every_scheduled_task_exists(task):
    assert callable(import_string(task))


def test_each_is_there_once_however_often_it_starts():
    keep_schedules()
    keep_schedules()
    assert set(Schedule.objects.values_list("func", "minutes")) == set(settings.SCHEDULES.items())
    assert Schedule.objects.count() == len(settings.SCHEDULES)


def test_a_start_does_not_put_off_the_next_run():
    keep_schedules()
    before = list(Schedule.objects.values_list("pk", "next_run"))
    keep_schedules()
    assert list(Schedule.objects.values_list("pk", "next_run")) == before


def test_a_changed_interval_is_taken_over(settings):
    settings.SCHEDULES = {"connections.tasks.rescue": 1}
    keep_schedules()
    settings.SCHEDULES = {"connections.tasks.rescue": 5}
    keep_schedules()
    assert Schedule.objects.get().minutes == 5


def test_what_two_hosts_made_twice_is_one_again(settings):
    settings.SCHEDULES = {"connections.tasks.rescue": 1}
    keep_schedules()
    twin = Schedule.objects.get()
    twin.pk = None
    twin.save()
    keep_schedules()
    assert Schedule.objects.count() == 1


def test_an_operators_own_schedule_is_left_alone(settings):
    Schedule.objects.create(name="mine", func="time.sleep", args="1")
    Schedule.objects.create(name=f"{MARK}gone.task", func="gone.task")
    settings.SCHEDULES = {}
    keep_schedules()
    assert Schedule.objects.get().name == "mine"
