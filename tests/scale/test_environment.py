"""How object storage is spoken to is said by the study, else by the environment; nothing is connected to here."""

from __future__ import annotations

import pickle

import pytest

from wreckognize.scale.storage import Storage
from wreckognize.settings import StorageSettings

NAMES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION")


@pytest.fixture
def environment(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def spoken(settings=None):
    storage = pickle.loads(pickle.dumps(Storage(settings or StorageSettings())))
    return storage.settings.endpoint, storage.settings.region


def test_what_the_study_does_not_say_is_taken_from_the_environment(environment):
    assert spoken() == (None, None)
    environment.setenv("AWS_ENDPOINT_URL", "http://all.example")
    environment.setenv("AWS_DEFAULT_REGION", "eu-1")
    assert spoken() == ("http://all.example", "eu-1")
    environment.setenv("AWS_ENDPOINT_URL_S3", "http://s3.example")
    environment.setenv("AWS_REGION", "eu-2")
    assert spoken() == ("http://s3.example", "eu-2")
    assert spoken(StorageSettings(region="eu-3")) == ("http://s3.example", "eu-3")
    assert spoken(StorageSettings(endpoint="http://study.example")) == ("http://study.example", "eu-2")


def test_another_machine_speaks_as_the_one_that_sent_it(environment):
    environment.setenv("AWS_ENDPOINT_URL", "http://here.example")
    sent = pickle.dumps(Storage(StorageSettings(attempts=2)))
    environment.setenv("AWS_ENDPOINT_URL", "http://there.example")
    assert pickle.loads(sent).settings.endpoint == "http://here.example"
    assert pickle.loads(sent).settings.attempts == 2
