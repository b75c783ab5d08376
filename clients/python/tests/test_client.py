from rest_sessions_client import Client


def test_a_sessions_life(client: Client) -> None:
    token = client.create("user123", ip="192.0.2.7", data={"name": "Peter"}).token
    assert client.set(token, {"unread": 12}).w == 2
    assert client.get(token).data == {"name": "Peter", "unread": 12}
    assert client.kill(token) == 1
    assert client.get(token) is None
