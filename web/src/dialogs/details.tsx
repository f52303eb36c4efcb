// Dialog with a conversation's details, members and actions.

import type { Conversation, ConversationDetails, Participant, RoomUser } from "@tidings/client";
import { useMe, useTidings } from "@tidings/client/react";
import { Tabs } from "radix-ui";
import { useCallback, useEffect, useState } from "react";

import { Media } from "../attachments/media.js";
import { PictureButton } from "../attachments/picture-button.js";
import { Avatar, STATUS } from "../avatar.js";
import { blocked, setBlocked } from "../blocked.js";
import { Form } from "../form.js";
import { Modal } from "../modal.js";
import { useObservable } from "../observable.js";
import { DELETED_USER, cachePeople, titleOf } from "../people.js";
import { useCurrentPresence } from "../presence.js";
import { navigate } from "../route.js";
import { attempt } from "../toasts.js";
import { ConversationSettings } from "./conversation-settings.js";
import { PeoplePicker } from "./people-picker.js";

/** Participants per page of the API. */
const PAGE_SIZE = 100;

export default function DetailsDialog({ row, onClose }: { row: Conversation; onClose: () => void }) {
  /** The action that waits for confirmation. */
  const [pending, setPending] = useState<{ text: string; label: string; run: () => Promise<unknown> } | null>(null);

  /** Asks for confirmation, runs the action, and goes back to the inbox. */
  const confirm: Confirm = (text, label, action) =>
    setPending({
      text,
      label,
      run: async () => {
        await action();
        onClose();
        navigate(null);
      },
    });

  if (pending) {
    return (
      <Modal title={pending.label} onClose={() => setPending(null)}>
        <p>{pending.text}</p>
        <div className="actions">
          <button className="secondary" onClick={() => setPending(null)}>
            Cancel
          </button>
          <button className="primary danger" onClick={() => void attempt(pending.run())}>
            {pending.label}
          </button>
        </div>
      </Modal>
    );
  }
  return (
    <Modal title={titleOf(row)} onClose={onClose}>
      <Tabs.Root defaultValue="about" className="tabs">
        <Tabs.List aria-label="Details">
          <Tabs.Trigger value="about">About</Tabs.Trigger>
          <Tabs.Trigger value="media">Media and files</Tabs.Trigger>
        </Tabs.List>
        <Tabs.Content value="about">
          {row.type === "direct" ? <Person row={row} /> : <Members row={row} />}
          <Actions row={row} confirm={confirm} />
        </Tabs.Content>
        <Tabs.Content value="media">
          <Media row={row} onClose={onClose} />
        </Tabs.Content>
      </Tabs.Root>
    </Modal>
  );
}

/** Asks for confirmation before an action that ends the conversation for the user. */
type Confirm = (text: string, label: string, action: () => Promise<unknown>) => void;

