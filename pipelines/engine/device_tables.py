"""What is kept about devices beside their readings, whatever domains are on."""

from pipelines.engine.model import Column, Table

DEVICE_REPORTS = Table(
    name="device_reports",
    retention="devices",
    guarded=True,
    meaning="Every message by which a device was heard of: its frame counter, radio link and battery.",
    key=("device", "observed_at", "event", "report"),
    time="observed_at",
    columns=(
        Column(name="device", meaning="DevEUI or device id; of Sparkplug group/node.", required=True),
        Column(name="observed_at", kind="instant", meaning="When the network heard it.", required=True),
        Column(name="event", meaning="Kind of message: up, join, status, log, NBIRTH, DDATA ...", required=True),
        Column(name="report", meaning="Id of the message; the same when it is delivered twice.", required=True),
        Column(name="feed", meaning="Feed it came by."),
        Column(name="session", meaning="Session that the frame counter belongs to."),
        Column(name="frame_counter", kind="integer", meaning="Number of the frame within its session.", low=0),
        Column(name="counter_wraps", kind="integer", meaning="After so many frames the counter begins at 0 again."),
        Column(name="gateways", kind="integer", meaning="How many gateways heard it.", low=0),
        Column(name="rssi_dbm", kind="number", meaning="Signal strength at the best gateway, in dBm."),
        Column(name="snr_db", kind="number", meaning="Signal to noise at the best gateway, in dB."),
        Column(name="spreading_factor", kind="integer", meaning="LoRa spreading factor."),
        Column(name="battery_pct", kind="number", unit="percent", meaning="Battery.", low=0, high=100),
        Column(name="words", meaning="What the network server said about it."),
    ),
)
EDGE_STATES = Table(
    name="edge_states",
    # A node may be online for years, and its aliases are named in its birth alone.
    retention="events",
    guarded=True,
    meaning="When a Sparkplug node or device came online or went offline, and what it said it measures.",
    key=("edge", "observed_at", "state"),
    time="observed_at",
    columns=(
        Column(name="edge", meaning="group/node or group/node/device.", required=True),
        Column(name="observed_at", kind="instant", meaning="When it was heard.", required=True),
        Column(name="state", meaning="online or offline.", choices=("online", "offline"), required=True),
        Column(name="feed", meaning="Feed it came by."),
        Column(name="bd_seq", kind="integer", meaning="Number of its birth; a death of another number is out of date."),
        Column(name="born_at", kind="instant", meaning="When it was born, by the node's own clock."),
        Column(name="metrics", meaning="JSON list of [alias, name, data type]."),
    ),
)

SENSOR_CLOCKS = Table(
    name="sensor_clocks",
    retention="devices",
    guarded=True,
    meaning="What each sensor's clock was found to be, a row whenever that has changed; nothing is put right by it.",
    key=("sensor", "judged_at"),
    time="judged_at",
    columns=(
        Column(name="sensor", meaning="Sensor id.", required=True),
        Column(name="judged_at", kind="instant", meaning="When it was found so.", required=True),
        Column(name="feed", meaning="Feed it comes by."),
        Column(
            name="state",
            meaning="right, ahead, behind, or drifting further from day to day.",
            choices=("right", "ahead", "behind", "drifting"),
            required=True,
        ),
        Column(name="error_s", kind="number", unit="s", meaning="By how much it is ahead; negative: behind."),
        Column(name="drift_s_per_day", kind="number", meaning="Seconds that it gains in a day; negative: loses."),
    ),
)

DEVICE_TABLES = (DEVICE_REPORTS, EDGE_STATES)
