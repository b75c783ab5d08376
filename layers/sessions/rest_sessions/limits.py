"""What a client may send, what a session may hold, and how long a request may take.

All parts of the package take these numbers and patterns from here.
"""

import re

from .errors import TooLarge

# The form of an app's name.
APP = re.compile(r"[A-Za-z0-9_-]{3,20}")
# Control characters and halves of surrogate pairs, as a part of a regular expression's set. No name may have them.
CONTROLS_AND_SURROGATES = r"\x00-\x1f\x7f-\x9f\ud800-\udfff"

# Seconds. `ttl` is a session's idle timeout; browsers keep a cookie for 400 days at most.
MIN_SECONDS = 10
DEFAULT_TTL = 7200
MAX_TTL = 34_560_000

# Seconds for which requests under way may come with a rotated token, and with that of a session closed by a login.
MIN_ROTATION_GRACE = 10
DEFAULT_ROTATION_GRACE = 60
DEFAULT_LOGIN_GRACE = 10
MAX_GRACE = 300

# The highest cap on a user's live sessions.
MAX_CAP = 100

# An error quotes at most this much of a name.
MAX_QUOTED_CHARACTERS = 32

MAX_ID_CHARACTERS = 128
MAX_IP_CHARACTERS = 45

# Sessions in one page of a listing.
MAX_LIMIT = 1000
# Apps in one page of the list of apps.
MAX_APPS = 100
# Bytes of one page. Lambda returns at most 6 MB, which includes the headers, and counts the body as a JSON string.
MAX_LISTING_BYTES = 5_000_000

MAX_BODY_BYTES = 262_144
# Keys in one body, including those whose value is null.
MAX_BODY_KEYS = 512

# A session's data. The bytes are those of its keys and of its values' JSON texts.
MAX_KEYS = 512
MAX_KEY_CHARACTERS = 128
MAX_NESTING = 32
# Other platforms cannot read longer numbers back.
MAX_NUMBER_CHARACTERS = 64
MAX_DATA_BYTES = 1_000_000

# How long one request may wait for Redis in all: two connects and two replies of a second each. Sign-in, further
# addresses, further nodes and further round trips share this time. It leaves one second of the five within which
# every request is answered.
REQUEST_SECONDS = 4.0


def check_data_size(keys: int, size: int) -> None:
    """Raises TooLarge for more `keys`, or more bytes of keys and values (`size`), than one session may hold."""
    if keys > MAX_KEYS:
        raise TooLarge(f"A session's data must have at most {MAX_KEYS} keys")
    if size > MAX_DATA_BYTES:
        raise TooLarge(f"A session's data must be at most {MAX_DATA_BYTES} bytes")
