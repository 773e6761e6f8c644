#!/usr/bin/env bash
# The four verifications of CQOx, run against the containers of compose.yaml: `deploy/verify.sh --help`.
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: deploy/verify.sh [OPTIONS] [1] [2] [3] [4]

Stops, starts and asks the containers of `docker compose up`, and says of each verification whether it passed:

  1  Breaker   the engine stopped: five requests are answered 503, the sixth at once by the open circuit, which closes
               by itself a minute after the engine is back
  2  Retry     a request is tried three times, and succeeds where the engine comes back meanwhile
  3  Tracing   one request is one trace in Jaeger, from the gateway to Redis and PostgreSQL
  4  Shutdown  a long request in flight is finished before a stopped service ends, with exit status 0

Without numbers all four run, in about five minutes. They interrupt whoever else uses the stack.
The stack must be up: `docker compose up --detach --wait`. Needs docker and curl.

Options:
  --gateway URL      where the gateway is published      (http://localhost:8082)
  --jaeger URL       where Jaeger is published           (http://localhost:16686)
  --repetitions N    size of the long request of 4       (as in examples/long_request.json, 20 to 25 seconds)
  --help             this text

Exit status: 0 where all passed, 1 where one failed, 2 where nothing could be verified.
TEXT
}

gateway=http://localhost:8082 jaeger=http://localhost:16686 repetitions="" wanted=()
while [ $# -gt 0 ]; do
    case $1 in
        --gateway) gateway=${2:?--gateway needs a URL}; shift ;;
        --jaeger) jaeger=${2:?--jaeger needs a URL}; shift ;;
        --repetitions) repetitions=${2:?--repetitions needs a number}; shift ;;
        -h | --help) usage; exit 0 ;;
        [1-4]) wanted+=("$1") ;;
        *) usage >&2; echo "verify.sh: '$1' is none of these." >&2; exit 2 ;;
    esac
    shift
