"""The ready-made Celery app: `celery -A tasks worker`, `celery -A tasks beat`. Settings come from file and environment."""

from tasks.application import app

__all__ = ["app"]
