// Dialog with the user's profile, this browser's settings, blocked users and the account.

import { TidingsError } from "@tidings/client";
import type { BlockedUser, Status } from "@tidings/client";
import { useConnection, useMe, useSelected, useTidings } from "@tidings/client/react";
import { useEffect, useState } from "react";

import { hasPassword } from "../account.js";
import { PictureButton } from "../attachments/picture-button.js";
import { Avatar } from "../avatar.js";
import { setBlocked } from "../blocked.js";
import { Form } from "../form.js";
import { Modal } from "../modal.js";
import { useObservable } from "../observable.js";
import { changeSettings, settings } from "../settings.js";
import type { Settings } from "../settings.js";
import { attempt, describeError, toast } from "../toasts.js";
import { partWords, words } from "../words/language.js";
import LanguageField from "./language-field.js";
import { NotificationSettings } from "./notification-settings.js";

export default function SettingsDialog({ onClose, onSignOut }: { onClose: () => void; onSignOut: () => void }) {
  const [page, setPage] = useState<"all" | "password" | "delete" | "sign-out">("all");
  const hasUnsent = useSelected((state) => state.outbox.length > 0);
  if (page === "sign-out") return <SignOut onClose={() => setPage("all")} onSignOut={onSignOut} />;
  if (page === "password") return <Password onClose={() => setPage("all")} />;
  if (page === "delete") return <DeleteAccount onClose={() => setPage("all")} onSignOut={onSignOut} />;
  return (
    <Modal title={partWords.account.settings} onClose={onClose}>
      <Profile />
      <Appearance />
      <Blocked />
      <section className="stack">
        <h3>{partWords.account.account}</h3>
        {hasPassword() && (
          <button className="secondary" onClick={() => setPage("password")}>
            {partWords.account.changePasswordMore}
          </button>
        )}
        <button className="secondary" onClick={hasUnsent ? () => setPage("sign-out") : onSignOut}>
          {partWords.account.signOut}
        </button>
        {hasPassword() && (
          <button className="secondary danger" onClick={() => setPage("delete")}>
            {partWords.account.deleteAccountMore}
          </button>
        )}
      </section>
    </Modal>
  );
}

function Profile() {
  const client = useTidings();
  const me = useMe();
  const [saved, setSaved] = useState(me);
  const save = async (fields: FormData) => {
    const full_name = String(fields.get("name") ?? "").trim();
    setSaved(await client.api.updateMe(full_name ? { full_name } : {}));
  };
  return (
    <>
      <div className="profile-row">
        <Avatar id={saved?.id ?? ""} name={saved?.full_name ?? saved?.username ?? ""} photo={saved?.avatar_url} size="large" />
        <span className="grow">
          <bdi className="strong">{saved?.full_name ?? saved?.username}</bdi>
          <bdi className="muted small-text">{saved?.username ? `@${saved.username}` : saved?.id}</bdi>
        </span>
        <StatusField />
      </div>
      <PictureButton
        hasPicture={Boolean(saved?.avatar_url)}
        onChange={async (picture) => setSaved(await client.setAvatar(picture))}
        onRemove={async () => setSaved(await client.api.updateMe({ avatar_url: null }))}
      />
      <Form submit={words.common.save} look="secondary" success={partWords.common.saved} onSubmit={save}>
        <label>
          {words.common.name}
          <input name="name" maxLength={100} dir="auto" defaultValue={me?.full_name ?? ""} />
        </label>
      </Form>
    </>
  );
}

function StatusField() {
  const client = useTidings();
  const me = useMe()?.id ?? "";
  // Until the server knows of this page, it shows even users who are not invisible as offline.
  const connection = useConnection();
  const [status, setStatus] = useState<Status | null>(null);
  const [isChosen, setIsChosen] = useState(false);
  useEffect(() => {
    if (isChosen) return;
    const stop = new AbortController();
    client.api.presence([me], { signal: stop.signal }).then(
      ([own]) => own && setStatus(own.status),
      () => {},
    );
    return () => stop.abort();
  }, [client, me, connection, isChosen]);
  const set = async (next: Status) => {
    setIsChosen(true);
    setStatus(next);
    if (await attempt(client.setStatus(next))) toast(partWords.account.statusUpdated);
    else setStatus(status);
  };
  return (
    <label className="inline">
      <span className="hidden">{partWords.account.status}</span>
      <select value={status ?? ""} onChange={(event) => void set(event.target.value as Status)}>
        {status === null && <option value="">{partWords.account.status}</option>}
        <option value="online">{partWords.account.statuses.online}</option>
        <option value="away">{partWords.account.statuses.away}</option>
        <option value="do_not_disturb">{partWords.account.statuses.do_not_disturb}</option>
        <option value="offline">{partWords.account.statuses.offline}</option>
      </select>
    </label>
  );
}

