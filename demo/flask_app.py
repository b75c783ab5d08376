"""The shop in Flask."""

import os

from flask import Flask, Response, jsonify, request

from rest_sessions_client import Client
from rest_sessions_client.flask import RestSessions, session

Done = tuple[str, int]
DONE: Done = ("", 204)

client = Client()
app = Flask(__name__)
RestSessions(app, client)


@app.get("/state")
def state() -> Response:
    devices = client.soid(session.user, details=True) if session.user else []
    return jsonify(
        user=session.user,
        cart={key: value for key, value in session.items() if key.startswith("item-")},
        devices=[
            {"handle": one.handle, "agent": one.data.get("_user_agent"), "age": one.age, "idle": one.idle}
            for one in devices
        ],
        handle=session.handle,
    )


@app.post("/add")
def add() -> Done:
    session.update(request.json)
    return DONE


@app.post("/empty")
def empty() -> Done:
    for key in [key for key in session if key.startswith("item-")]:
        del session[key]
    return DONE


@app.post("/login")
def login() -> Done:
    session.login(request.json["user"])
    return DONE


@app.post("/logout")
def logout() -> Done:
    session.logout()
    return DONE


@app.post("/end")
def end() -> Done:
    client.killsoid(session.user, handle=request.json["handle"])
    return DONE


@app.post("/end-others")
def end_others() -> Done:
    client.killsoid(session.user, except_=session.handle)
    return DONE


if __name__ == "__main__":
    app.run("127.0.0.1", int(os.environ["PORT"]), threaded=True)
