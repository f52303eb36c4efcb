// The sign-in page: demo users, sign-in and registration.

import { MessagesSquare } from "lucide-react";
import { useEffect, useState } from "react";
import type { FormEvent } from "react";

import * as account from "./account.js";
import type { DemoUser } from "./account.js";
import { Avatar } from "./avatar.js";
import { describeError } from "./toasts.js";

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
        <h1>Tidings</h1>
        <p className="muted">Message people, groups and rooms.</p>
      </div>
      {notice && (
        <p className="card notice" role="alert">
          {notice}
        </p>
      )}
      {users && users.length > 0 && (
        <section className="card" aria-labelledby="demo">
          <h2 id="demo">Try the demo as</h2>
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
            To see both sides of a chat, open{" "}
            {users.slice(0, 2).map((user, at) => (
              <span key={user.id}>
                {at > 0 && " and "}
                <a href={`/?as=${encodeURIComponent(user.id)}`} target="_blank" rel="noopener">
                  <bdi>{user.name}</bdi>
                </a>
              </span>
            ))}{" "}
            in separate windows.
          </p>
        </section>
      )}
      <section className="card" aria-labelledby="account">
        <h2 id="account">{isNew ? "Create an account" : "Sign in"}</h2>
        <AccountForm key={String(isNew)} isNew={isNew} onSignedIn={onSignedIn} />
        <p className="small-text muted">
          {isNew ? "Already have an account?" : "No account yet?"}{" "}
          <button className="link" onClick={() => setIsNew(!isNew)}>
            {isNew ? "Sign in" : "Register"}
          </button>
        </p>
      </section>
    </main>
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
      setError(describeError(error));
      setIsBusy(false);
    }
  };

  return (
    <form onSubmit={submit}>
      {isNew && (
        <label>
          Name
          <input name="name" autoComplete="name" maxLength={100} dir="auto" />
        </label>
      )}
      <label>
        {isNew ? "Username" : "Username or e-mail address"}
        <input name="username" autoComplete="username" autoCapitalize="none" required />
      </label>
      {isNew && (
        <label>
          E-mail address
          <input name="email" type="email" autoComplete="email" required />
        </label>
      )}
      <label>
        Password
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
        {isBusy ? "Please wait…" : isNew ? "Create account" : "Sign in"}
      </button>
    </form>
  );
}