function Actions({ row, confirm }: { row: Conversation; confirm: Confirm }) {
  const client = useTidings();
  const id = row.conversation_id;
  const me = client.store.state.me?.id ?? "";
  return (
    <div className="stack">
      <ConversationSettings row={row} />
      {row.type !== "room" && (
        <button
          className="secondary danger"
          onClick={() =>
            confirm(
              "This removes the conversation and its messages for you only. It comes back when there is a new message.",
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
            confirm("You will no longer receive messages from this group.", "Leave group", () => client.api.removeParticipant(id, me))
          }
        >
          Leave group
        </button>
      )}
      {row.type === "room" && (
        <button
          className="secondary danger"
          onClick={() => confirm("You can rejoin at any time.", "Leave room", () => client.api.leaveRoom(id))}
        >
          Leave room
        </button>
      )}
      {row.type === "room" && row.is_admin && (
        <button
          className="secondary danger"
          onClick={() => confirm("This deletes the room and its messages for everyone.", "Delete room", () => client.api.deleteRoom(id))}
        >
          Delete room
        </button>
      )}
    </div>
  );
}

function Person({ row }: { row: Conversation }) {
  const client = useTidings();
  const user = row.other_user_id ?? "";
  const presence = useCurrentPresence(row.other_user_id);
  const isBlocked = useObservable(blocked).has(user);
  return (
    <div className="profile">
      <Avatar id={user} name={titleOf(row)} photo={row.photo_url} size="huge" status={presence?.status} />
      <p className="muted">{STATUS[presence?.status ?? "offline"]}</p>
      <button className="secondary" onClick={() => void attempt(setBlocked(client, user, !isBlocked))}>
        {isBlocked ? "Unblock" : "Block"}
      </button>
      <p className="muted small-text">
        Blocked people cannot message you or see when you are online.
      </p>
    </div>
  );
}

function Members({ row }: { row: Conversation }) {
  const client = useTidings();
  const me = useMe();
  const id = row.conversation_id;
  const [details, setDetails] = useState<ConversationDetails | null>(null);
  const [roomUsers, setRoomUsers] = useState<ReadonlyMap<string, RoomUser>>(new Map());
  const [isAdding, setIsAdding] = useState(false);
  // The number of participants to show.
  const [limit, setLimit] = useState(PAGE_SIZE);

  const load = useCallback(async () => {
    const details = await client.api.conversation(id);
    if (limit > PAGE_SIZE) details.participants = await firstOf(client.api.participants(id), limit);
    cachePeople(details.participants);
    setDetails(details);
    if (row.type !== "room") return;
    const users = new Map<string, RoomUser>();
    for await (const user of client.api.roomUsers(id)) {
      users.set(user.user_id, user);
      if (users.size === 200) break;
    }
    setRoomUsers(users);
  }, [client, id, row.type, limit]);

  useEffect(() => {
    void attempt(load());
    const reload = (event: { conversation_id: string }) => {
      if (event.conversation_id === id) load().catch(() => {});
    };
    const types = ["participant.joined", "participant.left", "conversation.updated"] as const;
    const unsubscribes = types.map((type) => client.on(type, reload));
    return () => unsubscribes.forEach((unsubscribe) => unsubscribe());
  }, [client, id, load]);

  const runAndReload = async (work: Promise<unknown>) => {
    if (await attempt(work)) await attempt(load());
  };
  const save = async (fields: FormData) => {
    const description = String(fields.get("description") ?? "").trim();
    await client.api.updateConversation(id, { name: String(fields.get("name") ?? "").trim(), description: description || null });
    await load();
  };

  if (!details) return <p className="muted">Loading…</p>;
  const participants: Participant[] = [...details.participants].sort((a, b) => {
    const rank = ({ user_id }: Participant) => (roomUsers.get(user_id)?.status ?? "offline") === "offline" ? 1 : 0;
    return rank(a) - rank(b);
  });
  return (
    <>
      {details.is_admin && (
        <PictureButton
          hasPicture={row.photo_url !== null}
          onChange={(picture) => client.setPhoto(id, picture)}
          onRemove={() => client.api.updateConversation(id, { photo_url: null })}
        >
          <Avatar id={id} name={titleOf(row)} photo={row.photo_url} kind={row.type} size="large" />
        </PictureButton>
      )}
      {details.is_admin ? (
        <Form submit="Save" look="secondary" success="Saved." onSubmit={save}>
          <label>
            Name
            <input name="name" required maxLength={100} dir="auto" defaultValue={details.name ?? ""} />
          </label>
          <label>
            Description
            <input name="description" maxLength={500} dir="auto" defaultValue={details.description ?? ""} />
          </label>
        </Form>
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
              exclude={new Set(details.participants.map(({ user_id }) => user_id))}
              action={{ label: "Add", run: ({ id: user }) => void runAndReload(client.api.addParticipants(id, [user])) }}
            />
          )}
        </>
      )}
      <ul className="list" aria-label="People">
        {participants.map((participant) => {
          const { user_id, is_admin } = participant;
          const name = participant.name ?? DELETED_USER;
          return (
            <li key={user_id}>
              <Avatar id={user_id} name={name} photo={participant.photo_url} size="small" status={roomUsers.get(user_id)?.status} />
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
                    aria-label={is_admin ? `Remove ${name} as admin` : `Make ${name} an admin`}
                    onClick={() => void runAndReload(client.api.setAdmin(id, user_id, !is_admin))}
                  >
                    {is_admin ? "Remove as admin" : "Make admin"}
                  </button>
                  <button className="link danger" aria-label={`Remove ${name}`} onClick={() => void runAndReload(client.api.removeParticipant(id, user_id))}>
                    Remove
                  </button>
                </>
              )}
            </li>
          );
        })}
      </ul>
      {details.participants.length === limit && details.participant_count > limit && (
        <button className="link" onClick={() => setLimit(limit + PAGE_SIZE)}>
          Show more
        </button>
      )}
    </>
  );
}

/** Returns the first items of a list. */
async function firstOf<T>(list: AsyncIterable<T>, count: number): Promise<T[]> {
  const first: T[] = [];
  for await (const item of list) {
    first.push(item);
    if (first.length === count) break;
  }
  return first;
}