done
[ ${#wanted[@]} -gt 0 ] || wanted=(1 2 3 4)
examples=$(cd "$(dirname "$0")/../examples" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

say() { printf '    %s\n' "$*"; }
# What does not hold is said and remembered; the rest of the verification goes on, since it tells more.
holds() { if [ "$2" = yes ]; then say "ok    $1"; else say "NOT   $1"; broken=1; fi; }
yes_if() { if "$@" >/dev/null 2>&1; then echo yes; else echo no; fi; }
between() { awk -v value="$1" -v low="$2" -v high="$3" 'BEGIN { exit !(value >= low && value <= high) }'; }
now() { sleep 1; date -u +%Y-%m-%dT%H:%M:%SZ; }
logged() { docker logs --since "$2" "$1" 2>&1; }
stop() { docker stop "$1" >/dev/null; }
# A seed of its own, so that no cache answers.
fresh() { sed 's/"dataset_id"/"options": {"seed": '"$((RANDOM * 32768 + RANDOM))"'}, "dataset_id"/' "$examples/request.json"; }
long() {
    sed -e 's/"repetitions": *\([0-9]*\)/"repetitions": '"${repetitions:-\\1}"', "seed": '"$((RANDOM * 32768 + RANDOM))"'/' "$examples/long_request.json"
}

# ask BODY_FILE NAME: leaves status, seconds, head and body in $scratch/NAME.*
ask() {
    curl -s -X POST "$gateway/api/analyze/comprehensive" -H "Content-Type: application/json" -d "@$1" \
        -D "$scratch/$2.head" -o "$scratch/$2.body" -w '%{http_code} %{time_total}\n' >"$scratch/$2.told" || true
    read -r status seconds <"$scratch/$2.told" || status=000 seconds=0
}
header() { tr -d '\r' <"$scratch/$1.head" | awk -F ': ' -v name="$2" 'tolower($1) == name { print $2 }'; }

healthy() { [ "$(docker inspect -f '{{if .State.Health}}{{.State.Health.Status}}{{end}}' "$1" 2>/dev/null)" = healthy ]; }
start() {
    docker start "$1" >/dev/null
    for _ in $(seq 120); do if healthy "$1"; then return; fi; sleep 1; done
    say "$1 is not healthy two minutes after its start"
    return 1
}

breaker() {
    local number
    echo '{"dataset_id":"test","mapping":{"y":"y","treatment":"w","unit_id":"id"}}' >"$scratch/breaker.json"
    ask "$scratch/breaker.json" before
    holds "a request is answered 200 while the engine runs (got $status)" "$(yes_if [ "$status" = 200 ])"
    stop cqox-engine
    for number in 1 2 3 4 5; do
        ask "$scratch/breaker.json" failed
        holds "request $number without an engine is answered 503 (got $status after $seconds s)" "$(yes_if [ "$status" = 503 ])"
    done
    ask "$scratch/breaker.json" open
    holds "the sixth is answered 503 at once (got $status after $seconds s)" "$(yes_if eval '[ "$status" = 503 ] && between "$seconds" 0 0.5')"
    holds "its body says 'Circuit breaker OPEN for _call_engine_analyze'" \
        "$(yes_if grep -q 'Circuit breaker OPEN for _call_engine_analyze' "$scratch/open.body")"
    holds "it says when to come back (Retry-After: $(header open retry-after))" "$(yes_if [ -n "$(header open retry-after)" ])"
    start cqox-engine
    say "waiting for the circuit to test recovery by itself, a minute after it opened ..."
    for _ in $(seq 90); do ask "$scratch/breaker.json" after; [ "$status" = 503 ] || break; sleep 1; done
    holds "then a request is answered 200 (got $status)" "$(yes_if [ "$status" = 200 ])"
}

retrying() { grep -Eq "\[Retry\] Attempt $1/3 failed: .+ Retrying in [0-9]+\.[0-9]{2}s\.\.\."; }

retry() {
    stop cqox-engine
    local number since; since=$(now)
    fresh >"$scratch/retry.json"
    ask "$scratch/retry.json" gave-up
    holds "without an engine a request gives up with 503 (got $status after $seconds s)" "$(yes_if [ "$status" = 503 ])"
    logged cqox-gateway "$since" >"$scratch/gave-up.log"
    for number in 1 2; do
        holds "the log has '[Retry] Attempt $number/3 failed: ... Retrying in ...s...'" "$(yes_if retrying "$number" <"$scratch/gave-up.log")"
    done
    grep -Eo '\[Retry\] Attempt [^"]*' "$scratch/gave-up.log" | sed 's/^/          /' || true
    local try
    for try in 1 2 3; do
        since=$(now)
        ask "$scratch/retry.json" restarted &
        sleep 0.3
        docker start cqox-engine >/dev/null
        wait $!
        read -r status seconds <"$scratch/restarted.told"
        [ "$status" != 200 ] || break
        say "the engine was not back within the three attempts (try $try, $seconds s)"
        stop cqox-engine
    done
    holds "a request sent while the engine restarts is answered 200 (got $status after $seconds s)" "$(yes_if [ "$status" = 200 ])"
    logged cqox-gateway "$since" >"$scratch/restarted.log"
    holds "after at least one more attempt" "$(yes_if retrying 1 <"$scratch/restarted.log")"
    start cqox-engine
}

# Reads Jaeger's answer; the container's Python, since the machine may have none.
tree() {
    docker exec -i cqox-gateway python -I -c '
import json, sys
data = json.load(sys.stdin)["data"]
spans = data[0]["spans"] if data else []
services = {key: one["serviceName"] for key, one in data[0]["processes"].items()} if data else {}
tags = {one["spanID"]: {tag["key"]: tag["value"] for tag in one["tags"]} for one in spans}
parent = {one["spanID"]: next((ref["spanID"] for ref in one.get("references", []) if ref["refType"] == "CHILD_OF"), "") for one in spans}
def service(one): return services[one["processID"]]
def depth(key): return 0 if parent.get(key, "") not in parent else 1 + depth(parent[key])
def within(one, others):
    key = one["spanID"]
    while key in parent:
        key = parent[key]
        if key in others: return True
    return False
path = "POST /api/analyze/comprehensive"
gateway = {one["spanID"] for one in spans if service(one) == "gateway" and one["operationName"] == path}
engine = {one["spanID"] for one in spans if service(one) == "engine" and one["operationName"] == path and within(one, gateway)}
def stored(word, system):
    return [one for one in spans if one["operationName"].split()[0] == word and service(one) == "engine"
            and system in str(tags[one["spanID"]].get("db.system.name", tags[one["spanID"]].get("db.system", ""))) and within(one, engine)]
found = {"gateway POST": gateway, "engine POST below it": engine, "Redis GET below that": stored("GET", "redis"), "PostgreSQL INSERT below that": stored("INSERT", "postgres")}
for one in sorted(spans, key=lambda one: one["startTime"]):
    if parent[one["spanID"]] not in parent or tags[one["spanID"]].get("db.system.name") or one["operationName"] == path:
        print("          %9.2f ms  %s%s %s" % (one["duration"] / 1000, "  " * depth(one["spanID"]), service(one), one["operationName"]))
for name, there in found.items(): print(("FOUND " if there else "MISSING ") + name)
'
}

tracing() {
    fresh >"$scratch/tracing.json"
    ask "$scratch/tracing.json" traced
    local trace; trace=$(header traced x-trace-id)
    holds "a request is answered 200 (got $status) and names its trace ($trace)" "$(yes_if eval '[ "$status" = 200 ] && [ -n "$trace" ]')"
    for _ in $(seq 20); do
        sleep 1
        curl -s "$jaeger/api/traces/$trace" | tree >"$scratch/tree" 2>/dev/null || true
        if [ -s "$scratch/tree" ] && ! grep -q ^MISSING "$scratch/tree"; then break; fi
    done
    grep -Ev '^(FOUND|MISSING)' "$scratch/tree" || true
    local name
    for name in "gateway POST" "engine POST below it" "Redis GET below that" "PostgreSQL INSERT below that"; do
        holds "the trace in Jaeger has: $name" "$(yes_if grep -qx "FOUND $name" "$scratch/tree")"
    done
    curl -s "$jaeger/api/services" >"$scratch/services" || true
    holds "Jaeger lists the services gateway and engine" "$(yes_if eval 'grep -q "\"gateway\"" "$scratch/services" && grep -q "\"engine\"" "$scratch/services"')"
}

drained() { # TITLE: whether the lines of a drain are in the log on standard input, in this order
    awk -v title="[$1] " '
        BEGIN { want[1] = "Received signal SIGTERM, initiating shutdown..."; want[2] = "Stopped accepting new requests"
                want[3] = "Waiting for in-flight requests..."; want[4] = "Shutting down gracefully..."; at = 1 }
        at <= 4 && index($0, title want[at]) { at++ }
        END { exit at <= 4 }'
}

shutdown_of() { # CONTAINER TITLE
    local since; since=$(now)
    long >"$scratch/long.json"
    ask "$scratch/long.json" long &
    local asked=$!
    sleep 3
    local running; running=$(yes_if kill -0 "$asked")
    holds "$1: a long request is in flight when it is stopped" "$running"
    stop "$1"
    wait "$asked" || true
    read -r status seconds <"$scratch/long.told"
    holds "$1: the request is answered 200 (got $status after $seconds s)" "$(yes_if [ "$status" = 200 ])"
    between "$seconds" 9 999 || say "it was over before the sockets closed, 5 s after the signal: --repetitions makes it longer, and this proves more"
    between "$seconds" 0 33 || say "a drain waits for 35 s: on a machine this slow, or busy, make the request shorter with --repetitions"
    local code; code=$(docker inspect -f '{{.State.ExitCode}}' "$1")
    holds "$1: it ends with exit status 0 (got $code)" "$(yes_if [ "$code" = 0 ])"
    logged "$1" "$since" >"$scratch/drain.log"
    holds "$1: the log says so in order" "$(yes_if drained "$2" <"$scratch/drain.log")"
    grep -Eo "\[$2\] (Received|Stopped|Waiting|Shutting)[^\"]*" "$scratch/drain.log" | sed 's/^/          /' || true
    start "$1"
}

shutdown() {
    shutdown_of cqox-gateway Gateway
    shutdown_of cqox-engine Engine
}

for container in cqox-gateway cqox-engine; do
    if ! docker inspect "$container" >/dev/null 2>&1; then
        echo "There is no container $container. Start the stack first: docker compose up --detach --wait" >&2
        exit 2
    fi
    start "$container" || exit 2
done
failed=0
for number in "${wanted[@]}"; do
    name=$(echo "breaker retry tracing shutdown" | cut -d ' ' -f "$number")
    echo "Verification $number: $name"
    broken=0
    "$name" || broken=1
    if [ "$broken" = 0 ]; then echo "PASS  verification $number ($name)"; else echo "FAIL  verification $number ($name)"; failed=1; fi
done
exit "$failed"
