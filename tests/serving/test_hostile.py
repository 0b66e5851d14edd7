"""Requests made from the OpenAPI page, broken in every way that Schemathesis knows, and by hand."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from services import PATIENCE, application
from wreckognize.serving.settings import ServiceSettings

CHECKS = [content_type_conformance, response_schema_conformance, status_code_conformance]
SETTINGS = ServiceSettings(batch=1, decoders=1, photos=4, photo_bytes=100_000, request_bytes=300_000)


@pytest.fixture(scope="module")
def app(served, detector):
    with application(served, detector, SETTINGS) as made:
        yield made


@pytest.mark.slow
def test_no_request_made_from_the_page_is_a_5xx_and_every_answer_is_as_the_page_says(app):
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    seen = set()
    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(
            max_examples=12,
            deadline=None,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case):
            response = case.call(timeout=PATIENCE)
            seen.add((case.operation.path, response.status_code))
            assert response.status_code < 500 or response.status_code == 503
            case.validate_response(response, checks=CHECKS)

        ask()
    assert {path for path, _ in seen} >= {"/v1/inspect", "/v1/model", "/healthz", "/readyz", "/metrics"}
    statuses = {status for path, status in seen if path == "/v1/inspect"}
    assert statuses - {503}, "the service was not stopping all the while"
