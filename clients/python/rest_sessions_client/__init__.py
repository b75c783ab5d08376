"""A client of REST Sessions, the session store that app servers of any platform share over REST.

    from rest_sessions_client import Client

    client = Client("https://sessions.example.com", "webapp", key)
    token = client.create("user123", ip="192.0.2.7", data={"name": "Peter"}).token
    client.set(token, {"unread": 12})
    session = client.get(token)

`rest_sessions_client.django`, `.flask` and `.starlette` are the sessions of these frameworks.
"""

from rest_sessions_client.client import AsyncClient, Client
from rest_sessions_client.errors import RestSessionsError
from rest_sessions_client.models import App, Created, Session

__all__ = ["App", "AsyncClient", "Client", "Created", "RestSessionsError", "Session"]
