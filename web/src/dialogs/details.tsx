// A conversation's details, and what may be done with it.

import type { Conversation, ConversationDetails, Participant, RoomUser } from "@tidings/client";
import { useMe, usePresence, useTidings } from "@tidings/client/react";
import { useCallback, useEffect, useState } from "react";
import type { FormEvent } from "react";

import { Avatar, STATUS } from "../avatar.js";
import { blocked, setBlocked } from "../blocked.js";
import { Modal } from "../modal.js";
import { learn, titleOf } from "../people.js";
import { go } from "../route.js";
import { change, settings } from "../settings.js";
import { attempt } from "../toasts.js";
import { useValue } from "../value.js";
import { PeoplePicker } from "./people-picker.js";

/** Details of a conversation of any kind. */
export default function DetailsDialog({ row, onClose }: { row: Conversation; onClose: () => void }) {
  const client = useTidings();
  const id = row.conversation_id;
  const { muted } = useValue(settings);
  const isMuted = muted.includes(id);
  const [asked, setAsked] = useState<{ text: string; label: string; work: () => Promise<unknown> } | null>(null);

  const leaving = (text: string, label: string, work: () => Promise<unknown>) =>
    setAsked({
      text,
      label,
      work: async () => {
        await work();
        onClose();
        go(null);
      },
    });

  if (asked) {
    return (
      <Modal title={asked.label} onClose={() => setAsked(null)}>
        <p>{asked.text}</p>
        <div className="actions">
          <button className="secondary" onClick={() => setAsked(null)}>
            Cancel
          </button>
          <button className="primary danger" onClick={() => void attempt(asked.work())}>
            {asked.label}
          </button>
        </div>
      </Modal>
    );
  }
  const me = client.store.state.me?.id ?? "";
  return (
    <Modal title={titleOf(row)} onClose={onClose}>
      {row.type === "direct" ? <Person row={row} /> : <Members row={row} />}
      <div className="stack">
        <button
          className="secondary"
          aria-pressed={isMuted}
          onClick={() => change({ muted: isMuted ? muted.filter((other) => other !== id) : [...muted, id] })}
        >
          {isMuted ? "Unmute notifications" : "Mute notifications"}
        </button>
        {row.type !== "room" && (
          <button
            className="secondary danger"
            onClick={() =>
              leaving(
                "Its messages up to now are gone for you. Others keep theirs; a new message brings the conversation back.",
                "Delete conversation",
                () => client.api.deleteConversation(id),
              )
            }
          >
            Delete conversation
          </button>
        )}
        {row.type === "group" && (
          <button
            className="secondary danger"
            onClick={() =>
              leaving("You will see nothing that is written from now on.", "Leave group", () => client.api.removeParticipant(id, me))
            }
          >
            Leave group
          </button>
        )}
        {row.type === "room" && (
          <button
            className="secondary danger"
            onClick={() => leaving("You can join again at any time.", "Leave room", () => client.api.leaveRoom(id))}
          >
            Leave room
          </button>
        )}
        {row.type === "room" && row.is_admin && (
          <button
            className="secondary danger"
            onClick={() => leaving("The room and its messages are gone for everyone.", "Delete room", () => client.api.deleteRoom(id))}
          >
            Delete room
          </button>
        )}
      </div>
    </Modal>
  );
}

function Person({ row }: { row: Conversation }) {
  const client = useTidings();
  const user = row.other_user_id ?? "";
  const presence = usePresence(row.other_user_id);
  const isBlocked = useValue(blocked).has(user);
  return (
    <div className="profile">
      <Avatar id={user} name={titleOf(row)} photo={row.photo_url} size="huge" status={presence?.status} />
      <p className="muted">{STATUS[presence?.status ?? "offline"]}</p>
      <button className="secondary" onClick={() => void attempt(setBlocked(client, user, !isBlocked))}>
        {isBlocked ? "Unblock" : "Block"}
      </button>
      <p className="muted small-text">
        Someone who is blocked cannot write to you here, nor see whether you are there.
      </p>
    </div>
  );
}

