// A person's profile: who they are, the groups that both are in, and what can be done.

import { TidingsError } from "@tidings/client";
import type { User } from "@tidings/client";
import { useMe, useTidings } from "@tidings/client/react";
import { Ban, MessageCircle } from "lucide-react";
import { useEffect, useState } from "react";

import { Avatar } from "../avatar.js";
import { blocked, setBlocked } from "../blocked.js";
import { Modal } from "../modal.js";
import { useObservable } from "../observable.js";
import { usePerson } from "../people.js";
import { navigate } from "../route.js";
import { attempt, describeError } from "../toasts.js";
import { partWords, words } from "../words/language.js";
import { Availability, SharedGroups } from "./person.js";

export default function ProfileDialog({ id, onClose }: { id: string; onClose: () => void }) {
  const client = useTidings();
  const me = useMe();
  const { name, photo, isDeleted } = usePerson(id);
  const [user, setUser] = useState<User | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [isOpening, setIsOpening] = useState(false);
  const isBlocked = useObservable(blocked).has(id);
  useEffect(() => {
    const stop = new AbortController();
    client.api.user(id, { signal: stop.signal }).then(setUser, (error: unknown) => {
      if (stop.signal.aborted) return;
      setError(error instanceof TidingsError && error.status === 404 ? partWords.profile.accountDeleted : describeError(error));
    });
    return () => stop.abort();
  }, [client, id]);

  const message = async () => {
    setIsOpening(true);
    const opening = client.openDirect(id).then((row) => {
      onClose();
      navigate(row.conversation_id);
    });
    await attempt(opening);
    setIsOpening(false);
  };
  const isMe = id === me?.id;
  return (
    <Modal title={isMe ? partWords.people.withYou(name) : name} onClose={onClose}>
      <div className="profile">
        <Avatar id={id} name={name} photo={photo} size="huge" />
        {user?.username && (
          <p className="muted">
            <bdi>@{user.username}</bdi>
          </p>
        )}
        {!isMe && !error && <Availability id={id} />}
        {error && <p className="muted">{error}</p>}
        {!isMe && !isDeleted && !error && (
          <div className="profile-actions">
            <button className="primary" disabled={isOpening} onClick={() => void message()}>
              <MessageCircle aria-hidden /> {partWords.profile.message}
            </button>
            <button className="secondary" onClick={() => void attempt(setBlocked(client, id, !isBlocked))}>
              <Ban aria-hidden /> {isBlocked ? words.details.unblock : partWords.details.block}
            </button>
          </div>
        )}
      </div>
      {!isMe && !error && <SharedGroups id={id} onClose={onClose} />}
    </Modal>
  );
}
