// Signing in: as one of the demo's people, or with an account.

import { MessagesSquare } from "lucide-react";
import { useEffect, useState } from "react";
import type { FormEvent } from "react";

import * as account from "./account.js";
import type { Person } from "./account.js";
import { Avatar } from "./avatar.js";
import { reason } from "./toasts.js";

/** The page before anyone is signed in. `?as=ID` signs one of the demo's people in. */
export function SignIn({ notice, onSignedIn }: { notice: string | null; onSignedIn: () => void }) {
  const [people, setPeople] = useState<Person[] | null>(null);
  const [isNew, setIsNew] = useState(false);

  useEffect(() => {
    let isHere = true;
    void account.people().then((people) => {
      if (!isHere) return;
      setPeople(people);
      const wanted = new URLSearchParams(location.search).get("as");
      const person = people.find(({ id }) => id === wanted);
      if (wanted !== null) history.replaceState(null, "", "/");
      if (person) enter(person);
    });
    return () => {
      isHere = false;
    };
  }, []);

  const enter = (person: Person) => {
    account.become(person);
    onSignedIn();
  };

  return (
    <main className="sign-in">
      <div className="welcome">
        <span className="logo">
          <MessagesSquare aria-hidden />
        </span>
        <h1>Tidings</h1>
        <p className="muted">Write to people, groups and rooms.</p>
      </div>
      {notice && (
        <p className="card notice" role="alert">
          {notice}
        </p>
      )}
      {people && people.length > 0 && (
        <section className="card" aria-labelledby="demo">
          <h2 id="demo">Look around as</h2>
          <ul className="people-grid">
            {people.map((person) => (
              <li key={person.id}>
                <button onClick={() => enter(person)}>
                  <Avatar id={person.id} name={person.name} />
                  <bdi>{person.name}</bdi>
                </button>
              </li>
            ))}
          </ul>
          <p className="muted small-text">
            To see two of them talk, open{" "}
            {people.slice(0, 2).map((person, at) => (
              <span key={person.id}>
                {at > 0 && " and "}
                <a href={`/?as=${encodeURIComponent(person.id)}`} target="_blank" rel="noopener">
                  <bdi>{person.name}</bdi>
                </a>
              </span>
            ))}{" "}
            side by side: each window has its own person.
          </p>
        </section>
      )}
      <section className="card" aria-labelledby="account">
        <h2 id="account">{isNew ? "New account" : "Sign in"}</h2>
        <AccountForm key={String(isNew)} isNew={isNew} onSignedIn={onSignedIn} />
        <p className="small-text muted">
          {isNew ? "You have an account?" : "No account yet?"}{" "}
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
      setError(reason(error));
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
        {isBusy ? "One moment …" : isNew ? "Make the account" : "Sign in"}
      </button>
    </form>
  );
}
