"""Panels of requests and of what policies do with them: what a person looks at first."""

from cqox.telemetry import metric_definitions
from deploy.grafana.panel import NO_PROBES, WHERE, Panel, Query, Row, both, increase, level, quantile, ranks, rate

__all__ = ["now", "policies", "requests"]


def now() -> Row:
    """The row `Now`."""
    failed = rate(metric_definitions.HTTP_SERVER_DURATION, "job", f'{NO_PROBES}, http_response_status_code=~"5.."')
    every = rate(metric_definitions.HTTP_SERVER_DURATION, "job", NO_PROBES)
    return Row(
        title="Now",
        panels=(
            Panel(
                title="Processes that answer",
                help="Gateways and engines that Prometheus reaches. One less than you started: look at its log.",
                queries=[Query(expr=f"sum by (job) (up{{{WHERE}}})")],
                kind="stat",
                columns=4,
            ),
            Panel(
                title="Requests a second",
                help="Without health probes. Nothing here while clients complain: they do not reach the gateway.",
                queries=[Query(expr=every)],
                unit="reqps",
                kind="stat",
                columns=4,
            ),
            Panel(
                title="Share of requests that fail",
                help="Answers with 5xx. 429 and what a client left are no failures.",
                queries=[Query(expr=f"{failed} / {every} or 0 * {every}")],
                unit="percentunit",
                kind="stat",
                columns=4,
                warn=0.005,
                alarm=0.05,
            ),
            Panel(
                title="Slowest of a hundred",
                help="99th percentile of the time to answer.",
                queries=[Query(expr=quantile(0.99, metric_definitions.HTTP_SERVER_DURATION, "job", NO_PROBES))],
                unit="s",
                kind="stat",
                columns=4,
            ),
            Panel(
                title="Circuits open",
                help="How many circuits refuse calls; which ones is below.",
                queries=[Query(expr=level(metric_definitions.CIRCUIT_STATE, "job", 'state="open"'))],
                kind="stat",
                columns=4,
                alarm=1,
            ),
            Panel(
                title="Alarms",
                help="Alarms that fire. What each means and what to do is in docs/operators.md.",
                queries=[Query(expr='sum(ALERTS{alertstate="firing"}) or vector(0)', legend="firing")],
                kind="stat",
                columns=4,
                alarm=1,
            ),
        ),
    )


def requests() -> Row:
    """The row `Requests`."""
    server, client = metric_definitions.HTTP_SERVER_DURATION, metric_definitions.HTTP_CLIENT_DURATION
    return Row(
        title="Requests",
        panels=(
            Panel(
                title="Rate by route",
                help="Requests a second, without health probes.",
                queries=[Query(expr=rate(server, "job, http_route", NO_PROBES), legend="{{job}} {{http_route}}")],
                unit="reqps",
            ),
            Panel(
                title="Answers that are no success",
                help="By status: 4xx are mistakes of clients, 429 refusals for load, 499 clients that left, 5xx ours.",
                queries=[
                    Query(
                        expr=rate(
                            server, "job, http_response_status_code", f'{NO_PROBES}, http_response_status_code!~"2.."'
                        ),
                        legend="{{job}} {{http_response_status_code}}",
                    )
                ],
                unit="reqps",
                stacked=True,
            ),
            Panel(
                title="Time to answer",
                help="From the head of a request to the end of its answer.",
                queries=ranks(server, "job", "{{job}}", NO_PROBES),
                unit="s",
            ),
            Panel(
                title="In flight",
                help="Requests and background jobs that are being answered. It only falls to 0 in a drain that ends.",
                queries=[
                    Query(
                        expr=level(metric_definitions.HTTP_SERVER_ACTIVE, "job, instance"),
                        legend="{{job}} {{instance}}",
                    )
                ],
            ),
            Panel(
                title="Attempts at engines",
                help="What the gateway sent to each engine. An empty status is an engine that was not reached.",
                queries=[
                    Query(
                        expr=rate(client, "server_address, http_response_status_code, error_type"),
                        legend="{{server_address}} {{http_response_status_code}} {{error_type}}",
                    )
                ],
                unit="reqps",
            ),
            Panel(
                title="Time of an attempt",
                help="95th percentile by engine: one that is slower than the others is the one to look at.",
                queries=[Query(expr=quantile(0.95, client, "server_address"), legend="{{server_address}}")],
                unit="s",
            ),
        ),
    )


def policies() -> Row:
    """The row `Policies`."""
    opened = (
        f"max by (policy) ({metric_definitions.CIRCUIT_STATE.prometheus_name}{{{both('state="open"')}}}) * 2"
        f" + max by (policy) ({metric_definitions.CIRCUIT_STATE.prometheus_name}{{{both('state="half_open"')}}})"
    )
    budget = metric_definitions.RETRY_BUDGET.prometheus_name
    return Row(
        title="Policies",
        panels=(
            Panel(
                title="Circuits",
                help="0 closed, 1 half open, 2 open. An open circuit refuses at once and tests recovery by itself.",
                queries=[Query(expr=opened, legend="{{policy}}")],
                kind="state-timeline",
                columns=16,
                warn=1,
                alarm=2,
            ),
            Panel(
                title="Changes of circuits",
                help="Back and forth without end: the engine fails again as soon as it is let work.",
                queries=[
                    Query(
                        expr=increase(metric_definitions.CIRCUIT_TRANSITIONS, "policy, state", "$__rate_interval"),
                        legend="{{policy}} to {{state}}",
                    )
                ],
            ),
            Panel(
                title="Retries and calls given up",
                help="Retries that help are followed by no calls given up.",
                queries=[
                    Query(expr=rate(metric_definitions.RETRIES, "policy"), legend="retried {{policy}}"),
                    Query(expr=rate(metric_definitions.GIVEN_UP, "policy"), legend="given up {{policy}}"),
                ],
                unit="ops",
            ),
            Panel(
                title="Retries left in the budget",
                help="At 0 nothing is retried any more, so that retries cannot bring a struggling engine down.",
                queries=[
                    Query(
                        expr=f"min by (instance, policy) ({budget}{{{WHERE}}})",
                        legend="{{policy}} {{instance}}",
                    )
                ],
            ),
            Panel(
                title="Refusals",
                help="What policies did not let through: Shed, Bulkhead and the like are load, CircuitBreaker is not.",
                queries=[
                    Query(
                        expr=rate(metric_definitions.REJECTIONS, "job, policy, reason"), legend="{{reason}} {{policy}}"
                    )
                ],
                unit="ops",
                stacked=True,
            ),
            Panel(
                title="Timeouts",
                help="Attempts that a policy cut; `request` are requests whose own deadline passed.",
                queries=[Query(expr=rate(metric_definitions.TIMEOUTS, "job, policy"), legend="{{job}} {{policy}}")],
                unit="ops",
            ),
            Panel(
                title="Places in use",
                help="Calls inside a bulkhead, those that wait for a place, and how many places there are.",
                queries=[
                    Query(expr=level(metric_definitions.BULKHEAD_RUNNING, "policy"), legend="inside {{policy}}"),
                    Query(expr=level(metric_definitions.BULKHEAD_QUEUED, "policy"), legend="waiting {{policy}}"),
                    Query(expr=level(metric_definitions.BULKHEAD_LIMIT, "policy"), legend="places {{policy}}"),
                ],
            ),
        ),
    )
