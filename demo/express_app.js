// The shop in Express.

import express from "express";

import { RestSessionsStore, sharedSession } from "../clients/node/lib/express-session.js";

const store = new RestSessionsStore({ user: (session) => session.user });
const app = express();
app.use(express.json(), sharedSession({ store }));

function itemsOf(session) {
  return Object.keys(session).filter((key) => key.startsWith("item-"));
}

app.get("/state", async ({ session }, res) => {
  const user = store.userOf(session) ?? null;
  const devices = [];
  if (user) {
    for await (const { handle, age, idle, data } of store.client.soid(user, { details: true })) {
      devices.push({ handle, agent: data._user_agent, age, idle });
    }
  }
  const cart = Object.fromEntries(itemsOf(session).map((key) => [key, session[key]]));
  res.json({ user, cart, devices, handle: store.handle(session) });
});

app.post("/add", ({ session, body }, res) => {
  Object.assign(session, body);
  res.status(204).end();
});

app.post("/empty", ({ session }, res) => {
  for (const key of itemsOf(session)) delete session[key];
  res.status(204).end();
});

app.post("/login", (req, res, next) => {
  const cart = itemsOf(req.session).map((key) => [key, req.session[key]]);
  // A new session with a new token, which belongs to the user from the start.
  req.session.regenerate((error) => {
    if (error) return next(error);
    Object.assign(req.session, Object.fromEntries(cart), { user: req.body.user });
    res.status(204).end();
  });
});

app.post("/logout", (req, res, next) => {
  req.session.destroy((error) => (error ? next(error) : res.clearCookie("session").status(204).end()));
});

app.post("/end", async ({ session, body }, res) => {
  await store.client.killsoid(store.userOf(session), { handle: body.handle });
  res.status(204).end();
});

app.post("/end-others", async ({ session }, res) => {
  await store.client.killsoid(store.userOf(session), { except: store.handle(session) });
  res.status(204).end();
});

app.listen(Number(process.env.PORT), "127.0.0.1");