function Appearance() {
  const { theme, layout, enterSends } = useObservable(settings);
  return (
    <section className="stack">
      <h3>{partWords.account.thisBrowser}</h3>
      <label className="inline">
        <span className="grow">{partWords.account.theme}</span>
        <select value={theme} onChange={(event) => changeSettings({ theme: event.target.value as Settings["theme"] })}>
          <option value="system">{partWords.account.themes.system}</option>
          <option value="light">{partWords.account.themes.light}</option>
          <option value="dark">{partWords.account.themes.dark}</option>
        </select>
      </label>
      <LanguageField />
      <label className="inline">
        <span className="grow">{partWords.account.direction}</span>
        <select value={layout} onChange={(event) => changeSettings({ layout: event.target.value as Settings["layout"] })}>
          <option value="auto">{partWords.account.directions.auto}</option>
          <option value="ltr">{partWords.account.directions.ltr}</option>
          <option value="rtl">{partWords.account.directions.rtl}</option>
        </select>
      </label>
      <label className="inline">
        <span className="grow">{partWords.account.enterSends}</span>
        <input type="checkbox" role="switch" checked={enterSends} onChange={(event) => changeSettings({ enterSends: event.target.checked })} />
      </label>
      <NotificationSettings />
      <p className="muted small-text">{partWords.account.shortcutsHint}</p>
    </section>
  );
}

function Blocked() {
  const client = useTidings();
  const [users, setUsers] = useState<readonly BlockedUser[]>([]);
  useEffect(() => {
    const load = async () => {
      const all: BlockedUser[] = [];
      for await (const user of client.api.blockedUsers()) all.push(user);
      setUsers(all);
    };
    void attempt(load());
  }, [client]);
  const unblock = async (id: string) => {
    if (await attempt(setBlocked(client, id, false))) setUsers(users.filter(({ user_id }) => user_id !== id));
  };
  if (users.length === 0) return null;
  return (
    <section className="stack">
      <h3>{partWords.account.blocked}</h3>
      <ul className="list">
        {users.map(({ user_id, name }) => (
          <li key={user_id}>
            <Avatar id={user_id} name={name ?? user_id} size="small" />
            <span className="grow">
              <bdi>{name ?? user_id}</bdi>
            </span>
            <button className="secondary" aria-label={partWords.details.unblockNamed(name ?? user_id)} onClick={() => void unblock(user_id)}>
              {words.details.unblock}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** Describes why a password was not accepted. The server answers 401, as it does to a token that is not valid. */
function describeRefusal(error: unknown): string {
  return error instanceof TidingsError && error.status === 401 ? partWords.account.wrongPassword : describeError(error);
}

function Password({ onClose }: { onClose: () => void }) {
  const client = useTidings();
  const submit = async (fields: FormData) => {
    await client.api.changePassword(String(fields.get("current")), String(fields.get("next")));
    toast(partWords.account.passwordChanged);
    onClose();
  };
  return (
    <Modal title={partWords.account.changePassword} onClose={onClose}>
      <Form submit={partWords.account.changePassword} onSubmit={submit} describe={describeRefusal}>
        <label>
          {partWords.account.currentPassword}
          <input name="current" type="password" autoComplete="current-password" required maxLength={128} />
        </label>
        <label>
          {partWords.account.newPassword}
          <input name="next" type="password" autoComplete="new-password" required minLength={8} maxLength={128} />
        </label>
      </Form>
    </Modal>
  );
}

/** Says how many messages are lost when the user signs out; nothing if there are none. */
function UnsentWarning() {
  const count = useSelected((state) => state.outbox.length);
  if (count === 0) return null;
  return <p>{partWords.account.unsent(count)}</p>;
}

function SignOut({ onClose, onSignOut }: { onClose: () => void; onSignOut: () => void }) {
  return (
    <Modal title={partWords.account.signOutSure} onClose={onClose}>
      <UnsentWarning />
      <div className="actions">
        <button className="secondary" onClick={onClose}>
          {words.common.cancel}
        </button>
        <button className="primary danger" onClick={onSignOut}>
          {partWords.account.deleteAndSignOut}
        </button>
      </div>
    </Modal>
  );
}

function DeleteAccount({ onClose, onSignOut }: { onClose: () => void; onSignOut: () => void }) {
  const client = useTidings();
  const submit = async (fields: FormData) => {
    await client.api.deleteAccount(String(fields.get("password")));
    onSignOut();
  };
  return (
    <Modal title={partWords.account.deleteAccount} onClose={onClose}>
      <Form submit={partWords.account.deleteAccount} look="primary danger" onSubmit={submit} describe={describeRefusal}>
        <p>{partWords.account.deleteAccountWhy}</p>
        <UnsentWarning />
        <label>
          {words.signIn.password}
          <input name="password" type="password" autoComplete="current-password" required maxLength={128} />
        </label>
      </Form>
    </Modal>
  );
}
