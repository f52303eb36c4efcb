// The page: signing in, or the chat of whoever is signed in.

import type { Tidings } from "@tidings/client";
import { TidingsProvider, useConnection } from "@tidings/client/react";
import { useEffect, useState } from "react";

import * as account from "./account.js";
import { Chat } from "./chat.js";
import { sendWhatIsLeft } from "./drafts.js";
import { forgetPeople } from "./people.js";
import { go } from "./route.js";
import { SignIn } from "./sign-in.js";
import { Toasts } from "./toasts.js";

/** All of it. */
export function App() {
  const [client, setClient] = useState<Tidings | null>(account.client);
  const [notice, setNotice] = useState<string | null>(null);

  const enter = () => {
    forgetPeople();
    setNotice(null);
    setClient(account.client());
  };
  const leave = (why: string | null) => {
    void account.leave();
    go(null);
    setNotice(why);
    setClient(null);
  };

  return (
    <>
      {client ? (
        <TidingsProvider client={client}>
          <Connected client={client} onSignedOut={() => leave("You have been signed out: your session has ended.")}>
            <Chat onSignOut={() => leave(null)} />
          </Connected>
        </TidingsProvider>
      ) : (
        <SignIn notice={notice} onSignedIn={enter} />
      )}
      <Toasts />
    </>
  );
}

function Connected(props: { client: Tidings; onSignedOut: () => void; children: React.ReactNode }) {
  const { client, onSignedOut } = props;
  useEffect(() => {
    // What keeps it from connecting shows in its state.
    client.connect().then(() => sendWhatIsLeft(client, client.store.state.me?.id ?? ""), () => {});
    return () => client.disconnect();
  }, [client]);
  const connection = useConnection();
  useEffect(() => {
    if (connection === "signed_out") onSignedOut();
  }, [connection]);
  return props.children;
}
