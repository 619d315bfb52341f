"""Traces of a service, sent by OpenTelemetry where its own variables name a receiver; otherwise there are none."""

import os

from fastapi import FastAPI
from opentelemetry import trace

from tidemill.serving.live_comparison import Predictions

RECEIVERS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PROBES = "health,ready,metrics"
"""Paths without a trace: they are asked every few seconds."""


def send_traces(app: FastAPI) -> bool:
    """Send a trace of each request to the receiver that the environment names; return whether it names one.

    Its headers, certificates and share of requests are set by OpenTelemetry's variables as well.
    """
    if not any(os.environ.get(name) for name in RECEIVERS):
        return False
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    os.environ.setdefault("OTEL_SERVICE_NAME", "tidemill")
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider, excluded_urls=PROBES)
    return True


def describe(predictions: Predictions) -> None:
    """Say in the present span which version predicted how many rows; never what they hold."""
    span = trace.get_current_span()
    span.set_attribute("tidemill.version", predictions.version)
    span.set_attribute("tidemill.rows", len(predictions.rows))
