"""Measures something of every kind through OpenTelemetry's own SDK for some seconds, exports it every half second, and
prints what queries must find at the end, as JSON: {"values": {query: value}, "exemplars": {query: id of a trace}}.

    sdk.py http|grpc ENDPOINT
"""

import json
import sys
import time

from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

EXPORTS = 8
INTERVAL_SECONDS = 0.5

protocol, endpoint = sys.argv[1:]
if protocol == "grpc":
    from grpc import Compression
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

    exporter = OTLPMetricExporter(endpoint=endpoint, insecure=True, compression=Compression.Gzip)
else:
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    exporter = OTLPMetricExporter(endpoint=f"{endpoint}/otlp/v1/metrics", compression=Compression.Gzip)

job = f"acme/shop-{protocol}"
resource = Resource.create(
    {"service.name": f"shop-{protocol}", "service.namespace": "acme", "service.instance.id": "i-1", "host.name": "h1"}
)
exponential = View(instrument_name="exponential.*", aggregation=ExponentialBucketHistogramAggregation())
reader = PeriodicExportingMetricReader(exporter, export_interval_millis=1_000_000)
provider = MeterProvider(metric_readers=[reader], resource=resource, views=[exponential])
meter = provider.get_meter("senders", "1.0")


def temperature(_: CallbackOptions):
    yield Observation(-3.25, {"room": "süd"})


requests = meter.create_counter("requests", unit="1", description="What was asked.")
queue = meter.create_up_down_counter("queue.size", unit="{item}")
listed = meter.create_histogram("listed.latency", unit="s", explicit_bucket_boundaries_advisory=[0.1, 1, 10])
fine = meter.create_histogram("exponential.latency", unit="s")
meter.create_observable_gauge("temperature", callbacks=[temperature], unit="Cel")

tracer = TracerProvider().get_tracer("senders")
latencies = []
for turn in range(EXPORTS):
    requests.add(3, {"http.method": "GET"})
    requests.add(1, {"http.method": "PUT"})
    queue.add(5 if turn % 2 == 0 else -2)
    for latency in [0.05, 0.5, 5.0, 50.0 + turn]:
        latencies.append(latency)
        with tracer.start_as_current_span("work") as span:
            trace_id = format(span.get_span_context().trace_id, "032x")
            listed.record(latency)
            fine.record(latency)
    assert reader.force_flush(), "the export failed"
    time.sleep(INTERVAL_SECONDS)
provider.shutdown()

of = f'job="{job}",instance="i-1"'
count, total = len(latencies), sum(latencies)
values = {
    f'requests_total{{{of},http_method="GET"}}': 3 * EXPORTS,
    f'requests_total{{{of},http_method="PUT"}}': EXPORTS,
    f"queue_size{{{of}}}": 5 * (EXPORTS // 2) - 2 * (EXPORTS // 2),
    f'temperature_celsius{{{of},room="süd"}}': -3.25,
    f'listed_latency_seconds_bucket{{{of},le="0.1"}}': EXPORTS,
    f'listed_latency_seconds_bucket{{{of},le="10"}}': 3 * EXPORTS,
    f'listed_latency_seconds_bucket{{{of},le="+Inf"}}': count,
    f"listed_latency_seconds_count{{{of}}}": count,
    f"listed_latency_seconds_sum{{{of}}}": total,
    f"histogram_count(exponential_latency_seconds{{{of}}})": count,
    f"histogram_sum(exponential_latency_seconds{{{of}}})": total,
    # A quarter of all is above 10; the buckets are fine enough to tell.
    f"round(1000 * histogram_fraction(10, +Inf, exponential_latency_seconds{{{of}}}))": 250,
    f'target_info{{{of},host_name="h1",telemetry_sdk_language="python"}}': 1,
    f'count_over_time(requests_total{{{of},http_method="GET"}}[1h]) >= bool {EXPORTS}': 1,
}
# The last observation is above every bound.
exemplars = {
    f'listed_latency_seconds_bucket{{{of},le="+Inf"}}': trace_id,
    f"exponential_latency_seconds{{{of}}}": trace_id,
}
print(json.dumps({"values": values, "exemplars": exemplars}))
