"""What is measured: each operation on the same users, data and numbers of sessions, whoever carries it out."""

APP = "webapp"
IP = "192.0.2.7"
DATA = {"name": "Peter", "unread": 12, "admin": False, "last_page": "/orders/2026/7"}
CHANGES = {"unread": 13, "last_page": "/orders/2026/8"}
DT = 3600

# Sessions that get and set choose among, a user's that soid and killsoid meet, and the app's that soapp lists.
POOL = 1000
SESSIONS_OF_USER = 5
LISTED_APP = "listed"
LISTED = 100

OPERATIONS = ("create", "get", "set", "kill", "soid", "killsoid", "soapp", "activity")