function Members({ row }: { row: Conversation }) {
  const client = useTidings();
  const me = useMe();
  const id = row.conversation_id;
  const [details, setDetails] = useState<ConversationDetails | null>(null);
  const [present, setPresent] = useState<ReadonlyMap<string, RoomUser>>(new Map());
  const [isAdding, setIsAdding] = useState(false);

  const load = useCallback(async () => {
    const details = await client.api.conversation(id);
    learn(details.participants);
    setDetails(details);
    if (row.type !== "room") return;
    const present = new Map<string, RoomUser>();
    for await (const user of client.api.roomUsers(id)) {
      present.set(user.user_id, user);
      if (present.size === 200) break;
    }
    setPresent(present);
  }, [client, id, row.type]);

  useEffect(() => {
    void attempt(load());
    const again = (event: { conversation_id: string }) => {
      if (event.conversation_id === id) load().catch(() => {});
    };
    const stops = [client.on("participant.joined", again), client.on("participant.left", again), client.on("conversation.updated", again)];
    return () => stops.forEach((stop) => stop());
  }, [client, id, load]);

  const change = async (work: Promise<unknown>) => {
    if (await attempt(work)) await attempt(load());
  };
  const save = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget);
    const description = String(fields.get("description") ?? "").trim();
    void change(client.api.updateConversation(id, { name: String(fields.get("name") ?? "").trim(), description: description || null }));
  };

  if (!details) return <p className="muted">Loading …</p>;
  const participants: Participant[] = [...details.participants].sort((a, b) => {
    const rank = ({ user_id }: Participant) => (present.get(user_id)?.status ?? "offline") === "offline" ? 1 : 0;
    return rank(a) - rank(b);
  });
  return (
    <>
      {details.is_admin ? (
        <form onSubmit={save}>
          <label>
            Name
            <input name="name" required maxLength={100} dir="auto" defaultValue={details.name ?? ""} />
          </label>
          <label>
            What it is about
            <input name="description" maxLength={500} dir="auto" defaultValue={details.description ?? ""} />
          </label>
          <div className="actions">
            <button className="secondary">Save</button>
          </div>
        </form>
      ) : (
        details.description && <p dir="auto">{details.description}</p>
      )}
      <h3>
        {details.participant_count} {details.participant_count === 1 ? "person" : "people"}
      </h3>
      {details.is_admin && row.type === "group" && (
        <>
          <button className="link" aria-expanded={isAdding} onClick={() => setIsAdding(!isAdding)}>
            Add people
          </button>
          {isAdding && (
            <PeoplePicker
              without={new Set(details.participants.map(({ user_id }) => user_id))}
              action={({ id: user, name }) => (
                <button className="secondary" aria-label={`Add ${name}`} onClick={() => void change(client.api.addParticipants(id, [user]))}>
                  Add
                </button>
              )}
            />
          )}
        </>
      )}
      <ul className="list" aria-label="People">
        {participants.map((participant) => {
          const { user_id, is_admin } = participant;
          const name = participant.name ?? "Someone who left";
          return (
            <li key={user_id}>
              <Avatar id={user_id} name={name} photo={participant.photo_url} size="small" status={present.get(user_id)?.status} />
              <span className="grow">
                <span>
                  <bdi>{name}</bdi>
                  {user_id === me?.id && " (you)"}
                </span>
                {is_admin && <span className="muted small-text">Admin</span>}
              </span>
              {details.is_admin && row.type === "group" && user_id !== me?.id && (
                <>
                  <button
                    className="link"
                    aria-label={is_admin ? `No longer an admin: ${name}` : `Make ${name} an admin`}
                    onClick={() => void change(client.api.setAdmin(id, user_id, !is_admin))}
                  >
                    {is_admin ? "No admin" : "Make admin"}
                  </button>
                  <button className="link danger" aria-label={`Remove ${name}`} onClick={() => void change(client.api.removeParticipant(id, user_id))}>
                    Remove
                  </button>
                </>
              )}
            </li>
          );
        })}
      </ul>
    </>
  );
}
