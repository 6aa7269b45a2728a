"""What calls a person about energy."""

from datetime import timedelta

from pipelines.engine.model import AlarmRule

MINUTE = timedelta(minutes=1)

ALARMS = (
    AlarmRule(
        name="feeder_dead",
        title="Feeder without power",
        watches="feeder_power_kw",
        priority="critical",
        instruction="Ask the substation whether the breaker tripped. Note the outage with its customers. Before it is "
        "closed again, make sure that nobody works on the line.",
        below=1.0,
        deadband=4.0,
        on_delay=timedelta(seconds=20),
        off_delay=MINUTE,
        takes_down=True,
        resident="There is no power",
        matters=("power", "electric", "outage", "blackout"),
    ),
    AlarmRule(
        name="breaker_not_closed",
        title="Feeder breaker not closed",
        watches="breaker_position",
        priority="high",
        instruction="Ask the substation who opened it and why. Position 3 is a fault of its contacts: have it looked "
        "at before anybody relies on it.",
        equals=(1.0, 3.0),
        on_delay=timedelta(seconds=20),
        off_delay=MINUTE,
    ),
    AlarmRule(
        name="transformer_overload",
        title="Transformer overloaded",
        watches="transformer_loading",
        priority="high",
        instruction="Look at the phases and the oil temperature. Move load to the neighbouring transformer. Above "
        "150 % first check the ratio of the current transformer.",
        above=100.0,
        deadband=5.0,
        on_delay=timedelta(minutes=5),
        off_delay=timedelta(minutes=5),
    ),
    AlarmRule(
        name="transformer_oil_hot",
        title="Transformer oil too hot",
        watches="oil_temperature_c",
        priority="high",
        instruction="Shed load from this transformer and send someone to look at the oil level and the cooling.",
        above=90.0,
    ),
    AlarmRule(
        name="voltage_low",
        title="Voltage too low",
        watches="voltage_v",
        priority="medium",
        instruction="Look whether one phase or all are low. One phase: look for a blown fuse. All: check the tap "
        "position and the load of the transformer.",
        below=207.0,
        deadband=2.0,
        on_delay=2 * MINUTE,
        off_delay=2 * MINUTE,
    ),
    AlarmRule(
        name="voltage_high",
        title="Voltage too high",
        watches="voltage_v",
        priority="high",
        instruction="Look whether one phase rose while another fell: then the neutral is broken, cut the supply at "
        "once. Otherwise check the tap position and the solar feed-in.",
        above=253.0,
        deadband=2.0,
        stands_alone=True,
        on_delay=2 * MINUTE,
        off_delay=2 * MINUTE,
    ),
    AlarmRule(
        name="battery_low",
        title="Microgrid battery low",
        watches="battery_soc_pct",
        priority="high",
        instruction="Start the diesel generator or cut the loads that can wait. See battery autonomy for the "
        "hours left.",
        below=25.0,
        deadband=5.0,
        on_delay=MINUTE,
        off_delay=MINUTE,
    ),
    AlarmRule(
        name="street_lights_dark",
        title="A street-light panel was dark all night",
        watches="street_light_nights",
        column="outage_lamp_hours",
        thing="panel",
        level="panel",
        priority="low",
        instruction="Send the lighting crew to the panel: its switch, its fuse, its supply. Then look at the lamps.",
        above=100.0,
        resident="The street lights do not work",
        matters=("street light", "streetlight", "lamp"),
    ),
)
