"""The workload: all contenders execute the operations on the same users, data and numbers of sessions."""

APP = "webapp"
IP = "192.0.2.7"
DATA = {"name": "Peter", "unread": 12, "admin": False, "last_page": "/orders/2026/7"}
CHANGES = {"unread": 13, "last_page": "/orders/2026/8"}
DT = 3600

# How many sessions get and set choose from.
POOL = 1000
# How many sessions of a user soid and killsoid find.
SESSIONS_OF_USER = 5
# The app that soapp lists, and how many sessions it has.
LISTED_APP = "listed"
LISTED = 100

OPERATIONS = ("create", "get", "set", "kill", "soid", "killsoid", "soapp", "activity")
