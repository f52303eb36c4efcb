// Contains errors of views, so that one of them does not blank the page.

import { Component } from "react";
import type { ReactNode } from "react";

import { words } from "./words/language.js";

interface Props {
  children: ReactNode;
  /** Called instead of showing the error, for a view that can be closed. */
  onError?: () => void;
}

/** Shows that its children have failed, and lets the user try again. */
export class ErrorBoundary extends Component<Props, { hasFailed: boolean }> {
  override state = { hasFailed: false };

  static getDerivedStateFromError(): { hasFailed: boolean } {
    return { hasFailed: true };
  }

  override componentDidCatch(): void {
    this.props.onError?.();
  }

  override render(): ReactNode {
    if (!this.state.hasFailed) return this.props.children;
    if (this.props.onError) return null;
    return (
      <div className="empty" role="alert">
        <h2>{words.page.somethingWrong}</h2>
        <p className="muted">{words.page.partFailed}</p>
        <div className="actions">
          <button className="secondary" onClick={() => location.reload()}>
            {words.page.reload}
          </button>
          <button className="primary" onClick={() => this.setState({ hasFailed: false })}>
            {words.common.tryAgain}
          </button>
        </div>
      </div>
    );
  }
}
