"""Sends what two well-known libraries write: an OpenMetrics text of Prometheus' client, and points of InfluxDB's client
through its own sender. Prints what a query must find at the end, as JSON: {"values": {query: value}}.

    texts.py ENDPOINT
"""

import json
import sys
import urllib.request

from influxdb_client import InfluxDBClient, Point
from influxdb_client.client.write_api import SYNCHRONOUS
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.exposition import generate_latest as text_format
from prometheus_client.openmetrics import exposition as openmetrics

(endpoint,) = sys.argv[1:]
registry = CollectorRegistry()
jobs = Counter("jobs", 'Finished "jobs".\nAll of them.', ["kind"], registry=registry)
jobs.labels('a "quoted"\\kind\n').inc(7)
Gauge("room_celsius", "Süd", registry=registry).set(-1.5)
seconds = Histogram("work_seconds", "Work", buckets=[0.1, 1], registry=registry)
seconds.observe(0.05)
seconds.observe(5)
Info("build", "What runs", registry=registry).info({"version": "1.2"})


def post(body: bytes, content_type: str):
    request = urllib.request.Request(
        f"{endpoint}/api/v1/import/prometheus", data=body, headers={"Content-Type": content_type}
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 204, answer.status


post(openmetrics.generate_latest(registry), openmetrics.CONTENT_TYPE_LATEST)
other = CollectorRegistry()
Gauge("plain_text", "In the older format", registry=other).set(12)
post(text_format(other), "text/plain; version=0.0.4")

with InfluxDBClient(url=endpoint, token="t", org="o") as client:
    points = [
        Point("cpu").tag("host", "server 01, a=b").field("usage_idle", 99.5).field("cores", 8).field("model", "x y, z"),
        Point("weather").field("value", 21.5).field("ok", True),
    ]
    client.write_api(write_options=SYNCHRONOUS).write(bucket="b", record=points)

values = {
    'jobs_total{kind="a \\"quoted\\"\\\\kind\\n"}': 7,
    "room_celsius": -1.5,
    'work_seconds_bucket{le="0.1"}': 1,
    'work_seconds_bucket{le="+Inf"}': 2,
    "work_seconds_sum": 5.05,
    'build_info{version="1.2"}': 1,
    "plain_text": 12,
    'cpu_usage_idle{host="server 01, a=b"}': 99.5,
    "cpu_cores": 8,
    "weather": 21.5,
    "weather_ok": 1,
    'count({__name__=~"cpu_model.*"}) or vector(0)': 0,
}
print(json.dumps({"values": values}))
