"""What install() and configure_worker() set on a Celery app, and what they refuse."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from celery import Celery

from scylla_store.contrib.celery import configure_worker, install, make_app
from scylla_store.errors import ConfigurationError
from scylla_store.settings.options import CelerySettings, ReconcileSettings, Settings, SyncSettings

BROKER = "redis://:geheim@127.0.0.1:6399/0"


def settings(**celery: Any) -> Settings:
    return Settings(celery=CelerySettings(**{"broker_url": BROKER, **celery}))


def app(**configuration: Any) -> Celery:
    made = Celery("shop", set_as_current=False, fixups=[])
    made.conf.update(configuration)
    return made


def test_the_tasks_have_their_fixed_names_and_give_a_lost_workers_message_back() -> None:
    # Given an app of somebody's own
    shop = app(broker_url=BROKER)
    # When the tasks are installed
    install(shop, settings())
    # Then both are there, acknowledged late, with limits of their own
    for name in ("scylla_store.sync_items", "scylla_store.drain_outbox"):
        task = shop.tasks[name]
        assert (task.acks_late, task.reject_on_worker_lost) == (True, True)
        assert (task.soft_time_limit, task.time_limit) == (150.0, 180.0)


def test_the_queues_are_those_of_the_settings() -> None:
    shop = app(broker_url=BROKER)
    install(shop, settings(queue="docs", maintenance_queue="docs.care"))
    assert shop.amqp.router.route({}, "scylla_store.sync_items")["queue"].name == "docs"
    assert shop.amqp.router.route({}, "scylla_store.drain_outbox")["queue"].name == "docs.care"
    assert shop.conf.beat_schedule["scylla_store.drain_outbox"]["options"]["queue"] == "docs.care"


@pytest.mark.parametrize("routes", [{"shop.*": {"queue": "shop"}}, [{"shop.*": {"queue": "shop"}}]])
def test_routes_of_the_app_stay(routes: Any) -> None:
    shop = app(broker_url=BROKER, task_routes=routes)
    install(shop, settings())
    assert shop.amqp.router.route({}, "shop.sell")["queue"].name == "shop"
    assert shop.amqp.router.route({}, "scylla_store.sync_items")["queue"].name == "scylla_store"


def test_beat_starts_a_drain_each_interval_and_drops_the_one_that_waited_longer() -> None:
    shop = app(broker_url=BROKER)
    install(shop, settings(drain_interval=4.0))
    entry = shop.conf.beat_schedule["scylla_store.drain_outbox"]
    assert entry["schedule"] == 4.0
    assert entry["options"]["expires"] < 4.0


def test_a_beat_schedule_of_the_app_stays_and_wins() -> None:
    # Given an app with entries, one of them for our drain
    own = {"task": "scylla_store.drain_outbox", "schedule": 99.0}
    shop = app(
        broker_url=BROKER, beat_schedule={"nightly": {"task": "x", "schedule": 1.0}, "scylla_store.drain_outbox": own}
    )
    # When the tasks are installed
    install(shop, settings())
    # Then both are as they were
    assert shop.conf.beat_schedule["scylla_store.drain_outbox"] == own
    assert "nightly" in shop.conf.beat_schedule


def test_another_broker_is_refused_and_both_are_named_without_passwords() -> None:
    shop = app(broker_url="redis://:verborgen@elsewhere:6379/0")
    with pytest.raises(ConfigurationError) as refused:
        install(shop, settings())
    message = str(refused.value)
    assert "redis://:**@127.0.0.1:6399/0" in message
    assert "redis://:**@elsewhere:6379/0" in message
    assert "geheim" not in message
    assert "verborgen" not in message


def test_another_result_backend_is_refused() -> None:
    shop = app(broker_url=BROKER, result_backend="redis://localhost/5")
    with pytest.raises(ConfigurationError, match="result_backend"):
        install(shop, settings(result_backend="redis://localhost/6"))


def test_an_app_without_broker_gets_that_of_the_settings() -> None:
    shop = app()
    install(shop, settings(result_backend="redis://localhost/6"))
    assert (shop.conf.broker_url, shop.conf.result_backend) == (BROKER, "redis://localhost/6")


def test_a_broker_named_by_the_environment_counts_as_the_apps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://elsewhere/0")
    with pytest.raises(ConfigurationError, match="elsewhere"):
        make_app(settings())


def test_results_are_stored_only_where_there_is_a_backend() -> None:
    without, with_results = app(broker_url=BROKER), app(broker_url=BROKER)
    install(without, settings())
    install(with_results, settings(result_backend="redis://localhost/6"))
    assert without.tasks["scylla_store.sync_items"].ignore_result is True
    assert with_results.tasks["scylla_store.sync_items"].ignore_result is False


def test_installing_twice_with_the_same_settings_does_nothing() -> None:
    shop = app(broker_url=BROKER)
    install(shop, settings())
    before = shop.tasks["scylla_store.sync_items"]
    install(shop, settings())
    assert shop.tasks["scylla_store.sync_items"] is before


def test_installing_the_tasks_of_another_store_is_refused() -> None:
    shop = app(broker_url=BROKER)
    install(shop, settings())
    with pytest.raises(ConfigurationError, match="one app a store"):
        install(shop, settings(queue="other"))


def test_without_a_broker_the_ready_made_app_says_what_to_set() -> None:
    with pytest.raises(ConfigurationError, match="SCYLLA_STORE_CELERY__BROKER_URL"):
        make_app(Settings())


def test_without_a_broker_in_the_settings_installing_on_an_app_with_one_says_what_that_means(
    caplog: pytest.LogCaptureFixture,
) -> None:
    install(app(broker_url=BROKER), Settings())
    assert "indexed inside the processes that put them" in caplog.text
    assert "geheim" not in caplog.text


def test_a_worker_of_our_own_gives_lost_tasks_back_after_the_visibility_timeout() -> None:
    # Given a visibility timeout
    shop = app()
    # When a worker is configured
    configure_worker(shop, settings(visibility_timeout=777.0))
    # Then Redis uses it, and lost tasks are looked for often
    options = shop.conf.broker_transport_options
    assert (
        options["visibility_timeout"],
        options["unacked_restore_interval"],
        options["unacked_restore_throttle"],
    ) == (777.0, 5, 1)
    assert shop.conf.worker_prefetch_multiplier == 1
    assert shop.conf.accept_content == ["json"]
    assert shop.conf.worker_soft_shutdown_timeout > 0


def test_a_worker_without_q_consumes_both_queues() -> None:
    made = make_app(settings(queue="docs", maintenance_queue="docs.care"))
    assert {"docs", "docs.care"} == set(made.amqp.queues)


def test_time_limits_follow_the_settings() -> None:
    shop = app(broker_url=BROKER)
    install(shop, replace(settings(), sync=SyncSettings(time_limit=40.0)))
    assert shop.tasks["scylla_store.sync_items"].soft_time_limit == 50.0


def test_beat_goes_on_with_the_reconciliation_as_often_as_the_settings_say() -> None:
    settings = Settings(
        celery=CelerySettings(broker_url=BROKER, maintenance_queue="docs.care"),
        reconcile=ReconcileSettings(interval=77.0),
    )
    app = make_app(settings)

    entry = app.conf.beat_schedule["scylla_store.reconcile"]
    assert (entry["task"], entry["schedule"]) == ("scylla_store.reconcile", 77.0)
    assert entry["options"]["queue"] == "docs.care"
    assert "scylla_store.reconcile" in app.tasks
