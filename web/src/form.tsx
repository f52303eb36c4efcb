// A form that shows beside its button whether it succeeded.

import { useState } from "react";
import type { FormEvent, ReactNode } from "react";

import { describeError } from "./toasts.js";

/** A form with a button. While it is being submitted, the button is disabled. */
export function Form(props: {
  children: ReactNode;
  /** Text of the button. */
  submit: ReactNode;
  look?: string;
  isDisabled?: boolean;
  onSubmit: (fields: FormData) => Promise<unknown>;
  /** Shown after a success; by default nothing, because the form closes. */
  success?: string;
  describe?: (error: unknown) => string;
}) {
  const { describe = describeError } = props;
  const [isBusy, setIsBusy] = useState(false);
  const [outcome, setOutcome] = useState<{ error: string } | "succeeded" | null>(null);

  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    setIsBusy(true);
    setOutcome(null);
    try {
      await props.onSubmit(new FormData(event.currentTarget));
      setOutcome("succeeded");
    } catch (error) {
      setOutcome({ error: describe(error) });
    }
    setIsBusy(false);
  };

  return (
    <form onSubmit={(event) => void submit(event)} onChange={() => setOutcome(null)}>
      {props.children}
      <div className="actions">
        <span className="grow small-text" role="status">
          {outcome === "succeeded" && props.success}
        </span>
        <button className={props.look ?? "primary"} disabled={isBusy || props.isDisabled}>
          {props.submit}
        </button>
      </div>
      {outcome !== null && outcome !== "succeeded" && (
        <p className="error" role="alert" dir="auto">
          {outcome.error}
        </p>
      )}
    </form>
  );
}
