// The root of the page: the sign-in form, or the chat of the signed-in user.

import type { Tidings } from "@tidings/client";
import { TidingsProvider, useConnection } from "@tidings/client/react";
import { useEffect, useState } from "react";

import * as account from "./account.js";
import { Chat } from "./chat.js";
import { resendCopies } from "./drafts.js";
import { leave } from "./push/state.js";
import { navigate } from "./route.js";
import { SignIn } from "./sign-in.js";
import { Toasts } from "./toasts.js";
import { useLanguage, words } from "./words/language.js";

export function App() {
  const [client, setClient] = useState<Tidings | null>(account.createClient);
  const [notice, setNotice] = useState<string | null>(null);
  // Everything below renders again when the language changes.
  useLanguage();

  const onSignedIn = () => {
    setNotice(null);
    setClient(account.createClient());
  };
  const showSignIn = (notice: string | null) => {
    navigate(null);
    setNotice(notice);
    setClient(null);
  };
  const onSessionEnded = () => {
    void account.endSession();
    showSignIn(words.page.sessionEnded);
  };
  const signOut = async (client: Tidings) => {
    await leave(client);
    void account.signOut(client);
    showSignIn(null);
  };

  return (
    <>
      {client ? (
        <TidingsProvider client={client}>
          <Connected client={client} onSessionEnded={onSessionEnded}>
            <Chat onSignOut={() => void signOut(client)} />
          </Connected>
        </TidingsProvider>
      ) : (
        <SignIn notice={notice} onSignedIn={onSignedIn} />
      )}
      <Toasts />
    </>
  );
}

/** Keeps the client connected while mounted. */
function Connected(props: { client: Tidings; onSessionEnded: () => void; children: React.ReactNode }) {
  const { client, onSessionEnded } = props;
  useEffect(() => {
    // The state shows why a connection fails.
    client.connect().then(() => resendCopies(client, client.store.state.me?.id ?? ""), () => {});
    return () => client.disconnect();
  }, [client]);
  const connection = useConnection();
  useEffect(() => {
    if (connection === "signed_out") onSessionEnded();
    // The user may sign out in another window.
    const onStorage = () => account.hasEnded() && onSessionEnded();
    addEventListener("storage", onStorage);
    return () => removeEventListener("storage", onStorage);
  }, [connection]);
  return props.children;
}
