#!/usr/bin/env bash
# Longhaul beside VictoriaMetrics and Prometheus: the same bytes, on this machine, in turns. Prints CPU seconds a million
# samples, memory, bytes of log and of disk a sample, query latencies and the ratios between the servers, and writes
# all that with the machine's description to benches/results/<date>.md.
#
#   benches/peers.sh
#   SERVERS="longhaul victoria-metrics" LOADS="50029x480" ROUNDS=3 benches/peers.sh
#
# The queries are those of benches/queries/. The server is started anew before they are asked; each is asked ten times, the first
# time cold.
#
# SERVERS  in the order of their turns; ratios are to the first one
# LOADS    series x samples, 15 s apart; the queries are asked after loads of at least 240 samples
# ROUNDS   turns of each server; the tables show medians
# IN_BLOCKS samples of each series that are written before the others, unmeasured, and that Longhaul has in a block of its
#          bucket when the queries are asked: 360 of 480 put half of the hour that is asked for there. 0 unless given
# LONGHAUL the program that serves and that drives the load; built in release mode unless given
# RESULTS  the file to write
#
# Everything listens on loopback and lies below target/peers-run, which is removed at the end.
set -euo pipefail
cd "$(dirname "$0")/.."

SERVERS=${SERVERS:-longhaul victoria-metrics prometheus}
LOADS=${LOADS:-50029x480 1000000x20}
ROUNDS=${ROUNDS:-1}
IN_BLOCKS=${IN_BLOCKS:-0}
RESULTS=${RESULTS:-benches/results/$(date -u +%F).md}
STEP_S=15
QUERY_STEPS=234
SETTLE=10s
PORT=${PORT:-19009}

cargo xtask peers
PEERS=$PWD/target/peers
if [ -z "${LONGHAUL:-}" ]; then
    cargo build --release --package longhaul
    LONGHAUL=${CARGO_TARGET_DIR:-target}/release/longhaul
    BUILT="Longhaul $(git rev-parse --short HEAD)"
fi

RUN=$PWD/target/peers-run
rm -rf "$RUN" && mkdir -p "$RUN"
PID=
cleanup() {
    [ -z "$PID" ] || kill "$PID" 2>/dev/null || true
    rm -rf "$RUN"
}
trap cleanup EXIT

# start SERVER DATA: starts it in the background; sets PID and the addresses of its API.
start() {
    local data=$2 ready=/-/ready
    mkdir -p "$data"
    case $1 in
    longhaul)
        printf 'self_scrape: {enabled: false}\n' >"$RUN/longhaul.yaml"
        RUST_LOG=warn "$LONGHAUL" serve --config "$RUN/longhaul.yaml" --data-dir "$data" \
            --http-listen "127.0.0.1:$PORT" --admin-listen "127.0.0.1:$((PORT + 1))" >"$RUN/$1.log" 2>&1 &
        PUSH=/api/v1/push API=/prometheus LOG_DIR=$data/log
        ;;
    victoria-metrics)
        "$PEERS/victoria-metrics" -storageDataPath="$data" -httpListenAddr="127.0.0.1:$PORT" -retentionPeriod=100y \
            -search.latencyOffset=0s -loggerLevel=WARN >"$RUN/$1.log" 2>&1 &
        PUSH=/api/v1/write API= LOG_DIR= ready=/health
        ;;
    prometheus)
        printf 'storage: {tsdb: {out_of_order_time_window: 2h}}\n' >"$RUN/prometheus.yaml"
        "$PEERS/prometheus" --config.file="$RUN/prometheus.yaml" --storage.tsdb.path="$data" \
            --storage.tsdb.retention.time=100y --web.listen-address="127.0.0.1:$PORT" \
            --web.enable-remote-write-receiver --log.level=warn >"$RUN/$1.log" 2>&1 &
        PUSH=/api/v1/write API= LOG_DIR=$data/wal
        ;;
    *) echo "no such server: $1" >&2 && exit 2 ;;
    esac
    PID=$!
    PUSH=http://127.0.0.1:$PORT$PUSH API=http://127.0.0.1:$PORT$API
    python3 - "http://127.0.0.1:$PORT$ready" <<'PYTHON' || { cat "$RUN/$1.log" >&2 && exit 1; }
import sys, time, urllib.request
for attempt in range(3000):
    try:
        urllib.request.urlopen(sys.argv[1]).read()
        sys.exit()
    except OSError:
        time.sleep(0.1)
sys.exit(f"{sys.argv[1]} is not ready after 300 s")
PYTHON
}

