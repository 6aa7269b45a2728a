"""The limit tables of pollution that a town may replace in reference/, each with its source and date."""

from pipelines.engine.model import Column, Reference
from pipelines.pollution.limit_tables import FOLDER

SOURCE = Column(name="source", meaning="Who set it.")
DATE = Column(name="date", meaning="When.")
POLLUTANT = Column(name="pollutant", meaning="PM2.5, PM10, NO2, O3, CO, SO2, NH3 or Pb.", required=True)
AVERAGING = Column(name="averaging", meaning="Averaging time: 1h, 8h, 24h or annual.", required=True)
UNIT = Column(name="unit", meaning="Unit of the concentrations.")
BAND = Column(name="band", meaning="Name of the band.")
PIECE = (
    Column(name="low", kind="number", low=0, meaning="Concentration at which the piece begins.", required=True),
    Column(name="high", kind="number", low=0, meaning="Concentration at which it ends, inclusive.", required=True),
    Column(name="index_low", kind="number", low=0, meaning="Index at its beginning.", required=True),
    Column(name="index_high", kind="number", low=0, meaning="Index at its end.", required=True),
)

US_AQI_BREAKPOINTS = Reference(
    name="us_aqi_breakpoints",
    meaning="Breakpoints of the US air quality index; a town's own file replaces EPA's of 2024.",
    key=("pollutant", "averaging", "low"),
    shipped=FOLDER / "us_aqi.csv",
    columns=(
        POLLUTANT, AVERAGING, UNIT,
        Column(name="truncate_to", kind="number", low=0, meaning="Step to which it is cut.", required=True),
        *PIECE, BAND, SOURCE, DATE,
    ),
)  # fmt: skip

INDIA_NAQI_BREAKPOINTS = Reference(
    name="india_naqi_breakpoints",
    meaning="Breakpoints of the Indian air quality index; a town's own file replaces CPCB's of 2014.",
    key=("pollutant", "averaging", "low"),
    shipped=FOLDER / "india_naqi.csv",
    columns=(POLLUTANT, AVERAGING, UNIT, *PIECE, BAND, SOURCE, DATE),
)

INDIA_NAQI_SEVERE = Reference(
    name="india_naqi_severe",
    meaning="Where the severe band of the Indian index ends: CPCB prints no end, so by whom.",
    key=("pollutant", "variant"),
    shipped=FOLDER / "india_naqi_severe.csv",
    columns=(
        POLLUTANT,
        Column(name="variant", meaning="Whose end it is; `severe` of india_naqi names it.", required=True),
        Column(name="up_to", kind="number", low=0, meaning="Concentration at which the index is 500.", required=True),
        SOURCE, DATE,
    ),
)  # fmt: skip

EUROPEAN_AQI_BANDS = Reference(
    name="european_aqi_bands",
    meaning="Bands of the European air quality index; a town's own file replaces the EEA's of 2024.",
    key=("pollutant", "level"),
    shipped=FOLDER / "european_aqi.csv",
    columns=(
        POLLUTANT, AVERAGING, UNIT,
        Column(name="level", kind="integer", low=1, meaning="1 good to 6 extremely poor.", required=True),
        BAND,
        Column(name="above", kind="number", low=0, meaning="Concentration above which it begins."),
        Column(name="up_to", kind="number", low=0, meaning="Concentration at which it ends, inclusive; empty = none."),
        SOURCE, DATE,
    ),
)  # fmt: skip

WHO_GUIDELINES = Reference(
    name="who_guidelines",
    meaning="Air quality guidelines and interim targets; a town's own file replaces those of the WHO of 2021.",
    key=("pollutant", "averaging", "goal"),
    shipped=FOLDER / "who_guidelines.csv",
    columns=(
        POLLUTANT, AVERAGING, UNIT,
        Column(name="goal", meaning="AQG, or an interim target IT-1 to IT-4; the strictest judges.", required=True),
        Column(name="at_most", kind="number", low=0, meaning="Highest concentration that meets it.", required=True),
        SOURCE, DATE,
    ),
)  # fmt: skip

NOISE_PERIODS = Reference(
    name="noise_periods",
    meaning="Parts of the day by which noise is judged, on the town's clock.",
    key=("scheme", "period"),
    shipped=FOLDER / "noise_periods.csv",
    columns=(
        Column(name="scheme", meaning="EU Lden, US Ldn, India or the town's own.", required=True),
        Column(name="period", meaning="day, evening or night.", required=True),
        Column(name="from_hour", kind="integer", low=0, high=23, meaning="First hour.", required=True),
        Column(name="to_hour", kind="integer", low=0, high=23, meaning="First hour after it.", required=True),
        Column(name="penalty_db", kind="number", low=0, meaning="By how much it is made louder.", required=True),
        SOURCE, DATE,
    ),
)  # fmt: skip

GREENHOUSE_GAS = Reference(
    name="greenhouse_gas",
    meaning="Factors of greenhouse gas by published set; a town's own file replaces them.",
    key=("set", "item"),
    shipped=FOLDER / "greenhouse_gas.csv",
    columns=(
        Column(name="set", meaning="Name of the set; fuels are of IPCC 2006.", required=True),
        Column(name="item", meaning="Item of climate_activities.", required=True),
        Column(name="value", kind="number", low=0, meaning="Kilograms of CO2e for one unit.", required=True),
        UNIT, SOURCE, DATE,
    ),
)  # fmt: skip

LIMITS = (
    US_AQI_BREAKPOINTS,
    INDIA_NAQI_BREAKPOINTS,
    INDIA_NAQI_SEVERE,
    EUROPEAN_AQI_BANDS,
    WHO_GUIDELINES,
    NOISE_PERIODS,
    GREENHOUSE_GAS,
)
