"""What residents may ask the town for, and which incidents make them write."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Service:
    """What people may ask for, who answers, how soon it is promised, and how quick that department is against it."""

    code: str
    name: str
    group: str
    department: str
    limit_h: float
    pace: float
    weight: float
    words: tuple[str, ...]


SERVICES = (
    Service(
        "WTR",
        "No water or low pressure",
        "Water",
        "Water Supply",
        24,
        0.52,
        6.0,
        ("No water since morning.", "Very low pressure in our lane."),
    ),
    Service(
        "LEK", "Water leak in the street", "Water", "Water Supply", 48, 0.62, 3.0, ("Water is running over the road.",)
    ),
    Service(
        "DRN",
        "Blocked drain or sewer",
        "Sewerage",
        "Sewerage",
        24,
        0.8,
        5.0,
        ("The drain overflows near our gate.", "Bad smell from the manhole."),
    ),
    Service(
        "SWM",
        "Garbage not collected",
        "Waste",
        "Sanitation",
        24,
        0.6,
        7.0,
        ("No collection for three days.", "The bin at the corner overflows."),
    ),
    Service(
        "SLT",
        "Street light not working",
        "Lighting",
        "Electrical",
        72,
        0.55,
        5.0,
        ("Two lamps are dark since Monday.", "The whole lane is dark."),
    ),
    Service("PWR", "Power failure", "Electricity", "Electrical", 12, 0.4, 3.0, ("No current in the whole street.",)),
    Service(
        "RDS", "Pothole or broken road", "Roads", "Public Works", 168, 0.85, 4.0, ("A deep hole before the school.",)
    ),
    Service("DOG", "Stray animals", "Health", "Health", 120, 0.7, 2.0, ("A pack of dogs near the market.",)),
    Service(
        "AIR",
        "Smoke or burning of waste",
        "Environment",
        "Environment",
        48,
        0.7,
        1.6,
        ("Thick smoke, children are coughing.",),
    ),
    Service("NSE", "Noise", "Environment", "Environment", 24, 0.5, 1.2, ("Loudspeakers after ten at night.",)),
    Service(
        "TAX", "Property tax and certificates", "Revenue", "Revenue", 360, 0.8, 2.2, ("My bill shows the wrong name.",)
    ),
)
CODES = {service.code: service for service in SERVICES}
# Wards differ: W11 has bad drains, W05 much waste, W09 broken roads.
HEAVY = {
    ("W11", "DRN"): 3.0,
    ("W05", "SWM"): 2.4,
    ("W09", "RDS"): 2.2,
    ("W03", "AIR"): 5.0,
    ("W06", "NSE"): 3.0,
    ("W08", "SLT"): 2.2,
}

# Incident: service, requests a minute at full strength, minutes until the first.
WAVES: dict[str, tuple[str, float, float]] = {
    "burst_main": ("WTR", 1.1, 3.0),
    "feeder_trip": ("PWR", 0.9, 1.0),
    "smoke": ("AIR", 0.6, 4.0),
    "complaint_wave": ("", 2.4, 0.2),
}


def reference() -> list[dict[str, object]]:
    """Rows of reference/services.csv."""
    return [
        {
            "service_code": s.code,
            "service_name": s.name,
            "group": s.group,
            "description": "",
            "limit_h": s.limit_h,
            "within_24h": "yes" if s.group in ("Water", "Sewerage", "Waste") else "no",
        }
        for s in SERVICES
    ]
