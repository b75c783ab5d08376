"""The other platform in shared.test.js: one request to a Flask app.

`flask_site.py COOKIE DATA` stores the data in the session of the cookie, and prints its cookie and all its data.
"""

import json
import sys

from flask import Flask, session

from rest_sessions_client.flask import RestSessions

app = Flask(__name__)
RestSessions(app)


@app.get("/")
def update() -> dict:
    session.update(json.loads(sys.argv[2]))
    return dict(session)


browser = app.test_client()
if sys.argv[1]:
    browser.set_cookie("session", sys.argv[1])
answer = browser.get("/", headers={"User-Agent": "Firefox"})
json.dump({"cookie": browser.get_cookie("session").value, "data": answer.json}, sys.stdout)
