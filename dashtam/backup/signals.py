"""What is told to the apps."""

from django.dispatch import Signal

# Everything is back: the queue, which is in no backup, may be filled again.
restored = Signal()
