// The chat server that Tidings is compared with: direct messages over HTTP and Socket.IO, as one would write them with
// Express and SQLite. Takes the same paths, tokens and shapes as Tidings, as far as the benchmark needs them.
// Usage: TIDINGS_JWT_SECRET=… node peer.mjs DATABASE; prints `ready http://ADDRESS`.
import { createHmac, randomUUID, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import Database from "better-sqlite3";
import express from "express";
import { Server } from "socket.io";

const db = new Database(process.argv[2]);
db.pragma("journal_mode = WAL");
// A message that was answered is on disk, as in Tidings.
db.pragma("synchronous = FULL");
db.exec(`
  CREATE TABLE messages (id INTEGER PRIMARY KEY, uuid TEXT UNIQUE, conversation TEXT, sender TEXT, recipient TEXT,
    text TEXT, sent_at TEXT);
  CREATE INDEX by_conversation ON messages (conversation, id);
  CREATE TABLE rows (user TEXT, conversation TEXT, peer TEXT, last INTEGER, unread INTEGER, PRIMARY KEY (user, conversation));
  CREATE INDEX by_last ON rows (user, last);
  CREATE TABLE events (id INTEGER PRIMARY KEY, user TEXT, message INTEGER);
  CREATE INDEX by_user ON events (user, id);
`);
const sql = (text) => db.prepare(text);
const addMessage = sql("INSERT INTO messages (uuid, conversation, sender, recipient, text, sent_at) VALUES (?, ?, ?, ?, ?, ?)");
const addEvent = sql("INSERT INTO events (user, message) VALUES (?, ?)");
const putRow = sql(`INSERT INTO rows VALUES (?, ?, ?, ?, ?)
  ON CONFLICT DO UPDATE SET last = excluded.last, unread = unread + excluded.unread`);
const readRow = sql("UPDATE rows SET unread = 0 WHERE user = ? AND conversation = ?");
const inbox = sql(`SELECT r.conversation AS conversation_id, peer AS other_user_id, unread AS unread_count,
  text AS last_message, sent_at AS last_message_at FROM rows r JOIN messages m ON m.id = r.last
  WHERE user = ? ORDER BY last DESC LIMIT ?`);
const page = sql("SELECT * FROM messages WHERE conversation = ? ORDER BY id DESC LIMIT ?");
const count = sql("SELECT count(*) AS conversations, coalesce(sum(unread), 0) AS unread_count FROM rows WHERE user = ? AND unread > 0");
const search = sql("SELECT * FROM messages WHERE conversation = ? AND text LIKE ? ORDER BY id DESC LIMIT ?");
const poll = sql("SELECT e.id AS event, m.* FROM events e JOIN messages m ON m.id = e.message WHERE user = ? AND e.id > ? ORDER BY e.id LIMIT 100");
const newest = sql("SELECT coalesce(max(id), 0) AS id FROM events WHERE user = ?");
const conversationOf = (one, other) => [one, other].sort().join("~");
const view = (message) => ({
  id: message.uuid, conversation_id: message.conversation, sender_id: message.sender, recipient_id: message.recipient,
  message_text: message.text, sent_at: message.sent_at, is_edited: false, is_deleted: false,
});
const append = db.transaction((sender, recipient, text) => {
  const conversation = conversationOf(sender, recipient);
  const message = { uuid: randomUUID(), conversation, sender, recipient, text, sent_at: new Date().toISOString() };
  const id = addMessage.run(message.uuid, conversation, sender, recipient, text, message.sent_at).lastInsertRowid;
  for (const [user, peer] of [[sender, recipient], [recipient, sender]]) {
    putRow.run(user, conversation, peer, id, user === recipient ? 1 : 0);
    addEvent.run(user, id);
  }
  return view(message);
});

/** The user of a JWT that is signed with HS256, or undefined. */
function userOf(token = "") {
  const [header, payload, signature] = token.split(".");
  const expected = createHmac("sha256", process.env.TIDINGS_JWT_SECRET).update(`${header}.${payload}`).digest();
  const given = Buffer.from(signature ?? "", "base64url");
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
  const claims = JSON.parse(Buffer.from(payload, "base64url"));
  return claims.exp > Date.now() / 1000 ? claims.sub : undefined;
}

const app = express().disable("x-powered-by");
const server = createServer(app);
const sockets = new Server(server, { transports: ["websocket"] });
const send = (from, { recipient_id, message_text }) => {
  const message = append(from, recipient_id, message_text);
  sockets.to([`user:${from}`, `user:${recipient_id}`]).emit("message", message);
  return message;
};
app.use(express.json({ limit: "256kb" }), (request, response, next) => {
  request.user = userOf(request.get("authorization")?.slice("Bearer ".length));
  return request.user ? next() : response.status(401).json({ success: false });
});
const answer = (response, data, status = 200) => response.status(status).json({ success: true, data });
const limit = (request) => Number(request.query.limit ?? 20);
app.get("/api/users/me", (request, response) => answer(response, { user_id: request.user }));
app.post("/api/messages/send", (request, response) => answer(response, send(request.user, request.body), 201));
app.get("/api/messages/inbox", (request, response) => answer(response, inbox.all(request.user, limit(request))));
app.get("/api/messages/unread-count", (request, response) => answer(response, count.get(request.user)));
app.get("/api/messages/search", ({ query }, response) =>
  answer(response, search.all(query.conversation_id, `%${query.q}%`, Number(query.limit)).map(view)));
app.get("/api/messages/conversation/:user", (request, response) => {
  const conversation = conversationOf(request.user, request.params.user);
  if (request.query.mark_read === "true") readRow.run(request.user, conversation);
  answer(response, page.all(conversation, limit(request)).map(view));
});
app.get("/api/events", (request, response) => {
  const cursor = Number(request.query.cursor ?? newest.get(request.user).id);
  const found = poll.all(request.user, cursor);
  const events = found.map((event) => ({ type: "message.created", data: view(event) }));
  answer(response, { events, cursor: String(found.at(-1)?.event ?? cursor), has_more: false });
});
sockets.use((socket, next) => {
  socket.data.user = userOf(socket.handshake.query.token);
  next(socket.data.user ? undefined : new Error("unauthorized"));
});
sockets.on("connection", (socket) => {
  socket.join(`user:${socket.data.user}`);
  socket.on("send", (draft, acknowledge) => acknowledge(send(socket.data.user, draft)));
});
server.listen(0, "127.0.0.1", () => console.log(`ready http://127.0.0.1:${server.address().port}`));
