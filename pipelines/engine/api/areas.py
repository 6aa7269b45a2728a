"""Areas as they are named in an address: town, ward:<id>, asset:<id>."""

from pipelines.engine.asking import Misasked, one_of
from pipelines.engine.town import Town


def areas_of(town: Town, area: str | None, ward: str | None) -> list[str] | None:
    """The areas asked for; None for all.

    Raises Misasked: what is no area, an unknown ward, or both ways to name one.
    """
    one_of("ward", ward, town.wards()["ward"])
    if ward is not None and area is not None:
        raise Misasked("Give either `area` or `ward`; a ward's area is written `area=ward:<id>`.")
    if ward is not None:
        return [f"ward:{ward}"]
    areas = [name.strip() for name in (area or "").split(",") if name.strip()]
    for name in areas:
        if name.startswith("ward:"):
            one_of("ward", name.removeprefix("ward:"), town.wards()["ward"])
        elif name != "town" and ":" not in name:
            raise Misasked(f"`{name[:60]}` is no area. Write town, ward:<id> or asset:<id>, for example area=town.")
    return areas or None


def area_of_sensors(town: Town, area: str | None) -> str:
    """The one area whose sensors are asked for.

    Raises Misasked: several, or one of a level that sensors do not have.
    """
    areas = areas_of(town, area, None) or ["town"]
    if len(areas) > 1 or areas[0].partition(":")[0] not in ("town", "ward", "asset"):
        raise Misasked(f"`area={area}`: sensors belong to town, ward:<id> or asset:<id>; name one of these.")
    return areas[0]
