// The sign-in page: demo users, sign-in and registration.

import { TidingsError } from "@tidings/client";
import { MessagesSquare } from "lucide-react";
import { useEffect, useState } from "react";
import type { FormEvent } from "react";

import * as account from "./account.js";
import type { DemoUser } from "./account.js";
import { Avatar } from "./avatar.js";
import { lazyView } from "./lazy.js";
import { describeError } from "./toasts.js";
import { words } from "./words/language.js";

const LanguageField = lazyView(() => import("./dialogs/language-field.js"), () => null);

/** The sign-in page. `?as=ID` signs in as a demo user. */
export function SignIn({ notice, onSignedIn }: { notice: string | null; onSignedIn: () => void }) {
  const [users, setUsers] = useState<DemoUser[] | null>(null);
  const [isNew, setIsNew] = useState(false);

  useEffect(() => {
    let isMounted = true;
    void account.demoUsers().then((users) => {
      if (!isMounted) return;
      setUsers(users);
      const wanted = account.wantedDemoUser();
      const user = users.find(({ id }) => id === wanted);
      if (wanted !== null) history.replaceState(null, "", "/");
      if (user) enter(user);
    });
    return () => {
      isMounted = false;
    };
  }, []);

  const enter = (user: DemoUser) => {
    account.signInAs(user);
    onSignedIn();
  };

  return (
    <main className="sign-in">
      <div className="welcome">
        <span className="logo">
          <MessagesSquare aria-hidden />
        </span>
        <h1>{words.tidings}</h1>
        <p className="muted">{words.signIn.motto}</p>
      </div>
      {notice && (
        <p className="card notice" role="alert">
          {notice}
        </p>
      )}
      {users && users.length > 0 && (
        <section className="card" aria-labelledby="demo">
          <h2 id="demo">{words.signIn.tryDemo}</h2>
          <ul className="people-grid">
            {users.map((user) => (
              <li key={user.id}>
                <button onClick={() => enter(user)}>
                  <Avatar id={user.id} name={user.name} />
                  <bdi>{user.name}</bdi>
                </button>
              </li>
            ))}
          </ul>
          <p className="muted small-text">
            {users[0] && users[1] && words.signIn.bothSides(<WindowLink user={users[0]} />, <WindowLink user={users[1]} />)}
          </p>
        </section>
      )}
      <section className="card" aria-labelledby="account">
        <h2 id="account">{isNew ? words.signIn.createAccount : words.signIn.signIn}</h2>
        <AccountForm key={String(isNew)} isNew={isNew} onSignedIn={onSignedIn} />
        <p className="small-text muted">
          {isNew ? words.signIn.hasAccount : words.signIn.hasNone}{" "}
          <button className="link" onClick={() => setIsNew(!isNew)}>
            {isNew ? words.signIn.signIn : words.signIn.register}
          </button>
        </p>
      </section>
      <LanguageField />
    </main>
  );
}

/** A link that signs in as a demo user in a new window. */
function WindowLink({ user }: { user: DemoUser }) {
  return (
    <a href={`/?as=${encodeURIComponent(user.id)}`} target="_blank" rel="noopener">
      <bdi>{user.name}</bdi>
    </a>
  );
}

function AccountForm({ isNew, onSignedIn }: { isNew: boolean; onSignedIn: () => void }) {
  const [error, setError] = useState<string | null>(null);
  const [isBusy, setIsBusy] = useState(false);

  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget);
    const field = (name: string) => String(fields.get(name) ?? "");
    const [username, password, full_name] = [field("username").trim(), field("password"), field("name").trim()];
    setIsBusy(true);
    setError(null);
    try {
      if (isNew) {
        const email = field("email").trim();
        await account.session.register({ username, email, password, ...(full_name ? { full_name } : {}) });
      } else {
        await account.session.login(username.includes("@") ? { email: username, password } : { username, password });
      }
      onSignedIn();
    } catch (error) {
      const isWrong = !isNew && error instanceof TidingsError && error.status === 401;
      setError(isWrong ? words.signIn.wrong : describeError(error));
      setIsBusy(false);
    }
  };

  return (
    <form onSubmit={submit}>
      {isNew && (
        <label>
          {words.common.name}
          <input name="name" autoComplete="name" maxLength={100} dir="auto" />
        </label>
      )}
      <label>
        {isNew ? words.signIn.username : words.signIn.usernameOrEmail}
        <input name="username" autoComplete="username" autoCapitalize="none" required />
      </label>
      {isNew && (
        <label>
          {words.signIn.email}
          <input name="email" type="email" autoComplete="email" required />
        </label>
      )}
      <label>
        {words.signIn.password}
        <input
          name="password"
          type="password"
          autoComplete={isNew ? "new-password" : "current-password"}
          minLength={isNew ? 8 : 1}
          maxLength={128}
          required
        />
      </label>
      {error && (
        <p className="error" role="alert">
          {error}
        </p>
      )}
      <button className="primary" disabled={isBusy}>
        {isBusy ? words.signIn.wait : isNew ? words.signIn.create : words.signIn.signIn}
      </button>
    </form>
  );
}
