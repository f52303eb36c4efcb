// The details of a group or room: picture, name, description and members. Admins can change all of them.

import type { Conversation, ConversationDetails } from "@tidings/client";
import { useTidings } from "@tidings/client/react";
import { Pencil } from "lucide-react";
import { useCallback, useEffect, useState } from "react";

import { PictureButton } from "../attachments/picture-button.js";
import { Avatar } from "../avatar.js";
import { Form } from "../form.js";
import { titleOf } from "../people.js";
import { RichText } from "../rich-text.js";
import { attempt } from "../toasts.js";
import { partWords, words } from "../words/language.js";
import type { Confirm } from "./confirm.js";
import { Members } from "./members.js";

export function Group({ row, confirm }: { row: Conversation; confirm: Confirm }) {
  const client = useTidings();
  const id = row.conversation_id;
  const [details, setDetails] = useState<ConversationDetails | null>(null);
  const load = useCallback(async () => setDetails(await client.api.conversation(id)), [client, id]);
  useEffect(() => {
    void attempt(load());
    const reload = (event: { conversation_id: string }) => {
      if (event.conversation_id === id) load().catch(() => {});
    };
    const types = ["participant.joined", "participant.left", "conversation.updated"] as const;
    const unsubscribes = types.map((type) => client.on(type, reload));
    return () => unsubscribes.forEach((unsubscribe) => unsubscribe());
  }, [client, id, load]);

  if (!details) return <p className="muted">{words.common.loadingMore}</p>;
  return (
    <>
      <About row={row} details={details} onSaved={load} />
      <Members row={row} details={details} onChanged={load} confirm={confirm} />
    </>
  );
}

interface AboutProps {
  row: Conversation;
  details: ConversationDetails;
  onSaved: () => Promise<void>;
}

function About({ row, details, onSaved }: AboutProps) {
  const client = useTidings();
  const id = row.conversation_id;
  const [isEditing, setIsEditing] = useState(false);
  const [isSaved, setIsSaved] = useState(false);
  const avatar = <Avatar id={id} name={titleOf(row)} photo={row.photo_url} kind={row.type} size="huge" />;
  const edit = () => {
    setIsEditing(true);
    setIsSaved(false);
  };
  const saved = async () => {
    await onSaved();
    setIsEditing(false);
    setIsSaved(true);
  };
  return (
    <div className="profile">
      {details.is_admin ? (
        <PictureButton
          hasPicture={row.photo_url !== null}
          onChange={(picture) => client.setPhoto(id, picture)}
          onRemove={() => client.api.updateConversation(id, { photo_url: null })}
        >
          {avatar}
        </PictureButton>
      ) : (
        avatar
      )}
      <p className="muted">{words.conversation[row.type === "room" ? "room" : "group"](details.participant_count)}</p>
      {isEditing ? (
        <Edit details={details} onSaved={saved} onCancel={() => setIsEditing(false)} />
      ) : (
        <>
          {details.description && (
            <p className="description" dir="auto">
              <RichText text={details.description} />
            </p>
          )}
          {details.is_admin && (
            <button className="secondary" onClick={edit}>
              <Pencil aria-hidden /> {partWords.details.editNameAndDescription}
            </button>
          )}
        </>
      )}
      <span className="small-text" role="status">
        {isSaved && partWords.common.saved}
      </span>
    </div>
  );
}

function Edit(props: { details: ConversationDetails; onSaved: () => Promise<void>; onCancel: () => void }) {
  const client = useTidings();
  const { details } = props;
  const save = async (fields: FormData) => {
    const name = String(fields.get("name") ?? "").trim();
    const description = String(fields.get("description") ?? "").trim() || null;
    await client.api.updateConversation(details.conversation_id, { name, description });
    await props.onSaved();
  };
  return (
    <div className="edit-group">
      <Form submit={words.common.save} onSubmit={save}>
        <label>
          {words.common.name}
          <input name="name" required autoFocus maxLength={100} dir="auto" defaultValue={details.name ?? ""} />
        </label>
        <label>
          {partWords.details.description}
          <textarea className="area" name="description" rows={3} maxLength={500} dir="auto" defaultValue={details.description ?? ""} />
        </label>
        <button type="button" className="link" onClick={props.onCancel}>
          {words.common.cancel}
        </button>
      </Form>
    </div>
  );
}