stop() {
    kill "$PID"
    wait "$PID" || true
    PID=
}

flush() { # has Longhaul turn what it holds into blocks, so that what is on disk is comparable
    python3 -c 'import sys, urllib.request as u; u.urlopen(u.Request(sys.argv[1], method="POST")).read()' \
        "http://127.0.0.1:$((PORT + 1))/-/flush"
}

bytes_of() { # apparent size of a folder; 0 for none
    if [ -n "$1" ] && [ -d "$1" ]; then du -sb "$1" | cut -f1; else echo 0; fi
}

for load in $LOADS; do
    series=${load%x*} samples=${load#*x}
    start_s=$(($(date +%s) - (samples + 1) * STEP_S))
    end_s=$((start_s + samples * STEP_S))
    for round in $(seq "$ROUNDS"); do
        for server in $SERVERS; do
            echo "== $load, round $round: $server" >&2
            data=$RUN/data
            rm -rf "$data" && sync
            start "$server" "$data"
            write=("$LONGHAUL" load write --url "$PUSH" --series "$series" --step "${STEP_S}s" --samples-per-request 2000
                --connections 2 --pid "$PID" --settle "$SETTLE" --json)
            if [ "$IN_BLOCKS" -gt 0 ]; then
                "${write[@]}" --samples "$IN_BLOCKS" --start "$start_s" >/dev/null
                [ "$server" != longhaul ] || flush
            fi
            "${write[@]}" --samples "$((samples - IN_BLOCKS))" --start "$((start_s + IN_BLOCKS * STEP_S))" \
                >"$RUN/write.json" || cat "$RUN/write.json" >&2 # what was refused is in the report
            log_bytes=$(bytes_of "$LOG_DIR")
            echo '{"queries": []}' >"$RUN/range.json" && cp "$RUN/range.json" "$RUN/instant.json"
            if [ "$samples" -ge 240 ]; then
                stop && start "$server" "$data" # so that no cache is warm when a query is asked for the first time
                options=(--url "$API" --end "$end_s" -n 10 --pid "$PID" --parameter nocache=1 --json)
                "$LONGHAUL" load read "${options[@]}" --range "$(((QUERY_STEPS - 1) * STEP_S))s" --step "${STEP_S}s" \
                    --queries benches/queries/range.promql >"$RUN/range.json" || cat "$RUN/range.json" >&2
                "$LONGHAUL" load read "${options[@]}" --queries benches/queries/instant.promql >"$RUN/instant.json" ||
                    cat "$RUN/instant.json" >&2
            fi
            [ "$server" != longhaul ] || flush
            stop
            disk_bytes=$(bytes_of "$data")
            python3 - "$load" "$server" "$log_bytes" "$disk_bytes" "$RUN" "$((series * IN_BLOCKS))" <<'PYTHON'
import json, sys
load, server, log_bytes, disk_bytes, run, before = sys.argv[1:]
read = lambda name: json.load(open(f"{run}/{name}.json"))
line = {"load": load, "server": server, "log_bytes": int(log_bytes), "disk_bytes": int(disk_bytes), "before": int(before),
        "write": read("write"),
        "queries": read("range")["queries"] + read("instant")["queries"]}
with open(f"{run}/lines.jsonl", "a") as lines:
    lines.write(json.dumps(line) + "\n")
PYTHON
        done
    done
done

mkdir -p "$(dirname "$RESULTS")"
machine="$(grep -m1 '^model name' /proc/cpuinfo | cut -d: -f2- | xargs), $(nproc) cores, \
$(awk '/^MemTotal/ {printf "%.0f", $2 / 1048576}' /proc/meminfo) GiB, Linux $(uname -r | cut -d- -f1), $(. /etc/os-release && echo "$PRETTY_NAME"), \
$(stat --file-system --format=%T "$RUN"), load average before: $(cut -d' ' -f1-3 /proc/loadavg)"
versions=${BUILT:-$("$LONGHAUL" --version)}
for peer in victoria-metrics prometheus; do versions+=", $peer $(cat "$PEERS/$peer.version")"; done
python3 - "$RUN/lines.jsonl" "$machine" "$versions" "$SERVERS" "$ROUNDS" "$IN_BLOCKS" >"$RESULTS" <<'PYTHON'
import json, statistics, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
machine, versions, servers, rounds, in_blocks = sys.argv[2], sys.argv[3], sys.argv[4].split(), *sys.argv[5:]

def table(head, rows, first):
    """Rows of (name, {server: value}, digits): a column a server, and how many times the first server's value the others' are."""
    row = lambda cells: print("| " + " | ".join(cells) + " |")
    row([head, *servers, *(f"{s} / {first}" for s in servers[1:])])
    print("|---|" + "---:|" * (2 * len(servers) - 1))
    for name, values, digits in rows:
        cell = lambda s: "" if values.get(s) is None else f"{values[s]:,.{digits}f}"
        ratio = lambda s: f"{values[s] / values[first]:.2f}" if values.get(s) and values.get(first) else ""
        row([name, *map(cell, servers), *map(ratio, servers[1:])])
    print()

def of(load, value):
    """The median over the rounds, by server."""
    medians = {}
    for server in servers:
        values = [value(l) for l in lines if l["load"] == load and l["server"] == server]
        values = [v for v in values if v is not None]
        medians[server] = statistics.median(values) if values else None
    return medians

print("# Longhaul and its peers\n")
print(f"Machine: {machine}.\n")
print(f"Versions: {versions}.\n")
print(f"Written by `benches/peers.sh`: {rounds} round(s) in turns, 2,000 samples a request, two connections, one sample a series every "
      "15 s; the driver runs on the same machine. CPU and memory are those of the server's process. Longhaul answers once the "
      "samples are synced to disk, Prometheus once they are written to its WAL, VictoriaMetrics before they are in any file.\n")
if in_blocks != "0":
    print(f"The first {in_blocks} samples of each series were written before, unmeasured; Longhaul had flushed them to a block of its "
          "bucket before the others came.\n")
for load in dict.fromkeys(l["load"] for l in lines):
    series, samples = map(int, load.split("x"))
    print(f"## {series:,} series x {samples} samples\n")
    acknowledged = lambda l: max(l["write"]["samples"] + l["before"], 1)
    rows = [
        ("CPU s a million samples, at the last answer", of(load, lambda l: l["write"]["process"]["cpu_seconds_per_million_samples"]), 3),
        ("the same 10 s later", of(load, lambda l: l["write"]["settled"]["cpu_seconds_per_million_samples"]), 3),
        ("resident MiB at the last answer", of(load, lambda l: l["write"]["process"]["resident_mib"]), 0),
        ("most MiB ever resident", of(load, lambda l: l["write"]["settled"]["resident_peak_mib"]), 0),
        ("log bytes a sample", of(load, lambda l: l["log_bytes"] / acknowledged(l) or None), 2),
        ("bytes on disk a sample, after shutdown (Longhaul: flushed before)", of(load, lambda l: l["disk_bytes"] / acknowledged(l)), 2),
        ("thousand samples/s", of(load, lambda l: l["write"]["samples_per_second"] / 1e3), 0),
        ("median answer, ms", of(load, lambda l: l["write"]["latency"]["p50_ms"]), 1),
        ("99th percentile of answers, ms", of(load, lambda l: l["write"]["latency"]["p99_ms"]), 1),
        ("samples acknowledged, millions", of(load, lambda l: l["write"]["samples"] / 1e6), 3),
        ("requests sent again", of(load, lambda l: l["write"]["retries"]), 0),
    ]
    table("write", rows, servers[0])
    queries = list(dict.fromkeys(q["query"] for l in lines if l["load"] == load for q in l["queries"]))
    if queries:
        rows = []
        for query in queries:
            one = lambda value: lambda l: next((value(q) for q in l["queries"] if q["query"] == query and not q["error"]), None)
            rows.append((f"`{query}`, ms", of(load, one(lambda q: q["latency"]["p50_ms"])), 1))
            rows.append(("– first time, cold", of(load, one(lambda q: q["first_ms"])), 1))
            rows.append(("– CPU ms", of(load, one(lambda q: q["cpu_ms"])), 1))
            rows.append(("– series in the answer", of(load, one(lambda q: q["series"])), 0))
        table("query (median of nine)", rows, servers[0])
        for server in servers[1:]:
            warm = lambda s: [of(load, lambda l, q=q: next((x["latency"]["p50_ms"] for x in l["queries"] if x["query"] == q
                                                            and not x["error"]), None))[s] for q in queries]
            ratios = [theirs / ours for ours, theirs in zip(warm(servers[0]), warm(server)) if ours and theirs]
            print(f"Of {len(ratios)} queries {server} answers {sum(r < 1 for r in ratios)} faster than {servers[0]}, and "
                  f"{sum(r >= 3 for r in ratios)} at least three times slower.\n")
PYTHON
cat "$RESULTS"
