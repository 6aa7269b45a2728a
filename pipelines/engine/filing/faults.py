"""What can be wrong with a request that somebody files, in words for that person; each fault names its field."""

from collections.abc import Mapping

from pipelines.engine.asking import Misasked

FAULTS: Mapping[tuple[str, str], str] = {
    ("service", "missing"): "Choose what it is about.",
    ("service", "unknown"): "What it is about is not on the list. Choose one of the list.",
    ("place", "missing"): "Say where it is: choose the ward, or write a street or a place that people know.",
    ("place", "outside"): "This position lies outside the town. Check it, or write the place in words.",
    ("place", "position"): "The position cannot be read. Write latitude and longitude like 26.5912, 74.8563.",
    ("place", "too_long"): "The place is too long. Write at most 200 letters.",
    ("ward", "unknown"): "This ward is not on the list. Choose one of the list.",
    ("description", "missing"): "Say in a few words what is wrong.",
    ("description", "too_long"): "The description is too long. Write at most 4000 letters.",
    ("name", "too_long"): "The name is too long. Write at most 100 letters.",
    ("media_url", "too_long"): "The address of the picture is too long. Write at most 500 letters.",
    ("email", "form"): "The mail address cannot be right. Write it like name@example.org, or leave it out.",
    ("phone", "form"): "The phone number cannot be right. Write 6 to 15 digits, or leave it out.",
    ("channel", "unknown"): "Say how it came: at the counter, by phone or on paper.",
    ("received", "form"): "The day and time cannot be read. Write them like 2026-11-23 14:30.",
    ("received", "future"): "It cannot have been received in the future. Check the day and the time.",
    ("picture", "too_many"): "At most three files can be sent along.",
    ("picture", "too_large"): "A file is larger than 5 MB. Send a smaller one, or none.",
    ("picture", "kind"): "Only pictures (JPEG, PNG, WebP) and PDF files can be sent along.",
    ("picture", "unreadable"): "A file cannot be read as a picture or PDF. Send another one, or none.",
    ("join", "unknown"): "The request that you wanted to join is no longer open. Send the form again.",
    ("form", "hurried"): "The form came back very fast, as programs send it. Look it over and send it again.",
    ("form", "outdated"): "The form was open for too long. Nothing is lost: look it over and send it again.",
    ("form", "trap"): "A field that must stay empty was filled in. Leave it empty and send the form again.",
    ("form", "often"): "Much was sent from here within the last hour. Send it again later, or call the office.",
    ("form", "closed"): "Requests are not taken here. Call the town office or go there.",
    ("state", "unknown"): "Choose the state that the office has brought it to.",
    ("notes", "personal"): "The answer is public. Take phone numbers, mail addresses and numbers of papers out of it.",
    ("notes", "too_long"): "The answer is too long. Write at most 500 letters.",
    ("number", "unknown"): "No request with this number was filed here.",
}
TOO_OFTEN = ("form", "often")


class Faulty(Misasked):
    """A field is not as it must be; `field` and `fault` are a key of FAULTS."""

    def __init__(self, field: str, fault: str) -> None:
        super().__init__(FAULTS[field, fault], 429 if (field, fault) == TOO_OFTEN else 422)
        self.field, self.fault = field, fault
