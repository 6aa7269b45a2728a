"""Adapters from the catalogue's grievance vectors (GR-01 to GR-12) to the formulas that the KPIs use."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from pipelines.engine.decode.open311 import MAX_RESULTS, query_span
from pipelines.engine.measures import percentile, ratio
from pipelines.grievances import cases, formulas, settling
from pipelines.grievances.tables import SERVICE_REQUESTS, SERVICES

START = datetime(2024, 1, 1, tzinfo=UTC)


def instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def evaluate(**expressions: pl.Expr) -> dict[str, Any]:
    return pl.select(**expressions).row(0, named=True)


def percent(numerator: float | None, denominator: float | None) -> float | None:
    value = evaluate(v=ratio(pl.lit(numerator, dtype=pl.Float64), pl.lit(denominator, dtype=pl.Float64)) * 100)
    return value["v"]


def floats(values: list[float | None]) -> pl.DataFrame:
    return pl.DataFrame({"value": values}, schema={"value": pl.Float64})


def table(tickets: list[dict[str, Any]]) -> pl.DataFrame:
    rows = [
        {
            "service_request_id": str(ticket.get("id", number)),
            "status": "closed" if ticket.get("closed") else "open",
            "requested_datetime": instant(ticket["requested"]),
            "expected_datetime": instant(ticket.get("expected")),
            "closed_at": instant(ticket.get("closed")),
            "reopened_at": instant(ticket.get("reopened")),
            "paused_h": ticket.get("paused_h") or 24.0 * (ticket.get("paused_days") or 0),
            "state": ticket.get("state"),
            "duplicate_of": ticket.get("duplicate_of"),
        }
        for number, ticket in enumerate(tickets)
    ]
    return pl.DataFrame(rows, schema=SERVICE_REQUESTS.schema)


def due(tickets: list[dict[str, Any]]) -> pl.DataFrame:
    return settling.promised(table(tickets), pl.DataFrame(schema=SERVICES.schema), formulas.pause(pl.col("paused_h")))


def gr01(inputs: dict[str, Any]) -> Any:
    if "elapsed_days" in inputs:
        return _paused(inputs)
    if not inputs["tickets"]:
        return None
    requests = due(inputs["tickets"])
    if "closed tickets only" in inputs.get("rule", ""):
        requests = requests.filter(pl.col("settled_at").is_not_null())
    as_of = pl.lit(instant(inputs["as_of"]))
    judged = requests.select(ok=formulas.within_due(pl.col("due_at"), pl.col("settled_at"), as_of))["ok"].drop_nulls()
    return {"sla_pct": percent(judged.sum(), judged.len()), "due": judged.len()}


def _paused(inputs: dict[str, Any]) -> dict[str, Any]:
    closed = pl.lit(START + timedelta(days=inputs["elapsed_days"]))
    limit = pl.lit(START + timedelta(days=inputs["limit_days"]))
    pause = formulas.pause(pl.lit(24.0 * (inputs.get("paused_days") or 0)))
    return evaluate(
        net_days=formulas.days_between(pl.lit(START) + pause, closed),
        within=formulas.within_due(limit + pause, closed, closed),
        gross_within=formulas.within_due(limit, closed, closed),
    )


def gr02(inputs: dict[str, Any]) -> dict[str, Any]:
    days = floats(inputs["days"])
    taken = days.select(**formulas.days_taken(pl.col("value"))).row(0, named=True)
    closed = inputs.get("closed", [1] * days.height)
    watched = pl.DataFrame(
        {"days": days["value"], "settled": [bool(c) for c in closed]}, schema_overrides={"settled": pl.Boolean}
    )
    survival = formulas.km_median(watched.filter(pl.col("days").is_not_null()).with_columns(all=pl.lit(1)), ["all"])
    return taken | {"km_median": survival["value"][0] if survival.height else None}


def gr03(inputs: dict[str, Any]) -> dict[str, Any]:
    at = instant(inputs["as_of"])
    tickets = inputs.get("tickets") or [{"requested": since} for since in inputs.get("open_since", [])]
    instants = pl.DataFrame({"at": [at]}, schema={"at": pl.Datetime("us", "UTC")})
    requests = due(tickets)
    spans = cases.spans(requests)
    late = formulas.clipped(spans.filter(pl.col("due_at").is_not_null()), pl.col("due_at") + formulas.TICK)
    parts = {"backlog": spans, "overdue": late, **formulas.age_buckets(spans, inputs.get("buckets_days", [7, 21, 30]))}
    named = pl.concat([part.select("start", "end", area=pl.lit(name)) for name, part in parts.items()])
    counts = formulas.open_counts(named, instants.join(pl.DataFrame({"area": list(parts)}), how="cross"))
    ages = formulas.open_at(spans, instants)["age_days"]
    return dict(counts.select("area", "open").iter_rows()) | {"median_age": ages.median()}


def gr04(inputs: dict[str, Any]) -> Any:
    if "closed_in_window" in inputs:
        returned = inputs.get("reopened_within_30d", inputs.get("distinct_tickets_reopened"))
        return percent(returned, inputs["closed_in_window"])
    closed, reopened = instant(inputs["closed_at"]), instant(inputs["reopened_at"])
    kind = pl.Datetime("us", "UTC")
    within = formulas.reopened_within(pl.lit(closed, kind), pl.lit(reopened, kind), inputs.get("window_days", 30))
    return evaluate(v=within)["v"]


def gr05(inputs: dict[str, Any]) -> dict[str, Any]:
    hours = floats(inputs["first_response_hours"])
    value = pl.col("value")
    # no waiting times come with the vector, so whether an unanswered one is late stays open
    within = formulas.within_hours(value, pl.lit(None, dtype=pl.Float64), inputs.get("target_h", 24))
    row = hours.select(
        median_h=percentile(value, 0.5),
        p90_h=percentile(value, 0.9),
        silent=value.null_count(),
        inside=within.sum(),
        judged=within.count(),
    ).row(0, named=True)
    row["no_response_pct"] = percent(row["silent"], hours.height)
    row["within_target_pct"] = percent(row["inside"], row["judged"])
    return row


def gr06(inputs: dict[str, Any]) -> Any:
    if "received" in inputs:
        return percent(inputs["marked_duplicate"], inputs["received"])
    (lat_a, lon_a), (lat_b, lon_b) = inputs["a"], inputs["b"]
    metres = formulas.haversine_m(*(pl.lit(x, dtype=pl.Float64) for x in (lat_a, lon_a, lat_b, lon_b)))
    same, still_open = inputs.get("same_code", True), inputs.get("earlier_open", inputs.get("original_open", True))
    repeat = formulas.repeats(metres, pl.lit(inputs["hours_apart"]), pl.lit(same), pl.lit(still_open))
    return evaluate(distance_m=metres, duplicate=repeat.fill_null(False))


def gr07(inputs: dict[str, Any]) -> dict[str, Any]:
    marks = formulas.satisfied(pl.col("value"), inputs.get("satisfied_from", 4))
    row = floats(inputs["ratings"]).select(**marks).row(0, named=True)
    return {
        "csat_pct": percent(row["numerator"], row["denominator"]),
        "mean": row["mean"],
        "responses": row["n"],
        "response_rate_pct": percent(row["n"], inputs.get("closed")),
        "publish": formulas.publishable(row["n"], inputs.get("min_responses", formulas.MIN_RESPONSES)),
    }


def gr08(inputs: dict[str, Any]) -> Any:
    wards = inputs["wards"] if "wards" in inputs else {"town": [inputs["requests"], inputs["population"]]}
    people = pl.DataFrame(
        {"requests": [w[0] for w in wards.values()], "population": [w[1] for w in wards.values()]},
        schema={"requests": pl.Float64, "population": pl.Float64},
    )
    floor = inputs.get("min_population", formulas.MIN_POPULATION)
    numerator, denominator = formulas.rate(pl.col("requests"), pl.col("population"), floor)
    rates = people.select(rate=1000 * ratio(numerator, denominator))
    if "wards" not in inputs:
        return rates["rate"][0]
    spread = rates.select(spread=formulas.spread(pl.col("rate")))["spread"][0]
    return dict(zip(wards, rates["rate"], strict=True)) | {"ratio_max_min": spread}


def gr09(inputs: dict[str, Any]) -> float | None:
    days = inputs["disposed_days"] if "disposed_days" in inputs else [a["days"] for a in inputs["appeals"]]
    limit = inputs.get("limit_days", 21 if "disposed_days" in inputs else 30)
    within = floats(days).select(ok=formulas.within_days(pl.col("value"), limit))["ok"].drop_nulls()
    return percent(within.sum(), within.len())


def gr10(inputs: dict[str, Any]) -> dict[str, Any]:
    names = ("opening", "received", "closed", "reopened")
    moved = formulas.load(*(pl.lit(float(inputs.get(name) or 0)) for name in names))
    row = evaluate(**moved)
    scaled = {f"{name}_pct": None if value is None else 100 * value for name, value in row.items()}
    return {
        "clearance_pct": scaled["clearance_pct"],
        "disposal_of_load_pct": scaled["disposal_pct"],
        "closing": row["closing"],
    }


def gr11(inputs: dict[str, Any]) -> float | None:
    return percent(inputs["redressed_within_24h"], inputs["complaints_in_month"])


def gr12(inputs: dict[str, Any]) -> dict[str, Any]:
    if "query" in inputs:
        query = inputs["query"]
        span = query_span(instant(query.get("start_date")), instant(query.get("end_date")))
        return {"span_days": span / timedelta(days=1), "max_results": MAX_RESULTS}
    statuses = pl.DataFrame({"status": inputs["statuses"]}, schema={"status": pl.String})
    good = statuses.select(ok=formulas.conforms(pl.col("status")))["ok"]
    return {"valid": good.sum(), "invalid": statuses.filter(~good)["status"].to_list()}


ADAPTERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "GR-01": gr01, "GR-02": gr02, "GR-03": gr03, "GR-04": gr04, "GR-05": gr05, "GR-06": gr06,
    "GR-07": gr07, "GR-08": gr08, "GR-09": gr09, "GR-10": gr10, "GR-11": gr11, "GR-12": gr12,
}  # fmt: skip
