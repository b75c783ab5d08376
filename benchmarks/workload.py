"""The workload: all contenders execute the operations on the same users, data and numbers of sessions."""

APP = "webapp"
IP = "192.0.2.7"
DATA = {"name": "Peter", "unread": 12, "admin": False, "last_page": "/orders/2026/7"}
CHANGES = {"unread": 13, "last_page": "/orders/2026/8"}
DT = 3600

# How many sessions get and set choose from. With so many, the sorted sets of a partition are no longer in Redis's
# compact form, as in any app that matters.
POOL = 5000
# How many sessions of a user soid and killsoid find.
SESSIONS_OF_USER = 5
# The app that soapp lists, and how many sessions it has.
LISTED_APP = "listed"
LISTED = 100

# How many sessions a capped user may have, and has.
CAP = 3

OPERATIONS = ("create", "get", "set", "kill", "soid", "killsoid", "soapp", "activity")
# redis-sessions has none of these. The last word is the operation of the route.
NEW_OPERATIONS = ("touch", "rotate", "login: create", "cap reached: create", "pointer: get")
# These use sessions that exist. Each of the POOL is used once before any is used again.
USES = ("get", "set", "touch")

# A session that is used again within the same second costs less here, and within two seconds with redis-sessions. No
# measurement may gain by that, so each use comes at least this long after the last one.
SECONDS_BETWEEN_USES = 2.1

# A plain GET and SET have a value of this many bytes.
PLAIN_BYTES = 100
