"""What calls a person about water. Deadbands and delays follow EEMUA 191 and ISA-18.2 by kind of signal."""

from datetime import timedelta

from pipelines.engine.model import AlarmRule

ALARMS = (
    AlarmRule(
        name="pressure_low",
        title="Pressure low",
        watches="pressure_m",
        priority="high",
        instruction="Look at the neighbouring pressure points and the inflow: a fall here with more inflow is a burst "
        "main. Send the crew to the point, close the nearest valves, tell the ward.",
        below=7.0,
        deadband=1.0,
        on_delay=timedelta(seconds=15),
        off_delay=timedelta(minutes=2),
    ),
    AlarmRule(
        name="pressure_high",
        title="Pressure high",
        watches="pressure_m",
        priority="medium",
        instruction="Check the pressure reducing valve and the pump schedule: high pressure breaks pipes.",
        above=45.0,
        deadband=1.0,
        on_delay=timedelta(minutes=1),
        off_delay=timedelta(minutes=2),
    ),
    AlarmRule(
        name="tank_low",
        title="Tank level low",
        watches="tank_level_m",
        priority="high",
        instruction="Start filling the tank or move demand to another one; if pumps run, look for a burst below it.",
        below=1.0,
        deadband=0.1,
        on_delay=timedelta(seconds=60),
        off_delay=timedelta(seconds=60),
    ),
    AlarmRule(
        name="tank_runs_out",
        title="Tank empty within hours",
        watches="tank_autonomy",
        priority="high",
        instruction="Fill the tank before the next peak; warn the wards below it when that is not possible.",
        below=4.0,
        deadband=0.5,
    ),
    AlarmRule(
        name="night_flow_high",
        title="Night flow far over usual",
        watches="night_flow_over_baseline",
        priority="medium",
        instruction="The third night in a row: search this area for a leak, unless a festival, irrigation or roof "
        "tanks explain the flow.",
        above=125.0,
        deadband=5.0,
        on_delay=timedelta(days=2),
    ),
    AlarmRule(
        name="chlorine_low",
        title="Chlorine low",
        watches="chlorine_mg_l",
        priority="critical",
        instruction="Check the doser and its stock, raise the dose, take a sample at the tap for the laboratory.",
        below=0.2,
        deadband=0.02,
        on_delay=timedelta(minutes=1),
        off_delay=timedelta(minutes=1),
    ),
    AlarmRule(
        name="chlorine_high",
        title="Chlorine high",
        watches="chlorine_mg_l",
        priority="medium",
        instruction="Lower the dose; check the analyser with a hand test.",
        above=1.0,
        deadband=0.05,
        on_delay=timedelta(minutes=5),
        off_delay=timedelta(minutes=1),
    ),
    AlarmRule(
        name="e_coli",
        title="E. coli in a water sample",
        watches="e_coli_found",
        priority="critical",
        instruction="Call the health officer, ask for boiling, raise chlorine, sample again at the same tap.",
        above=0.0,
        level="town",
    ),
)
