// Dialog that starts a direct conversation, creates a group, or joins or creates a room.

import type { Conversation, Room } from "@tidings/client";
import { useTidings } from "@tidings/client/react";
import { X } from "lucide-react";
import { Tabs } from "radix-ui";
import { useEffect, useState } from "react";

import { Avatar } from "../avatar.js";
import { fold } from "../fold.js";
import { Form } from "../form.js";
import { Modal } from "../modal.js";
import { navigate } from "../route.js";
import { firstOf } from "../search/ask.js";
import { attempt } from "../toasts.js";
import { pageDirection, partWords, words } from "../words/language.js";
import { PeoplePicker } from "./people-picker.js";
import type { Candidate } from "./people-picker.js";

/** Maximum number of rooms that are listed. */
const MAX_ROOMS = 500;

export default function NewDialog({ onClose }: { onClose: () => void }) {
  const [isBusy, setIsBusy] = useState(false);
  const open = async (opening: Promise<Conversation>) => {
    setIsBusy(true);
    try {
      const row = await opening;
      onClose();
      navigate(row.conversation_id);
    } finally {
      setIsBusy(false);
    }
  };
  return (
    <Modal title={words.page.newConversation} onClose={onClose}>
      <Tabs.Root dir={pageDirection()} defaultValue="person" className="tabs">
        <Tabs.List aria-label={partWords.newConversation.type}>
          <Tabs.Trigger value="person">{partWords.newConversation.person}</Tabs.Trigger>
          <Tabs.Trigger value="group">{partWords.newConversation.group}</Tabs.Trigger>
          <Tabs.Trigger value="room">{partWords.newConversation.rooms}</Tabs.Trigger>
        </Tabs.List>
        <Tabs.Content value="person">
          <Person open={open} isBusy={isBusy} />
        </Tabs.Content>
        <Tabs.Content value="group">
          <Group open={open} isBusy={isBusy} />
        </Tabs.Content>
        <Tabs.Content value="room">
          <Rooms open={open} isBusy={isBusy} onClose={onClose} />
        </Tabs.Content>
      </Tabs.Root>
    </Modal>
  );
}

interface TabProps {
  open: (opening: Promise<Conversation>) => Promise<void>;
  isBusy: boolean;
}

function Person({ open, isBusy }: TabProps) {
  const client = useTidings();
  return (
    <PeoplePicker
      takesFocus
      action={{ label: partWords.newConversation.message, isDisabled: isBusy, run: ({ id }) => void attempt(open(client.openDirect(id))) }}
    />
  );
}

function Group({ open }: TabProps) {
  const client = useTidings();
  const [name, setName] = useState("");
  const [members, setMembers] = useState<readonly Candidate[]>([]);
  const create = () => open(client.createGroup(name.trim(), members.map(({ id }) => id)));
  return (
    <Form submit={partWords.newConversation.createGroup} isDisabled={name.trim() === ""} onSubmit={create}>
      <label>
        {partWords.newConversation.groupName}
        <input required maxLength={100} dir="auto" value={name} onChange={(event) => setName(event.target.value)} />
      </label>
      {members.length > 0 && (
        <ul className="picked" aria-label={partWords.details.members}>
          {members.map((member) => (
            <li key={member.id}>
              <bdi>{member.name}</bdi>
              <button
                type="button"
                className="icon-button small"
                aria-label={partWords.common.removeNamed(member.name)}
                onClick={() => setMembers(members.filter(({ id }) => id !== member.id))}
              >
                <X aria-hidden />
              </button>
            </li>
          ))}
        </ul>
      )}
      <PeoplePicker
        exclude={new Set(members.map(({ id }) => id))}
        action={{ label: partWords.common.add, run: (person) => setMembers([...members, person]) }}
      />
    </Form>
  );
}

function Rooms({ open, isBusy, onClose }: TabProps & { onClose: () => void }) {
  const client = useTidings();
  const [rooms, setRooms] = useState<readonly Room[] | null>(null);
  const [text, setText] = useState("");
  useEffect(() => {
    const stop = new AbortController();
    void attempt(firstOf(client.api.rooms({ signal: stop.signal }), MAX_ROOMS).then(setRooms));
    return () => stop.abort();
  }, [client]);
  const enter = (room: Room) => {
    if (!room.is_participant) return void attempt(open(client.joinRoom(room.conversation_id)));
    onClose();
    navigate(room.conversation_id);
  };
  const create = (fields: FormData) => open(client.createRoom(text.trim(), String(fields.get("description") ?? "").trim()));
  const shown = rooms?.filter(({ name }) => fold(name).includes(fold(text.trim())));
  return (
    <>
      <input
        type="search"
        dir="auto"
        maxLength={100}
        aria-label={partWords.newConversation.roomName}
        placeholder={partWords.newConversation.findRoom}
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      <ul className="list">
        {shown?.map((room) => (
          <li key={room.conversation_id}>
            <button className="candidate" disabled={isBusy} onClick={() => enter(room)}>
              <Avatar id={room.conversation_id} name={room.name} kind="room" size="small" />
              <span className="hidden">{room.is_participant ? partWords.newConversation.open : partWords.newConversation.join} </span>
              <span className="grow">
                <bdi>{room.name}</bdi>
                <span className="muted small-text">
                  {partWords.people.members(room.participant_count)}
                  {room.description && (
                    <>
                      {" · "}
                      <bdi>{room.description}</bdi>
                    </>
                  )}
                </span>
              </span>
              <span className="secondary" aria-hidden>
                {room.is_participant ? partWords.newConversation.open : partWords.newConversation.join}
              </span>
            </button>
          </li>
        ))}
      </ul>
      {text.trim() !== "" && !rooms?.some(({ name }) => name === text.trim()) && (
        <Form submit={partWords.newConversation.createRoom(<bdi>{text.trim()}</bdi>)} onSubmit={create}>
          <label>
            {partWords.details.description}
            <input name="description" maxLength={500} dir="auto" />
          </label>
        </Form>
      )}
    </>
  );
}
